/**
 * The outbox: what waits for the uplinks, in durable queues. A record gets the next number of its queue
 * when it is committed; numbers have no gaps and are never given twice. The records of one commit
 * and queue are one value (a record block), or a few where they are many.
 *
 *   outbox/<queue>/<last>   a block, by the number of its last record
 *   outbox-end/<queue>      next number, bytes of blocks ever added      written by commits
 *   outbox-start/<queue>    first number kept, bytes of blocks removed   written when pruned or replaced
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
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { numberOfKey, outboxEndKey, outboxKey } from "../state/kv-key.ts";
import { encodeJson } from "../state/stored-json.ts";
import { byOutputQueue, type OutputQueue, type Queue } from "./lane.ts";
import { type QueueSpan, startWrite } from "./queue-span.ts";
import { countIn as recordsInBlock, decodeBlock, encodeBlock, skippedIn } from "./record-block.ts";
import { difference, endOfRecord, type Range, withRange } from "./split.ts";

const blocksPerRead = 16;

/** Of the outbox' bound, what alerts and raw readings have to themselves; the rest is the summaries'. */
const alertsShare = 1 / 8;
const rawShare = 1 / 16;

/**
 * What a queue may hold of an outbox of `bytesMax` bytes. No queue takes of another's: summaries that
 * nobody fetches keep no alert out, and a storm of alerts no summary.
 */
export function queueBytesMax(queue: Queue, bytesMax: number): number {
  const alerts = Math.floor(bytesMax * alertsShare);
  const raw = Math.min(Math.floor(bytesMax * rawShare), limits.rawWaitingBytesMax);
  if (queue === "alerts") return alerts;
  return queue === "raw" ? raw : bytesMax - alerts - raw;
}

/** Gathers the records of the next commit. Bounded by its owner, who looks at `bytes`. */
export class OutboxWriter {
  readonly #records: Record<OutputQueue, Uint8Array[]> = byOutputQueue(() => []);
  #count = 0;
  #bytes = 0;
  #newest: number | undefined;

  get count(): number {
    return this.#count;
  }
  /** Of the records, before compression. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Latest end of a summary's window; undefined without summaries. */
  get newest(): number | undefined {
    return this.#newest;
  }

  /** Takes ownership of `record`: it is not changed afterwards. `end`: of a summary's window. */
  add(queue: OutputQueue, record: Uint8Array, end?: number): void {
    if (queue === "summaries") {
      const at = end ?? endOfRecord(record) ?? Number.NEGATIVE_INFINITY;
      this.#newest = Math.max(this.#newest ?? at, at);
    }
    this.#records[queue].push(record);
    this.#count += 1;
    this.#bytes += record.length;
  }

  records(queue: OutputQueue): readonly Uint8Array[] {
    return this.#records[queue];
  }
}

/** New blocks of one queue with the writes that store them, and where the queue stands afterwards. */
export type Appended = { readonly writes: readonly KvWrite[]; readonly span: QueueSpan };

export function appendWrites(
  queue: Queue,
  span: QueueSpan,
  records: readonly Uint8Array[],
): Appended & { readonly blocks: readonly KvWrite[] } {
  if (records.length === 0) return { writes: [], span, blocks: [] };
  const blocks: KvWrite[] = [];
  let { next, bytesAdded } = span;
  for (const part of partsOf(records)) {
    const block = encodeBlock(part);
    next += part.length;
    bytesAdded += block.length;
    blocks.push({ key: outboxKey(queue, next - 1), value: block });
  }
  assert(Number.isSafeInteger(next), "numbers of a queue are below 2^53");
  const appended = { ...span, next, bytesAdded };
  return { writes: [...blocks, endWrite(queue, appended)], span: appended, blocks };
}

function endWrite(queue: Queue, { next, bytesAdded }: QueueSpan): KvWrite {
  return { key: outboxEndKey(queue), value: encodeJson({ next, bytes: bytesAdded }) };
}

/**
 * Removes the blocks that lie wholly in one of `ranges` (ascending, what nobody needs any more), at most
 * limits.outboxPruneBlocksMax of them; `more` says that some are left. Reads them for their sizes, a few
 * at a time.
 */
export function pruneWrites(
  kv: Kv,
  queue: Queue,
  span: QueueSpan,
  ranges: readonly Range[],
): Appended & { readonly more: boolean } {
  const writes: KvWrite[] = [];
  let { first, bytesRemoved, skipped, holes } = span;
  let more = false;
  for (const { low, high } of difference(ranges, holes)) {
    for (let at = low; at < high && !more; ) {
      const blocks = kv.range({
        from: outboxKey(queue, at),
        to: outboxKey(queue, high),
        limit: blocksPerRead,
      });
      for (const { key, value } of blocks) {
        at = numberOfKey(key) + 1;
        const begin = at - recordsInBlock(value) - skippedIn(value);
        const isFirst = low <= first;
        if (!isFirst && begin < low) continue;
        writes.push({ key, value: undefined });
        bytesRemoved += value.length;
        skipped -= skippedIn(value);
        if (isFirst) first = at;
        else holes = withRange(holes, { low: begin, high: at });
      }
      if (blocks.length < blocksPerRead) break;
      more = writes.length >= limits.outboxPruneBlocksMax;
    }
    const [hole] = holes;
    if (hole !== undefined && hole.low <= first) {
      first = Math.max(first, hole.high);
      holes = holes.slice(1);
    }
  }
  if (writes.length === 0) return { writes, span, more: false };
  const pruned = { ...span, first, bytesRemoved, skipped, holes };
  writes.push(startWrite(queue, pruned));
  return { writes, span: pruned, more };
}

/** Blocks of a queue that follow each other: keys and values as stored, and the numbers they have. */
export type BlockRun = {
  readonly blocks: readonly { readonly key: string; readonly value: Uint8Array }[];
  /** Number of the first block's first record, or of the first that it skips. */
  readonly first: number;
  /** Number after the last record. */
  readonly next: number;
};

/** Puts `records` in the place of all that the run has: at least one, and no more than there were. */
export function replaceWrites(
  queue: Queue,
  span: QueueSpan,
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
    values.set(outboxKey(queue, next - 1), block);
  }
  const replaced = { ...span, bytesRemoved, skipped: skippedAll };
  const blocks = [...values].map(([key, value]) => ({ key, value }));
  return { writes: [...blocks, startWrite(queue, replaced)], span: replaced };
}

/**
 * Puts a block of as many records in the place of the one at `key`, under the same numbers; undefined
 * removes it.
 */
export function rewriteWrites(
  queue: Queue,
  span: QueueSpan,
  {
    key,
    before,
    after,
  }: { readonly key: string; readonly before: Uint8Array; readonly after: Uint8Array | undefined },
): Appended {
  const grownBytes = (after?.length ?? 0) - before.length;
  const rewritten = {
    ...span,
    // A block that became larger is none that removed fewer: both sums only rise.
    bytesAdded: span.bytesAdded + Math.max(0, grownBytes),
    bytesRemoved: span.bytesRemoved + Math.max(0, -grownBytes),
    skipped: span.skipped - (after === undefined ? skippedIn(before) : 0),
  };
  const writes = [{ key, value: after }, startWrite(queue, rewritten), endWrite(queue, rewritten)];
  return { writes, span: rewritten };
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
 * Records of the queue from number `from` on, as many as fit into `bytesMax` and at least one block.
 * Reads whole blocks, so it may give less than what is there, and more than what is `below`. A damaged
 * block comes alone.
 */
export function readOutbox(
  kv: Kv,
  queue: Queue,
  {
    from,
    bytesMax,
    below = Number.MAX_SAFE_INTEGER,
  }: { readonly from: number; readonly bytesMax: number; readonly below?: number },
): OutboxRead {
  const records: Uint8Array[] = [];
  let begin = from;
  let first = from;
  let next = from;
  let bytes = 0;
  while (next < below) {
    const [entry] = kv.range({
      from: outboxKey(queue, next),
      to: outboxKey(queue, Number.MAX_SAFE_INTEGER),
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
  queue: Queue,
  { from, low, high, bytesMax, breathe }: ReadRunOptions,
): Promise<ReadRun> {
  const blocks: { readonly key: string; readonly value: Uint8Array }[] = [];
  const records: (readonly Uint8Array[])[] = [];
  const to = outboxKey(queue, high);
  let bytes = 0;
  let first = from;
  let next = from;
  let resume: number | undefined;
  while (bytes < bytesMax && next < high) {
    await breathe();
    const [entry] = kv.range({ from: outboxKey(queue, next), to, limit: 1 });
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

/** Of a commit that nobody makes room for any more. */
export function outboxFullFault(
  queue: Queue,
  { bytes, bytesMax }: { readonly bytes: number; readonly bytesMax: number },
): Fault {
  return new Fault(
    "OUTBOX_FULL",
    `the outbox holds ${bytes} of ${bytesMax} bytes of ${queue} and no uplink takes them; what is not in it yet stays in the log and follows when there is room`,
    { facts: { queue, bytes, bytesMax } },
  );
}
