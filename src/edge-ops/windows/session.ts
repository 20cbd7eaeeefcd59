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
 * Watermarks are cut down to quanta of at most a second. When a key has limits.sessionsPerKeyMax live
 * sessions, a new one forces the oldest out. A session that left, forced or after its lateness, is not
 * begun again: what is older than its end is late, unless a live one holds its time.
 */

import { assert } from "../../core/assert.ts";
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
import { addReading, fieldsOf, lacksSketch, mergeSlot } from "./aggregate.ts";
import { Completeness } from "./completeness.ts";
import { LiveSessions, NONE } from "./live-sessions.ts";
import { type Correction, WindowKeys } from "./window-keys.ts";

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
  readonly #windowKeys: WindowKeys;
  readonly #sessions: LiveSessions;
  readonly #completeness: Completeness;
  /** By key. */
  readonly #ends: StateTable;
  /** Slot of the session with the greatest start, plus one; 0 when it must be looked for. Derived. */
  readonly #newest: Uint32Array;
  /** 1 where a session has left; before `floor`, the greatest end of those, none begins. */
  readonly #hasFloor: Uint8Array;
  readonly #floor: Float64Array;
  /** Nothing of the key closes or leaves before this watermark. Derived: -Infinity costs a look. */
  readonly #dueAt: Float64Array;

  constructor(options: OperatorOptions<WindowPipelineSpec>) {
    const { spec, pipeline, capacity } = options;
    const { keysMax } = capacity;
    assert(spec.window.kind === "session", "a session operator has a session window");
    const { gapMs, maxMs } = spec.window;
    assert(gapMs > 0 && maxMs >= gapMs, "a session may last at least its gap");
    this.pipeline = pipeline;
    this.#options = options;
    this.#gapMs = gapMs;
    this.#maxMs = maxMs;
    this.#quantumMs = Math.min(gapMs, QUANTUM_MS_MAX);
    this.#windowKeys = new WindowKeys(options, {
      bucketMs: this.#quantumMs,
      close: (key, through, emitter) => this.#close(key, through, emitter),
      correct: (correction, emitter) => this.#correct(correction, emitter),
    });
    const { started, closedThrough, clockTable, correctionTables } = this.#windowKeys;
    this.#sessions = new LiveSessions(pipeline, { keysMax, aggregate: spec.aggregate });
    this.#newest = new Uint32Array(keysMax);
    this.#hasFloor = new Uint8Array(keysMax);
    this.#floor = new Float64Array(keysMax);
    this.#dueAt = new Float64Array(keysMax);
    this.#ends = new StateTable({
      name: `${pipeline}/ends`,
      version: 1,
      rowsMax: keysMax,
      rowsPerChunk: 256,
      columns: [
        { cells: started, stride: 1 },
        { cells: closedThrough, stride: 1 },
        { cells: this.#hasFloor, stride: 1 },
        { cells: this.#floor, stride: 1 },
      ],
    });
    this.#completeness = new Completeness(options);
    const { table } = this.#completeness;
    this.tables = [clockTable, this.#ends, ...this.#sessions.tables, ...correctionTables, table];
  }

  apply(step: Step, emitter: Emitter): void {
    const { keys, counts } = this.#options;
    const { batch, accepted, acceptedCount, device, watermark } = step;
    const windowKeys = this.#windowKeys;
    const { watermarks } = windowKeys;
    const { aggregates } = this.#sessions;
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
      let slot = this.#newestFor(key, time);
      if (slot === NONE) slot = this.#place(key, time, emitter);
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
    this.#completeness.drain(this.#windowKeys, { bucketMs: this.#quantumMs, emitter });
  }

  /** Every session leaves, so what is older than their ends is late. */
  erase({ keys }: { readonly keys: readonly number[] }, emitter: Emitter): void {
    const sessions = this.#sessions;
    for (const key of keys) {
      // A copy: forcing one out lists the others anew.
      const slots = [...sessions.listed.subarray(0, sessions.list(key))];
      for (const slot of slots) this.#force(key, slot, emitter);
      sessions.clear(key);
    }
  }

  restore(): void {
    this.#windowKeys.restore();
    const { keyCount } = this.#options.keys;
    this.#newest.fill(0, 0, keyCount);
    this.#dueAt.fill(Number.NEGATIVE_INFINITY, 0, keyCount);
    const { started } = this.#windowKeys;
    for (let key = 0; key < keyCount; key++) if (started[key] === 1) this.#countLate(key);
  }

  /** Sessions that left were not counted: none of those that are live may end before they did. */
  #countLate(key: number): void {
    if (this.#completeness.isCounted(key)) return;
    const counted = this.#sessions.settledOf(key);
    if (counted === undefined) return;
    if (this.#hasFloor[key] === 0) {
      this.#completeness.begin(key, this.#windowKeys.closedThrough[key]! * this.#quantumMs);
      this.#completeness.add(key, counted);
      return;
    }
    const from = this.#floor[key]!;
    const listed = this.#sessions.listed.subarray(0, this.#sessions.list(key));
    if (listed.every((slot) => this.#endOf(slot) > from)) {
      this.#completeness.beginLate(key, { from, counted });
    }
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
  #place(key: number, time: number, emitter: Emitter): number {
    const { listed, start } = this.#sessions;
    const listedCount = this.#sessions.list(key);
    let slot = this.#home(key, time, listedCount);
    if (slot === NONE) {
      slot = this.#isBelowFloor(key, time) ? NONE : this.#begin(key, time, emitter);
    } else {
      this.#stretch(key, slot, time, emitter);
      for (let i = listedCount - 1; i >= 0; i--) {
        const other = listed[i]!;
        if (other === slot || !this.#touches(other, time) || !this.#fits(other, slot, time))
          continue;
        const [earlier, later] = start[other]! < start[slot]! ? [other, slot] : [slot, other];
        this.#join(key, earlier, later, emitter);
        slot = earlier;
      }
      this.#reopen(key, slot, emitter);
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
  #stretch(key: number, slot: number, time: number, emitter: Emitter): void {
    const { start, last } = this.#sessions;
    if (time > last[slot]!) last[slot] = time;
    if (time >= start[slot]!) return;
    this.#withdraw(key, slot, emitter);
    start[slot] = time;
  }

  /** Joins `later` into `earlier`, which keeps its start and revisions. */
  #join(key: number, earlier: number, later: number, emitter: Emitter): void {
    const sessions = this.#sessions;
    this.#withdraw(key, later, emitter);
    sessions.last[earlier] = Math.max(sessions.last[earlier]!, sessions.last[later]!);
    mergeSlot(sessions.aggregates, earlier, sessions.aggregates, later);
    sessions.free(later);
    sessions.touch(earlier);
  }

  /** Settles whether a session that has grown is open; if it is closed, it waits for its correction. */
  #reopen(key: number, slot: number, emitter: Emitter): void {
    const sessions = this.#sessions;
    const watermark = this.#windowKeys.closedThrough[key]! * this.#quantumMs;
    sessions.touch(slot);
    this.#lookAt(key, this.#endOf(slot));
    if (this.#endOf(slot) > watermark) {
      sessions.open[slot] = 1;
      sessions.marked[slot] = 0;
      return;
    }
    sessions.open[slot] = 0;
    if (sessions.marked[slot] === 1) return;
    sessions.due[slot] = this.#windowKeys.gather(key, sessions.indexOf(slot), emitter);
    sessions.marked[slot] = 1;
  }

  #begin(key: number, time: number, emitter: Emitter): number {
    const sessions = this.#sessions;
    const { started, closedThrough } = this.#windowKeys;
    const closed = this.#windowKeys.closedOf(key);
    if (time + this.#gapMs + this.#options.spec.allowedLatenessMs <= closed * this.#quantumMs) {
      return NONE;
    }
    let slot = sessions.take(key);
    if (slot === NONE) {
      sessions.list(key);
      const oldest = sessions.listed[0]!;
      if (time < sessions.start[oldest]!) return NONE;
      this.#force(key, oldest, emitter);
      if (this.#isBelowFloor(key, time)) return NONE;
      slot = sessions.take(key);
    }
    if (started[key] === 0) {
      started[key] = 1;
      closedThrough[key] = closed;
      this.#dueAt[key] = Number.POSITIVE_INFINITY;
      this.#ends.touch(key);
      this.#completeness.begin(key, time);
    }
    sessions.start[slot] = time;
    sessions.last[slot] = time;
    this.#reopen(key, slot, emitter);
    return slot;
  }

  /** Emits and frees a session before its time. */
  #force(key: number, slot: number, emitter: Emitter): void {
    const sessions = this.#sessions;
    if (sessions.open[slot] === 1) this.#options.counts[COUNT_FORCED]! += 1;
    if (sessions.open[slot] === 1 || sessions.marked[slot] === 1) {
      this.#emit(key, slot, emitter);
    }
    this.#leave(key, slot);
  }

  // --- closing ----------------------------------------------------------------------------------

  /** Closes what ends by quantum `through`; Infinity closes every session, but no further. */
  #close(key: number, through: number, emitter: Emitter): void {
    const bucket = through === Number.POSITIVE_INFINITY ? this.#endBucketOf(key) : through;
    const { closedThrough } = this.#windowKeys;
    if (bucket <= closedThrough[key]!) return;
    closedThrough[key] = bucket;
    this.#ends.touch(key);
    const watermark = bucket * this.#quantumMs;
    if (watermark >= this.#dueAt[key]!) this.#closeBy(key, watermark, emitter);
    this.#tell(key, watermark - this.#options.spec.allowedLatenessMs, emitter);
  }

  #closeBy(key: number, watermark: number, emitter: Emitter): void {
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
      const isDue = sessions.open[slot] === 1 || (isFinal && sessions.marked[slot] === 1);
      if (isDue) this.#emit(key, slot, emitter);
      if (isFinal) this.#leave(key, slot);
      else this.#lookAt(key, end + allowedLatenessMs);
    }
  }

  /** A marker, where one is due. Held up by a session that was forced out and ends later, or has grown. */
  #tell(key: number, through: number, emitter: Emitter): void {
    if (!this.#completeness.isDue(key, through) || this.#isBelowFloor(key, through)) return;
    const later = this.#sessions.settledOf(key);
    if (later !== undefined) this.#completeness.tell(key, { through, later }, emitter);
  }

  /** The first quantum at which every session of the key has ended. */
  #endBucketOf(key: number): number {
    let bucket = this.#windowKeys.closedThrough[key]!;
    for (const slot of this.#sessions.listed.subarray(0, this.#sessions.list(key))) {
      bucket = Math.max(bucket, Math.ceil(this.#endOf(slot) / this.#quantumMs));
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
    this.#ends.touch(key);
    this.#sessions.marked[slot] = 0;
    this.#sessions.free(slot);
    this.#newest[key] = 0;
  }

  #correct({ key, tag, deadline }: Correction, emitter: Emitter): void {
    const sessions = this.#sessions;
    const slot = sessions.slotOf(key, tag);
    // The session may have left or have grown open since, and another may have its slot.
    if (!sessions.isUsed(slot) || sessions.marked[slot] === 0) return;
    if (sessions.due[slot] === deadline) this.#emit(key, slot, emitter);
  }

  // --- emitting ---------------------------------------------------------------------------------

  #emit(key: number, slot: number, emitter: Emitter): void {
    const sessions = this.#sessions;
    const count = sessions.aggregates.count[slot]!;
    this.#settle(key, slot, count);
    sessions.open[slot] = 0;
    sessions.marked[slot] = 0;
    this.#summary(key, slot, count, emitter);
  }

  /** What was emitted under the session's start no longer holds; its readings are open again. */
  #withdraw(key: number, slot: number, emitter: Emitter): void {
    const { revisions } = this.#sessions;
    if (revisions[slot] === 0) return;
    this.#settle(key, slot, 0);
    this.#summary(key, slot, 0, emitter);
    revisions[slot] = 0;
  }

  /** So many of the session's readings are in its latest revision. */
  #settle(key: number, slot: number, readings: number): void {
    const { settled } = this.#sessions;
    const { counts } = this.#options;
    const moved = readings - settled[slot]!;
    settled[slot] = readings;
    counts[COUNT_OPEN]! -= moved;
    counts[COUNT_CLOSED]! += moved;
    this.#completeness.add(key, moved);
  }

  #summary(key: number, slot: number, count: number, emitter: Emitter): void {
    const sessions = this.#sessions;
    const revision = sessions.revisions[slot]!;
    sessions.revisions[slot] = revision + 1;
    sessions.touch(slot);
    const { counts, keys } = this.#options;
    counts[revision === 0 ? COUNT_WINDOWS : COUNT_CORRECTIONS]! += 1;
    if (count > 0 && lacksSketch(sessions.aggregates, slot)) counts[COUNT_SKETCHES_LOST]! += 1;
    emitter.summary({
      kind: "summary",
      pipeline: this.pipeline,
      key: keys.tagsOf(key),
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
