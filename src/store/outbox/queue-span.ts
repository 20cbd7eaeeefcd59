/**
 * Where a queue of the outbox stands, and what it keeps, without reading its blocks.
 *
 *   numbers   first                                                    next
 *             | block | block |   hole    | block | block | skipped | block |
 *
 * Blocks leave in the order of their numbers, but for those of a lane that is ahead of another
 * (lane.ts): they leave holes, which are forgotten when `first` reaches them.
 *
 *   outbox-end/<queue>     {"next":n,"bytes":b}
 *   outbox-start/<queue>   {"first":n,"bytes":b,"skipped":k,"holes":[[low,high],..]}
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { numberOfKey, outboxEndKey, outboxKey, outboxStartKey } from "../state/kv-key.ts";
import { damaged, decodeJson, encodeJson, listOf, wholeOf } from "../state/stored-json.ts";
import type { Queue } from "./lane.ts";
import { decodeBlock, skippedIn } from "./record-block.ts";
import { countIn, type Range, rangesOf } from "./split.ts";

const blocksPerRead = 16;

/** Where a queue stands. Bytes are those of blocks as stored, since the beginning. */
export type QueueSpan = {
  /** Number of the next record. */
  readonly next: number;
  readonly bytesAdded: number;
  /** Number of the first record still kept; equal to `next` when the queue is empty. */
  readonly first: number;
  readonly bytesRemoved: number;
  /** Numbers from `first` to `next` that stand for no record, by what the blocks say. */
  readonly skipped: number;
  /** Numbers between blocks whose blocks were removed: ascending, behind `first`. */
  readonly holes: readonly Range[];
};

/** How many records the queue keeps. */
export function recordsIn({ first, next, skipped, holes }: QueueSpan): number {
  return next - first - skipped - countIn(holes, { low: first, high: next });
}

export function startWrite(
  queue: Queue,
  { first, bytesRemoved, skipped, holes }: QueueSpan,
): KvWrite {
  const value = encodeJson({
    first,
    bytes: bytesRemoved,
    ...(skipped === 0 ? {} : { skipped }),
    ...(holes.length === 0 ? {} : { holes: holes.map(({ low, high }) => [low, high]) }),
  });
  return { key: outboxStartKey(queue), value };
}

/**
 * Where the queue stands, from the store. A start that is missing is found again from the blocks; an
 * end is not, since nothing else says which numbers were given. Faults: STORE_FAILED.
 */
export function readSpan(kv: Kv, queue: Queue): QueueSpan {
  const end = readPair(kv, outboxEndKey(queue), "next");
  const start = readPair(kv, outboxStartKey(queue), "first");
  const [firstBlock] = blocksOf(kv, queue, { limit: 1 });
  if (end === undefined) {
    if (start === undefined && firstBlock === undefined) return unusedSpan;
    throw damaged(
      `the state store's ${outboxEndKey(queue)}`,
      `it is missing beside ${start === undefined ? "blocks" : "the start"} of its queue, and nobody knows which numbers were given`,
    );
  }
  const written = { next: end.number, bytesAdded: end.bytes };
  if (start === undefined) {
    return isFirstEver(firstBlock) ? { ...unusedSpan, ...written } : recounted(kv, queue, written);
  }
  return {
    ...written,
    first: start.number,
    bytesRemoved: start.bytes,
    skipped: start.skipped,
    holes: start.holes,
  };
}

const unusedSpan: QueueSpan = {
  next: 0,
  bytesAdded: 0,
  first: 0,
  bytesRemoved: 0,
  skipped: 0,
  holes: [],
};

/** The start is written when a block is removed or replaced: without one the first is as it was added. */
function isFirstEver(entry: OutboxEntry | undefined): boolean {
  if (entry === undefined) return false;
  const block = decodeBlock(entry.value);
  if (block.kind === "damaged") return true; // nobody knows how many records it has
  return block.skipped === 0 && block.records.length === numberOfKey(entry.key) + 1;
}

/** Reads every block of the queue: what they hold is what was not removed. */
function recounted(
  kv: Kv,
  queue: Queue,
  written: Pick<QueueSpan, "next" | "bytesAdded">,
): QueueSpan {
  let first: number | undefined;
  let bytes = 0;
  let skipped = 0;
  const holes: Range[] = [];
  for (let from = 0; ; ) {
    const entries = blocksOf(kv, queue, { from, limit: blocksPerRead });
    for (const { key, value } of entries) {
      const end = numberOfKey(key) + 1;
      const block = decodeBlock(value);
      const begin = block.kind === "damaged" ? from : end - block.records.length - block.skipped;
      if (first !== undefined && begin > from) holes.push({ low: from, high: begin });
      first ??= begin;
      from = end;
      bytes += value.length;
      skipped += skippedIn(value);
    }
    if (entries.length < blocksPerRead) break;
  }
  return {
    ...written,
    first: first ?? written.next,
    bytesRemoved: written.bytesAdded - bytes,
    skipped,
    holes,
  };
}

type OutboxEntry = { readonly key: string; readonly value: Uint8Array };

function blocksOf(
  kv: Kv,
  queue: Queue,
  { from = 0, limit }: { readonly from?: number; readonly limit: number },
): readonly OutboxEntry[] {
  const to = outboxKey(queue, Number.MAX_SAFE_INTEGER);
  return kv.range({ from: outboxKey(queue, from), to, limit });
}

type Pair = { readonly number: number; readonly bytes: number };

function readPair(
  kv: Kv,
  key: string,
  name: "next" | "first",
): (Pick<QueueSpan, "skipped" | "holes"> & Pair) | undefined {
  const value = kv.get(key);
  if (value === undefined) return undefined;
  const stored = decodeJson(value, `the state store's ${key}`);
  const skipped = "skipped" in stored.fields ? wholeOf(stored, "skipped") : 0;
  const holes = "holes" in stored.fields ? rangesOf(listOf(stored, "holes"), stored.place) : [];
  return { number: wholeOf(stored, name), bytes: wholeOf(stored, "bytes"), skipped, holes };
}
