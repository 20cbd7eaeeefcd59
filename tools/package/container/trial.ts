/**
 * Dockerfile.arm64 without a container engine: the stages behind `build` are made in folders, step by
 * step as the file says them, and what they make is run as an engine would: by its user, on a read-only
 * root, with the volume and a /tmp from which nothing runs. Its health check is asked.
 *
 * Not done again is what needs a network: an image of Debian is a small Debian made of its packages
 * (debian-root.ts), which has to have what `apt-get install` names; the file of `build` is the packed one.
 *
 * Started by `npm run package -- --arch arm64 --container`, apart from the machine (apart.ts).
 */

import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { freePorts } from "../../../test/support/ports.ts";
import { findTool } from "../../../test/support/require-tool.ts";
import { registerEmulator } from "../apart.ts";
import { root } from "../bundle.ts";
import { makeDebianRoot } from "../debian/debian-root.ts";
import { assertReadings, publish, saysStarted, step } from "../trial-agent.ts";
import { readStages, type Stage, type Step } from "./dockerfile.ts";

const readings = 100;
/** By its path: the image's own PATH is none of this machine. */
const chroot = findTool("chroot") ?? "chroot";
const config = "/etc/weir/weir.yaml";

const [program, work] = process.argv.slice(2);
assert.ok(program !== undefined && work !== undefined);
registerEmulator("arm64");

/** Folders of stages that are made, by name. */
const made = new Map<string, string>();
const [build, ...others] = readStages();
assert.equal(build?.name, "build");
made.set("build", join(work, "build"));
mkdirSync(join(work, "build/out"), { recursive: true });
cpSync(program, join(work, "build/out/weir"));
for (const stage of others) {
  await step(`stage ${stage.name ?? "of the image"} is made`, () => makeStage(stage));
}
const image = others.at(-1)!;
const folder = made.get("image")!;
const environment = Object.fromEntries(
  image.steps
    .filter(({ keyword }) => keyword === "ENV")
    .flatMap(({ words }) => words.map((word) => word.split("=") as [string, string])),
);

const [mqttPort, httpPort] = await freePorts(2);
const volume = only("VOLUME").words[0]!;
const seen = join(work, "seen");
runReadOnly();

await step("nothing is in it but weir, its libraries and its configuration", () => {
  const files = execFileSync("find", [folder, "-type", "f", "-printf", "/%P\n"], {
    encoding: "utf8",
  });
  const strange = files
    .trim()
    .split("\n")
    .filter((path) => !/^\/lib\/[\w/.+-]+\.so\.\d+$/.test(path))
    .filter((path) => !["/usr/bin/weir", config].includes(path));
  assert.deepEqual(strange, []);
  return `${(totalBytes() / 1e6).toFixed(1)} MB`;
});

await step("it has all its parts, as its user on a read-only root", () => {
  const { status, output } = run("/usr/bin/weir", "selftest", "--directory", volume);
  assert.equal(status, 0, output);
  return output.trim().split("\n").at(-1);
});

await step("its health check fails without an agent", () => {
  assert.notEqual(run(...only("HEALTHCHECK").words).status, 0);
  return "";
});

await step("it runs, is healthy, and keeps its readings in the volume over a kill", async () => {
  const killed = await start();
  await publish({ port: mqttPort!, count: readings });
  const { status, output } = run(...only("HEALTHCHECK").words);
  assert.equal(status, 0, output);
  await killed("SIGKILL");
  const stopped = await start();
  const query = ["query", "-c", config, "--readings", "--from", "-1h", "--json"];
  assertReadings(run("/usr/bin/weir", ...query).stdout, readings);
  assert.equal(await stopped("SIGTERM"), 0, "it ends in good order");
  return `${readings} readings`;
});

function makeStage(stage: Stage): string {
  const own = join(work!, stage.name ?? "image");
  made.set(stage.name ?? "image", own);
  mkdirSync(own);
  chmodSync(own, 0o755);
  if (stage.image !== "scratch") {
    assert.match(stage.image, /^debian:/, "an image that can be made here");
    makeDebianRoot(own, "arm64");
  }
  for (const one of stage.steps) {
    if (one.keyword === "RUN") runIn(own, one);
    else if (one.keyword === "COPY") copyInto(own, one);
  }
  return `${stage.steps.length} steps on ${stage.image}`;
}

function runIn(own: string, { text }: Step): void {
  if (text.startsWith("apt-get")) {
    const packages = /install((?:\s|\\|--?[\w-]+|[\w+.-])+)/.exec(text)?.[1] ?? "";
    const names = packages.split(/[\s\\]+/).filter((word) => /^[a-z]/.test(word));
    assert.ok(names.length > 0);
    for (const name of names) {
      const known = readFileSync(join(own, "var/lib/dpkg/status"), "utf8");
      assert.ok(known.includes(`Package: ${name}\n`), `the Debian here has ${name}`);
    }
    return;
  }
  const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
  execFileSync("chroot", [own, "/bin/sh", "-c", text], { env, stdio: ["ignore", 2, 2] });
}

function copyInto(own: string, { words, flags }: Step): void {
  const known = new Set(["from", "chmod"]);
  for (const name of Object.keys(flags)) assert.ok(known.has(name), `COPY --${name} is done here`);
  const from = flags["from"] === undefined ? root : made.get(flags["from"]);
  assert.ok(from !== undefined, `a stage ${flags["from"]} comes before`);
  assert.equal(words.length, 2);
  const [source = "", target = ""] = words;
  const path = join(from, source);
  const to = join(
    own,
    target.endsWith("/") && !statSync(path).isDirectory() ? target + basename(source) : target,
  );
  mkdirSync(dirname(to), { recursive: true });
  const isFolder = statSync(path).isDirectory();
  execFileSync("cp", ["--archive", isFolder ? `${path}/.` : path, to]);
  if (!isFolder) execFileSync("chown", ["0:0", to]);
  if (flags["chmod"] !== undefined) chmodSync(to, Number.parseInt(flags["chmod"], 8));
}

function only(keyword: string): Step {
  const [found, ...more] = image.steps.filter((one) => one.keyword === keyword);
  assert.ok(found !== undefined && more.length === 0, `one ${keyword}`);
  return found;
}

/** As an engine with --read-only and --tmpfs /tmp; a new volume has the content and owner of its folder. */
function runReadOnly(): void {
  const own = join(work!, "volume");
  execFileSync("cp", ["--archive", join(folder, volume), own]);
  for (const name of ["proc", "dev"]) mkdirSync(join(folder, name), { recursive: true });
  mkdirSync(seen);
  const mount = (...words: readonly string[]): void => void execFileSync("mount", words);
  mount("--bind", folder, seen);
  mount("-o", "remount,bind,ro", seen);
  mount("--rbind", "/proc", join(seen, "proc"));
  mount("--rbind", "/dev", join(seen, "dev"));
  mount("-t", "tmpfs", "-o", "noexec,nosuid,nodev,mode=1777", "none", join(seen, "tmp"));
  mount("--bind", own, join(seen, volume));
  const configured = readFileSync(join(folder, config), "utf8")
    .replace("port: 1883", `port: ${mqttPort}`)
    .replace("port: 8080", `port: ${httpPort}`);
  const file = join(work!, "weir.yaml");
  writeFileSync(file, configured, { mode: 0o644 });
  mount("--bind", file, join(seen, config));
  assert.ok(existsSync(join(seen, "usr/bin/weir")));
}

function commandOf(words: readonly string[]): readonly string[] {
  const user = only("USER").words[0]!;
  return [`--userspec=${user}`, "--groups=", seen, ...words];
}

function run(...words: readonly string[]): {
  readonly status: number | null;
  readonly stdout: string;
  readonly output: string;
} {
  const env = { PATH: "/usr/bin", ...environment };
  const { status, stdout, stderr } = spawnSync(chroot, commandOf(words), {
    env,
    encoding: "utf8",
  });
  return { status, stdout, output: stdout + stderr };
}

/** The result ends it by a signal and gives its exit code. */
async function start(): Promise<(signal: "SIGKILL" | "SIGTERM") => Promise<number | null>> {
  const words = [...only("ENTRYPOINT").words, ...only("CMD").words];
  const child = spawn(chroot, commandOf(words), {
    env: { PATH: "/usr/bin", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "exit");
  await saysStarted(child);
  return async (signal) => {
    child.kill(signal);
    await ended;
    return child.exitCode;
  };
}

function totalBytes(): number {
  const text = execFileSync("du", ["--bytes", "--summarize", folder], { encoding: "utf8" });
  return Number.parseInt(text, 10);
}
