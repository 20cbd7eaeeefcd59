/** A command of weir in a process of its own, to its end. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../../src/agent/node-flags.ts";

export const weirMain: string = fileURLToPath(
  new URL("../../src/agent/cli/main.ts", import.meta.url),
);

export type Outcome = {
  readonly code: number;
  readonly out: string;
  readonly error: string;
  /** Both, as they came. */
  readonly output: string;
};

export async function weir(...args: readonly string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [...nodeFlags, weirMain, ...args]);
  const said = { out: "", error: "", output: "" };
  const takeInto = (name: "out" | "error") => (text: string) => {
    said[name] += text;
    said.output += text;
  };
  child.stdout.setEncoding("utf8").on("data", takeInto("out"));
  child.stderr.setEncoding("utf8").on("data", takeInto("error"));
  const [code, signal] = await once(child, "close");
  if (typeof code !== "number") throw new Error(`weir was ended by ${signal}: ${said.output}`);
  return { code, ...said };
}
