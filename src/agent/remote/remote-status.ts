/** What comes to be judged, and what is said of it. */

import type { AuditEntry } from "./audit-log.ts";
import type { OpenFault } from "./document.ts";

/** One document as it came. */
export type Offer = {
  readonly bytes: Uint8Array;
  readonly from: "mqtt" | "kafka";
  /** It lay there before we looked: an older one is no replay. */
  readonly isHistory: boolean;
  /** The topic is for many agents: others' documents are no mistake. */
  readonly isShared: boolean;
};

export type RefusalCode =
  | OpenFault
  | "other_agent"
  | "replayed"
  | "version_taken"
  | "too_high"
  | "expired"
  | "invalid"
  | "files"
  | "would_delete";

/** All there are: each is counted from the start. */
export const noRefusals: Readonly<Record<RefusalCode, number>> = {
  malformed: 0,
  unknown_key: 0,
  bad_signature: 0,
  other_agent: 0,
  replayed: 0,
  version_taken: 0,
  too_high: 0,
  expired: 0,
  invalid: 0,
  files: 0,
  would_delete: 0,
};

export type RemoteCounters = {
  readonly accepted: number;
  readonly proven: number;
  readonly rolledBack: number;
  /** By code. */
  readonly refused: Readonly<Record<string, number>>;
  /** For other agents, in a topic for many. */
  readonly elsewhere: number;
  /** Refusals without an entry of their own in the audit log. */
  readonly unwritten: number;
};

export type Unused = {
  /** Absent where it cannot be read at all. */
  readonly version?: number;
  readonly digest: string;
  readonly reason: string;
};

export type RemoteStatus = {
  /** In force; undefined: the local file alone. */
  readonly inForce: { readonly version: number; readonly digest: string } | undefined;
  /** What was in force and cannot be used any more: the local file stands alone. */
  readonly unused: Unused | undefined;
  /** It is not proven yet: this start of `triesMax`. */
  readonly trial: { readonly tries: number; readonly triesMax: number } | undefined;
  /** Highest version that was ever accepted. */
  readonly highest: number;
  /** Since this process began. */
  readonly counters: RemoteCounters;
  /** The newest, oldest first. */
  readonly audit: readonly AuditEntry[];
  /** What cannot be written down or decided just now: it is tried again. */
  readonly trouble: string | undefined;
};
