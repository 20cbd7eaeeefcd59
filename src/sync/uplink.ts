/**
 * The uplink seam: whatever takes records off the gateway (files, Kafka, another broker). The drain
 * reads the outbox and hands over; the uplink makes the records durable outside and says how far it
 * is. What it says comes from its own truth (the length of a file, a cursor in a transaction), so
 * that a crash between its work and our bookkeeping neither loses nor repeats a record.
 *
 *   open      -> receipts: where each lane stands out there, and what to store about it
 *   deliver   -> receipt: durable outside through `next`
 *                the drain stores receipt.writes, and prunes what every uplink has
 *   settled   <- they are stored
 *
 * After any rejection the uplink is opened again before the next delivery: recovery is the only way
 * to go on.
 */

import type { KvWrite } from "../core/doors.ts";
import type { Lane } from "../store/outbox.ts";

export type Delivery = {
  readonly lane: Lane;
  /**
   * Number of records[0]. Beyond the last receipt's `next` where the outbox lost what lay between:
   * the uplink says so in its own terms and goes on.
   */
  readonly first: number;
  /** Consecutive numbers; at least one. Read only, valid until the delivery is over. */
  readonly records: readonly Uint8Array[];
};

export type Receipt = {
  readonly lane: Lane;
  /** Every record of the lane below this is durable outside, or known to be lost. */
  readonly next: number;
  /** What the uplink wants kept with that, under its own keys (uplinkKey). */
  readonly writes: readonly KvWrite[];
};

/** Something a person should know: records that are missing outside, or may be there twice. */
export type Incident = {
  readonly lane: Lane;
  /** The records concerned: [first, next). */
  readonly first: number;
  readonly next: number;
  /** One sentence: what was found, and where. */
  readonly what: string;
};

/** How often something was wrong since the beginning, and the last time. */
export type Incidents = { readonly count: number; readonly last: Incident | undefined };

export interface Uplink {
  /** Unique among the agent's uplinks; part of its keys. */
  readonly name: string;
  /**
   * Finds out where each lane stands and repairs what a crash left; may be called at any time between
   * other calls. `start` is the oldest record a lane has, for an uplink that has nothing yet.
   */
  open(start: Readonly<Record<Lane, number>>): Promise<readonly Receipt[]>;
  /** Makes the records durable outside. Rejects with an error that has a `code`. */
  deliver(delivery: Delivery): Promise<Receipt>;
  /** The receipt's writes are durable. */
  settled(receipt: Receipt): void;
  /** Milliseconds until `tend` has something to do; Infinity if never. */
  readonly tendMs: number;
  /** Work that needs no new record, such as closing a file that is old. */
  tend(): Promise<readonly Receipt[]>;
  readonly incidents: Incidents;
  /** Lets go of files and sockets; what is delivered stays. */
  close(): Promise<void>;
}
