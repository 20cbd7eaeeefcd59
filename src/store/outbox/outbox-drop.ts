/**
 * Dropping in the outbox: the last resort where a lane is full, all of it is merged that can be, and a
 * commit waits (P5). The oldest records go, and gaps take their place (outbox-drop-plan.ts): a gap goes
 * upstream as any record does, so that whoever adds up knows what is missing.
 *
 *   bytes   0 ......................................... low .. max
 *                                         <- drops until ->    a commit waits
 *
 * Each step is one transaction that replaces the beginning of a segment, as a merge does. The next one
 * begins with the block that has the gaps of the last one; what was kept before it is looked at again
 * when the segment has nothing else to drop.
 *
 *   outbox-dropped   {"<pipeline>":[records,readings]}
 *
 * counts what was ever dropped; pipelines beyond limits.outboxWindowsMax count together, under "".
 */

import { limits } from "../../core/limits.ts";
import { droppedKey, numberOfKey } from "../state/kv-key.ts";
import type { StateStore } from "../state/state-store.ts";
import type { Range } from "./split.ts";
import { decodeJson, encodeJson, itemsOf, wholeOf } from "../state/stored-json.ts";
import type { Pace } from "../tables/pace.ts";
import type { GapEnds } from "./gap-ends.ts";
import { type DropBlock, type Dropped, planDrop } from "./outbox-drop-plan.ts";
import type { PipelineWindow } from "./outbox-rollup-plan.ts";
import { byOutputQueue, type OutputQueue } from "./lane.ts";
import type { BlockRun, ReadRun } from "./outbox.ts";

/** Of the lane's bound: what is left when dropping ends. */
const lowShare = 15 / 16;

export type OutboxDropOptions = {
  readonly store: StateStore;
  readonly pace: Pace;
  readonly windowOf: (pipeline: string) => PipelineWindow | undefined;
  /** Is told what was dropped. */
  readonly gapEnds: GapEnds;
  /** Blocks, before compression, that are looked at at a time. */
  readonly runBytesMax: number;
};

export class OutboxDrop {
  readonly #options: OutboxDropOptions;
  /** By low end of a segment that is there: where its next part begins. */
  readonly #from: Record<OutputQueue, ReadonlyMap<number, number>> = byOutputQueue(() => new Map());
  #counts: Dropped;

  constructor(options: OutboxDropOptions) {
    this.#options = options;
    this.#counts = readCounts(options.store.get(droppedKey));
  }

  /** Ever, by pipeline, as stored. */
  get counts(): Dropped {
    return this.#counts;
  }

  /** A commit waits because the lane is full. */
  isNeeded(lane: OutputQueue): boolean {
    const { bytes, bytesMax, bytesWaiting } = this.#options.store.room(lane);
    return bytesWaiting > 0 && bytes + bytesWaiting > bytesMax;
  }

  /** Drops until the commit that waits has room and some more; false where that is not to be had. */
  async makeRoom(lane: OutputQueue): Promise<boolean> {
    while (this.#bytesWanted(lane) > 0) {
      if (!(await this.#stepIn(lane))) return !this.isNeeded(lane);
    }
    return true;
  }

  #bytesWanted(lane: OutputQueue): number {
    const { bytes, bytesMax, bytesWaiting } = this.#options.store.room(lane);
    return bytes + bytesWaiting - lowShare * bytesMax;
  }

  /** One step in the oldest segment that is not through; false where all are. */
  async #stepIn(lane: OutputQueue): Promise<boolean> {
    const segments = this.#options.store.segments(lane);
    const known = this.#from[lane];
    const from = new Map(segments.map(({ low }) => [low, known.get(low) ?? low]));
    for (const segment of segments) {
      const { low, high } = segment;
      const begin = from.get(low) ?? low;
      if (begin >= high) continue;
      from.set(low, await this.#step(lane, segment, begin));
      this.#from[lane] = from;
      return true;
    }
    this.#from[lane] = new Map();
    return false;
  }

  /** Where the next step of the segment begins. */
  async #step(lane: OutputQueue, { low, high }: Range, from: number): Promise<number> {
    const { store, windowOf, gapEnds, pace, runBytesMax: bytesMax } = this.#options;
    const breathe = (): Promise<void> => pace.breathe();
    const run = await store.readRun(lane, { from, low, high, bytesMax, breathe });
    const part = blocksOf(run);
    const plan = await planDrop(part, this.#behind(lane, { low: run.resume, high }), {
      lane,
      bytesWanted: this.#bytesWanted(lane),
      recordsMax: 2 * limits.outboxRollupKeysMax,
      windowOf,
      breathe,
    });
    const last = part[plan.blockEnd - 1];
    if (last === undefined) return run.resume > from ? run.resume : high;
    const counts = sumOf(this.#counts, plan.dropped);
    const blocks = run.blocks.slice(0, plan.blockEnd);
    const replaced: BlockRun = { blocks, first: run.first, next: last.next };
    const writes = [{ key: droppedKey, value: encodeCounts(counts) }];
    const isDone = await store.replace(lane, replaced, { records: plan.records, writes });
    if (!isDone) return from;
    for (const [name, end] of plan.ends) gapEnds.dropped(name, end);
    this.#counts = counts;
    // The block that has the gaps.
    return last.next - 1;
  }

  async *#behind(lane: OutputQueue, { low, high }: Range): AsyncGenerator<DropBlock> {
    const { store, pace } = this.#options;
    const breathe = (): Promise<void> => pace.breathe();
    for (let from = low; from < high; ) {
      const bytesMax = limits.outboxBlockBytesMax;
      const run = await store.readRun(lane, { from, low, high, bytesMax, breathe });
      yield* blocksOf(run);
      if (run.blocks.length === 0 && run.resume <= from) return;
      from = run.resume;
    }
  }
}

function blocksOf(run: ReadRun): readonly DropBlock[] {
  return run.blocks.map(({ key, value }, index) => ({
    records: run.records[index] ?? [],
    bytes: value.length,
    next: numberOfKey(key) + 1,
  }));
}

// ---- counts ----

const others = "";

function sumOf(before: Dropped, more: Dropped): Dropped {
  const counts = new Map(before);
  for (const [pipeline, { records, readings }] of more) {
    const isFull = !counts.has(pipeline) && counts.size >= limits.outboxWindowsMax;
    const name = isFull ? others : pipeline;
    const known = counts.get(name) ?? { records: 0, readings: 0 };
    counts.set(name, { records: known.records + records, readings: known.readings + readings });
  }
  return counts;
}

function encodeCounts(counts: Dropped): Uint8Array {
  return encodeJson(
    Object.fromEntries(
      [...counts].map(([pipeline, { records, readings }]) => [pipeline, [records, readings]]),
    ),
  );
}

function readCounts(value: Uint8Array | undefined): Dropped {
  if (value === undefined) return new Map();
  const place = `the state store's ${droppedKey}`;
  const { fields } = decodeJson(value, place);
  return new Map(
    Object.entries(fields).map(([pipeline, item]) => {
      const [records, readings] = itemsOf(item, place);
      const at = { place, fields: { records, readings } };
      return [pipeline, { records: wholeOf(at, "records"), readings: wholeOf(at, "readings") }];
    }),
  );
}
