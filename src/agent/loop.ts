/**
 * The loop: one thread, five verbs.
 *
 *   receive   the intake fills the open frame as bytes arrive (ingest/)
 *   append    seal the frame, write it to the log, one sync; then release the acknowledgements
 *   apply     one pure step of the dataflow over the frame
 *   commit    what it emitted, the ledger and emittedThrough in one transaction
 *   drain     tell the uplinks that there is more (sync/)
 *
 * One frame is open and at most one is sealed. A frame is sealed when it is due: its first entry has
 * waited `commit.waitMs`, or `commit.rowsEager` rows have come, or whoever sends waits for it, or the
 * dataflow wants to see the clock. At most one append and one commit are under way, beside each
 * other. The loop is the only writer of the log and, with the drain, of the state store.
 */

import { assert, InvariantError } from "../core/assert.ts";
import type { Catalog } from "../core/catalog.ts";
import type { Clock } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import type { Frame } from "../core/frame.ts";
import { limits } from "../core/limits.ts";
import { type Position, position } from "../core/units.ts";
import type { Dataflow } from "../edge-ops/dataflow.ts";
import type { Checkpoint, StateChunk } from "../store/state/checkpoint-store.ts";
import type { Log } from "../store/log/log.ts";
import type { OutboxWriter } from "../store/outbox/outbox.ts";
import type { Commit, StateStore } from "../store/state/state-store.ts";
import type { TableStore } from "../store/tables/table-store.ts";
import type { ClockTrust } from "./clock-trust.ts";
import type { CommitConfig } from "./config/config.ts";
import type { DegradedReason } from "./degraded-reason.ts";
import { degradedBy } from "./degraded.ts";
import type { Intake } from "./ingest/intake.ts";
import type { Gate } from "./ingest/receiver.ts";
import type { Outputs, PendingOutputs } from "./outputs.ts";
import type { PreparedAsks } from "./raw/raw-answers.ts";
import { Histogram } from "./metrics/histogram.ts";
import { type ResendCounts, Resends } from "./resends.ts";

/** A due frame still gathers for this share of what its sync will take, if that is worth a timer. */
const GATHER_SHARE = 8;
const GATHER_MS_MIN = 1;

export type LoopParts = {
  readonly clock: Clock;
  readonly intake: Intake;
  readonly log: Log;
  readonly catalog: Catalog;
  readonly dataflow: Dataflow;
  readonly store: StateStore;
  readonly tables: TableStore;
  readonly outputs: Outputs;
  readonly clockTrust: ClockTrust;
  /** Position up to which the dataflow has applied the log, from recovery. */
  readonly applied: Position;
  /** Position of the newest checkpoint, from recovery. */
  readonly checkpointed: Position;
};

export type LoopOptions = {
  readonly commit: CommitConfig;
  /** There is more in the outbox: these records, which are durable now. */
  readonly onCommitted: (outbox: OutboxWriter) => void;
  /** What makes requests of these asks, to be stored with the alerts they are of. */
  readonly onAsks?: (asks: PendingOutputs["asks"]) => PreparedAsks;
  /** A checkpoint is durable; until what it gives resolves, no outputs are committed. It never rejects. */
  readonly onCheckpoint?: () => Promise<void> | undefined;
  /** The loop cannot go on; the agent closes. */
  readonly onFailed: (fault: Fault) => void;
  /** Encoded outputs beyond which frames wait. Default limits.pendingOutputBytesMax. */
  readonly pendingBytesMax?: number | undefined;
};

export class Loop {
  readonly #parts: LoopParts;
  readonly #options: LoopOptions;
  readonly #resends: Resends;
  readonly #pendingBytesMax: number;
  readonly #gates: Gate[] = [];
  #cancelWait: (() => void) | undefined;
  #cancelWake: (() => void) | undefined;
  #cancelCommit: (() => void) | undefined;
  #commitDueAt = Number.POSITIVE_INFINITY;
  /** Since when, by the monotonic clock, there is something to commit, and an alert among it. */
  #pendingSince: number | undefined;
  #urgentSince: number | undefined;
  /** When the last commit began, by the monotonic clock. */
  #committedAt = Number.NEGATIVE_INFINITY;
  #turnSoon = false;
  /** When the last frame was sealed, by the monotonic clock. */
  #sealedAt: number;
  #lastAppendMs = 0;
  #turning: Promise<void> | undefined;
  #committing: Promise<void> | undefined;
  #stopping = false;
  #failed = false;
  /** The sealed frame could not be appended: no other is sealed behind it. */
  #appendLost = false;
  #commitLost = false;
  #applied: Position;
  #checkpointed: Position;
  #checkpointAt: number;
  #checkpointWanted = false;
  #trouble: DegradedReason | undefined;
  #commitTrouble: DegradedReason | undefined;
  #releaseTrouble: DegradedReason | undefined;
  /** One after another, beside commits: a slow rename keeps no alert waiting. */
  #releasing: Promise<void> = Promise.resolve();
  #framesAppended = 0;
  #rowsAppended = 0;
  #commits = 0;
  #checkpoints = 0;
  /** Milliseconds from sealing a frame to its acknowledgements. */
  readonly appendMs: Histogram = new Histogram();

  constructor(parts: LoopParts, options: LoopOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#pendingBytesMax = options.pendingBytesMax ?? limits.pendingOutputBytesMax;
    this.#resends = new Resends(parts);
    this.#applied = parts.applied;
    this.#checkpointed = parts.checkpointed;
    this.#checkpointAt = parts.clock.monotonic() + options.commit.checkpointMs;
    this.#sealedAt = parts.clock.monotonic();
    parts.intake.onWork(() => this.#schedule(), { rows: options.commit.rowsEager });
    parts.tables.onChanged(() => {
      if (this.#stopping) return;
      this.#release();
      this.#schedule();
    });
    parts.tables.onFailed((fault) => this.#fail(fault));
    parts.tables.start();
    this.#release(); // the last life may have ended before it did
    this.#schedule();
    this.#scheduleCommit();
  }

  /** Whoever acknowledges registers here before the first message. */
  register(gate: Gate): void {
    this.#gates.push(gate);
  }

  /** It cannot go on; its agent is to be closed and started again. */
  get failed(): boolean {
    return this.#failed;
  }

  get counters(): {
    readonly resends: ResendCounts;
    readonly framesAppended: number;
    readonly rowsAppended: number;
    readonly commits: number;
    readonly checkpoints: number;
    readonly applied: Position;
    readonly checkpointed: Position;
    /** Why readings are held back, or the log is not freed. */
    readonly troubles: readonly DegradedReason[];
  } {
    return {
      resends: this.#resends.counts,
      framesAppended: this.#framesAppended,
      rowsAppended: this.#rowsAppended,
      commits: this.#commits,
      checkpoints: this.#checkpoints,
      applied: this.#applied,
      checkpointed: this.#checkpointed,
      troubles: [this.#trouble, this.#commitTrouble, this.#releaseTrouble].filter(
        (trouble) => trouble !== undefined,
      ),
    };
  }

  /** Appends and applies what was received, commits it with a checkpoint, and ends. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#cancelTimers();
    await this.#turning;
    if (!this.#appendLost && this.#parts.intake.pendingWork) await this.#turn();
    await this.#committing;
    if (!this.#commitLost) await this.#commit({ checkpoint: true });
    await this.#releasing;
  }

  // --- when -------------------------------------------------------------------------------------

  /** Called when the open frame got its first entry, when it is due early, and after every turn. */
  #schedule(): void {
    if (this.#turning !== undefined || this.#turnSoon || this.#stopping || this.#appendLost) return;
    const { intake, outputs, tables } = this.#parts;
    if (outputs.bytes > this.#pendingBytesMax) return; // the commit will call again
    if (tables.isFull) return; // the flush will
    if (!intake.pendingWork) return this.#scheduleWake();
    const { rowsEager, waitMs } = this.#options.commit;
    const isDue = intake.pendingRows >= rowsEager || intake.isHurried || waitMs === 0;
    // Senders that were just acknowledged send again: on a slow disk they are worth a short wait,
    // or every other sync would be spent on the first few of them.
    const gatherMs = Math.min(waitMs, this.#lastAppendMs / GATHER_SHARE);
    if (intake.isFull || (isDue && gatherMs < GATHER_MS_MIN)) this.#startSoon();
    else if (isDue) this.#startAfter(gatherMs);
    else if (this.#cancelWait === undefined) this.#startAfter(waitMs);
  }

  #startSoon(): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    this.#turnSoon = true;
    this.#parts.clock.soon(() => this.#startTurn());
  }

  #startAfter(delayMs: number): void {
    this.#cancelWait?.();
    this.#cancelWait = this.#parts.clock.after(delayMs, () => this.#startTurn());
  }

  /**
   * Nothing is waiting: look at the clock again when an operator would do something with it, and
   * now and then anyway. That moment is far off when the clock was set back, however often we ask.
   */
  #scheduleWake(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    const at = this.#parts.dataflow.wakeAt();
    if (at === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#parts;
    const lookMs = this.#sealedAt + limits.wakeMsMax - clock.monotonic();
    const delayMs = Math.max(limits.tickMs, Math.min(at - clock.now(), lookMs));
    this.#cancelWake = clock.after(delayMs, () => {
      this.#cancelWake = undefined;
      this.#startTurn();
    });
  }

  #startTurn(): void {
    this.#turnSoon = false;
    if (this.#turning !== undefined || this.#stopping || this.#appendLost) return;
    this.#turning = this.#turn().finally(() => {
      this.#turning = undefined;
      if (!this.#stopping && this.#trouble === undefined) this.#schedule();
    });
  }

  #cancelTimers(): void {
    this.#cancelWait?.();
    this.#cancelWake?.();
    this.#cancelCommit?.();
    this.#cancelWait = this.#cancelWake = this.#cancelCommit = undefined;
  }

  // --- append, apply ------------------------------------------------------------------------------

  async #turn(): Promise<void> {
    this.#cancelWait?.();
    this.#cancelWake?.();
    this.#cancelWait = this.#cancelWake = undefined;
    const { clock, clockTrust, intake, log, tables } = this.#parts;
    const now = clock.now();
    const frame = intake.seal(now, clockTrust.observe(now));
    for (const gate of this.#gates) gate.seal();
    this.#sealedAt = clock.monotonic();
    const looking = this.#resends.mark(frame.batch);
    if (looking !== undefined) await looking;
    const at = await this.#append(frame);
    if (at === undefined) return;
    assert(at === this.#applied, "the log continues where the dataflow stands");
    this.#lastAppendMs = clock.monotonic() - this.#sealedAt;
    this.appendMs.record(this.#lastAppendMs);
    for (const gate of this.#gates) gate.release();
    this.#apply(frame, at);
    intake.recycle();
    for (const gate of this.#gates) gate.room();
    if (log.bytesSince(this.#checkpointed) > limits.checkpointLogBytes) this.#wantCheckpoint();
    if (log.bytesSince(tables.through) > limits.checkpointLogBytes) tables.wantFlush();
    this.#scheduleCommit();
  }

  /** The frame's position once it is durable; undefined when the log cannot take it any more. */
  async #append(frame: Frame): Promise<Position | undefined> {
    for (;;) {
      try {
        const appending = this.#parts.log.append(frame);
        this.#parts.tables.giveWayTo(appending);
        const at = await appending;
        this.#trouble = undefined;
        this.#framesAppended += 1;
        this.#rowsAppended += frame.batch.rows;
        return at;
      } catch (error) {
        const fault = asFault(error);
        this.#trouble = degradedBy(fault);
        if (fault.code !== "DISK_FULL" || this.#stopping) {
          this.#appendLost = true;
          for (const gate of this.#gates) gate.abandon();
          this.#fail(fault);
          return undefined;
        }
        // The frame was refused whole: senders wait unacknowledged, a checkpoint may free the log.
        this.#wantCheckpoint();
        this.#parts.tables.wantFlush();
        await this.#afterMs(limits.diskRetryMs);
      }
    }
  }

  #apply(frame: Frame, at: Position): void {
    const { dataflow, outputs, tables } = this.#parts;
    outputs.define(frame.definitions);
    tables.take(dataflow.apply(frame, at, outputs));
    this.#applied = position(at + frame.batch.rows + 1);
  }

  // --- commit -------------------------------------------------------------------------------------

  #wantCheckpoint(): void {
    this.#checkpointWanted = true;
    this.#scheduleCommit();
  }

  /**
   * Outputs wait from the first of them, whatever is committed meanwhile; an alert only as long as
   * alerts would otherwise be committed too often.
   */
  #scheduleCommit(): void {
    const { clock, outputs } = this.#parts;
    const now = clock.monotonic();
    if (!outputs.empty) this.#pendingSince ??= now;
    if (outputs.urgent) this.#urgentSince ??= now;
    if (this.#stopping || this.#committing !== undefined || this.#commitLost) return;
    const isDue = this.#checkpointWanted || outputs.bytes > this.#pendingBytesMax / 2;
    const dueAt = isDue
      ? now
      : Math.min(
          this.#checkpointAt,
          (this.#pendingSince ?? Number.POSITIVE_INFINITY) + this.#options.commit.intervalMs,
          this.#urgentSince === undefined
            ? Number.POSITIVE_INFINITY
            : Math.max(this.#urgentSince, this.#committedAt + limits.alertCommitMs),
        );
    if (this.#cancelCommit !== undefined && this.#commitDueAt <= dueAt) return;
    this.#cancelCommit?.();
    this.#commitDueAt = dueAt;
    this.#cancelCommit = clock.after(Math.max(0, dueAt - now), () => this.#startCommit());
  }

  #startCommit(): void {
    this.#cancelCommit = undefined;
    if (this.#committing !== undefined || this.#commitLost) return;
    const checkpoint =
      this.#checkpointWanted || this.#parts.clock.monotonic() >= this.#checkpointAt;
    void this.#commit({ checkpoint });
  }

  /** One transaction; afterwards the uplinks know, and the log behind a checkpoint is recycled. */
  #commit(options: { readonly checkpoint: boolean }): Promise<void> {
    assert(this.#committing === undefined, "one commit at a time");
    assert(!this.#commitLost, "nothing is committed behind outputs that were not");
    this.#committing = this.#commitNow(options)
      .catch((error: unknown) => this.#commitFailed(asFault(error)))
      .finally(() => {
        this.#committing = undefined;
        if (this.#stopping) return;
        this.#scheduleCommit();
        this.#schedule();
      });
    return this.#committing;
  }

  /**
   * Nothing is lost with it: the log has everything, and the next start applies it again. But this
   * process must not commit any more, or emittedThrough would pass outputs that nobody has.
   */
  #commitFailed(fault: Fault): void {
    this.#commitLost = true;
    this.#commitTrouble = degradedBy(fault);
    if (fault.code !== "OUTBOX_FULL" || !this.#stopping) this.#fail(fault);
  }

  #fail(fault: Fault): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#options.onFailed(fault);
  }

  async #commitNow(options: { readonly checkpoint: boolean }): Promise<void> {
    const { clock, dataflow, outputs, tables } = this.#parts;
    const through = this.#applied;
    const checkpoint = options.checkpoint && through > this.#checkpointed;
    if (options.checkpoint) {
      this.#checkpointWanted = false;
      this.#checkpointAt = clock.monotonic() + this.#options.commit.checkpointMs;
    }
    if (outputs.empty && !checkpoint) {
      if (options.checkpoint) this.#release();
      return;
    }
    this.#pendingSince = this.#urgentSince = undefined;
    this.#committedAt = clock.monotonic();
    const { asks, ...pending } = outputs.take();
    const prepared = asks.first.length === 0 ? undefined : this.#options.onAsks?.(asks);
    await this.#store({
      through,
      clock: this.#parts.clockTrust.newest,
      ledger: dataflow.ledger.encode(),
      ...pending,
      ...(prepared === undefined ? {} : { writes: prepared.writes }),
      ...(checkpoint ? { checkpoint: checkpointOf(dataflow, tables) } : {}),
    });
    this.#commits += 1;
    prepared?.stored();
    this.#options.onCommitted(pending.outbox);
    if (!checkpoint) return;
    this.#checkpoints += 1;
    this.#checkpointed = through;
    this.#release();
    if (!this.#stopping) await this.#options.onCheckpoint?.();
  }

  /**
   * The log goes as far as both the checkpoint and the tables are. A disk that cannot recycle a
   * segment now is asked again at the next checkpoint.
   */
  #release(): void {
    this.#releasing = this.#releasing.then(() => this.#releaseNow());
  }

  async #releaseNow(): Promise<void> {
    const { log, tables } = this.#parts;
    try {
      await log.release(position(Math.min(this.#checkpointed, tables.through)));
      this.#releaseTrouble = undefined;
    } catch (error) {
      this.#releaseTrouble = degradedBy(asFault(error));
    }
  }

  /** A commit that finds no space is tried again as it is; everything behind it waits. */
  async #store(commit: Commit): Promise<void> {
    for (;;) {
      try {
        await this.#parts.store.commit(commit);
        this.#commitTrouble = undefined;
        return;
      } catch (error) {
        const fault = asFault(error);
        if (fault.code !== "DISK_FULL" || this.#stopping) throw fault;
        this.#commitTrouble = degradedBy(fault);
        await this.#afterMs(limits.diskRetryMs);
      }
    }
  }

  #afterMs(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.#parts.clock.after(delayMs, resolve));
  }
}

/** What a checkpoint holds of both, where everything applied is in them. */
export function checkpointOf(dataflow: Dataflow, tables: TableStore): Checkpoint {
  const chunks: StateChunk[] = [];
  dataflow.encodeDirty((table, chunk, bytes) => chunks.push({ table, chunk, bytes }));
  return {
    chunks,
    tables: dataflow.tables,
    spec: JSON.stringify(dataflow.spec),
    refused: tables.encodeRefused(),
  };
}

/** An environment failure as a Fault; a bug goes on as what it is, and ends the process. */
function asFault(error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof InvariantError || !(error instanceof Error)) throw error;
  return new Fault(
    "DISK_FAILED",
    `the data directory cannot be written (${error.message}); check the disk, then start weir again`,
    { cause: error },
  );
}
