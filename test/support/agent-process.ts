/** A real agent in a process of its own, from a configuration text, to be watched and killed. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../../src/agent/node-flags.ts";
import { freePorts } from "./ports.ts";

const main = fileURLToPath(new URL("../../src/agent/cli/main.ts", import.meta.url));

export type AgentProcess = {
  readonly child: ChildProcess;
  /** Everything it printed so far. */
  output(): string;
  /** Ends it as asked and resolves when it is gone. */
  kill(signal: "SIGKILL" | "SIGTERM" | "SIGINT"): Promise<number | undefined>;
};

/** Resolves when the agent says that it started, or what else is to be waited for. */
export async function startAgentProcess(
  args: readonly string[],
  until: RegExp = /weir: started|"event":"started"/,
): Promise<AgentProcess> {
  const child = spawn(process.execPath, [...nodeFlags, main, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const { promise: started, resolve, reject } = Promise.withResolvers<void>();
  const take = (text: string): void => {
    output += text;
    if (until.test(output)) resolve();
  };
  child.stdout.setEncoding("utf8").on("data", take);
  child.stderr.setEncoding("utf8").on("data", take);
  const ended = once(child, "exit").then(([code]) => {
    reject(new Error(`the agent ended with ${String(code)} before it started:\n${output}`));
    return typeof code === "number" ? code : undefined;
  });
  await started;
  return {
    child,
    output: () => output,
    async kill(signal) {
      child.kill(signal);
      return await ended;
    },
  };
}

/** A TCP port that was free a moment ago; see freePorts. */
export async function freePort(): Promise<number> {
  const [port = 0] = await freePorts(1);
  return port;
}
