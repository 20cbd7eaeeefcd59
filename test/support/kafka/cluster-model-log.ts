/**
 * The log of one partition in the model of a cluster (cluster-model.ts): what a broker checks before
 * it takes a batch, what it remembers of producers, and what readers see.
 *
 *   0      2 3   4        first  oldest offset kept
 *   [a a a] C [b b]       C      a control marker takes an offset as well: a is committed
 *              ▲    ▲     end    the high watermark: one replica, so all there is
 *              stable end stable offset of the oldest open transaction's first record
 *
 * A batch is read by the client library's decoder, not by ours, so the model checks our encoder too.
 * For every producer that wrote here a partition knows its epoch, its last sequence and its last five
 * batches, by which it recognises one that is sent again. The order of the checks is Kafka's.
 */

import { crc32c, Reader, readRecordsBatch } from "@platformatic/kafka";
import type { Fetched, FetchedBatch, Producer } from "../../../src/sync/kafka/cluster.ts";
import { ModelRefusal } from "./cluster-model-refusal.ts";

export type Outcome = "commit" | "abort";

export type StoredRecord = {
  readonly offset: number;
  readonly key: Uint8Array | undefined;
  readonly value: Uint8Array | undefined;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly timeMs: number;
};

/** A batch that was read and found whole, before a log has taken it; offsets count from 0. */
type ProducedBatch = {
  /** Without one the batch is neither idempotent nor transactional. */
  readonly producer: Producer | undefined;
  readonly sequence: number;
  readonly isTransactional: boolean;
  readonly timeMsMax: number;
  readonly bytes: number;
  readonly records: readonly StoredRecord[];
};

/** What a log is told about an append by the rest of the cluster. */
type Append = {
  readonly nowMs: number;
  /** Throws unless the coordinator knows of an open transaction with this partition (KIP-890). */
  readonly verify: () => void;
  /** Whether records get the time of the append instead of their own. */
  readonly stampsTime: boolean;
};

type StoredBatch = {
  readonly first: number;
  /** Offset of the last record, also where compaction has removed it. */
  readonly last: number;
  readonly producer: Producer | undefined;
  readonly isTransactional: boolean;
  readonly control: Outcome | undefined;
  readonly bytes: number;
  records: readonly StoredRecord[];
  /** Undefined while its transaction is open. Batches without transaction are committed at once. */
  outcome: Outcome | undefined;
};

/** The sequences of a batch that was stored, and the offset it got. */
type Remembered = { readonly from: number; readonly to: number; readonly offset: number };

type ProducerState = {
  epoch: number;
  /** Oldest first. Empty: only markers were written since this epoch began. */
  remembered: readonly Remembered[];
  /** First offset of the open transaction. */
  open: number | undefined;
  touchedMs: number;
};

/** The first sequence that a producer tried in a transaction that is not open here yet. */
type Attempt = { readonly epoch: number; readonly lowest: number };

const batchesRemembered = 5;
const sequences = 2 ** 31;
const markerBytes = 78;

export class PartitionLog {
  #batches: StoredBatch[] = [];
  #producers = new Map<bigint, ProducerState>();
  readonly #attempts = new Map<bigint, Attempt>();
  #first = 0;
  #end = 0;

  /** Offset of the oldest record kept. */
  get first(): number {
    return this.#first;
  }

  /** The high watermark. */
  get end(): number {
    return this.#end;
  }

  /** Where a read_committed reader stops. */
  get stable(): number {
    const open = [...this.#producers.values()].flatMap((state) => state.open ?? []);
    return Math.min(this.#end, ...open);
  }

  // ---- writing ----

  /** Offset of the batch's first record: a new one, or the old one of a batch that was sent again. */
  append(batch: ProducedBatch, { nowMs, verify, stampsTime }: Append): number {
    const { producer } = batch;
    if (producer === undefined) return this.#store(batch, stampsTime ? nowMs : undefined);
    const state = this.#producers.get(producer.id);
    const inTransaction = state?.open !== undefined && state.epoch === producer.epoch;
    if (batch.isTransactional && !inTransaction) {
      this.#attempt(producer, batch.sequence);
      verify();
    }
    const sent = { from: batch.sequence, to: nth(batch.sequence, batch.records.length - 1) };
    const before = state === undefined ? undefined : known(state, producer, sent);
    if (before !== undefined) return before;
    if (inTransaction && !batch.isTransactional) throw new ModelRefusal("INVALID_TXN_STATE");
    const attempt = this.#attempts.get(producer.id);
    if (attempt?.epoch === producer.epoch && batch.sequence > attempt.lowest) {
      throw new ModelRefusal("OUT_OF_ORDER_SEQUENCE_NUMBER");
    }
    this.#attempts.delete(producer.id);
    const offset = this.#store(batch, stampsTime ? nowMs : undefined);
    const remembered = state?.epoch === producer.epoch ? state.remembered : [];
    this.#producers.set(producer.id, {
      epoch: producer.epoch,
      remembered: [...remembered, { ...sent, offset }].slice(-batchesRemembered),
      open: batch.isTransactional ? (state?.open ?? offset) : undefined,
      touchedMs: nowMs,
    });
    return offset;
  }

  #attempt({ id, epoch }: Producer, sequence: number): void {
    const before = this.#attempts.get(id);
    if (before !== undefined && before.epoch > epoch) return;
    const lowest = before?.epoch === epoch ? Math.min(before.lowest, sequence) : sequence;
    this.#attempts.set(id, { epoch, lowest });
  }

  /** Writes the marker that decides what the producer wrote since its last one, if anything. */
  mark(producer: Producer, outcome: Outcome, nowMs: number): void {
    const state = this.#producers.get(producer.id);
    this.#attempts.delete(producer.id);
    for (const batch of this.#batches) {
      if (batch.producer?.id === producer.id) batch.outcome ??= outcome;
    }
    this.#producers.set(producer.id, {
      epoch: producer.epoch,
      remembered: state?.epoch === producer.epoch ? state.remembered : [],
      open: undefined,
      touchedMs: nowMs,
    });
    const kind = { producer, isTransactional: true, control: outcome, outcome, bytes: markerBytes };
    this.#batches.push({ ...kind, first: this.#end, last: this.#end, records: [] });
    this.#end += 1;
  }

  /** Forgets producers that wrote nothing for so long; one with an open transaction stays. */
  forgetProducers(unusedSinceMs: number): void {
    for (const [id, { open, touchedMs }] of this.#producers) {
      if (open === undefined && touchedMs <= unusedSinceMs) this.#producers.delete(id);
    }
  }

  #store({ producer, isTransactional, bytes, records }: ProducedBatch, stamp?: number): number {
    const first = this.#end;
    const last = first + records.length - 1;
    const stored = records.map((record) => ({
      ...record,
      offset: first + record.offset,
      timeMs: stamp ?? record.timeMs,
    }));
    const outcome = isTransactional ? undefined : "commit";
    const kind = { producer, isTransactional, control: undefined, outcome, bytes } as const;
    this.#batches.push({ ...kind, first, last, records: stored });
    this.#end = last + 1;
    return first;
  }

  // ---- reading ----

  /** Batches from the record at `offset` on: one in any case, more while they fit. */
  fetch(offset: number, bytesMax: number): Fetched {
    if (offset < this.#first || offset > this.#end) throw new ModelRefusal("OFFSET_OUT_OF_RANGE");
    const batches: FetchedBatch[] = [];
    let next = offset;
    let bytes = 0;
    for (const batch of this.#batches) {
      if (batch.last < offset) continue;
      bytes += batch.bytes;
      if (batches.length > 0 && bytes > bytesMax) break;
      batches.push(asFetched(batch, offset));
      next = batch.last + 1;
    }
    return { batches, next };
  }

  /** Everything kept, in order, with what became of it. */
  records(): readonly (StoredRecord & { readonly outcome: Outcome | undefined })[] {
    return this.#batches.flatMap(({ records, outcome }) =>
      records
        .filter(({ offset }) => offset >= this.#first)
        .map((record) => ({ ...record, outcome })),
    );
  }

  // ---- cleaning ----

  /** Removes all before the offset; what is known of producers stays. */
  truncateFront(before: number): void {
    if (before > this.#end) throw new ModelRefusal("OFFSET_OUT_OF_RANGE");
    this.#first = Math.max(this.#first, before);
    this.#batches = this.#batches.filter(({ last }) => last >= this.#first);
  }

  /**
   * Keeps the last committed record of each key below the stable offset, and all from there on.
   * Offsets stay, the last batch stays even if it is left empty, and so do markers and tombstones,
   * which Kafka removes after another while.
   */
  compact(): void {
    const { stable } = this;
    const newest = new Map<string, number>();
    for (const { offset, key, outcome } of this.records()) {
      if (offset < stable && outcome === "commit") newest.set(textOf(key), offset);
    }
    for (const batch of this.#batches) {
      batch.records = batch.records.filter(
        ({ offset, key }) => offset >= stable || newest.get(textOf(key)) === offset,
      );
    }
    this.#batches = this.#batches.filter(
      ({ records, control, last }) =>
        records.length > 0 || control !== undefined || last + 1 === this.#end,
    );
  }
}

/** The offset of the batch if it was stored before; refuses one that does not come next. */
function known(
  state: ProducerState,
  producer: Producer,
  sent: { readonly from: number; readonly to: number },
): number | undefined {
  const { epoch, remembered } = state;
  if (producer.epoch < epoch) throw new ModelRefusal("INVALID_PRODUCER_EPOCH");
  const ofEpoch = producer.epoch === epoch ? remembered : [];
  const twin = ofEpoch.find(({ from, to }) => from === sent.from && to === sent.to);
  if (twin !== undefined) return twin.offset;
  const last = ofEpoch.at(-1);
  const expected = last === undefined ? 0 : nth(last.to, 1);
  if (sent.from !== expected) throw new ModelRefusal("OUT_OF_ORDER_SEQUENCE_NUMBER");
  return undefined;
}

function nth(sequence: number, count: number): number {
  return (sequence + count) % sequences;
}

function asFetched(batch: StoredBatch, from: number): FetchedBatch {
  const records = batch.records.filter(({ offset }) => offset >= from);
  return {
    producerId: batch.producer?.id ?? -1n,
    isTransactional: batch.isTransactional,
    control: batch.control,
    records: records.map(({ offset, key, value, headers }) => ({
      offset,
      key,
      value,
      headers: headers.map(([name, of]) => ({ name: Buffer.from(name), value: Buffer.from(of) })),
    })),
  };
}

// ---- the bytes of a batch ----

const headerBytes = 61;
const transactionalBit = 1 << 4;
const controlBit = 1 << 5;

/** Reads the one batch that the bytes are; refuses what a broker refuses. Copies what it keeps. */
export function readProduced(bytes: Uint8Array): ProducedBatch {
  const frame = Buffer.from(bytes);
  if (frame.length < headerBytes) throw invalid();
  const isWhole = frame.readBigInt64BE(0) === 0n && frame.readInt32BE(8) + 12 === frame.length;
  if (!isWhole || frame.readInt8(16) !== 2) throw invalid();
  if (crc32c(frame.subarray(21)) !== frame.readUInt32BE(17)) {
    throw new ModelRefusal("CORRUPT_MESSAGE");
  }
  const batch = decoded(frame);
  const count = batch.records.length;
  const isCounted =
    count > 0 &&
    frame.readInt32BE(57) === count &&
    batch.lastOffsetDelta === count - 1 &&
    batch.records.every(({ offsetDelta }, index) => offsetDelta === index);
  const hasProducer = batch.producerId >= 0n;
  const isSequenced = !hasProducer || (batch.producerEpoch >= 0 && batch.firstSequence >= 0);
  if (!isCounted || !isSequenced || (batch.attributes & controlBit) !== 0) throw invalid();
  const isTransactional = (batch.attributes & transactionalBit) !== 0;
  if (isTransactional && !hasProducer) throw invalid();
  return {
    producer: hasProducer ? { id: batch.producerId, epoch: batch.producerEpoch } : undefined,
    sequence: batch.firstSequence,
    isTransactional,
    timeMsMax: Number(batch.maxTimestamp),
    bytes: frame.length,
    records: batch.records.map((record, offset) => ({
      offset,
      key: bytesOf(record.key),
      value: bytesOf(record.value),
      headers: record.headers.map(([name, value]) => [String(name), String(value ?? "")] as const),
      timeMs: Number(batch.firstTimestamp + record.timestampDelta),
    })),
  };
}

function decoded(frame: Buffer): ReturnType<typeof readRecordsBatch> {
  try {
    const reader = Reader.from(frame);
    const batch = readRecordsBatch(reader);
    if (reader.remaining !== 0) throw invalid();
    return batch;
  } catch {
    throw invalid();
  }
}

function invalid(): ModelRefusal {
  return new ModelRefusal("INVALID_RECORD");
}

function bytesOf(bytes: Buffer | null): Uint8Array | undefined {
  return bytes === null ? undefined : new Uint8Array(bytes);
}

function textOf(key: Uint8Array | undefined): string {
  return key === undefined ? "" : Buffer.from(key).toString("latin1");
}
