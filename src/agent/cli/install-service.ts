/**
 * `weir install-service`: the files that make an agent a service of systemd, where no Debian package
 * brings them. It writes files and starts nothing; what is left to do is printed as commands.
 */

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { loadEnvFile } from "node:process";
import { Fault } from "../../core/faults.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { ownFile } from "./own-files.ts";
import { weirProgram } from "./own-program.ts";
import { isBelow, packagedData, unitText } from "./service-unit.ts";
import { writingTo } from "./writing.ts";

const unitFile = "/etc/systemd/system/weir.service";
const sysusersFile = "/etc/sysusers.d/weir.conf";
const environmentFile = "/etc/default/weir";
const packagedUnits = ["/usr/lib/systemd/system/weir.service", "/lib/systemd/system/weir.service"];
/** What the unit hides from the service (ProtectHome, PrivateTmp). */
const hidden = ["/home", "/root", "/run/user", "/tmp", "/var/tmp"];

type OwnFile = {
  /** As the service will see it. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
  /** What is there stays: somebody has written it. */
  readonly keep: boolean;
};

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "/etc/weir/weir.yaml" },
    user: { type: "string", default: "weir" },
    program: { type: "string" },
    root: { type: "string", default: "/" },
    "dry-run": { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const { user } = values;
  if (!/^[a-z_][a-z0-9_-]{0,30}$/.test(user)) {
    throw new UsageError(`--user must be a name of a-z, 0-9, _ and -, not ${JSON.stringify(user)}`);
  }
  const root = resolve(values.root);
  const program = values.program === undefined ? thisProgram() : [resolve(values.program)];
  const place = { root, program, config: resolve(values.config), user };
  if (root === "/" && !values["dry-run"]) refuseHere();
  const { files, next, hidden: unseen } = await planOf(place);
  if (unseen !== undefined) {
    if (!values["dry-run"]) throw new Fault("INPUT_INVALID", unseen);
    console.error(`weir: warning: as it is, this would be refused: ${unseen}`);
  }
  for (const file of files) {
    if (values["dry-run"]) console.log(`# ${file.path}\n${file.text}`);
    else console.log(`weir: ${await put(root, file)} ${file.path}`);
  }
  console.log(`\nNext, as root${root === "/" ? "" : ` of what is in ${root}`}:\n`);
  for (const command of next) console.log(`  ${command}`);
  return exitCodes.ok;
}

/** Throws a Fault where this machine cannot have the service, or this user may not make it. */
function refuseHere(): void {
  const else_ = "--dry-run prints what would be written, --root DIR writes it below another folder";
  if (!existsSync("/run/systemd/system")) {
    throw new Fault("INPUT_INVALID", `this system is not run by systemd; ${else_}`);
  }
  if (process.getuid?.() !== 0) {
    const message = `only root may write to /etc: sudo weir install-service; ${else_}`;
    throw new Fault("DIRECTORY_NOT_WRITABLE", message);
  }
}

function thisProgram(): readonly string[] {
  const { file, args } = weirProgram();
  return [file, ...args];
}

type Place = {
  readonly root: string;
  readonly program: readonly string[];
  readonly config: string;
  readonly user: string;
};

async function planOf({ root, program, config, user }: Place): Promise<{
  readonly files: readonly OwnFile[];
  readonly next: readonly string[];
  /** What the service could not see, and what to do. */
  readonly hidden: string | undefined;
}> {
  const packaged = packagedUnits.find((path) => existsSync(join(root, path)));
  if (packaged !== undefined) {
    const message = `the service is there already (${packaged}); systemctl edit weir changes it`;
    throw new Fault("INPUT_INVALID", message);
  }
  const { dataDirectory, outputs, isThere } = await configuredPaths(root, config);
  const command = [...program, "run", "-c", config];
  const unit = unitText(ownFile("weir.service"), { command, user, dataDirectory, outputs });
  const folders = [dataDirectory, ...outputs].filter((path) => !isBelow(packagedData, path));
  return {
    files: [
      { path: unitFile, text: unit, mode: 0o644, keep: false },
      {
        path: sysusersFile,
        text: ownFile("sysusers.conf").replace(/^u weir/m, `u ${user}`),
        mode: 0o644,
        keep: false,
      },
      { path: config, text: ownFile("gateway.yaml"), mode: 0o640, keep: true },
    ],
    next: [
      `systemd-sysusers ${sysusersFile}`,
      ...folders.map(
        (path) => `install --directory --owner=${user} --group=${user} --mode=0750 ${path}`,
      ),
      ...(isThere
        ? []
        : [`chgrp ${user} ${dirname(config)} ${config} && chmod 2750 ${dirname(config)}`]),
      `runuser -u ${user} -- ${program.join(" ")} check -c ${config}`,
      "systemctl daemon-reload",
      "systemctl enable --now weir",
    ],
    hidden: hiddenOf(program.filter(isAbsolute), [config, dataDirectory, ...outputs]),
  };
}

function hiddenOf(program: readonly string[], others: readonly string[]): string | undefined {
  for (const path of [...program, ...others]) {
    const folder = hidden.find((name) => isBelow(name, path));
    if (folder === undefined) continue;
    const [file, ...words] = program;
    const remedy =
      path === file && words.length === 0
        ? `sudo install ${file} /usr/local/bin/weir, and then sudo /usr/local/bin/weir install-service`
        : `move ${path} elsewhere and try again`;
    return `the service does not see ${folder}: ${remedy}`;
  }
  return undefined;
}

function isAbsolute(word: string): boolean {
  return word.startsWith("/");
}

/** Where it writes, as the service will see it. */
async function configuredPaths(
  root: string,
  config: string,
): Promise<{
  readonly dataDirectory: string;
  readonly outputs: readonly string[];
  readonly isThere: boolean;
}> {
  const file = join(root, config);
  if (!existsSync(file)) return { dataDirectory: packagedData, outputs: [], isThere: false };
  const environment = join(root, environmentFile);
  if (existsSync(environment)) loadEnvFile(environment);
  const { dataDirectory, uplinks } = await readConfig(file);
  const outputs = uplinks.flatMap((uplink) => (uplink.kind === "file" ? [uplink.directory] : []));
  const [data, ...others] = [dataDirectory, ...outputs].map((path) => seenFrom(root, path));
  return { dataDirectory: data!, outputs: others, isThere: true };
}

/** A path that is relative to the configuration was found below `root`. */
function seenFrom(root: string, path: string): string {
  return root !== "/" && isBelow(root, path) ? path.slice(root.length) : path;
}

/** What became of it, as a word. */
async function put(root: string, { path, text, mode, keep }: OwnFile): Promise<string> {
  const file = join(root, path);
  const isThere = existsSync(file);
  if (isThere && (keep || readFileSync(file, "utf8") === text)) return "kept";
  await writingTo(file, () => {
    mkdirSync(dirname(file), { recursive: true, mode: 0o755 });
    const making = `${file}.weir-new`;
    writeFileSync(making, text, { mode });
    renameSync(making, file);
    return Promise.resolve();
  });
  return isThere ? "replaced" : "wrote";
}
