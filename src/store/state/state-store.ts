/**
 * The state store: everything that one commit makes durable, in one transaction of the Kv.
 *
 *   commit    emittedThrough + ledger + new definitions + dead letters + outbox blocks [+ checkpoint]
 *   advance   an uplink's cursor + the outbox blocks that no uplink needs any more
 *   replace   fewer records in the place of others that no uplink was given (outbox-rollup.ts)
 *
 * The loop commits, the drain advances; the store puts their transactions one after another. Both
 * keep to their own keys (a lane's end is the loop's, its start the drain's), so neither waits for
 * what the other found out.
 *
 * The outbox is bounded in bytes, each lane by its share. When it fills up, older summaries are merged
 * into coarser ones. A commit that would still exceed the bound waits until there is room; meanwhile
 * the loop takes no more readings and nobody is acknowledged. What is merged or dropped decides the rollup
 * (outbox-rollup.ts, decision 0016).
 *
 * An uplink takes records to send them. From then on they are held for it: the outbox does not change
 * what is out there or may be.
 */

import { assert } from "../../core/assert.ts";
import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { DeadLetter, Definition } from "../../core/frame.ts";
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
import {
  appendWrites,
  type BlockRun,
  byLane,
  type Lane,
  laneBytesMax,
  lanes,
  type LaneSpan,
  type OutboxRead,
  type OutboxWriter,
  pruneWrites,
  type ReadRun,
  type ReadRunOptions,
  readOutbox,
  readRun,
  readSpan,
  replaceWrites,
} from "../outbox/outbox.ts";
import { encodeJson } from "./stored-json.ts";

/** What one commit makes durable. All buffers are given away: never touched again. */
export type Commit = {
  /** emittedThrough after it; the checkpoint's position, where it has one. */
  readonly through: Position;
  readonly ledger: Uint8Array;
  /** The newest clock observation that was believed; absent before the first. */
  readonly clock?: Millis | undefined;
  /** New since the last commit, in the order of the log. */
  readonly definitions: readonly Definition[];
  readonly deadLetters: readonly DeadLetter[];
  readonly outbox: OutboxWriter;
  readonly checkpoint?: Checkpoint;
};

export type Recovered = {
  readonly definitions: readonly Definition[];
  /** Of the last commit; undefined before the first. */
  readonly emitted?: Emitted;
  readonly checkpoint?: RecoveredCheckpoint;
};

export type Reached = {
  readonly uplink: string;
  readonly lane: Lane;
  /** The uplink surely has everything below. */
  readonly next: number;
  /** Everything below may be out there, or on its way; as `next` where absent. */
  readonly held?: number;
};

/** Numbers [low, high) of a lane: all of them were sent to the same uplinks, and are held for none. */
export type Segment = { readonly low: number; readonly high: number };

export type LaneStatus = {
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
  readonly outbox: Readonly<Record<Lane, LaneStatus>>;
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
  const store = new StateStore(kv, {
    outboxBytesMax: options.outboxBytesMax ?? limits.outboxBytesMax,
    definitionCount: definitions.length,
    checkpoint: found?.index ?? emptyIndex,
  });
  return {
    store,
    recovered: {
      definitions,
      ...(emitted === undefined ? {} : { emitted }),
      ...(found === undefined ? {} : { checkpoint: found.checkpoint }),
    },
  };
}

export class StateStore {
  readonly #kv: Kv;
  readonly #outboxBytesMax: number;
  readonly #spans: Record<Lane, LaneSpan>;
  /** By lane and uplink: everything below `next` is out there, and that is stored. */
  readonly #reached: Record<Lane, Map<string, Standing>> = byLane(() => new Map());
  /** Told after a commit, and when one waits. */
  #onGrown: () => void = () => undefined;
  #deadLetters: DeadLetterSpan;
  #checkpoint: CheckpointIndex;
  #definitionCount: number;
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
    this.#checkpoint = options.checkpoint;
    this.#spans = byLane((lane) => readSpan(kv, lane));
    this.#deadLetters = readDeadLetterSpan(kv);
  }

  get status(): StoreStatus {
    const { first, next } = this.#deadLetters;
    return {
      outbox: byLane((lane) => this.#laneStatus(lane)),
      outboxFull: this.#waiting !== undefined,
      deadLetters: { kept: next - first, total: next },
    };
  }

  /** Numbers of the first record a lane keeps and of the next it will get. */
  span(lane: Lane): { readonly first: number; readonly next: number } {
    return this.#spans[lane];
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
    for (const lane of lanes) {
      for (const uplink of uplinks) {
        this.#reached[lane].set(uplink, { next: 0, held: heldOf(uplink, lane) });
      }
    }
  }

  /** `listener` is called when a commit has added to the outbox, or waits for room. */
  onGrown(listener: () => void): void {
    this.#onGrown = listener;
  }

  /**
   * Stores what an uplink says about itself and how far it is, and removes the blocks that every
   * uplink has by then, in one transaction (a long list of blocks is finished in further ones).
   */
  async advance(writes: readonly KvWrite[], reached?: Reached): Promise<void> {
    let rest: readonly KvWrite[] = writes;
    let more = true;
    while (more) {
      await this.#inTurn(async () => {
        more = await this.#advanceNow(rest, reached);
      });
      rest = [];
      this.#waiting?.goOn();
    }
  }

  /** As `read`, for an uplink that sends the records: until it says more, they are held for it. */
  async take(
    { uplink, lane }: Pick<Reached, "uplink" | "lane">,
    options: { readonly from: number; readonly bytesMax: number },
  ): Promise<OutboxRead> {
    let taken: OutboxRead | undefined;
    await this.#inTurn(() => {
      taken = this.read(lane, options);
      const { next = 0, held = 0 } = this.#reached[lane].get(uplink) ?? {};
      this.#reached[lane].set(uplink, { next, held: Math.max(held, taken.next) });
      return Promise.resolve();
    });
    assert(taken !== undefined, "it was read in its turn");
    return taken;
  }

  /** What of the lane may be changed, in the order of the numbers. */
  segments(lane: Lane): readonly Segment[] {
    const { first, next } = this.#spans[lane];
    const standings = [...this.#reached[lane].values()];
    const cuts = [first, ...standings.flatMap((at) => [at.next, at.held]), next]
      .filter((cut) => cut >= first && cut <= next)
      .toSorted((a, b) => a - b);
    return cuts.flatMap((low, index) => {
      const high = cuts[index + 1] ?? low;
      const isHeld = standings.some((at) => at.next <= low && low < at.held);
      return high === low || isHeld ? [] : [{ low, high }];
    });
  }

  /** Blocks of a segment with their records; see readRun. */
  async readRun(lane: Lane, options: ReadRunOptions): Promise<ReadRun> {
    return await readRun(this.#kv, lane, options);
  }

  /**
   * Puts `records` in the place of the run, as replaceWrites says, with `writes` in the same
   * transaction. False where the run is not to be changed any more: an uplink was given some of it.
   */
  async replace(
    lane: Lane,
    run: BlockRun,
    {
      records,
      writes,
    }: { readonly records: readonly Uint8Array[]; readonly writes: readonly KvWrite[] },
  ): Promise<boolean> {
    let isDone = false;
    await this.#inTurn(async () => {
      const isFree = this.segments(lane).some(
        ({ low, high }) => low <= run.first && run.next <= high,
      );
      if (!isFree) return;
      const replaced = replaceWrites(lane, this.#spans[lane], { run, records });
      await this.#write([...replaced.writes, ...writes]);
      const { bytesRemoved, skipped } = replaced.span;
      this.#spans[lane] = { ...this.#spans[lane], bytesRemoved, skipped };
      isDone = true;
    });
    this.#waiting?.goOn();
    return isDone;
  }

  /** Records of the lane from `from` on; see readOutbox. */
  read(lane: Lane, options: { readonly from: number; readonly bytesMax: number }): OutboxRead {
    return readOutbox(this.#kv, lane, options);
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

  /** The outbox blocks of a commit. Only commits move a lane's end, so this may be done early. */
  #appended(outbox: OutboxWriter): readonly LaneAppended[] {
    return lanes.map((lane) => ({
      lane,
      ...appendWrites(lane, this.#spans[lane], outbox.records(lane)),
    }));
  }

  async #waitForRoom(appended: readonly LaneAppended[]): Promise<void> {
    const bytes = new Map(appended.map(({ lane, writes }) => [lane, addedBytes(writes)]));
    const bytesOf = (lane: Lane): number => bytes.get(lane) ?? 0;
    for (;;) {
      const full = lanes.find((lane) => !this.#hasRoom(lane, bytesOf(lane)));
      if (full === undefined) return;
      // No uplink can make room any more: whoever waits for it would wait for ever.
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#stopped) throw this.#fullFault(full);
      await new Promise<void>((resolve) => {
        this.#waiting = { bytes: bytesOf, goOn: resolve };
        this.#onGrown();
      });
      this.#waiting = undefined;
    }
  }

  #fullFault(lane: Lane): Fault {
    const { bytes, bytesMax } = this.#laneStatus(lane);
    return new Fault(
      "OUTBOX_FULL",
      `the outbox holds ${bytes} of ${bytesMax} bytes of ${lane} and no uplink takes them; what is not in it yet stays in the log and follows when there is room`,
      { facts: { lane, bytes, bytesMax } },
    );
  }

  /** An empty lane takes any commit, or a small bound would stop everything for good. */
  #hasRoom(lane: Lane, bytes: number): boolean {
    const { bytes: held, bytesMax } = this.#laneStatus(lane);
    return bytes === 0 || held === 0 || held + bytes <= bytesMax;
  }

  /** What a lane holds, may hold, and would have to hold for the commit that waits, as stored. */
  room(lane: Lane): Room {
    const { bytes, bytesMax } = this.#laneStatus(lane);
    return { bytes, bytesMax, bytesWaiting: this.#waiting?.bytes(lane) ?? 0 };
  }

  async #commitNow(commit: Commit, appended: readonly LaneAppended[]): Promise<void> {
    const { through, ledger, definitions } = commit;
    const letters = deadLetterWrites(this.#deadLetters, commit.deadLetters);
    const checkpoint =
      commit.checkpoint && checkpointWrites(this.#checkpoint, through, commit.checkpoint);
    await this.#write([
      { key: emittedKey, value: encodeJson({ through, clock: commit.clock }) },
      { key: ledgerKey, value: ledger },
      ...definitionWrites(this.#definitionCount, definitions),
      ...letters.writes,
      ...appended.flatMap(({ writes }) => writes),
      ...(checkpoint?.writes ?? []),
    ]);
    this.#definitionCount += definitions.length;
    this.#deadLetters = letters.span;
    if (checkpoint !== undefined) this.#checkpoint = checkpoint.index;
    for (const { lane, span } of appended) {
      const { next, bytesAdded } = span;
      this.#spans[lane] = { ...this.#spans[lane], next, bytesAdded };
    }
  }

  // ---- advance ----

  /** Whether there is more to remove. */
  async #advanceNow(writes: readonly KvWrite[], reached: Reached | undefined): Promise<boolean> {
    if (reached === undefined) {
      await this.#write(writes);
      return false;
    }
    const { uplink, lane, next } = reached;
    const others = [...this.#reached[lane]].filter(([name]) => name !== uplink);
    const below = others.reduce((least, [, other]) => Math.min(least, other.next), next);
    const pruned = pruneWrites(this.#kv, lane, this.#spans[lane], below);
    await this.#write([...writes, ...pruned.writes]);
    const { first, bytesRemoved, skipped } = pruned.span;
    this.#spans[lane] = { ...this.#spans[lane], first, bytesRemoved, skipped };
    this.#reached[lane].set(uplink, { next, held: Math.max(next, reached.held ?? next) });
    return pruned.more;
  }

  #laneStatus(lane: Lane): LaneStatus {
    const span = this.#spans[lane];
    const { first, next, skipped } = span;
    return {
      records: next - first - skipped,
      bytes: heldBytes(span),
      bytesMax: laneBytesMax(lane, this.#outboxBytesMax),
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

/** A commit that the outbox has no room for. */
type WaitingCommit = { readonly bytes: (lane: Lane) => number; readonly goOn: () => void };

/** Of an uplink in a lane, as `Reached` has it. */
type Standing = { readonly next: number; readonly held: number };

type LaneAppended = ReturnType<typeof appendWrites> & { readonly lane: Lane };

function heldBytes({ bytesAdded, bytesRemoved }: LaneSpan): number {
  return bytesAdded - bytesRemoved;
}

function addedBytes(writes: readonly KvWrite[]): number {
  return writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
}
