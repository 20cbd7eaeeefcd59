/** Node-RED in a process of its own, with a flow and our package. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { packageDir } from "../../flows/build.ts";

export type FlowNode = Readonly<Record<string, unknown>>;

export type NodeRed = AsyncDisposable & { readonly pid: number; readonly port: number };

/** Resolves when its flows have started. The package must be built. */
export async function startNodeRed(options: {
  readonly port: number;
  readonly flow: readonly FlowNode[];
  /** Of Node, such as --max-old-space-size=128. */
  readonly flags?: readonly string[];
}): Promise<NodeRed> {
  const folder = mkdtempSync(join(tmpdir(), "weir-node-red-"));
  const scope = join(folder, "node_modules/@weir-edge");
  mkdirSync(scope, { recursive: true });
  symlinkSync(packageDir, join(scope, "node-red-weir"));
  writeFileSync(join(folder, "package.json"), '{ "name": "flows", "private": true }');
  // What has no place on a tab is a configuration node for Node-RED.
  const placed = options.flow.map((node) => ("z" in node ? { x: 100, y: 100, ...node } : node));
  writeFileSync(join(folder, "flows.json"), JSON.stringify(placed));
  writeFileSync(join(folder, "settings.js"), settingsText(options.port));
  const main = createRequire(import.meta.url).resolve("node-red/red.js");
  const args = [...(options.flags ?? []), main, "--userDir", folder, "flows.json"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  await started(child);
  return {
    pid: child.pid!,
    port: options.port,
    [Symbol.asyncDispose]: async () => {
      const ended = once(child, "exit");
      if (child.exitCode === null && child.kill("SIGTERM")) await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function settingsText(port: number): string {
  const settings = {
    flowFile: "flows.json",
    uiHost: "127.0.0.1",
    uiPort: port,
    telemetry: { enabled: false },
    editorTheme: { tours: false, palette: { catalogues: [] } },
    logging: { console: { level: "info", metrics: false, audit: false } },
  };
  return `module.exports = ${JSON.stringify(settings)};\n`;
}

function started(child: ChildProcess): Promise<void> {
  let output = "";
  return new Promise((resolve, reject) => {
    const take = (text: string): void => {
      output += text;
      if (output.includes("Started flows")) resolve();
    };
    child.stdout!.setEncoding("utf8").on("data", take);
    child.stderr!.setEncoding("utf8").on("data", take);
    child.once("exit", (code) => reject(new Error(`Node-RED ended with ${code}:\n${output}`)));
  });
}
