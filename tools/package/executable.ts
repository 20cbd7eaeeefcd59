/**
 * The one file: Node with the bundle, LMDB's native part and Node's flags inside, made by Node itself
 * (`node --build-sea`; docs/decisions/0029-one-file.md says why not by pkg).
 */

import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { nodeFlags } from "../../src/agent/node-flags.ts";
import { ownFileNames } from "../../src/agent/cli/own-files.ts";
import { root } from "./bundle.ts";
import { runnerOf, stripOf } from "./foreign.ts";
import { addonAsset } from "./native-addon.ts";
import { type Architecture, partsOf } from "./parts.ts";

export type ExecutableOptions = {
  readonly architecture: Architecture;
  /** The bundle. */
  readonly main: string;
  /** A folder for what is made on the way. */
  readonly work: string;
  /** Where the file goes. */
  readonly output: string;
};

export type Made = {
  /** What it could have and has not, for a person. */
  readonly lacks: readonly string[];
};

/**
 * V8's code cache halves the time to start and takes 45 MB of its peak; it is made by the very Node
 * that will read it, so for another architecture under emulation.
 */
export function makeExecutable({ architecture, main, work, output }: ExecutableOptions): Made {
  const parts = partsOf(architecture);
  const lacks: string[] = [];
  const node = join(work, `node-${architecture}`);
  const addon = join(work, `addon-${architecture}.node`);
  copyFileSync(parts.node, node);
  copyFileSync(parts.addon, addon);
  const strip = stripOf(architecture);
  if (strip === undefined) lacks.push("it is not stripped: no strip for it here (binutils)");
  else for (const file of [node, addon]) execFileSync(strip, [file]);

  const runner = runnerOf(architecture);
  if (runner === undefined) lacks.push("it has no code cache: its Node does not run here (qemu)");
  const making = join(work, basename(output));
  const config = join(work, `sea-${architecture}.json`);
  const settings = {
    main,
    output: making,
    executable: node,
    disableExperimentalSEAWarning: true,
    useCodeCache: runner !== undefined,
    execArgv: nodeFlags,
    // NODE_OPTIONS of whoever starts it are for other programs.
    execArgvExtension: "none",
    assets: {
      [addonAsset]: addon,
      ...Object.fromEntries(ownFileNames.map((name) => [name, join(root, "deploy", name)])),
    },
  };
  writeFileSync(config, JSON.stringify(settings, undefined, 2));
  // Where its Node does not run here, that of this machine makes it, as long as it is the same version.
  const [program, ...words] = runner === undefined ? [hostNode()] : [...runner, node];
  execFileSync(program!, [...words, "--build-sea", config], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  mkdirSync(dirname(output), { recursive: true });
  renameSync(making, output);
  return { lacks };
}

function hostNode(): string {
  return partsOf(process.arch as Architecture).node;
}
