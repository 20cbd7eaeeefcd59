/**
 * The uplink seam: whatever takes records off the gateway (files, Kafka, another broker), one lane
 * at a time. The drain reads the outbox and hands over; a lane of an uplink makes the records durable
 * outside and says how far it is. What it says comes from its own truth (the length of a file, a
 * cursor in a transaction), so that a crash between its work and our bookkeeping neither loses nor
 * repeats a record.
 *
 *   open      -> receipt: where the lane stands out there, and what to store about it
 *   settled   <- it is stored
 *   prepare   -> what must be stored before the records leave (an intent)
 *   deliver   -> receipt: durable outside through `next`
 *                the drain stores receipt.writes with the next intent or alone, and prunes what
 *                every uplink has
 *   settled   <- they are stored
 *
 * After any rejection the lane is opened again before the next delivery: recovery is the only way to
 * go on. Lanes wait for nothing of each other: one that fails or is slow holds no other up.
 */

import type { KvWrite } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { isPatient, type Lane } from "../store/outbox/lane.ts";
import type { Range } from "../store/outbox/split.ts";
import type { Via } from "./link/via.ts";

export type Delivery = {
  /**
   * Numbers since the last receipt's `next` that the outbox lost: the lane says so in its own terms.
   * What else lies before `first` stands for no record, or is another lane's.
   */
  readonly lost: readonly Range[];
  /** Number of records[0]. */
  readonly first: number;
  /** Consecutive numbers; at least one. Read only, valid until the delivery is over. */
  readonly records: readonly Uint8Array[];
  /** What the link allows at once: fewer of them are sent where they would be more on the wire. */
  readonly bytesMax: number;
};

export type Receipt = {
  /** Every record of the lane below this is durable outside, or known to be lost. */
  readonly next: number;
  /** What the lane wants kept with that, under its own keys (uplinkKey). */
  readonly writes: readonly KvWrite[];
};

/** Something upstream a person should know: records missing there, or twice, or who else writes. */
export type Incident = {
  /** The records concerned: [first, next). */
  readonly first: number;
  readonly next: number;
  /** One sentence: what was found, and where. */
  readonly what: string;
};

/** How often something was wrong since the beginning, and the last time. */
export type Incidents = { readonly count: number; readonly last: Incident | undefined };

export interface UplinkLane {
  /**
   * Finds out where the lane stands and repairs what a crash left; may be called at any time between
   * other calls. `start` is the oldest record the outbox has, for a lane that has nothing yet.
   * IDENTITY_IN_USE: another agent uses our name; nothing is tried again in this process.
   */
  open(start: number): Promise<Receipt>;
  /**
   * By what is stored: every record of the lane below this may be out there, or on its way. The outbox
   * does not change those. Asked before the lane is opened, and when what `open` gave is stored.
   */
  readonly held: number;
  /** What is to be stored before `deliver`. Touches nothing outside. */
  prepare(delivery: Delivery): readonly KvWrite[];
  /**
   * Makes the records of the last `prepare` durable outside, or the first few of them: the receipt
   * tells. Rejects with an error that has a `code`.
   */
  deliver(): Promise<Receipt>;
  /** The writes of the last receipt are durable. */
  settled(): void;
  /** Milliseconds until `tend` has something to do; Infinity if never. */
  readonly tendMs: number;
  /** Work that needs no new record, such as closing a file that is old; undefined: nothing to store. */
  tend(): Promise<Receipt | undefined>;
  /** New records wait so long for others to share a delivery with, in ms. */
  readonly lingerMs: number;
  /** Records of about so many bytes are given at a time. */
  readonly batchBytesMax: number;
  readonly incidents: Incidents;
  /** Whether the other side has answered in this process; absent: `open` asks it. */
  readonly wasAnswered?: boolean;
  /** What else there is to know about it, by name: bytes sent, epoch, cursor. */
  readonly facts: LaneFacts;
  /** Lets go of files and sockets, ending what is under way; what is delivered stays. */
  close(): Promise<void>;
}

/** Of a lane whose uplink takes so much at a time: what others go before is sent in small pieces. */
export function laneBatchBytes(lane: Lane, bytesMax: number): number {
  return isPatient(lane) ? Math.min(bytesMax, limits.backfillBatchBytesMax) : bytesMax;
}

export type LaneFacts = Readonly<Record<string, string | number>>;

export type Uplink = {
  /** Unique among the agent's uplinks; part of its keys. */
  readonly name: string;
  readonly lanes: Readonly<Record<Lane, UplinkLane>>;
  /** What is older than the newest by more does not keep what is fresh waiting; Infinity: nothing is. */
  readonly freshForMs: number;
  /** The links it goes over; undefined: whatever there is. */
  readonly via?: Via | undefined;
};
