/**
 * The keys of the state store, all in one place. Keys are ASCII and ordered by their bytes, so
 * numbers are written with a fixed count of hex digits; what stands in docs/format/records.md.
 */

import { assert } from "../../core/assert.ts";

export const kvKeyCharsMax = 200;

/** Format version of everything under these keys. */
export const formatKey = "format";
export const emittedKey = "emitted";
export const ledgerKey = "ledger";
export const checkpointKey = "checkpoint";
export const refusedRowsKey = "refused-rows";
/** What was merged in the outbox, and which windows the pipelines have had. */
export const rollupKey = "outbox-rollup";
/** What was dropped in the outbox, by pipeline. */
export const droppedKey = "outbox-dropped";
export const deadLetterSpanKey = "dlq-span";
/** Head of the table list; it sorts behind the entries. */
export const tablesKey = "tables";

/** Windows that hardware before this one has sent (held-back.ts). */
export const heldBackKey = "held-back";

/** Which savepoint the directory was made from. */
export const savepointKey = "savepoint";
/** What was written to the block device. */
export const wearKey = "wear";

/** Values under these are record blocks. Ascending. */
export const blockPrefixes: readonly string[] = ["catalog/", "outbox/"];

/** Values under this are chunks of operator state: most are long, all are read when an agent starts. */
export const chunkPrefix = "state/";

/** The first key that sorts behind all that begin with `prefix`, which ends in a slash. */
export function behindKeys(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

/** Definitions of the catalog, by the number of the last one in the block. */
export function catalogKey(last: number): string {
  return `catalog/${hex16(last)}`;
}

/** A chunk of a state table; the table's name is percent-encoded. */
export function stateKey(table: string, chunk: number): string {
  return `state/${encodeURIComponent(table)}/${hex8(chunk)}`;
}

/**
 * A block of the outbox, by the number of its *last* record: then the first key at or after n is the
 * block that holds n, and the keys before n are the blocks that lie wholly below it.
 */
export function outboxKey(lane: string, last: number): string {
  return `outbox/${lane}/${hex16(last)}`;
}

export function outboxEndKey(lane: string): string {
  return `outbox-end/${lane}`;
}

export function outboxStartKey(lane: string): string {
  return `outbox-start/${lane}`;
}

/** Whether there is a tail, and since when nobody wanted it (outbox/record-tail.ts). */
export const tailKey = "outbox-tail";

/** Its blocks, by queue and by the number of the last record, as in the outbox. */
export function tailBlockKey(queue: string, last: number): string {
  return `${tailPrefix}${queue}/${hex16(last)}`;
}

export const tailPrefix = "outbox-tail/";

export function deadLetterKey(number: number): string {
  return `dlq/${hex16(number)}`;
}

/** How far a posted body is taken, by number. */
export function postedKey(number: number): string {
  return `${postedPrefix}${hex16(number)}`;
}

export const postedPrefix = "posted/";

/** Where an uplink keeps its own cursor; the name is percent-encoded. */
export function uplinkKey(uplink: string, lane: string): string {
  return `uplink/${encodeURIComponent(uplink)}/${lane}`;
}

/** Which summaries of the outbox are backfill's for an uplink. */
export function splitKey(uplink: string): string {
  return uplinkKey(uplink, splitName);
}

export function isSplitKey(key: string): boolean {
  return key.startsWith("uplink/") && key.endsWith(`/${splitName}`);
}

/** No lane's. */
const splitName = "split";

/** That an uplink is paused (sync/pauses.ts). Not under `uplink/`: savepoints have those, and begin elsewhere. */
export function pauseKey(uplink: string): string {
  return `${pausePrefix}${encodeURIComponent(uplink)}`;
}

export const pausePrefix = "pause/";

/** The name of the uplink in a key of pauseKey. */
export function nameOfPause(key: string): string {
  return decodeURIComponent(key.slice(pausePrefix.length));
}

/** A request for raw readings, by its id, which is of characters that a key may have. */
export function rawRequestKey(id: string): string {
  return `${rawRequestPrefix}${id}`;
}

export const rawRequestPrefix = "raw/";

/** What Home Assistant was told of a pipeline and key, by 16 digits that stand for both. */
export function homeAssistantKey(id: string): string {
  return `${homeAssistantPrefix}${id}`;
}

export const homeAssistantPrefix = "home-assistant/";

/** By the position of the erasure in the log. */
export function tombstoneKey(at: number): string {
  return `tombstone/${hex16(at)}`;
}

export function tableKey(id: number): string {
  return `table/${hex16(id)}`;
}

/** A table that damage took off the list. */
export function quarantineKey(id: number): string {
  return `quarantine/${hex16(id)}`;
}

/** The number at the end of a key. */
export function numberOfKey(key: string): number {
  const number = Number.parseInt(key.slice(key.lastIndexOf("/") + 1), 16);
  assert(Number.isSafeInteger(number), "a numbered key ends in hex digits");
  return number;
}

/** Printable ASCII, neither empty nor too long: what a Kv takes. */
export function assertKvKey(key: string): void {
  assert(key.length > 0 && key.length <= kvKeyCharsMax, "a key has 1 to 200 characters");
  assert(/^[\x21-\x7e]+$/.test(key), "a key is printable ASCII");
}

function hex8(number: number): string {
  return number.toString(16).padStart(8, "0");
}

function hex16(number: number): string {
  assert(Number.isSafeInteger(number) && number >= 0, "numbers in keys are below 2^53");
  return number.toString(16).padStart(16, "0");
}
