/**
 * The simulated fleet as a process of its own: it meets the agent through MQTT only, and its CPU
 * time is not the agent's.
 *
 * It never outlives us: we kill it when we exit, however early, and where we cannot any more (a
 * crash, kill -9) the channel between us closes, which it takes as the sign to end.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { Fault } from "../../core/faults.ts";
import { type Program, simulatorProgram } from "./own-program.ts";

const STOP_WAIT_MS = 15_000;

export type FleetProcess = {
  /** Resolves with the exit code when the fleet has ended, by itself or not. */
  readonly ended: Promise<number>;
  /** Asks it to wait for its outstanding acknowledgements and end; bounded. */
  stop(): Promise<void>;
};

/** Throws the Fault INPUT_INVALID where there is no simulator to start. */
export function assertSimulator(): void {
  simulator();
}

function simulator(): Program {
  const program = simulatorProgram();
  if (typeof program !== "string") return program;
  throw new Fault(
    "INPUT_INVALID",
    `the simulator is not part of this installation (${program}); start weir from a clone`,
  );
}

export function startFleet(
  args: readonly string[],
  options: { readonly stdio: "inherit" | "ignore-output" },
): FleetProcess {
  const { file, args: first } = simulator();
  const output = options.stdio === "inherit" ? "inherit" : "ignore";
  // Its own process group on a terminal: Ctrl-C comes to us, and we end it in order.
  const child: ChildProcess = spawn(file, [...first, ...args], {
    stdio: [output, output, "inherit", "ipc"],
    detached: options.stdio !== "inherit",
  });
  const kill = (): void => void child.kill("SIGKILL");
  process.once("exit", kill);
  // On a shared terminal Ctrl-C goes to both: the fleet ends in order while we wait for it.
  const wait = (): void => undefined;
  if (options.stdio === "inherit") process.once("SIGINT", wait);
  const ended = once(child, "exit")
    .then(([code]) => (typeof code === "number" ? code : 1))
    .finally(() => process.off("exit", kill).off("SIGINT", wait));
  return {
    ended,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGINT");
      const timer = setTimeout(() => child.kill("SIGKILL"), STOP_WAIT_MS);
      await ended;
      clearTimeout(timer);
    },
  };
}
