/**
 * Node-RED in a process of its own, with our package as a user installs it: packed by npm, and installed from
 * that file into a user directory that was empty, without a network.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { TestContext } from "node:test";
import { build, packageDir } from "../../../flows/build.ts";
import { freePorts } from "../ports.ts";

export type NodeRed = {
  readonly url: string;
  /** A folder of the test, where flows may write. */
  readonly folder: string;
  /** Warnings and errors of its log, without their time; those apart that every new user directory has. */
  warnings(): readonly string[];
};

const startMsMax = 60_000;

/** What it says with no package at all. */
const ownWarnings = [
  "Projects disabled : editorTheme.projects.enabled=false",
  "Encrypted credentials not found",
];

/** Resolves once its flows run; it is ended with the test. `program`: red.js of one version. */
export async function startNodeRed(t: TestContext, program: string): Promise<NodeRed> {
  const folder = mkdtempSync(join(tmpdir(), "weir-node-red-"));
  const [port = 0] = await freePorts(1);
  const userDir = join(folder, "user");
  install(await packed(folder), userDir);
  writeFileSync(join(userDir, "settings.js"), settingsText(port));
  const child = spawn(process.execPath, [program, "--userDir", userDir], {
    stdio: ["ignore", "pipe", "pipe"],
    // Warnings of Node are of Node-RED's own dependencies.
    env: { ...process.env, NODE_OPTIONS: "--no-deprecation" },
  });
  t.after(async () => {
    await end(child);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const output = await outputOf(child, /Started flows/);
  const warnings = (): readonly string[] =>
    output()
      .split("\n")
      .flatMap((line) => line.split(/ - \[(?:warn|error)\] /).slice(1))
      .filter((warning) => !ownWarnings.includes(warning));
  return { url: `http://127.0.0.1:${port}`, folder, warnings };
}

/** The file that `npm pack` makes of the package; built beside the tree, which other tests build from too. */
async function packed(folder: string): Promise<string> {
  const copy = join(folder, "package");
  mkdirSync(copy);
  for (const name of ["package.json", "README.md", "examples"]) {
    cpSync(join(packageDir, name), join(copy, name), { recursive: true });
  }
  cpSync(resolve(packageDir, "../LICENSE"), join(copy, "LICENSE"));
  await build(join(copy, "dist"));
  const text = npm(copy, "pack", "--json", "--ignore-scripts");
  const [pack]: [{ readonly filename: string }] = JSON.parse(text);
  return join(copy, pack.filename);
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
