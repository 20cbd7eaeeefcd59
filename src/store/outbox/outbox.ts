/**
 * The outbox: the durable queue for the uplinks, in lanes. A record gets the next number of its lane
 * when it is committed; numbers have no gaps and are never given twice. The records of one commit
 * and lane are one value (a record block), or a few where they are many.
 *
 *   outbox/<lane>/<last>   a block, by the number of its last record
 *   outbox-end/<lane>      next number, bytes of blocks ever added      written by commits
 *   outbox-start/<lane>    first number kept, bytes of blocks removed   written when pruned or replaced
 *
 * Blocks that no uplink was given yet may be replaced by fewer records (outbox-rollup.ts). Those take
 * the last of the numbers; the first block says how many before it stand for none:
 *
 *   before   [100 .. 160) [160 .. 220) [220 .. 280)        after   [skipped 100 .. 250 | 250 .. 280)
 *
 * The bytes in the outbox are the difference of the two sums; both are changed in the transaction
 * that changes the blocks, so they are exact without reading the blocks at start.
 */

import { assert } from "../../core/assert.ts";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { numberOfKey, outboxEndKey, outboxKey, outboxStartKey } from "../state/kv-key.ts";
import { decodeBlock, encodeBlock, skippedIn } from "./record-block.ts";
import { damaged, decodeJson, encodeJson, wholeOf } from "../state/stored-json.ts";

export type Lane = "alerts" | "summaries";

const blocksPerRead = 16;

/** In the order in which an uplink serves them. */
export const lanes: readonly Lane[] = ["alerts", "summaries"];

/** What `valueOf` gives for each lane, as an object the caller owns. */
export function byLane<Value>(valueOf: (lane: Lane) => Value): Record<Lane, Value> {
  return { alerts: valueOf("alerts"), summaries: valueOf("summaries") };
}

/** Of the outbox' bound, what alerts have to themselves; the rest is the summaries'. */
const alertsShare = 1 / 8;

/**
 * What a lane may hold of an outbox of `bytesMax` bytes. Neither lane takes of the other's: summaries
 * that nobody fetches keep no alert out, and a storm of alerts no summary.
 */
export function laneBytesMax(lane: Lane, bytesMax: number): number {
  const alerts = Math.floor(bytesMax * alertsShare);
  return lane === "alerts" ? alerts : bytesMax - alerts;
}

/** Where a lane stands. Bytes are those of blocks as stored, since the beginning. */
export type LaneSpan = {
  /** Number of the next record. */
  readonly next: number;
  readonly bytesAdded: number;
  /** Number of the first record still kept; equal to `next` when the lane is empty. */
  readonly first: number;
  readonly bytesRemoved: number;
  /** Numbers from `first` to `next` that stand for no record. */
  readonly skipped: number;
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
  let { first, bytesRemoved, skipped } = span;
  let more = true;
  while (more && writes.length < limits.outboxPruneBlocksMax) {
    const blocks = kv.range({ from: outboxKey(lane, first), to, limit: blocksPerRead });
    for (const { key, value } of blocks) {
      writes.push({ key, value: undefined });
      bytesRemoved += value.length;
      skipped -= skippedIn(value);
      first = numberOfKey(key) + 1;
    }
    more = blocks.length === blocksPerRead;
  }
  if (writes.length === 0) return { writes, span, more: false };
  const pruned = { ...span, first, bytesRemoved, skipped };
  writes.push(startWrite(lane, pruned));
  return { writes, span: pruned, more };
}

/** Blocks of a lane that follow each other: keys and values as stored, and the numbers they have. */
export type BlockRun = {
  readonly blocks: readonly { readonly key: string; readonly value: Uint8Array }[];
  /** Number of the first block's first record, or of the first that it skips. */
  readonly first: number;
  /** Number after the last record. */
  readonly next: number;
};

/** Puts `records` in the place of all that the run has: at least one, and no more than there were. */
export function replaceWrites(
  lane: Lane,
  span: LaneSpan,
  { run, records }: { readonly run: BlockRun; readonly records: readonly Uint8Array[] },
): Appended {
  let next = run.next - records.length;
  let skipped = next - run.first;
  assert(records.length > 0 && skipped >= 0, "fewer records take the place of more");
  let bytesRemoved = span.bytesRemoved;
  let skippedAll = span.skipped + skipped;
  const values = new Map<string, Uint8Array | undefined>();
  for (const { key, value } of run.blocks) {
    values.set(key, undefined);
    bytesRemoved += value.length;
    skippedAll -= skippedIn(value);
  }
  for (const part of partsOf(records)) {
    const block = encodeBlock(part, skipped);
    skipped = 0;
    next += part.length;
    bytesRemoved -= block.length;
    values.set(outboxKey(lane, next - 1), block);
  }
  const replaced = { ...span, bytesRemoved, skipped: skippedAll };
  const blocks = [...values].map(([key, value]) => ({ key, value }));
  return { writes: [...blocks, startWrite(lane, replaced)], span: replaced };
}

/**
 * Puts a block of as many records in the place of the one at `key`, under the same numbers; undefined
 * removes it.
 */
export function rewriteWrites(
  lane: Lane,
  span: LaneSpan,
  {
    key,
    before,
    after,
  }: { readonly key: string; readonly before: Uint8Array; readonly after: Uint8Array | undefined },
): Appended {
  const rewritten = {
    ...span,
    bytesRemoved: span.bytesRemoved + before.length - (after?.length ?? 0),
    skipped: span.skipped - (after === undefined ? skippedIn(before) : 0),
  };
  return { writes: [{ key, value: after }, startWrite(lane, rewritten)], span: rewritten };
}

function startWrite(lane: Lane, { first, bytesRemoved, skipped }: LaneSpan): KvWrite {
  const value = encodeJson({
    first,
    bytes: bytesRemoved,
    ...(skipped === 0 ? {} : { skipped }),
  });
  return { key: outboxStartKey(lane), value };
}

/**
 * Where the lane stands, from the store. A start that is missing is found again from the blocks; an
 * end is not, since nothing else says which numbers were given. Faults: STORE_FAILED.
 */
export function readSpan(kv: Kv, lane: Lane): LaneSpan {
  const end = readPair(kv, outboxEndKey(lane), "next");
  const start = readPair(kv, outboxStartKey(lane), "first");
  const [firstBlock] = blocksOf(kv, lane, { limit: 1 });
  if (end === undefined) {
    if (start === undefined && firstBlock === undefined) return unusedSpan;
    throw damaged(
      `the state store's ${outboxEndKey(lane)}`,
      `it is missing beside ${start === undefined ? "blocks" : "the start"} of its lane, and nobody knows which numbers were given`,
    );
  }
  const written = { next: end.number, bytesAdded: end.bytes };
  if (start === undefined) {
    return isFirstEver(firstBlock) ? { ...unusedSpan, ...written } : recounted(kv, lane, written);
  }
  return {
    ...written,
    first: start.number,
    bytesRemoved: start.bytes,
    skipped: start.skipped,
  };
}

const unusedSpan: LaneSpan = { next: 0, bytesAdded: 0, first: 0, bytesRemoved: 0, skipped: 0 };

/** The start is written when a block is removed or replaced: without one the first is as it was added. */
function isFirstEver(entry: OutboxEntry | undefined): boolean {
  if (entry === undefined) return false;
  const block = decodeBlock(entry.value);
  if (block.kind === "damaged") return true; // nobody knows how many records it has
  return block.skipped === 0 && block.records.length === numberOfKey(entry.key) + 1;
}

/** Reads every block of the lane: what they hold is what was not removed. */
function recounted(kv: Kv, lane: Lane, written: Pick<LaneSpan, "next" | "bytesAdded">): LaneSpan {
  let first: number | undefined;
  let bytes = 0;
  let skipped = 0;
  for (let from = 0; ; ) {
    const entries = blocksOf(kv, lane, { from, limit: blocksPerRead });
    for (const { key, value } of entries) {
      from = numberOfKey(key) + 1;
      const block = first === undefined ? decodeBlock(value) : undefined;
      if (block?.kind === "records") first = from - block.records.length - block.skipped;
      first ??= 0;
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
  };
}

type OutboxEntry = { readonly key: string; readonly value: Uint8Array };

function blocksOf(
  kv: Kv,
  lane: Lane,
  { from = 0, limit }: { readonly from?: number; readonly limit: number },
): readonly OutboxEntry[] {
  const to = outboxKey(lane, Number.MAX_SAFE_INTEGER);
  return kv.range({ from: outboxKey(lane, from), to, limit });
}

export type OutboxRead = {
  readonly records: readonly Uint8Array[];
  /** Beyond the number asked for where blocks before it are gone. */
  readonly from: number;
  /** Number of records[0]; the numbers from `from` on before it stand for no record. */
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
  let begin = from;
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
      return { records, from, first: next, next: end, damaged: end - next };
    }
    const blockFirst = end - block.records.length;
    if (records.length === 0) {
      first = Math.max(from, blockFirst);
      begin = Math.max(from, blockFirst - block.skipped);
    } else if (bytes + block.bytes > bytesMax || blockFirst !== next) {
      break;
    }
    const wanted = block.records.slice(Math.max(0, next - blockFirst));
    for (const record of wanted) records.push(record);
    bytes += block.bytes;
    next = end;
    if (bytes >= bytesMax) break;
  }
  return { records, from: begin, first, next, damaged: 0 };
}

/** Blocks with their records, and where to read on: behind a damaged block, which no run has. */
export type ReadRun = BlockRun & {
  readonly records: readonly (readonly Uint8Array[])[];
  readonly resume: number;
  /** It ended because it has `bytesMax` bytes. */
  readonly isFull: boolean;
};

/**
 * The blocks from the one that holds `from` on that lie wholly in [low, high), until they have
 * `bytesMax` bytes before compression. Ends where a block is damaged or missing.
 */
export async function readRun(
  kv: Kv,
  lane: Lane,
  { from, low, high, bytesMax, breathe }: ReadRunOptions,
): Promise<ReadRun> {
  const blocks: { readonly key: string; readonly value: Uint8Array }[] = [];
  const records: (readonly Uint8Array[])[] = [];
  const to = outboxKey(lane, high);
  let bytes = 0;
  let first = from;
  let next = from;
  let resume: number | undefined;
  while (bytes < bytesMax && next < high) {
    await breathe();
    const [entry] = kv.range({ from: outboxKey(lane, next), to, limit: 1 });
    if (entry === undefined) break;
    const end = numberOfKey(entry.key) + 1;
    const block = decodeBlock(entry.value);
    const begin = block.kind === "damaged" ? end : end - block.records.length - block.skipped;
    if (block.kind === "damaged" || (blocks.length > 0 && begin !== next)) {
      resume = begin;
      break;
    }
    if (begin < low) {
      first = end;
    } else {
      if (blocks.length === 0) first = begin;
      blocks.push(entry);
      records.push(block.records);
      bytes += block.bytes;
    }
    next = end;
  }
  return { blocks, records, first, next, resume: resume ?? next, isFull: bytes >= bytesMax };
}

export type ReadRunOptions = {
  readonly from: number;
  readonly low: number;
  readonly high: number;
  readonly bytesMax: number;
  /** Called before each block: resolves when others had their turn. */
  readonly breathe: () => Promise<void>;
};

function readPair(
  kv: Kv,
  key: string,
  name: "next" | "first",
): { readonly number: number; readonly bytes: number; readonly skipped: number } | undefined {
  const value = kv.get(key);
  if (value === undefined) return undefined;
  const stored = decodeJson(value, `the state store's ${key}`);
  const skipped = "skipped" in stored.fields ? wholeOf(stored, "skipped") : 0;
  return { number: wholeOf(stored, name), bytes: wholeOf(stored, "bytes"), skipped };
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
