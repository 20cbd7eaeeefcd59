/**
 * The message that a scanner is reading, written straight into the open batch behind its last row.
 * Nothing counts until the intake takes the draft over: a scanner that gives up leaves rows which
 * the next message overwrites.
 *
 * A scanner asks for the slot of each key, hands over the value, and calls `endObject` when an object of
 * the top level ends: only then are time and sequence known, and its rows are stamped. Every call that
 * answers false means: leave this message to the parser.
 */

import {
  type Batch,
  createBatch,
  KIND_ARRIVAL_TIME,
  KIND_SEQUENCE,
  KIND_SYMBOL,
  rowsMaxOf,
} from "../../../core/batch.ts";
import { sourceId } from "../../../core/units.ts";
import type { Names } from "../names.ts";
import {
  createRoute,
  isSequenceTarget,
  isTimeTarget,
  rankOfTarget,
  type Route,
  TARGET_IGNORED,
  TARGET_OBJECT,
  TARGET_REFUSED,
} from "../route.ts";
import { millisOfNumber, millisOfText } from "./time.ts";

/** Slots that are compared before a key is left to the parser. */
const searchMax = 64;
const absent = 0x7fffffff;
const QUOTE = 0x22;
/** Stands in until the first message. */
const noRoute = createRoute({
  source: sourceId(0),
  rules: { format: "json", roles: new Map(), timeRequired: false, zonelessIsUtc: false, value: "" },
  tags: [],
  metric: undefined,
});

export type DraftOptions = {
  readonly names: Names;
  readonly symbolBytesMax: number;
  readonly slotsPerRouteMax: number;
  readonly readingsPerMessageMax: number;
  /** The arrival time of the message being read, Millis. */
  readonly arrival: () => number;
};

export class Draft {
  readonly #options: DraftOptions;
  #batch: Batch = createBatch(1);
  #route: Route = noRoute;
  // Parts of the batch and the route, where the hot calls find them with one step.
  #series: Uint32Array = this.#batch.series;
  #value: Float64Array = this.#batch.value;
  #kind: Uint8Array = this.#batch.kind;
  #keys: readonly Uint8Array[] = noRoute.layout.keys;
  #parents: readonly number[] = noRoute.layout.parents;
  #targets: readonly number[] = noRoute.targets;
  #firstRow = 0;
  #row = 0;
  #rejected = 0;
  /** First row of the object being read; one message may hold several. */
  #objectRow = 0;
  #objectRejected = 0;
  /** The slot that the next key is expected in. */
  #expected = 0;
  #timeRank = absent;
  #time = 0;
  #sequenceRank = absent;
  #sequence = 0;
  /** End of the key taken last. */
  keyEnd = 0;
  /** Of each slot: the number of the object that had it last; a key that comes twice is noticed. */
  readonly #seen: Uint32Array;
  #object = 0;

  constructor(options: DraftOptions) {
    this.#options = options;
    this.#seen = new Uint32Array(options.slotsPerRouteMax);
  }

  /** Row after the last one written. */
  get row(): number {
    return this.#row;
  }
  /** Readings refused for cardinality or length. */
  get rejected(): number {
    return this.#rejected;
  }
  get valueTarget(): number {
    return this.#route.valueTarget;
  }

  begin(batch: Batch, route: Route): void {
    if (batch !== this.#batch) {
      this.#batch = batch;
      this.#series = batch.series;
      this.#value = batch.value;
      this.#kind = batch.kind;
    }
    this.#route = route;
    this.#keys = route.layout.keys;
    this.#parents = route.layout.parents;
    this.#targets = route.targets;
    this.#firstRow = batch.rows;
    this.#row = batch.rows;
    this.#rejected = 0;
  }

  /** Before the first key. False where the batch, or one message, may not have so many readings. */
  beginObject(): boolean {
    const rowsPossible = this.#row + Math.max(this.#keys.length, 1);
    if (rowsPossible > rowsMaxOf(this.#batch)) return false;
    const readings = rowsPossible - this.#firstRow + this.#rejected;
    if (readings > this.#options.readingsPerMessageMax) return false;
    this.#objectRow = this.#row;
    this.#objectRejected = this.#rejected;
    this.#expected = 0;
    this.#timeRank = absent;
    this.#sequenceRank = absent;
    this.#object = (this.#object + 1) >>> 0;
    return true;
  }

  /**
   * After the last value: stamps the rows. False where a required time is missing, which is for the
   * parser to say.
   */
  endObject(): boolean {
    const { time: times, kind: kinds, sequence: sequences } = this.#batch;
    const from = this.#objectRow;
    const to = this.#row;
    let kind = 0;
    let time = this.#time;
    if (this.#timeRank === absent) {
      const isEmpty = to === from && this.#rejected === this.#objectRejected;
      if (this.#route.rules.timeRequired && !isEmpty) return false;
      if (isEmpty) return true;
      time = this.#options.arrival();
      kind |= KIND_ARRIVAL_TIME;
    }
    const sequence = this.#sequenceRank === absent ? 0 : this.#sequence;
    if (this.#sequenceRank !== absent) kind |= KIND_SEQUENCE;
    for (let row = from; row < to; row++) {
      times[row] = time;
      sequences[row] = sequence;
      kinds[row] = kinds[row]! | kind;
    }
    return true;
  }

  /**
   * The slot of the key at `bytes[at..]` with a quote behind it, in the object of slot `parent`, if it
   * is the one expected next; else -1. Its end is then in `keyEnd`.
   */
  takeQuotedKey(bytes: Uint8Array, at: number, end: number, parent: number): number {
    const slot = this.#expected;
    if (slot >= this.#keys.length || this.#parents[slot] !== parent) return -1;
    const key = this.#keys[slot]!;
    const close = at + key.length;
    if (close >= end || bytes[close] !== QUOTE) return -1;
    for (let i = at, k = 0; i < close; i++, k++) if (bytes[i] !== key[k]) return -1;
    this.keyEnd = close;
    return this.#take(slot);
  }

  /** The slot of the key `bytes[from, to)` in the object of slot `parent`, or -1. */
  takeKey(bytes: Uint8Array, from: number, to: number, parent: number): number {
    const slots = this.#keys.length;
    const tries = slots < searchMax ? slots : searchMax;
    let slot = this.#expected;
    for (let i = 0; i < tries; i++) {
      const key = this.#keys[slot]!;
      if (key.length === to - from && this.#parents[slot] === parent && isAt(bytes, from, key)) {
        return this.#take(slot);
      }
      slot = slot + 1 === slots ? 0 : slot + 1;
    }
    return -1;
  }

  /** Whether the members of an object in this slot are known by slots. */
  isObject(slot: number): boolean {
    return this.#targets[slot] === TARGET_OBJECT;
  }

  takeNumber(slot: number, value: number): boolean {
    const target = this.#targets[slot]!;
    // What stands in a field that is none is nobody's concern; the rest is for the parser to say.
    if (!Number.isFinite(value)) return target === TARGET_IGNORED;
    if (target >= 0) {
      const row = this.#row++;
      this.#series[row] = target;
      this.#value[row] = value;
      this.#kind[row] = 0;
      return true;
    }
    if (isTimeTarget(target)) return this.#takeTime(target, millisOfNumber(value));
    if (isSequenceTarget(target)) {
      if (rankOfTarget(target) < this.#sequenceRank) {
        this.#sequenceRank = rankOfTarget(target);
        this.#sequence = value;
      }
      return true;
    }
    return this.#takeNothing(target);
  }

  takeBoolean(slot: number, value: boolean): boolean {
    const target = this.#targets[slot]!;
    if (target >= 0) {
      this.#addRow(target, value ? 1 : 0, KIND_SYMBOL);
      return true;
    }
    return isSequenceTarget(target) || this.#takeNothing(target);
  }

  /**
   * A string whose UTF-8 is `bytes[from, to)`. `isAscii` says that it is known to be ASCII; text that
   * is not is taken only where it equals a known symbol, and is then sound.
   */
  takeText(slot: number, bytes: Uint8Array, from: number, to: number, isAscii: boolean): boolean {
    const target = this.#targets[slot]!;
    if (target >= 0) {
      const symbol = this.#options.names.symbolOfBytes(bytes, from, to);
      if (symbol >= 0) this.#addRow(target, symbol, KIND_SYMBOL);
      else if (isAscii && to - from > this.#options.symbolBytesMax) this.#rejected++;
      else return false;
      return true;
    }
    if (!isAscii) return false;
    if (isTimeTarget(target)) {
      const { zonelessIsUtc } = this.#route.rules;
      return this.#takeTime(target, millisOfText(bytes, from, to, zonelessIsUtc));
    }
    return isSequenceTarget(target) || this.#takeNothing(target);
  }

  /** A payload that is a number without a name. */
  takeBareNumber(value: number): boolean {
    return Number.isFinite(value) && this.#takeBare(value, 0);
  }

  takeBareSymbol(symbol: number): boolean {
    return this.#takeBare(symbol, KIND_SYMBOL);
  }

  #takeBare(value: number, kind: number): boolean {
    const target = this.#route.valueTarget;
    if (!this.beginObject()) return false;
    if (target >= 0) this.#addRow(target, value, kind);
    else if (!this.#takeNothing(target)) return false;
    return this.endObject();
  }

  #takeTime(target: number, millis: number): boolean {
    const rank = rankOfTarget(target);
    if (rank >= this.#timeRank) return true;
    this.#timeRank = rank;
    this.#time = millis;
    // What is no time is a dead letter, unless a better field follows: the parser decides.
    return millis === millis;
  }

  #takeNothing(target: number): boolean {
    if (target === TARGET_REFUSED) this.#rejected++;
    return target === TARGET_REFUSED || target === TARGET_IGNORED;
  }

  #addRow(series: number, value: number, kind: number): void {
    const row = this.#row++;
    this.#series[row] = series;
    this.#value[row] = value;
    this.#kind[row] = kind;
  }

  /** -1 where the object had the slot already: which of two equal keys wins is for the parser. */
  #take(slot: number): number {
    if (this.#seen[slot] === this.#object) return -1;
    this.#seen[slot] = this.#object;
    this.#expected = slot + 1 === this.#keys.length ? 0 : slot + 1;
    return slot;
  }
}

function isAt(bytes: Uint8Array, from: number, key: Uint8Array): boolean {
  for (let k = 0; k < key.length; k++) if (bytes[from + k] !== key[k]) return false;
  return true;
}
