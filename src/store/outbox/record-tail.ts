/**
 * The tail: the newest records of each queue once more, so that a stream which was cut goes on exactly
 * where it was (agent/stream). The outbox cannot give them: its blocks go when uplinks have them, and merge
 * where they have not. Nobody streams: there is no tail, and nothing is written.
 *
 *   outbox-tail                   {"v":1,"history":"5f0c..","wanted":ms}   from the first stream on
 *   outbox-tail/<queue>/<last>    a block as its commit put it into the outbox, under the same number
 *
 * A commit adds to it and lets the oldest go, in its own transaction. Numbers have no gaps but where an
 * older weir ran meanwhile, or a block is damaged: those are told as missed. `history` is another one
 * where numbers begin anew, or mean other records.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { behindKeys, numberOfKey, tailBlockKey, tailKey, tailPrefix } from "../state/kv-key.ts";
import { decodeJson, encodeJson, numberOf, textOf } from "../state/stored-json.ts";
import { byQueue, type Queue } from "./lane.ts";
import { queueBytesMax } from "./outbox.ts";
import { decodeBlock } from "./record-block.ts";

const blocksPerRead = 16;

export type RecordTailOptions = {
  /** Bounds what is kept, too. */
  readonly outboxBytesMax: number;
  /** Of one queue. Default limits.tailBlocksMax. */
  readonly blocksMax?: number;
  /** Of the state store, which changes them. */
  readonly spans: Readonly<Record<Queue, { readonly next: number }>>;
  /** Runs one transaction after another. */
  readonly inTurn: (run: () => Promise<void>) => Promise<void>;
  readonly write: (writes: readonly KvWrite[]) => Promise<void>;
};

/** What is kept of one queue. */
type Kept = { readonly blocks: number; readonly bytes: number };

export type TailRead = {
  readonly records: readonly Uint8Array[];
  /** Number of records[0]. */
  readonly first: number;
  /** Where to read on. */
  readonly next: number;
  /** Numbers from the one asked for up to `first` whose records are not kept. */
  readonly missed: number;
};

/** Changes of a commit, and what is true when they are durable. */
export type TailStep = { readonly writes: readonly KvWrite[]; readonly done: () => void };

export class RecordTail {
  readonly #kv: Kv;
  readonly #options: RecordTailOptions;
  readonly #bytesMax: number;
  readonly #blocksMax: number;
  readonly #kept: Record<Queue, Kept>;
  #history: string | undefined;
  #wanted = 0;

  /** Faults: STORE_FAILED where its head is damaged. */
  constructor(kv: Kv, options: RecordTailOptions) {
    this.#kv = kv;
    this.#options = options;
    this.#bytesMax = Math.min(limits.tailBytesMax, Math.floor(options.outboxBytesMax / 8));
    this.#blocksMax = options.blocksMax ?? limits.tailBlocksMax;
    const stored = kv.get(tailKey);
    if (stored !== undefined) {
      const head = decodeJson(stored, `the state store's ${tailKey}`);
      this.#history = textOf(head, "history");
      this.#wanted = numberOf(head, "wanted");
    }
    // Without a head there may be blocks that a power cut left of a tail that was being forgotten.
    this.#kept = byQueue((queue) => keptIn(kv, queue));
  }

  /** Which numbers its numbers are; undefined where there is no tail. */
  get history(): string | undefined {
    return this.#history;
  }
  /** When somebody last wanted it, as that is stored: milliseconds since 1970. */
  get wanted(): number {
    return this.#wanted;
  }
  get bytes(): number {
    return Object.values(this.#kept).reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Stored when it resolves: from now on there is a tail, or it is wanted still. */
  async want({ history, now }: { readonly history: string; readonly now: number }): Promise<void> {
    await this.#options.inTurn(async () => {
      await this.#options.write([
        { key: tailKey, value: encodeJson({ v: 1, history, wanted: now }) },
      ]);
      this.#history = history;
      this.#wanted = now;
    });
  }

  /** Nobody wants it any more: it is gone when it resolves. */
  async forget(): Promise<void> {
    for (let more = true; more; ) {
      await this.#options.inTurn(async () => {
        more = await this.#forgetSome();
      });
    }
  }

  async #forgetSome(): Promise<boolean> {
    const { outboxPruneBlocksMax: limit } = limits;
    const damaged: string[] = [];
    const found = this.#kv.range({
      from: tailPrefix,
      to: behindKeys(tailPrefix),
      limit,
      onDamaged: (key) => void damaged.push(key),
    });
    const keys = [...found.map(({ key }) => key), ...damaged];
    const gone = keys.map((key) => ({ key, value: undefined }));
    // Without its head it is none, whatever of it is left by then.
    await this.#options.write([...gone, { key: tailKey, value: undefined }]);
    this.#history = undefined;
    Object.assign(
      this.#kept,
      byQueue(() => nothing),
    );
    return keys.length === limit;
  }

  /** The blocks that a commit adds to a queue of the outbox; without a tail nothing comes of them. */
  add(queue: Queue, added: readonly KvWrite[]): TailStep {
    if (this.#history === undefined || added.length === 0) return noStep;
    const writes: KvWrite[] = added.map(({ key, value }) => ({
      key: tailBlockKey(queue, numberOfKey(key)),
      value,
    }));
    let { blocks, bytes } = this.#kept[queue];
    blocks += added.length;
    bytes += added.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    const bytesMax = queueBytesMax(queue, this.#bytesMax);
    for (const { key, length } of keptBlocks(this.#kv, queue)) {
      if (bytes <= bytesMax && blocks <= this.#blocksMax) break;
      writes.push({ key, value: undefined });
      blocks -= 1;
      bytes -= length;
    }
    return { writes, done: () => void (this.#kept[queue] = { blocks, bytes }) };
  }

  /** The number that the next record of the queue will get. */
  end(queue: Queue): number {
    return this.#options.spans[queue].next;
  }

  /** Number of the first record that is kept; `end` where none is. */
  first(queue: Queue): number {
    return this.#blockAt(queue, 0, this.end(queue)).first;
  }

  /** Records from number `from` on: whole blocks until they have `bytesMax` bytes. */
  read(
    queue: Queue,
    { from, bytesMax }: { readonly from: number; readonly bytesMax: number },
  ): TailRead {
    const end = this.end(queue);
    const records: Uint8Array[] = [];
    let first = from;
    let next = from;
    for (let bytes = 0; bytes < bytesMax && next < end; ) {
      const block = this.#blockAt(queue, next, end);
      if (block.first > next) {
        if (records.length > 0) break;
        first = block.first;
      }
      const wanted = block.records.slice(Math.max(0, next - block.first));
      for (const record of wanted) {
        records.push(record);
        bytes += record.length;
      }
      next = block.next;
      if (wanted.length === 0) break;
    }
    return { records, first, next, missed: first - from };
  }

  /** The block that holds the number, or the next one; where there is none, none up to `end`. */
  #blockAt(queue: Queue, number: number, end: number): Block {
    const [entry] = this.#kv.range({
      from: tailBlockKey(queue, number),
      to: tailBlockKey(queue, Number.MAX_SAFE_INTEGER),
      limit: 1,
      onDamaged: () => undefined,
    });
    if (entry === undefined) return { records: [], first: end, next: end };
    const next = numberOfKey(entry.key) + 1;
    const block = decodeBlock(entry.value);
    if (block.kind === "damaged") return { records: [], first: next, next };
    return { records: block.records, first: next - block.records.length, next };
  }
}

type Block = {
  readonly records: readonly Uint8Array[];
  readonly first: number;
  readonly next: number;
};

const nothing: Kept = { blocks: 0, bytes: 0 };
const noStep: TailStep = { writes: [], done: () => undefined };

function keptIn(kv: Kv, queue: Queue): Kept {
  let { blocks, bytes } = nothing;
  for (const { length } of keptBlocks(kv, queue)) {
    blocks += 1;
    bytes += length;
  }
  return { blocks, bytes };
}

/** The oldest first; what is damaged has no bytes. */
function* keptBlocks(
  kv: Kv,
  queue: Queue,
): Generator<{ readonly key: string; readonly length: number }> {
  const to = tailBlockKey(queue, Number.MAX_SAFE_INTEGER);
  for (let from = 0; ; ) {
    const damaged: string[] = [];
    const onDamaged = (key: string): void => void damaged.push(key);
    const found = kv.range({
      from: tailBlockKey(queue, from),
      to,
      limit: blocksPerRead,
      onDamaged,
    });
    for (const { key, value } of found) yield { key, length: value.length };
    for (const key of damaged) yield { key, length: 0 };
    const last = [...found.map(({ key }) => key), ...damaged].toSorted().at(-1);
    if (last === undefined || found.length + damaged.length < blocksPerRead) return;
    from = numberOfKey(last) + 1;
  }
}
