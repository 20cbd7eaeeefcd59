/**
 * Session windows: the readings of a key between silences. A session is [first, last + gap); a
 * reading less than a gap away from one joins it, and a reading between two joins them.
 *
 *   gap 10     readings   3   9        22                        sessions [3, 19) [22, 32)
 *   then 14 arrives       3   9   14   22                        one session [3, 32)
 *
 *   open     the watermark of the key has not passed its end; emitted when it does
 *   closed   kept for the allowed lateness; a late reading marks it for a correction
 *   maxMs    a session never spans more: what would stretch it further begins another. Two such
 *            neighbours may lie less than a gap apart, or overlap by less than one.
 *
 * The start is the identity of a session upstream. When a late reading changes the start of a
 * session that was emitted, the old one is withdrawn at once (its next revision, with count 0) and
 * the session is emitted anew. Readings of a withdrawn revision are open again in the ledger.
 *
 * Watermarks are cut down to quanta of at most a second. When a key has limits.sessionsPerKeyMax
 * live sessions, a new one forces the oldest out. A session that left, forced or after its lateness,
 * is never begun again: what is older than its end is late, unless a live session holds its time.
 */

import { assert } from "../../core/assert.ts";
import { KIND_ARRIVAL_TIME, KIND_SYMBOL } from "../../core/batch.ts";
import { limits } from "../../core/limits.ts";
import { type DeviceId, type Millis, millis, type Position, position } from "../../core/units.ts";
import { KeyWatermarks } from "../key-watermark.ts";
import type { Emitter, Operator, Step } from "../operator.ts";
import {
  COUNT_CLOSED,
  COUNT_CORRECTIONS,
  COUNT_FILTERED,
  COUNT_FORCED,
  COUNT_LATE,
  COUNT_OPEN,
  COUNT_REFUSED,
  COUNT_WINDOWS,
  FILTERED,
  type OperatorOptions,
  UNKNOWN,
} from "../operator-options.ts";
import type { WindowPipelineSpec } from "../spec.ts";
import { StateTable } from "../state-table.ts";
import { addReading, fieldsOf, mergeSlot } from "./aggregate.ts";
import { CorrectionQueue } from "./correction-queue.ts";
import { LiveSessions, NONE } from "./live-sessions.ts";

const QUANTUM_MS_MAX = 1_000;

/** One pipeline of session windows. */
export function createSessionWindows(options: OperatorOptions<WindowPipelineSpec>): Operator {
  return new SessionWindows(options);
}

class SessionWindows implements Operator {
  readonly pipeline: string;
  readonly tables: readonly StateTable[];
  readonly #options: OperatorOptions<WindowPipelineSpec>;
  readonly #gapMs: number;
  readonly #maxMs: number;
  readonly #quantumMs: number;
  readonly #group: KeyWatermarks;
  readonly #sessions: LiveSessions;
  readonly #corrections: CorrectionQueue;
  readonly #clock = new Float64Array(1);
  readonly #clockTable: StateTable;
  /** By key. */
  readonly #keys: StateTable;
  readonly #started: Uint8Array;
  /** How far the key has closed, in quanta. */
  readonly #closedThrough: Float64Array;
  /** Slot of the session with the greatest start, plus one; 0 when it must be looked for. Derived. */
  readonly #newest: Uint32Array;
  /** 1 where a session has left; before `floor`, the greatest end of those, none begins. */
  readonly #hasFloor: Uint8Array;
  readonly #floor: Float64Array;
  /** Nothing of the key closes or leaves before this watermark. Derived: -Infinity costs a look. */
  readonly #dueAt: Float64Array;

  constructor(options: OperatorOptions<WindowPipelineSpec>) {
    const { spec, pipeline, dataflow } = options;
    const { keysMax } = dataflow;
    assert(spec.window.kind === "session", "a session operator has a session window");
    const { gapMs, maxMs } = spec.window;
    assert(gapMs > 0 && maxMs >= gapMs, "a session may last at least its gap");
    this.pipeline = pipeline;
    this.#options = options;
    this.#gapMs = gapMs;
    this.#maxMs = maxMs;
    this.#quantumMs = Math.min(gapMs, QUANTUM_MS_MAX);
    this.#group = new KeyWatermarks({ ...dataflow, bucketMs: this.#quantumMs });
    this.#sessions = new LiveSessions(pipeline, { keysMax, aggregate: spec.aggregate });
    this.#corrections = new CorrectionQueue(pipeline, limits.correctionsMax);
    this.#started = new Uint8Array(keysMax);
    this.#closedThrough = new Float64Array(keysMax);
    this.#newest = new Uint32Array(keysMax);
    this.#hasFloor = new Uint8Array(keysMax);
    this.#floor = new Float64Array(keysMax);
    this.#dueAt = new Float64Array(keysMax);
    this.#clockTable = new StateTable({
      name: `${pipeline}/clock`,
      version: 1,
      rowsMax: 1,
      rowsPerChunk: 1,
      columns: [{ cells: this.#clock, stride: 1 }],
    });
    this.#keys = new StateTable({
      name: `${pipeline}/ends`,
      version: 1,
      rowsMax: keysMax,
      rowsPerChunk: 256,
      columns: [
        { cells: this.#started, stride: 1 },
        { cells: this.#closedThrough, stride: 1 },
        { cells: this.#hasFloor, stride: 1 },
        { cells: this.#floor, stride: 1 },
      ],
    });
    this.tables = [
      this.#clockTable,
      this.#keys,
      ...this.#sessions.tables,
      ...this.#corrections.tables,
    ];
  }

  apply(step: Step, emitter: Emitter): void {
    const { rows, counts } = this.#options;
    const { batch, accepted, acceptedCount, device, watermark } = step;
    const group = this.#group;
    const { aggregates } = this.#sessions;
    let filtered = 0;
    let refused = 0;
    let late = 0;
    let opened = 0;
    for (let i = 0; i < acceptedCount; i++) {
      const row = accepted[i]!;
      const series = batch.series[row]!;
      let key = rows.peek(series);
      if (key === UNKNOWN) {
        key = this.#introduce(series, device[row]!, position(step.at + row), emitter);
      }
      if (group.mustMove(device[row]!, watermark[row]!)) {
        group.move(device[row]!, watermark[row]!);
        this.#closeMoved(position(step.at + row), emitter);
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
      let slot = this.#newestFor(key, time);
      if (slot === NONE) slot = this.#place(key, time, position(step.at + row), emitter);
      if (slot === NONE) {
        late++;
        continue;
      }
      addReading(aggregates, slot, value, time, (kind & KIND_ARRIVAL_TIME) === 0 ? 0 : 1);
      this.#sessions.touch(slot);
      opened++;
    }
    counts[COUNT_FILTERED]! += filtered;
    counts[COUNT_REFUSED]! += refused;
    counts[COUNT_LATE]! += late;
    counts[COUNT_OPEN]! += opened;
  }

  tick(at: Position, clock: Millis, emitter: Emitter): void {
    this.#clock[0] = clock;
    this.#clockTable.touch(0);
    while (this.#corrections.deadline <= clock) this.#correctHead(at, emitter);
  }

  deviceIdle(at: Position, device: DeviceId, emitter: Emitter): void {
    this.#group.leave(device);
    this.#closeMoved(at, emitter);
  }

  wakeAt(): number {
    return this.#corrections.deadline;
  }

  drain(at: Position, emitter: Emitter): void {
    while (this.#corrections.length > 0) this.#correctHead(at, emitter);
    for (let key = 0; key < this.#options.rows.keyCount; key++) {
      if (this.#started[key] === 1) this.#close(key, Number.POSITIVE_INFINITY, at, emitter);
    }
  }

  restore(): void {
    const { catalog, rows, devices } = this.#options;
    this.#group.restore(catalog, rows, devices);
    this.#newest.fill(0, 0, rows.keyCount);
    this.#dueAt.fill(Number.NEGATIVE_INFINITY, 0, rows.keyCount);
  }

  /** The first row of a series: its device becomes a member of its key. */
  #introduce(series: number, device: number, at: Position, emitter: Emitter): number {
    const key = this.#options.rows.keyOf(series);
    if (key < 0) return key;
    this.#group.join(device, key);
    // Where all other members are idle, the key is where the device is.
    if (this.#started[key] === 1) this.#close(key, this.#group.bucketOf(key), at, emitter);
    return key;
  }

  // --- placing a reading ------------------------------------------------------------------------

  /** The newest session, if it is open and the reading falls into it or after it; else NONE. */
  #newestFor(key: number, time: number): number {
    const slot = this.#newest[key]! - 1;
    if (slot < 0 || this.#sessions.open[slot] === 0) return NONE;
    if (time < this.#sessions.start[slot]! || time >= this.#endOf(slot)) return NONE;
    if (time > this.#sessions.last[slot]!) this.#sessions.last[slot] = time;
    return slot;
  }

  /** The session for a reading, found, joined or begun; NONE when the reading is late. */
  #place(key: number, time: number, at: Position, emitter: Emitter): number {
    const { listed, start } = this.#sessions;
    const listedCount = this.#sessions.list(key);
    let slot = this.#home(key, time, listedCount);
    if (slot === NONE) {
      slot = this.#isBelowFloor(key, time) ? NONE : this.#begin(key, time, at, emitter);
    } else {
      this.#stretch(key, slot, time, at, emitter);
      for (let i = listedCount - 1; i >= 0; i--) {
        const other = listed[i]!;
        if (other === slot || !this.#touches(other, time) || !this.#fits(other, slot, time))
          continue;
        const [earlier, later] = start[other]! < start[slot]! ? [other, slot] : [slot, other];
        this.#join(key, earlier, later, at, emitter);
        slot = earlier;
      }
      this.#reopen(key, slot, at, emitter);
    }
    this.#findNewest(key);
    return slot;
  }

  /**
   * The listed session the reading belongs to: the newest that begins by then, else the first that
   * begins less than a gap later and may begin earlier. So no two sessions have the same start.
   */
  #home(key: number, time: number, listedCount: number): number {
    const { listed, start } = this.#sessions;
    let home = NONE;
    for (let i = listedCount - 1; i >= 0; i--) {
      const slot = listed[i]!;
      if (!this.#touches(slot, time)) continue;
      home = slot;
      if (start[slot]! <= time) return slot;
    }
    if (home === NONE || !this.#fits(home, home, time) || this.#isBelowFloor(key, time))
      return NONE;
    return home;
  }

  #isBelowFloor(key: number, time: number): boolean {
    return this.#hasFloor[key] === 1 && time < this.#floor[key]!;
  }

  /** Remembers the newest session if no other reaches into it, so that `newestFor` may answer alone. */
  #findNewest(key: number): void {
    this.#newest[key] = 0;
    const { listed, start } = this.#sessions;
    const listedCount = this.#sessions.list(key);
    if (listedCount === 0) return;
    const newest = listed[listedCount - 1]!;
    for (let i = 0; i < listedCount - 1; i++) {
      if (this.#endOf(listed[i]!) > start[newest]!) return;
    }
    this.#newest[key] = newest + 1;
  }

  #touches(slot: number, time: number): boolean {
    return time < this.#endOf(slot) && time + this.#gapMs > this.#sessions.start[slot]!;
  }

  /** Whether two sessions (or one, given twice) and the reading span less than maxMs. */
  #fits(a: number, b: number, time: number): boolean {
    const { start, last } = this.#sessions;
    const first = Math.min(start[a]!, start[b]!, time);
    return Math.max(last[a]!, last[b]!, time) - first < this.#maxMs;
  }

  /** The session begins or ends with the reading, if it did not hold its time yet. */
  #stretch(key: number, slot: number, time: number, at: Position, emitter: Emitter): void {
    const { start, last } = this.#sessions;
    if (time > last[slot]!) last[slot] = time;
    if (time >= start[slot]!) return;
    this.#withdraw(key, slot, at, emitter);
    start[slot] = time;
  }

  /** Joins `later` into `earlier`, which keeps its start and revisions. */
  #join(key: number, earlier: number, later: number, at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    this.#withdraw(key, later, at, emitter);
    sessions.last[earlier] = Math.max(sessions.last[earlier]!, sessions.last[later]!);
    mergeSlot(sessions.aggregates, earlier, sessions.aggregates, later);
    sessions.free(later);
    sessions.touch(earlier);
  }

  /** Settles whether a session that has grown is open; if it is closed, it waits for its correction. */
  #reopen(key: number, slot: number, at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    const watermark = this.#closedThrough[key]! * this.#quantumMs;
    sessions.touch(slot);
    this.#lookAt(key, this.#endOf(slot));
    if (this.#endOf(slot) > watermark) {
      sessions.open[slot] = 1;
      sessions.marked[slot] = 0;
      return;
    }
    sessions.open[slot] = 0;
    if (sessions.marked[slot] === 1) return;
    while (this.#corrections.isFull) this.#correctHead(at, emitter);
    sessions.marked[slot] = 1;
    sessions.due[slot] = this.#clock[0]! + limits.correctionWaitMs;
    this.#corrections.push(key, sessions.indexOf(slot), sessions.due[slot]!);
  }

  #begin(key: number, time: number, at: Position, emitter: Emitter): number {
    const sessions = this.#sessions;
    const isStarted = this.#started[key] === 1;
    const closed = isStarted ? this.#closedThrough[key]! : this.#group.bucketOf(key);
    if (time + this.#gapMs + this.#options.spec.allowedLatenessMs <= closed * this.#quantumMs) {
      return NONE;
    }
    let slot = sessions.take(key);
    if (slot === NONE) {
      sessions.list(key);
      const oldest = sessions.listed[0]!;
      if (time < sessions.start[oldest]!) return NONE;
      this.#force(key, oldest, at, emitter);
      if (this.#isBelowFloor(key, time)) return NONE;
      slot = sessions.take(key);
    }
    if (!isStarted) {
      this.#started[key] = 1;
      this.#closedThrough[key] = closed;
      this.#dueAt[key] = Number.POSITIVE_INFINITY;
      this.#keys.touch(key);
    }
    sessions.start[slot] = time;
    sessions.last[slot] = time;
    this.#reopen(key, slot, at, emitter);
    return slot;
  }

  /** Emits and frees a session before its time. */
  #force(key: number, slot: number, at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    if (sessions.open[slot] === 1) this.#options.counts[COUNT_FORCED]! += 1;
    if (sessions.open[slot] === 1 || sessions.marked[slot] === 1) {
      this.#emit(key, slot, at, emitter);
    }
    this.#leave(key, slot);
  }

  // --- closing ----------------------------------------------------------------------------------

  #closeMoved(at: Position, emitter: Emitter): void {
    const { moved, movedCount } = this.#group;
    for (let i = 0; i < movedCount; i++) {
      const key = moved[i]!;
      if (this.#started[key] === 1) this.#close(key, this.#group.bucketOf(key), at, emitter);
    }
  }

  /** Closes what ends by quantum `through`; Infinity closes every session, but no further. */
  #close(key: number, through: number, at: Position, emitter: Emitter): void {
    const bucket = through === Number.POSITIVE_INFINITY ? this.#endBucketOf(key) : through;
    if (bucket <= this.#closedThrough[key]!) return;
    this.#closedThrough[key] = bucket;
    this.#keys.touch(key);
    const watermark = bucket * this.#quantumMs;
    if (watermark < this.#dueAt[key]!) return;
    const sessions = this.#sessions;
    const { allowedLatenessMs } = this.#options.spec;
    const listedCount = sessions.list(key);
    this.#dueAt[key] = Number.POSITIVE_INFINITY;
    for (let i = 0; i < listedCount; i++) {
      const slot = sessions.listed[i]!;
      const end = this.#endOf(slot);
      if (end > watermark) {
        this.#lookAt(key, end);
        continue;
      }
      const isFinal = end + allowedLatenessMs <= watermark;
      if (sessions.open[slot] === 1 || (isFinal && sessions.marked[slot] === 1)) {
        this.#emit(key, slot, at, emitter);
      }
      if (isFinal) this.#leave(key, slot);
      else this.#lookAt(key, end + allowedLatenessMs);
    }
  }

  /** The first quantum at which every session of the key has ended. */
  #endBucketOf(key: number): number {
    let bucket = this.#closedThrough[key]!;
    const listedCount = this.#sessions.list(key);
    for (let i = 0; i < listedCount; i++) {
      const end = this.#endOf(this.#sessions.listed[i]!);
      bucket = Math.max(bucket, Math.ceil(end / this.#quantumMs));
    }
    return bucket;
  }

  #lookAt(key: number, watermark: number): void {
    if (watermark < this.#dueAt[key]!) this.#dueAt[key] = watermark;
  }

  /** The session is final: nothing begins before its end again. */
  #leave(key: number, slot: number): void {
    const end = this.#endOf(slot);
    this.#floor[key] = this.#hasFloor[key] === 1 ? Math.max(this.#floor[key]!, end) : end;
    this.#hasFloor[key] = 1;
    this.#keys.touch(key);
    this.#sessions.marked[slot] = 0;
    this.#sessions.free(slot);
    this.#newest[key] = 0;
  }

  #correctHead(at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    const { headKey, headTag, deadline } = this.#corrections;
    const slot = sessions.slotOf(headKey, headTag);
    this.#corrections.drop();
    // The session may have left or have grown open since, and another may have its slot.
    if (!sessions.isUsed(slot) || sessions.marked[slot] === 0) return;
    if (sessions.due[slot] === deadline) this.#emit(headKey, slot, at, emitter);
  }

  // --- emitting ---------------------------------------------------------------------------------

  #emit(key: number, slot: number, at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    const { counts } = this.#options;
    const count = sessions.aggregates.count[slot]!;
    const added = count - sessions.settled[slot]!;
    counts[COUNT_OPEN]! -= added;
    counts[COUNT_CLOSED]! += added;
    sessions.settled[slot] = count;
    sessions.open[slot] = 0;
    sessions.marked[slot] = 0;
    this.#summary(key, slot, count, at, emitter);
  }

  /** What was emitted under the session's start no longer holds; its readings are open again. */
  #withdraw(key: number, slot: number, at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    const { counts } = this.#options;
    if (sessions.revisions[slot] === 0) return;
    const settled = sessions.settled[slot]!;
    counts[COUNT_OPEN]! += settled;
    counts[COUNT_CLOSED]! -= settled;
    sessions.settled[slot] = 0;
    this.#summary(key, slot, 0, at, emitter);
    sessions.revisions[slot] = 0;
  }

  #summary(key: number, slot: number, count: number, at: Position, emitter: Emitter): void {
    const sessions = this.#sessions;
    const revision = sessions.revisions[slot]!;
    sessions.revisions[slot] = revision + 1;
    sessions.touch(slot);
    this.#options.counts[revision === 0 ? COUNT_WINDOWS : COUNT_CORRECTIONS]! += 1;
    emitter.summary(at, {
      kind: "summary",
      pipeline: this.pipeline,
      key: this.#options.rows.tagsOf(key),
      start: millis(sessions.start[slot]!),
      end: millis(this.#endOf(slot)),
      revision,
      count,
      fields: count === 0 ? {} : fieldsOf(sessions.aggregates, slot),
      arrivalTimed: count === 0 ? 0 : sessions.aggregates.arrivalTimed[slot]!,
    });
  }

  #endOf(slot: number): number {
    const { start, last } = this.#sessions;
    return Math.min(last[slot]! + this.#gapMs, start[slot]! + this.#maxMs);
  }
}
