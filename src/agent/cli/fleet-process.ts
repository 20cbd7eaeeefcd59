/**
 * The simulated fleet as a process of its own: it meets the agent through MQTT only, and its CPU
 * time is not the agent's.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Fault } from "../../core/faults.ts";

const simulator = fileURLToPath(new URL("../../../firmware-sim/main.ts", import.meta.url));
/** Collect garbage early: the fleet shares a small machine with the agent. */
const HEAP_MB = 96;
const STOP_WAIT_MS = 15_000;

export type FleetProcess = {
  /** Resolves with the exit code when the fleet has ended, by itself or not. */
  readonly ended: Promise<number>;
  /** Asks it to wait for its outstanding acknowledgements and end; bounded. */
  stop(): Promise<void>;
};

export function startFleet(
  args: readonly string[],
  options: { readonly stdio: "inherit" | "ignore-output" },
): FleetProcess {
  if (!existsSync(simulator)) {
    throw new Fault(
      "INPUT_INVALID",
      `the simulator is not part of this installation (${simulator})`,
    );
  }
  const stdio =
    options.stdio === "inherit" ? "inherit" : (["ignore", "ignore", "inherit"] as const);
  // Its own process group on a terminal: Ctrl-C comes to us, and we end it in order.
  const child: ChildProcess = spawn(
    process.execPath,
    [`--max-old-space-size=${HEAP_MB}`, simulator, ...args],
    {
      stdio: stdio === "inherit" ? "inherit" : [...stdio],
      detached: options.stdio !== "inherit",
    },
  );
  const ended = once(child, "exit").then(([code]) => (typeof code === "number" ? code : 1));
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
