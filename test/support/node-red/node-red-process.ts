/**
 * Node-RED in a process of its own, with our package as a user installs it: packed by npm, and installed from
 * that file into a user directory that was empty, without a network. The package is built beside the tree:
 * tests run at once, and must not take each other's files away.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { build, packageDir } from "../../../flows/build.ts";
import { freePorts } from "../ports.ts";

export type FlowNode = Readonly<Record<string, unknown>>;

export type NodeRed = AsyncDisposable & {
  readonly pid: number;
  readonly url: string;
  /** A folder of the test, where flows may write. */
  readonly folder: string;
  /** What is in the file that npm made of the package. */
  readonly published: readonly string[];
  /** Warnings and errors of its log, without their time; those apart that every new user directory has. */
  warnings(): readonly string[];
};

export type NodeRedOptions = {
  /** red.js of one version; default that of flows' development dependency. */
  readonly program?: string;
  /** What runs from the beginning; default nothing. */
  readonly flow?: readonly FlowNode[];
  /** Of Node, such as --max-old-space-size=128. */
  readonly flags?: readonly string[];
};

const startMsMax = 60_000;

/** What it says with no package at all. */
const ownWarnings = [
  "Projects disabled : editorTheme.projects.enabled=false",
  "Encrypted credentials not found",
];

/** Resolves once its flows run; whoever starts it disposes of it. */
export async function startNodeRed(options: NodeRedOptions = {}): Promise<NodeRed> {
  const { program = createRequire(import.meta.url).resolve("node-red/red.js") } = options;
  const folder = mkdtempSync(join(tmpdir(), "weir-node-red-"));
  const [port = 0] = await freePorts(1);
  const userDir = join(folder, "user");
  const { file, published } = await packed(folder);
  install(file, userDir);
  writeFileSync(join(userDir, "settings.js"), settingsText(port));
  // What has no place on a tab is a configuration node for Node-RED.
  const flow = (options.flow ?? []).map((node) =>
    "z" in node ? { x: 100, y: 100, ...node } : node,
  );
  if (flow.length > 0) writeFileSync(join(userDir, "flows.json"), JSON.stringify(flow));
  const args = [...(options.flags ?? []), program, "--userDir", userDir];
  const child = spawn(process.execPath, args, {
    stdio: ["ignore", "pipe", "pipe"],
    // Warnings of Node are of Node-RED's own dependencies.
    env: { ...process.env, NODE_OPTIONS: "--no-deprecation" },
  });
  await using starting = new AsyncDisposableStack();
  starting.defer(async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const output = await outputOf(child, /Started flows/);
  const running = starting.move();
  const warnings = (): readonly string[] =>
    output()
      .split("\n")
      .flatMap((line) => line.split(/ - \[(?:warn|error)\] /).slice(1))
      .filter((warning) => !ownWarnings.includes(warning));
  return {
    pid: child.pid!,
    url: `http://127.0.0.1:${port}`,
    folder,
    published,
    warnings,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** The file that `npm pack` makes of the package, and what is in it. */
async function packed(
  folder: string,
): Promise<{ readonly file: string; readonly published: readonly string[] }> {
  const copy = join(folder, "package");
  mkdirSync(copy);
  for (const name of ["package.json", "README.md", "examples"]) {
    cpSync(join(packageDir, name), join(copy, name), { recursive: true });
  }
  cpSync(resolve(packageDir, "../LICENSE"), join(copy, "LICENSE"));
  await build(join(copy, "dist"));
  const text = npm(copy, "pack", "--json", "--ignore-scripts");
  const [pack]: [
    { readonly filename: string; readonly files: readonly { readonly path: string }[] },
  ] = JSON.parse(text);
  return { file: join(copy, pack.filename), published: pack.files.map(({ path }) => path) };
}

function install(file: string, userDir: string): void {
  mkdirSync(userDir);
  writeFileSync(join(userDir, "package.json"), '{ "name": "flows-of-a-user", "private": true }\n');
  npm(userDir, "install", "--offline", "--no-audit", "--no-fund", file);
}

function npm(cwd: string, ...args: readonly string[]): string {
  return execFileSync("npm", args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

/** Nothing in it asks the internet, nor shows a guest's tour. */
function settingsText(port: number): string {
  const settings = {
    uiHost: "127.0.0.1",
    uiPort: port,
    flowFile: "flows.json",
    credentialSecret: "of the test",
    telemetry: { enabled: false, updateNotification: false },
    externalModules: { autoInstall: false, palette: { allowInstall: false } },
    editorTheme: {
      tours: false,
      palette: { catalogues: [] },
      projects: { enabled: false },
      codeEditor: { lib: "ace" },
    },
    logging: { console: { level: "info", metrics: false, audit: false } },
  };
  return `module.exports = ${JSON.stringify(settings, null, 2)};\n`;
}

async function outputOf(child: ChildProcess, until: RegExp): Promise<() => string> {
  let output = "";
  const { promise: started, resolve: start, reject } = Promise.withResolvers<void>();
  const take = (text: string): void => {
    output += text;
    if (until.test(output)) start();
  };
  child.stdout?.setEncoding("utf8").on("data", take);
  child.stderr?.setEncoding("utf8").on("data", take);
  const late = setTimeout(() => {
    reject(new Error(`Node-RED has not started its flows in ${startMsMax} ms:\n${output}`));
  }, startMsMax);
  child.once("exit", (code) => reject(new Error(`Node-RED ended with ${code}:\n${output}`)));
  try {
    await started;
  } finally {
    clearTimeout(late);
  }
  return () => output;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await ended;
  clearTimeout(timer);
}
