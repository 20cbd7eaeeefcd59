/**
 * Tumbling and sliding windows by panes (Li et al., "No pane, no gain", SIGMOD Record 2005): time is
 * cut into panes, a reading is added to one pane, a window is assembled from its panes when it closes.
 * Tumbling is the case of one pane per window. All intervals align to UTC.
 *
 *   size 40, slide 20, pane 20        panes     | 0 | 1 | 2 | 3 |
 *                                     windows   [ 0   1 )
 *                                                   [ 1   2 )
 *                                                       [ 2   3 )
 *
 *   per key a ring of P panes         (newest - P, newest]
 *   closedThrough                     panes before it are closed: the key's watermark, in panes
 *   window [first, first + n)         closed once first + n <= closedThrough
 *                                     final  once its end + allowed lateness <= closedThrough, or
 *                                            its first pane has left the ring
 *
 * A reading is late when the last window that holds its pane is final. Else it is added, and each closed
 * window that holds it and is not final is emitted again as revision n + 1, gathered for
 * limits.correctionWaitMs, or until it is final: whoever has seen a window of a key that ends the allowed
 * lateness after another has seen the last revision of that other one. A reading ahead of the ring closes
 * the oldest windows before their time (`forced`): devices of a key too far apart cost earliness, never
 * memory.
 *
 * In the ledger a reading is open until the last window that holds it was emitted with it.
 */

import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../core/batch.ts";
import { type DeviceId, type Millis, millis, position } from "../../core/units.ts";
import type { Emitter, Operator, Step } from "../operator.ts";
import type { OperatorOptions } from "../operator-options.ts";
import {
  COUNT_CLOSED,
  COUNT_CORRECTIONS,
  COUNT_FILTERED,
  COUNT_FORCED,
  COUNT_LATE,
  COUNT_OPEN,
  COUNT_REFUSED,
  COUNT_SKETCHES_LOST,
  COUNT_WINDOWS,
} from "../pipeline-counts.ts";
import { FILTERED, UNKNOWN } from "../series-keys.ts";
import type { WindowPipelineSpec } from "../spec.ts";
import { StateTable } from "../state-table.ts";
import {
  addReading,
  type Aggregates,
  columnsOf,
  createAggregates,
  emptySlot,
  fieldsOf,
  lacksSketch,
  mergeSlot,
} from "./aggregate.ts";
import { Completeness } from "./completeness.ts";
import { ceilTo, floorTo, keysPerChunk, type PaneGeometry } from "./pane-geometry.ts";
import { WindowKeys } from "./window-keys.ts";

/** One pipeline of tumbling or sliding windows. `panes` says how, see `paneGeometryOf`. */
export function createPaneWindows(
  options: OperatorOptions<WindowPipelineSpec>,
  panes: PaneGeometry,
): Operator {
  return new PaneWindows(options, panes);
}

/** `place`: the reading is too late. */
const LATE = -1;

class PaneWindows implements Operator {
  readonly pipeline: string;
  readonly tables: readonly StateTable[];
  readonly #options: OperatorOptions<WindowPipelineSpec>;
  readonly #geometry: PaneGeometry;
  readonly #latenessMs: number;
  readonly #windowKeys: WindowKeys;
  /** By key. */
  readonly #ends: StateTable;
  readonly #newest: Float64Array;
  readonly #newestSlot: Uint16Array;
  /** By key and slot: a pane, and the window that begins with it. */
  readonly #ring: StateTable;
  readonly #panes: Aggregates;
  /** Readings of the pane that are counted as closed. */
  readonly #settled: Uint32Array;
  /** Revisions emitted of the window. */
  readonly #revisions: Uint32Array;
  /** 1 where the window waits for its correction. */
  readonly #marked: Uint8Array;
  readonly #completeness: Completeness | undefined;
  /** One slot in which a window of several panes is assembled. */
  readonly #assembly: Aggregates;

  constructor(options: OperatorOptions<WindowPipelineSpec>, geometry: PaneGeometry) {
    const { spec, pipeline, capacity } = options;
    const { keysMax } = capacity;
    const slotsMax = keysMax * geometry.ring;
    this.pipeline = pipeline;
    this.#options = options;
    this.#geometry = geometry;
    this.#latenessMs = spec.allowedLatenessMs;
    this.#windowKeys = new WindowKeys(options, {
      bucketMs: geometry.paneMs,
      close: (key, through, emitter) => this.#close(key, through, emitter),
      correct: ({ key, tag }, emitter) => this.#correct(key, tag, emitter),
    });
    const { started, closedThrough, clockTable, correctionTables } = this.#windowKeys;
    this.#newest = new Float64Array(keysMax);
    this.#newestSlot = new Uint16Array(keysMax);
    const table = `${pipeline}/sketches`;
    this.#panes = createAggregates(spec.aggregate, { slotsMax, table });
    this.#settled = new Uint32Array(slotsMax);
    this.#revisions = new Uint32Array(slotsMax);
    this.#marked = new Uint8Array(slotsMax);
    this.#assembly = createAggregates(spec.aggregate, { slotsMax: 1, table });
    this.#ends = new StateTable({
      name: `${pipeline}/ends`,
      version: 1,
      rowsMax: keysMax,
      rowsPerChunk: 256,
      columns: [
        { cells: started, stride: 1 },
        { cells: this.#newest, stride: 1 },
        { cells: this.#newestSlot, stride: 1 },
        { cells: closedThrough, stride: 1 },
      ],
    });
    this.#ring = new StateTable({
      name: `${pipeline}/panes-${geometry.ring}`,
      version: 1,
      rowsMax: keysMax,
      rowsPerChunk: keysPerChunk(geometry.ring),
      columns: [
        ...columnsOf(this.#panes, geometry.ring),
        { cells: this.#settled, stride: geometry.ring },
        { cells: this.#revisions, stride: geometry.ring },
        { cells: this.#marked, stride: geometry.ring },
      ],
    });
    // A reading is in one tumbling window, and in several sliding ones.
    this.#completeness = geometry.perWindow === 1 ? new Completeness(options) : undefined;
    const tables = [clockTable, this.#ends, this.#ring, ...correctionTables];
    if (this.#completeness !== undefined) tables.push(this.#completeness.table);
    if (this.#panes.sketches !== undefined) tables.push(this.#panes.sketches.table);
    this.tables = tables;
  }

  apply(step: Step, emitter: Emitter): void {
    const { keys, counts } = this.#options;
    const { batch, accepted, acceptedCount, device, watermark } = step;
    const { paneMs, ring } = this.#geometry;
    const windowKeys = this.#windowKeys;
    const { watermarks, started, closedThrough } = windowKeys;
    const panes = this.#panes;
    let filtered = 0;
    let refused = 0;
    let late = 0;
    let opened = 0;
    for (let i = 0; i < acceptedCount; i++) {
      const row = accepted[i]!;
      emitter.at = position(step.at + row);
      const series = batch.series[row]!;
      let key = keys.peek(series);
      if (key === UNKNOWN) {
        key = windowKeys.introduce(series, device[row]!, emitter);
      }
      if (watermarks.mustMove(device[row]!, watermark[row]!)) {
        watermarks.move(device[row]!, watermark[row]!);
        windowKeys.closeMoved(emitter);
      }
      const value = batch.value[row]!;
      const kind = batch.kind[row]!;
      if (key < 0) {
        if (key === FILTERED) filtered++;
        else refused++;
        continue;
      }
      if ((kind & KIND_SYMBOL) !== 0 || !Number.isFinite(value)) {
        filtered++;
        continue;
      }
      const time = batch.time[row]!;
      const pane = Math.floor(time / paneMs);
      let slot = key * ring + this.#newestSlot[key]!;
      if (pane !== this.#newest[key]! || pane < closedThrough[key]! || started[key] === 0) {
        slot = this.#place(key, pane, emitter);
        if (slot === LATE) {
          late++;
          continue;
        }
      }
      addReading(panes, slot, value, time, (kind & KIND_ARRIVAL_TIME) === 0 ? 0 : 1);
      this.#ring.touch(key);
      opened++;
    }
    counts[COUNT_FILTERED]! += filtered;
    counts[COUNT_REFUSED]! += refused;
    counts[COUNT_LATE]! += late;
    counts[COUNT_OPEN]! += opened;
  }

  tick(clock: Millis, emitter: Emitter): void {
    this.#windowKeys.tick(clock, emitter);
  }

  deviceIdle(device: DeviceId, emitter: Emitter): void {
    this.#windowKeys.deviceIdle(device, emitter);
  }

  wakeAt(): number {
    return this.#windowKeys.wakeAt();
  }

  drain(emitter: Emitter): void {
    this.#windowKeys.drain(emitter);
    this.#completeness?.drain(this.#windowKeys, { bucketMs: this.#geometry.paneMs, emitter });
  }

  /** The ring moves on by itself as a whole: every window is closed, and what is older is late. */
  erase({ keys }: { readonly keys: readonly number[] }, emitter: Emitter): void {
    for (const key of keys) {
      if (this.#windowKeys.started[key] === 0) continue;
      this.#advance(key, this.#newest[key]! + this.#geometry.ring, emitter);
      this.#ring.clear(key);
    }
  }

  /**
   * The ring moves on until its oldest pane is the first that is still ours, so that what is older is late;
   * markers count from there. Tumbling windows only.
   */
  concede(key: number, through: number): void {
    const { ring, paneMs, perWindow } = this.#geometry;
    const { started, closedThrough } = this.#windowKeys;
    if (perWindow !== 1) return;
    const first = Math.ceil(through / paneMs);
    // It has had no reading that was in time.
    if (started[key] === 0) this.#start(key, first + ring - 1, this.#windowKeys.closedOf(key));
    const newest = this.#newest[key]!;
    let moved = 0;
    for (let pane = newest - ring + 1; pane < Math.min(first, newest + 1); pane++) {
      const slot = this.#slotOf(key, pane);
      moved += this.#panes.count[slot]! - this.#settled[slot]!;
      this.#clear(slot);
    }
    this.#options.counts[COUNT_OPEN]! -= moved;
    this.#options.counts[COUNT_LATE]! += moved;
    closedThrough[key] = Math.max(closedThrough[key]!, first);
    if (first + ring - 1 > newest) this.#turn(key, first + ring - 1);
    const oldest = this.#newest[key]! - ring + 1;
    const counted = this.#settledFrom(key, oldest);
    this.#completeness?.beginLate(key, { from: oldest * paneMs, counted });
    this.#ring.touch(key);
    this.#ends.touch(key);
  }

  restore(): void {
    this.#windowKeys.restore();
    const { ring, paneMs } = this.#geometry;
    for (let key = 0; key < this.#options.keys.keyCount; key++) {
      if (this.#windowKeys.started[key] === 0 || this.#completeness?.isCounted(key) !== false)
        continue;
      const oldest = this.#newest[key]! - ring + 1;
      const counted = this.#settledFrom(key, oldest);
      this.#completeness.beginLate(key, { from: oldest * paneMs, counted });
    }
  }

  /** The slot of the pane for a reading of it, or LATE. The slow path: any pane but the newest. */
  #place(key: number, pane: number, emitter: Emitter): number {
    const isStarted = this.#windowKeys.started[key] === 1;
    const closed = this.#windowKeys.closedOf(key);
    if (pane < closed) {
      const first = floorTo(pane, this.#geometry.perSlide);
      if (this.#isFinal(first, closed)) return LATE;
      if (isStarted && first <= this.#newest[key]! - this.#geometry.ring) return LATE;
    }
    if (!isStarted) this.#start(key, pane, closed);
    else if (pane > this.#newest[key]!) this.#advance(key, pane, emitter);
    else if (floorTo(pane, this.#geometry.perSlide) <= this.#newest[key]! - this.#geometry.ring) {
      return LATE;
    }
    if (pane < closed) this.#markClosed(key, pane, emitter);
    return this.#slotOf(key, pane);
  }

  #start(key: number, pane: number, closed: number): void {
    this.#windowKeys.started[key] = 1;
    this.#windowKeys.closedThrough[key] = closed;
    this.#newest[key] = pane;
    this.#ends.touch(key);
    this.#completeness?.begin(key, pane * this.#geometry.paneMs);
  }

  /** Makes `pane` the newest: what leaves the ring is closed first. O(panes passed), at most the ring. */
  #advance(key: number, pane: number, emitter: Emitter): void {
    const { ring, perWindow, perSlide } = this.#geometry;
    const newest = this.#newest[key]!;
    const leaving = Math.min(pane - ring, newest);
    if (leaving > newest - ring) {
      const last = floorTo(leaving, perSlide);
      const forced = this.#close(key, last + perWindow, emitter);
      this.#options.counts[COUNT_FORCED]! += forced;
      for (let first = ceilTo(newest - ring + 1, perSlide); first <= last; first += perSlide) {
        if (this.#marked[this.#slotOf(key, first)] === 1) this.#emit(key, first, emitter);
      }
    }
    this.#turn(key, pane);
  }

  /** What leaves the ring with it was emitted. */
  #turn(key: number, pane: number): void {
    const { ring } = this.#geometry;
    const passed = Math.min(pane - this.#newest[key]!, ring);
    let slot = this.#newestSlot[key]!;
    for (let i = 0; i < passed; i++) {
      slot = slot + 1 === ring ? 0 : slot + 1;
      this.#clear(key * ring + slot);
    }
    this.#newestSlot[key] = slot;
    this.#newest[key] = pane;
    this.#ends.touch(key);
    this.#ring.touch(key);
  }

  #clear(slot: number): void {
    emptySlot(this.#panes, slot);
    this.#settled[slot] = 0;
    this.#revisions[slot] = 0;
    this.#marked[slot] = 0;
  }

  /** Closes what ends at or before pane `through`; Infinity closes all that holds a reading. The number of windows emitted. */
  #close(key: number, through: number, emitter: Emitter): number {
    const { ring, perWindow, perSlide } = this.#geometry;
    const { closedThrough } = this.#windowKeys;
    const before = closedThrough[key]!;
    if (through <= before) return 0;
    this.#correctFinal(key, through, emitter);
    const newest = this.#newest[key]!;
    const end = Math.min(through, floorTo(newest, perSlide) + perWindow);
    let emitted = 0;
    if (end > before) {
      const from = Math.max(before + 1 - perWindow, newest - ring + 1);
      for (let first = ceilTo(from, perSlide); first + perWindow <= end; first += perSlide) {
        emitted += this.#emit(key, first, emitter);
      }
    }
    closedThrough[key] = through === Number.POSITIVE_INFINITY ? Math.max(before, end) : through;
    this.#ends.touch(key);
    if (this.#panes.sketches !== undefined) this.#forgetSketches(key, before);
    this.#tell(key, emitter);
    return emitted;
  }

  /**
   * Panes that no window will be emitted of again need their sketches no more, and others the room: those
   * whose last window has become final since `before`. O(panes passed), at most the ring.
   */
  #forgetSketches(key: number, before: number): void {
    const { ring, perWindow, perSlide, paneMs } = this.#geometry;
    const closed = this.#windowKeys.closedThrough[key]!;
    const newest = this.#newest[key]!;
    const held = perWindow + perSlide + Math.ceil(this.#latenessMs / paneMs);
    for (let pane = Math.max(before - held, newest - ring + 1); pane <= newest; pane++) {
      if (!this.#isFinal(floorTo(pane, perSlide), closed)) break;
      this.#panes.sketches?.empty(this.#slotOf(key, pane));
      this.#ring.touch(key);
    }
  }

  /** A marker, where one is due: what has left the ring, or the allowed lateness behind, is final. */
  #tell(key: number, emitter: Emitter): void {
    const { ring, paneMs } = this.#geometry;
    const closed = this.#windowKeys.closedThrough[key]!;
    const oldest = this.#newest[key]! - ring + 1;
    const past = Math.floor(closed - this.#latenessMs / paneMs);
    const through = Math.max(past, Math.min(closed, oldest));
    if (this.#completeness?.isDue(key, through * paneMs) !== true) return;
    const later = this.#settledFrom(key, Math.max(through, oldest));
    this.#completeness.tell(key, { through: through * paneMs, later }, emitter);
  }

  /** Readings that are counted as closed in the panes of the ring from `pane` on. */
  #settledFrom(key: number, pane: number): number {
    let settled = 0;
    for (let of = pane; of <= this.#newest[key]!; of++) {
      settled += this.#settled[this.#slotOf(key, of)]!;
    }
    return settled;
  }

  /** Corrections of what is final by pane `through`, before what closes with it. O(panes passed). */
  #correctFinal(key: number, through: number, emitter: Emitter): void {
    const { ring, perWindow, perSlide, paneMs } = this.#geometry;
    const before = this.#windowKeys.closedThrough[key]!;
    const newest = this.#newest[key]!;
    const lateness = this.#latenessMs / paneMs + perWindow;
    const from = Math.max(Math.floor(before - lateness), newest - ring) + 1;
    const end = Math.min(through - lateness, before - perWindow, newest);
    for (let first = ceilTo(from, perSlide); first <= end; first += perSlide) {
      if (this.#marked[this.#slotOf(key, first)] === 1) this.#emit(key, first, emitter);
    }
  }

  #correct(key: number, first: number, emitter: Emitter): void {
    // A window that left the ring was emitted then, and its slot belongs to another.
    if (first <= this.#newest[key]! - this.#geometry.ring) return;
    if (this.#marked[this.#slotOf(key, first)] === 1) this.#emit(key, first, emitter);
  }

  /** Marks the closed windows that hold the pane and are not final. O(panes per window). */
  #markClosed(key: number, pane: number, emitter: Emitter): void {
    const { ring, perWindow, perSlide } = this.#geometry;
    const closed = this.#windowKeys.closedThrough[key]!;
    const from = Math.max(pane - perWindow + 1, this.#newest[key]! - ring + 1);
    for (let first = ceilTo(from, perSlide); first <= pane; first += perSlide) {
      if (first + perWindow > closed) return;
      if (this.#isFinal(first, closed)) continue;
      if (this.#marked[this.#slotOf(key, first)] === 1) continue;
      this.#windowKeys.gather(key, first, emitter);
      this.#marked[this.#slotOf(key, first)] = 1;
    }
  }

  /** Emits the window that begins with pane `first`, if it holds readings; 1 if it did, else 0. */
  #emit(key: number, first: number, emitter: Emitter): number {
    const { paneMs, perWindow } = this.#geometry;
    const { counts, keys } = this.#options;
    const head = this.#slotOf(key, first);
    this.#settle(key, first);
    this.#marked[head] = 0;
    this.#ring.touch(key);
    const from = perWindow === 1 ? this.#panes : this.#assembly;
    const slot = perWindow === 1 ? head : this.#assemble(key, first);
    const count = from.count[slot]!;
    if (count === 0) return 0;
    const revision = this.#revisions[head]!;
    this.#revisions[head] = revision + 1;
    counts[revision === 0 ? COUNT_WINDOWS : COUNT_CORRECTIONS]! += 1;
    if (lacksSketch(from, slot)) counts[COUNT_SKETCHES_LOST]! += 1;
    // Adding 0 makes a start of -0 plain 0.
    emitter.summary({
      kind: "summary",
      pipeline: this.pipeline,
      key: keys.tagsOf(key),
      start: millis(first * paneMs + 0),
      end: millis((first + perWindow) * paneMs + 0),
      revision,
      count,
      fields: fieldsOf(from, slot),
      arrivalTimed: from.arrivalTimed[slot]!,
    });
    return 1;
  }

  #assemble(key: number, first: number): number {
    const last = Math.min(first + this.#geometry.perWindow - 1, this.#newest[key]!);
    emptySlot(this.#assembly, 0);
    this.#assembly.arrivalTimed[0] = 0;
    for (let pane = first; pane <= last; pane++) {
      mergeSlot(this.#assembly, 0, this.#panes, this.#slotOf(key, pane));
    }
    return 0;
  }

  /** The panes whose last window this is: their readings are closed now. */
  #settle(key: number, first: number): void {
    const last = Math.min(first + this.#geometry.perSlide - 1, this.#newest[key]!);
    let moved = 0;
    for (let pane = first; pane <= last; pane++) {
      const slot = this.#slotOf(key, pane);
      moved += this.#panes.count[slot]! - this.#settled[slot]!;
      this.#settled[slot] = this.#panes.count[slot]!;
    }
    this.#options.counts[COUNT_OPEN]! -= moved;
    this.#options.counts[COUNT_CLOSED]! += moved;
    this.#completeness?.add(key, moved);
  }

  #isFinal(first: number, closed: number): boolean {
    const { paneMs, perWindow } = this.#geometry;
    return (first + perWindow - closed) * paneMs + this.#latenessMs <= 0;
  }

  /** Only for panes in the ring. */
  #slotOf(key: number, pane: number): number {
    const { ring } = this.#geometry;
    const offset = this.#newestSlot[key]! - (this.#newest[key]! - pane);
    return key * ring + (offset < 0 ? offset + ring : offset);
  }
}
