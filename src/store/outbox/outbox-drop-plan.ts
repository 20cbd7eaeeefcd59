/**
 * Which records of a lane are dropped to make room, and the gaps that take their place. Pure: blocks
 * in, records out.
 *
 *   part      | d d k d | d k d d | . . . |  further blocks, which may decide about the part's keys
 *   becomes   | k k G G           | . . . |
 *
 * From the beginning of the part as many blocks change as free the bytes that are wanted. In them a
 * summary goes only as a whole, with all its revisions, so that what is sent and the gaps add up:
 *
 *   - its revision 0 is in these blocks: else what it corrects was sent
 *   - none of its revisions lies behind them, and none can come: its key has a record, there or further
 *     on, that ends the allowed lateness later, and the dataflow emits the last revision of a window
 *     before that. A merged summary is final already
 *
 * A completeness marker goes with what is dropped around it: the next one of its key says more. Alerts
 * stand alone. Of each pipeline one gap takes the place of all that went, gaps among it. What is
 * kept comes first, so that the gaps are in the block with which the next part begins, and go on
 * growing instead of becoming many.
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import type { Gap } from "../../core/record.ts";
import { type Millis, millis } from "../../core/units.ts";
import type { PipelineWindow } from "./outbox-rollup-plan.ts";
import type { OutputQueue } from "./lane.ts";
import { decodeRecord, encodeGap } from "./record-codec.ts";
import { idOf, pipelineIn, type RecordId } from "./record-id.ts";

export type DropBlock = {
  readonly records: readonly Uint8Array[];
  /** As stored. */
  readonly bytes: number;
  /** Number after its last record. */
  readonly next: number;
};

export type DropOptions = {
  readonly lane: OutputQueue;
  /** To be freed, as stored. */
  readonly bytesWanted: number;
  /** Records that are looked at behind the part. */
  readonly recordsMax: number;
  /** By name of the pipeline as in its records; `sizeMs` is 0 where its windows are no tumbling ones. */
  readonly windowOf: (pipeline: string) => PipelineWindow | undefined;
  /** Called often: resolves when others had their turn. */
  readonly breathe: () => Promise<void>;
};

/** By the pipeline's name. */
export type Dropped = ReadonlyMap<string, { readonly records: number; readonly readings: number }>;

export type DropPlan = {
  /** What takes the place of the blocks [0, blockEnd) of the part; empty where nothing goes. */
  readonly records: readonly Uint8Array[];
  readonly blockEnd: number;
  readonly dropped: Dropped;
  /** Latest end of the summaries that went, by their key as ids name it. */
  readonly ends: ReadonlyMap<string, number>;
};

type KeyState = {
  readonly name: string;
  readonly window: PipelineWindow;
  /** Latest end of its records. */
  newest: number;
  /** By start, and length where windows have one: what is dropped as a whole. */
  readonly units: Map<string, Unit>;
};

/** A window with its revisions, or an alert. */
type Unit = {
  /** undefined: nothing more of it can come. */
  readonly key: KeyState | undefined;
  /** Of its window. */
  end: number;
  /** It is final when its key has a record that ends here. */
  finalAt: number;
  /** Its revision 0 is in the part. */
  readonly isWhole: boolean;
  /** Its newest revision. */
  newest: Entry;
  /** The block of its last one; Infinity: behind the part. */
  lastBlock: number;
  /** About what it takes, as stored. */
  bytes: number;
};

type Entry = {
  readonly bytes: Uint8Array;
  readonly number: number;
  readonly block: number;
  readonly unit: Unit | "gap" | "marker" | undefined;
};

/** `behind`: the blocks that follow the part in its segment, read as they are asked for. */
export async function planDrop(
  part: readonly DropBlock[],
  behind: AsyncIterable<DropBlock>,
  options: DropOptions,
): Promise<DropPlan> {
  const look = new Look(options);
  for (const [index, block] of part.entries()) {
    look.add(block, index);
    await options.breathe();
  }
  if (!look.frees(options.bytesWanted)) await look.lookBehind(behind);
  const blockEnd = look.blockEnd(options.bytesWanted);
  const gaps = new Gaps(options.lane);
  const kept: Uint8Array[] = [];
  const ends = new Map<string, number>();
  let bytes = 0;
  for (const [index, { bytes: record, block, unit, number }] of look.entries.entries()) {
    if (block >= blockEnd) break;
    if (index % limits.outboxRecordsPerTurn === 0) await options.breathe();
    if (unit === "marker") {
      bytes += record.length;
    } else if (unit === "gap" || (unit !== undefined && isDropped(unit, blockEnd))) {
      bytes += record.length;
      if (unit !== "gap" && unit.key !== undefined) {
        const { name } = unit.key;
        ends.set(name, Math.max(unit.end, ends.get(name) ?? Number.NEGATIVE_INFINITY));
      }
      if (unit === "gap" || unit.newest.number === number) gaps.add(record, number);
    } else {
      kept.push(record);
    }
  }
  await options.breathe();
  const { dropped, records } = gaps;
  const gapBytes = records.reduce((sum, record) => sum + record.length, 0);
  if (dropped.size === 0 || gapBytes >= bytes) {
    return { records: [], blockEnd: 0, dropped: new Map(), ends: new Map() };
  }
  return { records: [...kept, ...records], blockEnd, dropped, ends };
}

function isDropped(unit: Unit, blockEnd: number): boolean {
  return unit.lastBlock < blockEnd && isFinal(unit);
}

function isFinal({ key, finalAt, isWhole, lastBlock }: Unit): boolean {
  if (!isWhole || lastBlock === Number.POSITIVE_INFINITY) return false;
  return key === undefined || key.newest >= finalAt;
}

// ---- what may go ----

class Look {
  readonly entries: Entry[] = [];
  readonly #options: DropOptions;
  readonly #units: Unit[] = [];
  readonly #keys = new Map<string, KeyState>();

  constructor(options: DropOptions) {
    this.#options = options;
  }

  /** A block of the part. */
  add({ records, bytes, next }: DropBlock, block: number): void {
    const whole = records.reduce((sum, record) => sum + record.length, 0);
    for (const [index, record] of records.entries()) {
      const number = next - records.length + index;
      const share = (bytes * record.length) / Math.max(1, whole);
      this.entries.push(this.#entryOf({ bytes: record, number, block }, share));
    }
  }

  #entryOf(of: Omit<Entry, "unit">, share: number): Entry {
    const id = idOf(of.bytes);
    if (id?.kind === "gap") return { ...of, unit: "gap" };
    if (id?.kind === "complete") return { ...of, unit: "marker" };
    const unit = id && this.#unitOf(id, of);
    if (unit === undefined) return { ...of, unit };
    unit.bytes += share;
    unit.lastBlock = of.block;
    return { ...of, unit };
  }

  #unitOf(id: RecordId, of: Omit<Entry, "unit">): Unit | undefined {
    const newest: Entry = { ...of, unit: undefined };
    const fresh = { newest, lastBlock: of.block, bytes: 0 };
    if (id.kind !== "summary") {
      const unit = { ...fresh, key: undefined, end: 0, finalAt: 0, isWhole: true };
      this.#units.push(unit);
      return unit;
    }
    const { start, resolution, revision } = id;
    const key = this.#keyOf(id.name);
    if (key === undefined) return undefined;
    key.newest = Math.max(key.newest, start + resolution);
    const { sizeMs, latenessMs } = key.window;
    const isMerged = sizeMs > 0 && resolution > sizeMs;
    const finalAt = isMerged ? Number.NEGATIVE_INFINITY : start + resolution + latenessMs;
    const end = start + resolution;
    const known = key.units.get(nameOfUnit(key, id));
    if (known !== undefined) {
      known.end = Math.max(known.end, end);
      known.finalAt = Math.max(known.finalAt, finalAt);
      known.newest = newest;
      return known;
    }
    const unit = { ...fresh, key, end, finalAt, isWhole: revision === 0 };
    key.units.set(nameOfUnit(key, id), unit);
    this.#units.push(unit);
    return unit;
  }

  #keyOf(name: string): KeyState | undefined {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const window = this.#options.windowOf(pipelineIn(name));
    if (window === undefined) return undefined;
    const key = { name, window, newest: Number.NEGATIVE_INFINITY, units: new Map<string, Unit>() };
    this.#keys.set(name, key);
    return key;
  }

  /** Until all keys are decided, or too much was looked at. */
  async lookBehind(behind: AsyncIterable<DropBlock>): Promise<void> {
    const waiting = new Map<KeyState, number>();
    for (const unit of this.#units) {
      const { key, finalAt, isWhole } = unit;
      if (key === undefined || !isWhole || isFinal(unit)) continue;
      waiting.set(key, Math.max(waiting.get(key) ?? Number.NEGATIVE_INFINITY, finalAt));
    }
    let seen = 0;
    if (waiting.size === 0) return;
    for await (const { records } of behind) {
      for (const record of records) {
        const id = idOf(record);
        if (id?.kind !== "summary") continue;
        const key = this.#keys.get(id.name);
        if (key === undefined) continue;
        key.newest = Math.max(key.newest, id.start + id.resolution);
        const unit = key.units.get(nameOfUnit(key, id));
        if (unit !== undefined) unit.lastBlock = Number.POSITIVE_INFINITY;
        if (key.newest >= (waiting.get(key) ?? Number.POSITIVE_INFINITY)) waiting.delete(key);
      }
      seen += records.length;
      if (waiting.size === 0 || seen >= this.#options.recordsMax) return;
      await this.#options.breathe();
    }
  }

  frees(bytes: number): boolean {
    return this.#freed().reduce((sum, freed) => sum + freed, 0) >= bytes;
  }

  /** The fewest blocks that free so much; if all do not, those that free anything. */
  blockEnd(bytesWanted: number): number {
    let bytes = 0;
    let end = 0;
    for (const [block, freed] of this.#freed().entries()) {
      if (bytes >= bytesWanted) return end;
      bytes += freed;
      if (freed > 0) end = block + 1;
    }
    return end;
  }

  /** By block: what goes with it, as it is the last one of what is dropped. */
  #freed(): readonly number[] {
    const blocks = (this.entries.at(-1)?.block ?? -1) + 1;
    const freed = Array.from({ length: blocks }, () => 0);
    for (const unit of this.#units) if (isFinal(unit)) freed[unit.lastBlock]! += unit.bytes;
    return freed;
  }
}

/** Of sessions the start is the identity, whatever their length. */
function nameOfUnit(
  { window }: KeyState,
  { start, resolution }: { readonly start: number; readonly resolution: number },
): string {
  return window.sizeMs === 0 ? `${start}` : `${start}/${resolution}`;
}

// ---- gaps ----

type Missing = { start: Millis; end: Millis; records: number; readings: number; last: number };

class Gaps {
  readonly #lane: OutputQueue;
  /** By agent and pipeline. */
  readonly #missing = new Map<string, { readonly names: readonly [string, string] } & Missing>();
  readonly #dropped = new Map<string, { records: number; readings: number }>();

  constructor(lane: OutputQueue) {
    this.#lane = lane;
  }

  /** What went, but for gaps. */
  get dropped(): Dropped {
    return this.#dropped;
  }

  get records(): readonly Uint8Array[] {
    return [...this.#missing.values()].map(({ names: [agent, pipeline], ...missing }) => {
      const gap: Gap = { kind: "gap", pipeline, lane: this.#lane, ...missing };
      return encodeGap(agent, gap);
    });
  }

  add(bytes: Uint8Array, number: number): void {
    const { agent, record } = decodeRecord(bytes, "a record of the outbox");
    assert(record.kind !== "complete", "no gap stands for a marker");
    assert(record.kind !== "raw" && record.kind !== "manifest", "raw readings are never dropped");
    const { pipeline } = record;
    const isAlert = record.kind === "alert";
    const [start, end] = isAlert ? [record.time, record.time] : [record.start, record.end];
    const records = record.kind === "gap" ? record.records : 1;
    const readings =
      record.kind === "gap" ? record.readings : record.kind === "summary" ? record.count : 0;
    const name = `${agent}\n${pipeline}`;
    const known = this.#missing.get(name);
    this.#missing.set(name, {
      names: [agent, pipeline],
      start: millis(Math.min(known?.start ?? start, start)),
      end: millis(Math.max(known?.end ?? end, end)),
      records: (known?.records ?? 0) + records,
      readings: (known?.readings ?? 0) + readings,
      last: Math.max(known?.last ?? 0, record.kind === "gap" ? record.last : number),
    });
    if (record.kind === "gap") return;
    const dropped = this.#dropped.get(pipeline) ?? { records: 0, readings: 0 };
    this.#dropped.set(pipeline, {
      records: dropped.records + records,
      readings: dropped.readings + readings,
    });
  }
}
