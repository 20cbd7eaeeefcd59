/**
 * The state store: everything that one commit makes durable, in one transaction of the Kv.
 *
 *   commit    emittedThrough + ledger + new definitions + dead letters + outbox blocks [+ checkpoint]
 *   advance   an uplink's cursor + the outbox blocks that no uplink needs any more
 *   addRaw    readings that were asked for + how far their request is
 *   replace   fewer records in the place of others that no uplink was given (outbox-rollup.ts)
 *
 * The loop commits, the drain advances; the store puts their transactions one after another. Both
 * keep to their own keys (a queue's end is its writer's, its start the drain's), so neither waits for
 * what the other found out.
 *
 * The outbox is bounded in bytes, each queue by its share. When it fills up, older summaries are merged
 * into coarser ones. A commit that would still exceed the bound waits until there is room; meanwhile
 * the loop takes no more readings and nobody is acknowledged. What is merged or dropped decides the rollup
 * (outbox-rollup.ts, decision 0016).
 *
 * An uplink takes records to send them. From then on they are held for it: the outbox does not change
 * what is out there or may be. Of the summaries each uplink has two lanes; which records are whose is its
 * split (outbox/split.ts), changed in transactions of its own or with what a lane says.
 */

import { assert } from "../../core/assert.ts";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { DeadLetter, Named, Posted } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import type { Millis, Position } from "../../core/units.ts";
import { definitionWrites, readDefinitions } from "./catalog-store.ts";
import {
  type Checkpoint,
  type CheckpointIndex,
  checkpointWrites,
  emptyIndex,
  readCheckpoint,
  type RecoveredCheckpoint,
} from "./checkpoint-store.ts";
import { type DeadLetterSpan, deadLetterWrites, readDeadLetterSpan } from "./dead-letters.ts";
import { type Emitted, readEmitted } from "./emitted.ts";
import { emittedKey, ledgerKey } from "./kv-key.ts";
import { byQueue, type Lane, outputQueues, type Queue, queueOf } from "../outbox/lane.ts";
import {
  appendWrites,
  type BlockRun,
  queueBytesMax,
  outboxFullFault,
  type OutboxRead,
  type OutboxWriter,
  pruneWrites,
  type ReadRun,
  type ReadRunOptions,
  readOutbox,
  readRun,
  replaceWrites,
} from "../outbox/outbox.ts";
import { type QueueSpan, readSpan, recordsIn } from "../outbox/queue-span.ts";
import { OutboxLanes } from "../outbox/outbox-lanes.ts";
import { RecordTail } from "../outbox/record-tail.ts";
import type { Range } from "../outbox/split.ts";
import type { LaneOf } from "../outbox/standings.ts";
import { type PostedSpan, postedWrites, readPosted } from "./posted-bodies.ts";
import { rawFormatWrites } from "./state-format.ts";
import { encodeJson } from "./stored-json.ts";

/** What one commit makes durable. All buffers are given away: never touched again. */
export type Commit = {
  /** emittedThrough after it; the checkpoint's position, where it has one. */
  readonly through: Position;
  readonly ledger: Uint8Array;
  /** The newest clock observation that was believed; absent before the first. */
  readonly clock?: Millis | undefined;
  /** New since the last commit, in the order of the log. */
  readonly definitions: readonly Named[];
  readonly deadLetters: readonly DeadLetter[];
  /** Absent: none. */
  readonly posted?: readonly Posted[];
  readonly outbox: OutboxWriter;
  readonly checkpoint?: Checkpoint;
  /** What its outputs ask for, durable with them. */
  readonly writes?: readonly KvWrite[];
};

export type Recovered = {
  readonly definitions: readonly Named[];
  /** Oldest first. */
  readonly posted: readonly Posted[];
  /** Of the last commit; undefined before the first. */
  readonly emitted?: Emitted;
  readonly checkpoint?: RecoveredCheckpoint;
};

export type Reached = LaneOf & {
  /** The uplink surely has every number of the lane below. */
  readonly next: number;
  /** Everything below may be out there, or on its way; as `next` where absent. */
  readonly held?: number;
};

export type QueueStatus = {
  /** Records kept and their bytes as stored; whole blocks, so a delivered record may be among them. */
  readonly records: number;
  readonly bytes: number;
  /** Its share of the outbox' bound. */
  readonly bytesMax: number;
  /** Records that coarser ones took the place of, in what is kept. */
  readonly merged: number;
  /** Number of the oldest record kept. */
  readonly first: number;
  readonly next: number;
};

export type StoreStatus = {
  readonly outbox: Readonly<Record<Queue, QueueStatus>>;
  /** A commit waits for room in the outbox. */
  readonly outboxFull: boolean;
  readonly deadLetters: { readonly kept: number; readonly total: number };
};

/**
 * Opens the store that `kv` holds (openCheckedKv gives it), or begins one. Faults: STORE_FAILED where
 * it is damaged.
 */
export async function openStateStore(
  kv: Kv,
  options: { readonly outboxBytesMax?: number } = {},
): Promise<{ readonly store: StateStore; readonly recovered: Recovered }> {
  const definitions = readDefinitions(kv);
  const found = readCheckpoint(kv);
  const emitted = readEmitted(kv);
  const { posted } = readPosted(kv);
  const store = new StateStore(kv, {
    outboxBytesMax: options.outboxBytesMax ?? limits.outboxBytesMax,
    definitionCount: definitions.length,
    checkpoint: found?.index ?? emptyIndex,
  });
  return {
    store,
    recovered: {
      definitions,
      posted,
      ...(emitted === undefined ? {} : { emitted }),
      ...(found === undefined ? {} : { checkpoint: found.checkpoint }),
    },
  };
}

export class StateStore {
  /** What each lane of each uplink has of the queues. */
  readonly lanes: OutboxLanes;
  /** The newest records once more, for whoever streams them. */
  readonly tail: RecordTail;
  readonly #kv: Kv;
  readonly #outboxBytesMax: number;
  readonly #spans: Record<Queue, QueueSpan>;
  /** Told after a commit, and when one waits. */
  #onGrown: () => void = () => undefined;
  /** Told when an uplink is further. */
  #onAdvanced: () => void = () => undefined;
  #deadLetters: DeadLetterSpan;
  #checkpoint: CheckpointIndex;
  #definitionCount: number;
  #posted: PostedSpan;
  #committing = false;
  #stopped = false;
  /** The Kv broke: it stays so until it is opened again. */
  #broken: Fault | undefined;
  #waiting: WaitingCommit | undefined;
  #tail: Promise<void> = Promise.resolve();

  /** Use openStateStore. */
  constructor(
    kv: Kv,
    options: {
      readonly outboxBytesMax: number;
      readonly definitionCount: number;
      readonly checkpoint: CheckpointIndex;
    },
  ) {
    this.#kv = kv;
    this.#outboxBytesMax = options.outboxBytesMax;
    this.#definitionCount = options.definitionCount;
    this.#posted = readPosted(kv).span;
    this.#checkpoint = options.checkpoint;
    this.#spans = byQueue((queue) => readSpan(kv, queue));
    const parts = {
      spans: this.#spans,
      inTurn: (run: () => Promise<void>) => this.#inTurn(run),
      write: (writes: readonly KvWrite[]) => this.#write(writes),
    };
    this.lanes = new OutboxLanes(kv, parts);
    this.tail = new RecordTail(kv, { ...parts, outboxBytesMax: options.outboxBytesMax });
    this.#deadLetters = readDeadLetterSpan(kv);
  }

  get status(): StoreStatus {
    const { first, next } = this.#deadLetters;
    return {
      outbox: byQueue((queue) => this.#queueStatus(queue)),
      outboxFull: this.#waiting !== undefined,
      deadLetters: { kept: next - first, total: next },
    };
  }

  /** Numbers of the first record a queue keeps and of the next it will get. */
  span(queue: Queue): { readonly first: number; readonly next: number } {
    return this.#spans[queue];
  }

  /**
   * All of it durable, or nothing. One at a time. While the outbox is full it waits. Faults:
   * OUTBOX_FULL after `stopWaiting` (nothing was written), STORE_FAILED and DISK_FULL from the Kv.
   */
  async commit(commit: Commit): Promise<void> {
    assert(!this.#committing, "one commit at a time");
    this.#committing = true;
    try {
      const appended = this.#appended(commit.outbox);
      await this.#waitForRoom(appended);
      await this.#inTurn(() => this.#commitNow(commit, appended));
      this.#onGrown();
    } finally {
      this.#committing = false;
    }
  }

  /** From now on a commit that finds the outbox full rejects instead of waiting: the agent ends. */
  stopWaiting(): void {
    this.#stopped = true;
    this.#waiting?.goOn();
  }

  /**
   * From now on a block leaves the outbox when all of these uplinks have it. `heldOf` tells what of a
   * lane one of them may have sent in an earlier life: everything below.
   */
  serve(
    uplinks: readonly string[],
    heldOf: (uplink: string, lane: Lane) => number = () => 0,
  ): void {
    for (const uplink of uplinks) this.lanes.serve(uplink, (lane) => heldOf(uplink, lane));
  }

  /** `listener` is called when a commit has added to the outbox, or waits for room. */
  onGrown(listener: () => void): void {
    this.#onGrown = listener;
  }

  /** `listener` is called when an uplink is further, so that there may be room. */
  onAdvanced(listener: () => void): void {
    this.#onAdvanced = listener;
  }

  /**
   * Puts records into the queue of raw readings, with `writes`, in one transaction. False, and nothing is
   * stored, where it has no room for them. Faults as `commit`.
   */
  async addRaw(records: readonly Uint8Array[], writes: readonly KvWrite[]): Promise<boolean> {
    let isDone = false;
    await this.#inTurn(async () => {
      const appended = appendWrites("raw", this.#spans.raw, records);
      if (!this.#hasRoom("raw", addedBytes(appended.writes))) return;
      const kept = this.tail.add("raw", appended.blocks);
      const format = rawFormatWrites(this.#kv);
      await this.#write([...appended.writes, ...kept.writes, ...writes, ...format]);
      kept.done();
      const { next, bytesAdded } = appended.span;
      this.#spans.raw = { ...this.#spans.raw, next, bytesAdded };
      isDone = true;
    });
    return isDone;
  }

  /**
   * Stores what an uplink says about itself and how far it is, and removes the blocks that every
   * uplink has by then, in one transaction (a long list of blocks is finished in further ones).
   */
  async advance(writes: readonly KvWrite[], reached?: Reached): Promise<void> {
    let rest: readonly KvWrite[] = writes;
    let from: number | undefined;
    let more = true;
    while (more) {
      await this.#inTurn(async () => {
        if (reached === undefined) {
          await this.#write(rest);
          more = false;
          return;
        }
        from ??= this.lanes.standings.of(reached).next;
        more = await this.#advanceNow(rest, reached, from);
      });
      rest = [];
      this.#waiting?.goOn();
      if (reached !== undefined) this.#onAdvanced();
    }
  }

  /** What of the queue may be changed, in the order of the numbers. */
  segments(queue: Queue): readonly Range[] {
    return this.lanes.segments(queue);
  }

  /** Blocks of a segment with their records; see readRun. */
  async readRun(queue: Queue, options: ReadRunOptions): Promise<ReadRun> {
    return await readRun(this.#kv, queue, options);
  }

  /**
   * Puts `records` in the place of the run, as replaceWrites says, with `writes` in the same
   * transaction. False where the run is not to be changed any more: an uplink was given some of it.
   */
  async replace(
    queue: Queue,
    run: BlockRun,
    {
      records,
      writes,
    }: { readonly records: readonly Uint8Array[]; readonly writes: readonly KvWrite[] },
  ): Promise<boolean> {
    let isDone = false;
    await this.#inTurn(async () => {
      const isFree = this.segments(queue).some(
        ({ low, high }) => low <= run.first && run.next <= high,
      );
      if (!isFree) return;
      const replaced = replaceWrites(queue, this.#spans[queue], { run, records });
      await this.#write([...replaced.writes, ...writes]);
      const { bytesRemoved, skipped } = replaced.span;
      this.#spans[queue] = { ...this.#spans[queue], bytesRemoved, skipped };
      isDone = true;
    });
    this.#waiting?.goOn();
    return isDone;
  }

  /** Records of the queue from `from` on; see readOutbox. */
  read(queue: Queue, options: ReadOptions): OutboxRead {
    return readOutbox(this.#kv, queue, options);
  }

  /** A value that an uplink stored by `advance`. */
  get(key: string): Uint8Array | undefined {
    return this.#kv.get(key);
  }

  /** After the last commit and advance; the Kv stays the caller's to close. */
  async settle(): Promise<void> {
    await this.#tail;
  }

  // ---- one after another ----

  /** Runs `run` when every earlier transaction is over, whether it succeeded or not. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(run);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #write(writes: readonly KvWrite[]): Promise<void> {
    try {
      await this.#kv.commit(writes);
    } catch (error) {
      if (error instanceof Fault && error.code === "STORE_FAILED") {
        this.#broken = error;
        this.#waiting?.goOn();
      }
      throw error;
    }
  }

  // ---- commit ----

  /** The outbox blocks of a commit. Only commits move a queue's end, so this may be done early. */
  #appended(outbox: OutboxWriter): readonly QueueAppended[] {
    return outputQueues.map((queue) => ({
      queue,
      ...appendWrites(queue, this.#spans[queue], outbox.records(queue)),
    }));
  }

  async #waitForRoom(appended: readonly QueueAppended[]): Promise<void> {
    const bytes = new Map(appended.map(({ queue, writes }) => [queue, addedBytes(writes)]));
    const bytesOf = (queue: Queue): number => bytes.get(queue) ?? 0;
    for (;;) {
      const full = outputQueues.find((queue) => !this.#hasRoom(queue, bytesOf(queue)));
      if (full === undefined) return;
      // No uplink can make room any more: whoever waits for it would wait for ever.
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#stopped) throw outboxFullFault(full, this.#queueStatus(full));
      await new Promise<void>((resolve) => {
        this.#waiting = { bytes: bytesOf, goOn: resolve };
        this.#onGrown();
      });
      this.#waiting = undefined;
    }
  }

  /** An empty queue takes any commit, or a small bound would stop everything for good. */
  #hasRoom(queue: Queue, bytes: number): boolean {
    const { bytes: held, bytesMax } = this.#queueStatus(queue);
    return bytes === 0 || held === 0 || held + bytes <= bytesMax;
  }

  /** What a queue holds, may hold, and would have to hold for the commit that waits, as stored. */
  room(queue: Queue): Room {
    const { bytes, bytesMax } = this.#queueStatus(queue);
    return { bytes, bytesMax, bytesWaiting: this.#waiting?.bytes(queue) ?? 0 };
  }

  async #commitNow(commit: Commit, appended: readonly QueueAppended[]): Promise<void> {
    const { through, ledger, definitions } = commit;
    const letters = deadLetterWrites(this.#deadLetters, commit.deadLetters);
    const posted = postedWrites(this.#posted, commit.posted ?? []);
    const checkpoint =
      commit.checkpoint && checkpointWrites(this.#checkpoint, through, commit.checkpoint);
    const kept = appended.map(({ queue, blocks }) => this.tail.add(queue, blocks));
    await this.#write([
      { key: emittedKey, value: encodeJson({ through, clock: commit.clock }) },
      { key: ledgerKey, value: ledger },
      ...definitionWrites(this.#definitionCount, definitions),
      ...letters.writes,
      ...posted.writes,
      ...appended.flatMap(({ writes }) => writes),
      ...kept.flatMap(({ writes }) => writes),
      ...(checkpoint?.writes ?? []),
      ...(commit.writes ?? []),
    ]);
    for (const { done } of kept) done();
    this.#definitionCount += definitions.length;
    this.#deadLetters = letters.span;
    this.#posted = posted.span;
    this.lanes.grown(commit.outbox.newest);
    if (checkpoint !== undefined) this.#checkpoint = checkpoint.index;
    for (const { queue, span } of appended) {
      const { next, bytesAdded } = span;
      this.#spans[queue] = { ...this.#spans[queue], next, bytesAdded };
    }
  }

  // ---- advance ----

  /** Whether there is more to remove. */
  async #advanceNow(
    writes: readonly KvWrite[],
    reached: Reached,
    /** Where the lane was before. */
    from: number,
  ): Promise<boolean> {
    const queue = queueOf(reached.lane);
    const step = this.lanes.step(reached, from);
    const pruned = pruneWrites(this.#kv, queue, this.#spans[queue], step.sent);
    try {
      await this.#write([...writes, ...step.writes, ...pruned.writes]);
    } catch (error) {
      step.undo();
      throw error;
    }
    step.done();
    const { first, bytesRemoved, skipped, holes } = pruned.span;
    this.#spans[queue] = { ...this.#spans[queue], first, bytesRemoved, skipped, holes };
    return pruned.more;
  }

  #queueStatus(queue: Queue): QueueStatus {
    const span = this.#spans[queue];
    const { first, next, skipped } = span;
    return {
      records: recordsIn(span),
      bytes: heldBytes(span),
      bytesMax: queueBytesMax(queue, this.#outboxBytesMax),
      merged: skipped,
      first,
      next,
    };
  }
}

export type Room = {
  readonly bytes: number;
  readonly bytesMax: number;
  readonly bytesWaiting: number;
};

type ReadOptions = { readonly from: number; readonly bytesMax: number };

/** A commit that the outbox has no room for. */
type WaitingCommit = { readonly bytes: (queue: Queue) => number; readonly goOn: () => void };

type QueueAppended = ReturnType<typeof appendWrites> & { readonly queue: Queue };

function heldBytes({ bytesAdded, bytesRemoved }: QueueSpan): number {
  return bytesAdded - bytesRemoved;
}

function addedBytes(writes: readonly KvWrite[]): number {
  return writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
}
