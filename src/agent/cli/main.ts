#!/usr/bin/env -S node --max-semi-space-size=2 --max-old-space-size=256
/**
 * The command line: finds the command, runs it, turns its outcome into an exit code.
 * 0 ok, 1 failed, 2 usage, 78 bad configuration. A fault is a sentence, never a stack trace.
 */

import { dirname } from "node:path";
import { Fault } from "../../core/faults.ts";
import { exitCodes, UsageError } from "./command.ts";
import { commands } from "./commands.ts";
import { machineTrouble } from "./machine.ts";
import { commit, version } from "../version.ts";

// A reader that has seen enough (`weir ... | head`) is no failure, nor is a terminal that closed (EIO)
// while the agent ends: what is left to say is not said.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
  });
}
standWhereTyped();
keepPrivate();

const [name, ...args] = process.argv.slice(2);
// No await at the top: the packed file is CommonJS, which a code cache can be made of.
void main().then((code) => {
  process.exitCode = code;
});

async function main(): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(usage());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (name === "--version" || name === "-V") {
    const build = commit === undefined ? version : `${version} (commit ${commit})`;
    console.log(`weir ${build}, Node ${process.version}, ${process.platform}-${process.arch}`);
    return exitCodes.ok;
  }
  const command = commands.find((candidate) => candidate.name === name);
  if (command === undefined) {
    console.error(`weir: unknown command ${JSON.stringify(name)}; weir --help lists the commands`);
    return exitCodes.usage;
  }
  // What stands behind `--` is for the program that the command starts.
  const own = args.includes("--") ? args.slice(0, args.indexOf("--")) : args;
  if (own.includes("--help") || own.includes("-h")) {
    console.log(command.help);
    return exitCodes.ok;
  }
  const trouble = machineTrouble(process.arch);
  if (trouble !== undefined) {
    console.error(`weir: ${trouble}`);
    return exitCodes.failed;
  }
  try {
    const { run } = await command.load();
    return await run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`weir ${name}: ${error.message}; weir ${name} --help shows the options`);
      return exitCodes.usage;
    }
    if (error instanceof Fault) {
      console.error(`weir: ${error.message}`);
      return error.code === "CONFIG_INVALID" ? exitCodes.configuration : exitCodes.failed;
    }
    throw error;
  }
}

/** npm runs this package's scripts in its root; a relative path means what it meant when typed. */
function standWhereTyped(): void {
  const { INIT_CWD, npm_lifecycle_event, npm_package_name } = process.env;
  if (INIT_CWD === undefined || npm_lifecycle_event === undefined) return;
  // Scripts of other packages may count on their own root.
  if (npm_package_name !== "weir" || !isPackageRoot(process.cwd())) return;
  process.chdir(INIT_CWD);
}

/** Not where somebody went on from there: a test that npm runs, a shell script. */
function isPackageRoot(directory: string): boolean {
  const manifest = process.env["npm_package_json"];
  return manifest !== undefined && dirname(manifest) === directory;
}

/**
 * The log, the state, dead letters and upstream files hold what devices said, possibly secrets in
 * payloads: the group may read them, others may not. A stricter mask that was set stays.
 */
function keepPrivate(): void {
  const given = process.umask(0o027);
  process.umask(given | 0o027);
}

function usage(): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return [
    "weir: keeps every sensor reading, computes on it where it arises, sends it on exactly once.",
    "",
    "usage: weir COMMAND [OPTIONS]",
    "",
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    "",
    "weir COMMAND --help shows a command's options. Exit codes: 0 ok, 1 failed, 2 usage, 78 bad configuration.",
  ].join("\n");
}
