/**
 * A machine: what a node computes, apart from Node-RED. Synchronous, without clock, timers or store:
 * it is given the time, says when it wants to be woken, and gives what it knows as text. One message in
 * gives messages out, each output its own; `node/machine-node.ts` puts one into a node.
 */

import type { Message, Outputs } from "../red.ts";

export interface Machine {
  /** Takes a message at wall clock `now`, ms. Throws Refused where it cannot: the node goes on. */
  take(message: Message, now: number): Outputs;
  /** Time has passed. */
  wake(now: number): Outputs;
  /** The wall clock at which `wake` would do something, ms; Infinity if never. */
  wakeAt(): number;
  /** What it must know to go on after a restart, as JSON; undefined where nothing changed since the last call. */
  keep(): string | undefined;
  /** Counts for the node's status, by their names in the locales. */
  counts(): Readonly<Record<string, number>>;
}

/** A machine as it begins, with what is left of settings before these. */
export type Started = {
  readonly machine: Machine;
  /** What was still open under other settings: nothing of it is lost, it is only cut short. */
  readonly leftover: Outputs;
  /** Why what was kept could not be used; the machine then begins anew. */
  readonly trouble?: string;
};

/** A message that cannot be taken; says why, and what to do. It goes to Catch nodes. */
export class Refused extends Error {
  override readonly name = "Refused";
}

export const nothing: Outputs = [];
