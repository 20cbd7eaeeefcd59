/**
 * Rollup in the outbox: when it fills up because an uplink is away, unsent summaries are merged into
 * coarser ones, so that what it holds covers longer and longer times (P5). Work beside the loop.
 *
 *   bytes   0 ........................ low ............... high ............ max
 *                                       <- merges until ->  begins           commits wait
 *
 * One tier after another, the finest first; in each, from the oldest number to the newest
 * (outbox-rollup-plan.ts says what may be merged). So older summaries are never finer than newer
 * ones of their key, and none is coarser than the budget needs, but for those beside what was sent.
 * A pass remembers where it was and goes on there when the outbox grows again.
 *
 * Each step is one transaction that replaces a run of blocks by fewer records; a crash before it
 * changes nothing, and it is taken again. An uplink that takes records of the run meanwhile goes
 * first: the step is given up. Alerts are never merged. Where a commit waits although all is merged, the
 * oldest records may be dropped (outbox-drop.ts).
 *
 *   outbox-rollup   {"merged":n,"coarser":n,"readings":n,"windows":{"<pipeline>":[size,lateness]}}
 *
 * counts what was ever merged, and remembers the windows of pipelines that are no longer configured,
 * whose summaries may still wait.
 */

import type { Clock } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { rollupKey } from "../state/kv-key.ts";
import { numberOfKey } from "../state/kv-key.ts";
import { type PipelineWindow, planRun, type RunPlan, type TierPass } from "./outbox-rollup-plan.ts";
import { GapEnds } from "./gap-ends.ts";
import { OutboxDrop } from "./outbox-drop.ts";
import type { Dropped } from "./outbox-drop-plan.ts";
import { type OutputQueue, outputQueues } from "./lane.ts";
import type { BlockRun, ReadRun } from "./outbox.ts";
import type { StateStore } from "../state/state-store.ts";
import type { Range } from "./split.ts";
import { Pace, Stopped } from "../tables/pace.ts";
import { decodeJson, encodeJson, itemsOf, objectOf, wholeOf } from "../state/stored-json.ts";

/** Shares of the lane's bound at which merging begins, and at which it is enough. */
const highShare = 3 / 4;
const lowShare = 5 / 8;

const lane: OutputQueue = "summaries";

export type RollupCounts = {
  /** Summaries that others took the place of. */
  readonly merged: number;
  /** Coarser summaries that took their place, and the readings in them. */
  readonly coarser: number;
  readonly readings: number;
};

export type RollupStatus = {
  /** Summaries that were merged in the outbox because it filled up, ever. */
  readonly outboxRollup: RollupCounts;
  /** What was dropped there because it was full, ever, by the pipeline's name. */
  readonly outboxDropped: Readonly<
    Record<string, { readonly records: number; readonly readings: number }>
  >;
};

export type OutboxRollupOptions = {
  readonly store: StateStore;
  readonly clock: Clock;
  /** Resolutions, ms, ascending, each a multiple of the one before; none: nothing is merged. */
  readonly tiers: readonly number[];
  /** Whether the oldest records are dropped where all that is not enough; else commits wait. */
  readonly mayDrop: boolean;
  /** Blocks, before compression, that are merged or dropped at a time. Default limits.outboxRollupBytesMax. */
  readonly runBytesMax?: number | undefined;
  /** Windows of the pipelines as they are now, by the name their records have. */
  readonly windows: () => ReadonlyMap<string, PipelineWindow>;
};

/** Begins to watch the outbox. */
export function openOutboxRollup(options: OutboxRollupOptions): OutboxRollup {
  return new OutboxRollup(options);
}

export class OutboxRollup {
  readonly #options: OutboxRollupOptions;
  readonly #runBytesMax: number;
  readonly #pace: Pace;
  readonly #drop: OutboxDrop;
  readonly #gapEnds = new GapEnds();
  readonly #windows: Map<string, PipelineWindow>;
  #counts: RollupCounts;
  /** By tier and low end of the segment. */
  #passes = new Map<string, TierPass & { readonly low: number; seen: number }>();
  #working: Promise<void> | undefined;
  /** A commit waits, and nothing can be dropped for it. */
  #isStuck = false;
  #cancelTimer: (() => void) | undefined;
  #isClosed = false;

  /** Use openOutboxRollup. */
  constructor(options: OutboxRollupOptions) {
    const { store, clock, runBytesMax = limits.outboxRollupBytesMax } = options;
    this.#options = options;
    this.#runBytesMax = runBytesMax;
    this.#pace = new Pace(clock);
    const stored = readStored(store.get(rollupKey));
    this.#counts = stored.counts;
    this.#windows = stored.windows;
    const windowOf = (pipeline: string): PipelineWindow | undefined => this.#windows.get(pipeline);
    const gapEnds = this.#gapEnds;
    this.#drop = new OutboxDrop({ store, pace: this.#pace, windowOf, gapEnds, runBytesMax });
    store.onGrown(() => this.#grown());
    this.#grown();
  }

  /** Ever, as stored. */
  get counts(): RollupCounts {
    return this.#counts;
  }

  /** Of both, as the status of an agent has it. */
  get status(): RollupStatus {
    return { outboxRollup: this.#counts, outboxDropped: Object.fromEntries(this.dropped) };
  }

  /** What was dropped, ever, as stored, by pipeline. */
  get dropped(): Dropped {
    return this.#drop.counts;
  }

  /** Resolves when what is under way is over; nothing begins any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#pace.stop();
    this.#cancelTimer?.();
    await this.#working;
  }

  // ---- when ----

  #grown(): void {
    if (this.#isClosed || this.#working !== undefined) return;
    if (this.#cancelTimer !== undefined) {
      if (this.#isStuck || !this.#mustDrop()) return;
      this.#cancelTimer();
      this.#cancelTimer = undefined;
    }
    if (this.#isNews() || this.#mustMerge() || this.#mustDrop()) this.#start();
  }

  #start(): void {
    this.#isStuck = false;
    this.#working = this.#work()
      .catch((error: unknown) => {
        // A store that broke says so to the loop as well; a full disk is tried again.
        if (!(error instanceof Stopped) && !isEnvironmental(error)) throw error;
      })
      .finally(() => {
        this.#working = undefined;
        if (!this.#isClosed && (this.#mustMerge() || this.#mustDrop())) this.#startLater();
      });
  }

  /** All that can be merged or dropped is: later there is more. */
  #startLater(): void {
    this.#cancelTimer = this.#options.clock.after(limits.outboxRetryMs, () => {
      this.#cancelTimer = undefined;
      if (!this.#isClosed) this.#start();
    });
  }

  #mustMerge(): boolean {
    return this.#options.tiers.length > 0 && this.#isOver(highShare);
  }

  #mustDrop(): boolean {
    return this.#options.mayDrop && outputQueues.some((each) => this.#drop.isNeeded(each));
  }

  #isOver(share: number): boolean {
    const { bytes, bytesMax, bytesWaiting } = this.#options.store.room(lane);
    return bytes + bytesWaiting > share * bytesMax;
  }

  // ---- windows ----

  /** A pipeline has windows that are not remembered yet. */
  #isNews(): boolean {
    for (const [name, window] of this.#options.windows()) {
      const known = this.#windows.get(name);
      if (known?.sizeMs !== window.sizeMs || known.latenessMs !== window.latenessMs) return true;
    }
    return false;
  }

  async #remember(): Promise<void> {
    if (!this.#isNews()) return;
    for (const [name, window] of this.#options.windows()) {
      this.#windows.delete(name);
      this.#windows.set(name, window);
    }
    for (const name of this.#windows.keys()) {
      if (this.#windows.size > limits.outboxWindowsMax) this.#windows.delete(name);
    }
    await this.#options.store.advance([this.#stored(this.#counts)]);
  }

  #stored(counts: RollupCounts): { readonly key: string; readonly value: Uint8Array } {
    const windows = Object.fromEntries(
      [...this.#windows].map(([name, { sizeMs, latenessMs }]) => [name, [sizeMs, latenessMs]]),
    );
    return { key: rollupKey, value: encodeJson({ ...counts, windows }) };
  }

  // ---- the work ----

  async #work(): Promise<void> {
    await this.#remember();
    if (this.#mustMerge()) await this.#merge();
    if (!this.#options.mayDrop) return;
    for (const each of outputQueues) {
      if (this.#drop.isNeeded(each) && !(await this.#drop.makeRoom(each))) this.#isStuck = true;
    }
  }

  async #merge(): Promise<void> {
    for (const tierMs of this.#options.tiers) {
      for (let more = true; more; ) {
        if (!this.#isOver(lowShare)) return;
        more = await this.#stepOf(tierMs);
      }
    }
  }

  /** One step in the tier, of the oldest segment that is not through; false where all are. */
  async #stepOf(tierMs: number): Promise<boolean> {
    const segments = this.#segments();
    for (const { low, high } of segments) {
      const pass = this.#passOf(tierMs, low);
      if (pass.seen >= high) continue;
      await this.#step(pass, { low, high });
      return true;
    }
    return false;
  }

  /** What is free, and passes over what still begins there. */
  #segments(): readonly Range[] {
    const segments = this.#options.store.segments(lane);
    for (const [name, { low }] of this.#passes) {
      if (!segments.some((segment) => segment.low === low)) this.#passes.delete(name);
    }
    return segments;
  }

  #passOf(tierMs: number, low: number): TierPass & { readonly low: number; seen: number } {
    const name = `${tierMs}/${low}`;
    const known = this.#passes.get(name);
    if (known !== undefined) return known;
    const pass = { tierMs, low, from: low, seen: low, keys: new Map() };
    this.#passes.set(name, pass);
    return pass;
  }

  async #step(pass: TierPass & { seen: number }, { low, high }: Range): Promise<void> {
    const { store } = this.#options;
    const breathe = (): Promise<void> => this.#pace.breathe();
    const bytesMax = this.#runBytesMax;
    const run = await store.readRun(lane, { from: pass.from, low, high, bytesMax, breathe });
    const isCut = run.isFull || run.resume !== run.next;
    const plan = await planRun(pass, run.records, {
      breathe,
      isCut,
      keysMax: limits.outboxRollupKeysMax,
      windowOf: (pipeline) => this.#windows.get(pipeline),
      gapEnds: this.#gapEnds,
    });
    if (plan.records.length > 0 && !(await this.#replace(run, plan))) {
      this.#passes.clear();
      return;
    }
    pass.from = plan.resume === undefined ? run.resume : numberOf(plan.resume, run, plan);
    pass.seen = isCut ? pass.from : high;
  }

  async #replace(run: ReadRun, plan: RunPlan): Promise<boolean> {
    const counts = {
      merged: this.#counts.merged + plan.merged,
      coarser: this.#counts.coarser + plan.coarser,
      readings: this.#counts.readings + plan.readings,
    };
    const { records } = plan;
    const isDone = await this.#options.store.replace(lane, partOf(run, plan), {
      records,
      writes: [this.#stored(counts)],
    });
    if (isDone) this.#counts = counts;
    return isDone;
  }
}

/** The blocks that change. */
function partOf(run: ReadRun, { blockFirst, blockEnd }: RunPlan): BlockRun {
  return {
    blocks: run.blocks.slice(blockFirst, blockEnd),
    first: blockFirst === 0 ? run.first : endOf(run, blockFirst - 1),
    next: endOf(run, blockEnd - 1),
  };
}

/** Number after the last record of a block of the run. */
function endOf({ blocks }: ReadRun, index: number): number {
  return numberOfKey(blocks[index]!.key) + 1;
}

/** Number of a record of the run after the plan was carried out. */
function numberOf(
  { block, place, index }: NonNullable<RunPlan["resume"]>,
  run: ReadRun,
  { blockFirst, blockEnd, records }: RunPlan,
): number {
  if (block >= blockFirst && block < blockEnd) {
    return endOf(run, blockEnd - 1) - records.length + place;
  }
  return endOf(run, block) - run.records[block]!.length + index;
}

function readStored(value: Uint8Array | undefined): {
  readonly counts: RollupCounts;
  readonly windows: Map<string, PipelineWindow>;
} {
  const none = { merged: 0, coarser: 0, readings: 0 };
  if (value === undefined) return { counts: none, windows: new Map() };
  const place = `the state store's ${rollupKey}`;
  const stored = decodeJson(value, place);
  const { fields } = objectOf(stored.fields["windows"], place);
  const windows = Object.entries(fields).map(([name, item]): [string, PipelineWindow] => {
    const [sizeMs, latenessMs] = itemsOf(item, place);
    const at = { place, fields: { sizeMs, latenessMs } };
    return [name, { sizeMs: wholeOf(at, "sizeMs"), latenessMs: wholeOf(at, "latenessMs") }];
  });
  return {
    counts: {
      merged: wholeOf(stored, "merged"),
      coarser: wholeOf(stored, "coarser"),
      readings: wholeOf(stored, "readings"),
    },
    windows: new Map(windows),
  };
}
