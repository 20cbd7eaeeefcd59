/**
 * The outbox: the durable queue for the uplinks, in lanes. A record gets the next number of its lane
 * when it is committed; numbers have no gaps and are never given twice. The records of one commit
 * and lane are one value (a record block), or a few where they are many.
 *
 *   outbox/<lane>/<last>   a block, by the number of its last record
 *   outbox-end/<lane>      next number, bytes of blocks ever added      written by commits
 *   outbox-start/<lane>    first number kept, bytes of blocks removed   written when pruned
 *
 * The bytes in the outbox are the difference of the two sums; both are changed in the transaction
 * that changes the blocks, so they are exact without reading the blocks at start.
 */

import { assert } from "../core/assert.ts";
import type { Kv, KvWrite } from "../core/doors.ts";
import { limits } from "../core/limits.ts";
import { numberOfKey, outboxEndKey, outboxKey, outboxStartKey } from "./kv-key.ts";
import { decodeBlock, encodeBlock } from "./record-block.ts";
import { decodeJson, encodeJson, wholeOf } from "./stored-json.ts";

export type Lane = "alerts" | "summaries";

const blocksPerRead = 16;

/** In the order in which an uplink serves them. */
export const lanes: readonly Lane[] = ["alerts", "summaries"];

/** What `valueOf` gives for each lane, as an object the caller owns. */
export function byLane<Value>(valueOf: (lane: Lane) => Value): Record<Lane, Value> {
  return { alerts: valueOf("alerts"), summaries: valueOf("summaries") };
}

/** Where a lane stands. Bytes are those of blocks as stored, since the beginning. */
export type LaneSpan = {
  /** Number of the next record. */
  readonly next: number;
  readonly bytesAdded: number;
  /** Number of the first record still kept; equal to `next` when the lane is empty. */
  readonly first: number;
  readonly bytesRemoved: number;
};

/** Gathers the records of the next commit. Bounded by its owner, who looks at `bytes`. */
export class OutboxWriter {
  readonly #records: Record<Lane, Uint8Array[]> = { alerts: [], summaries: [] };
  #count = 0;
  #bytes = 0;

  get count(): number {
    return this.#count;
  }
  /** Of the records, before compression. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Takes ownership of `record`: it is not changed afterwards. */
  add(lane: Lane, record: Uint8Array): void {
    this.#records[lane].push(record);
    this.#count += 1;
    this.#bytes += record.length;
  }

  records(lane: Lane): readonly Uint8Array[] {
    return this.#records[lane];
  }
}

/** New blocks of one lane with the writes that store them, and where the lane stands afterwards. */
export type Appended = { readonly writes: readonly KvWrite[]; readonly span: LaneSpan };

export function appendWrites(lane: Lane, span: LaneSpan, records: readonly Uint8Array[]): Appended {
  if (records.length === 0) return { writes: [], span };
  const writes: KvWrite[] = [];
  let { next, bytesAdded } = span;
  for (const part of partsOf(records)) {
    const block = encodeBlock(part);
    next += part.length;
    bytesAdded += block.length;
    writes.push({ key: outboxKey(lane, next - 1), value: block });
  }
  assert(Number.isSafeInteger(next), "numbers of a lane are below 2^53");
  writes.push({ key: outboxEndKey(lane), value: encodeJson({ next, bytes: bytesAdded }) });
  return { writes, span: { ...span, next, bytesAdded } };
}

/**
 * Removes the blocks that lie wholly below `below`, at most limits.outboxPruneBlocksMax of them;
 * `more` says that some are left. Reads them for their sizes, a few at a time.
 */
export function pruneWrites(
  kv: Kv,
  lane: Lane,
  span: LaneSpan,
  below: number,
): Appended & { readonly more: boolean } {
  const writes: KvWrite[] = [];
  const to = outboxKey(lane, Math.min(below, span.next));
  let { first, bytesRemoved } = span;
  let more = true;
  while (more && writes.length < limits.outboxPruneBlocksMax) {
    const blocks = kv.range({ from: outboxKey(lane, first), to, limit: blocksPerRead });
    for (const { key, value } of blocks) {
      writes.push({ key, value: undefined });
      bytesRemoved += value.length;
      first = numberOfKey(key) + 1;
    }
    more = blocks.length === blocksPerRead;
  }
  if (writes.length === 0) return { writes, span, more: false };
  writes.push({ key: outboxStartKey(lane), value: encodeJson({ first, bytes: bytesRemoved }) });
  return { writes, span: { ...span, first, bytesRemoved }, more };
}

/** Where the lane stands, from the store. Faults: STORE_FAILED. */
export function readSpan(kv: Kv, lane: Lane): LaneSpan {
  const end = readPair(kv, outboxEndKey(lane), "next");
  const start = readPair(kv, outboxStartKey(lane), "first");
  return {
    next: end.number,
    bytesAdded: end.bytes,
    first: start.number,
    bytesRemoved: start.bytes,
  };
}

export type OutboxRead = {
  readonly records: readonly Uint8Array[];
  /** Number of records[0]; beyond the number asked for where blocks before it are gone. */
  readonly first: number;
  /** Where to read on. */
  readonly next: number;
  /** Records in [first, next) that cannot be read because their block is damaged; `records` is then empty. */
  readonly damaged: number;
};

/**
 * Records of the lane from number `from` on, as many as fit into `bytesMax` and at least one block.
 * Reads whole blocks, so it may give less than what is there. A damaged block comes alone.
 */
export function readOutbox(
  kv: Kv,
  lane: Lane,
  { from, bytesMax }: { readonly from: number; readonly bytesMax: number },
): OutboxRead {
  const records: Uint8Array[] = [];
  let first = from;
  let next = from;
  let bytes = 0;
  for (;;) {
    const [entry] = kv.range({
      from: outboxKey(lane, next),
      to: outboxKey(lane, Number.MAX_SAFE_INTEGER),
      limit: 1,
    });
    if (entry === undefined) break;
    const block = decodeBlock(entry.value);
    const end = numberOfKey(entry.key) + 1;
    if (block.kind === "damaged") {
      if (records.length > 0) break;
      return { records, first: next, next: end, damaged: end - next };
    }
    const blockFirst = end - block.records.length;
    if (records.length === 0) first = Math.max(from, blockFirst);
    else if (bytes + block.bytes > bytesMax || blockFirst !== next) break;
    const wanted = block.records.slice(Math.max(0, next - blockFirst));
    for (const record of wanted) records.push(record);
    bytes += block.bytes;
    next = end;
    if (bytes >= bytesMax) break;
  }
  return { records, first, next, damaged: 0 };
}

function readPair(
  kv: Kv,
  key: string,
  name: "next" | "first",
): { readonly number: number; readonly bytes: number } {
  const value = kv.get(key);
  if (value === undefined) return { number: 0, bytes: 0 };
  const stored = decodeJson(value, `the state store's ${key}`);
  return { number: wholeOf(stored, name), bytes: wholeOf(stored, "bytes") };
}

/** The records in runs that fit into a block. */
function* partsOf(records: readonly Uint8Array[]): Generator<readonly Uint8Array[]> {
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < records.length; i++) {
    const size = records[i]!.length + 4;
    if (i > from && bytes + size > limits.outboxBlockBytesMax) {
      yield records.slice(from, i);
      from = i;
      bytes = 0;
    }
    bytes += size;
  }
  yield records.slice(from);
}
