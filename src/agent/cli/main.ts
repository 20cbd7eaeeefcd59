#!/usr/bin/env -S node --max-semi-space-size=2 --max-old-space-size=256
/**
 * The command line: finds the command, runs it, turns its outcome into an exit code.
 * 0 ok, 1 failed, 2 usage, 78 bad configuration. A fault is a sentence, never a stack trace.
 */

import { Fault } from "../../core/faults.ts";
import { exitCodes, UsageError } from "./command.ts";
import { commands } from "./commands.ts";
import { version } from "../version.ts";

// A reader that has seen enough (`weir ... | head`) is no failure: what is left to say is not said.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

const [name, ...args] = process.argv.slice(2);
process.exitCode = await main();

async function main(): Promise<number> {
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    console.log(usage());
    return name === undefined ? exitCodes.usage : exitCodes.ok;
  }
  if (name === "--version" || name === "-V") {
    console.log(`weir ${version} (Node ${process.version}, ${process.platform}-${process.arch})`);
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
