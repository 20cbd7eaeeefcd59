/** What a pump (pump.ts) says of its lane. */

import type { Millis } from "../core/units.ts";
import type { Held } from "./link/link.ts";
import type { Incidents, LaneFacts } from "./uplink.ts";

/** The worst first. */
export const pumpStates = [
  "halted",
  "waiting",
  "opening",
  "closed",
  "untried",
  "running",
  "idle",
] as const;

export type PumpState = (typeof pumpStates)[number];

export type PumpStatus = {
  /**
   * `waiting`: the last try failed, the next one comes by itself. `halted`: another agent uses our
   * identity; records stay in the outbox until a person has looked. `idle`: nothing was ever behind, so
   * there is no session. `untried`: it is ready to send, and nothing has shown yet that anybody answers.
   */
  readonly state: PumpState;
  /** The last failure as a sentence; undefined while it runs. */
  readonly trouble: string | undefined;
  /** The link it goes over, and why it waits for that; undefined: nothing is said of links, or it does not wait. */
  readonly link: string | undefined;
  readonly held: Held | undefined;
  /** The fresh lane waits until backfill has sent something: what comes next must follow it. */
  readonly waitsForBackfill: boolean;
  /** Number of the next record: all before it are out there, but for those in `missing` and `incidents`. */
  readonly next: number;
  /** Records that got out there since this process began; those in `incidents` that were left out among them. */
  readonly delivered: number;
  /** Records that are not out there yet. */
  readonly behind: number;
  /** Event time of the oldest of them: end of its window, or time of the alert. */
  readonly oldest: Millis | undefined;
  /** Deliveries that succeeded and tries that failed, since this process began. */
  readonly deliveries: number;
  readonly failures: number;
  /** Records that could not be read back from the outbox, since this process began. */
  readonly missing: number;
  readonly incidents: Incidents;
  readonly facts: LaneFacts;
};
