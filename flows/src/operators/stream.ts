/**
 * A dataflow of weir with one pipeline, for readings that come one at a time: the same accept stage,
 * windows and charts as in the agent, with the same state in the same chunks.
 *
 *   key "p1" -> slot 0 -> series "k0"      keys are of the user, slots are what the dataflow knows
 *
 *   time "message"   a device per slot: each key has a watermark of its own, and one that is silent for
 *                    idleMs is closed
 *   time "arrival"   one device for all, whose series "clock" no pipeline takes: a row of it says what
 *                    time it is, and closes the windows of all keys
 *
 * Keys are bounded: where all slots are taken, the one that was silent longest is given to a new key,
 * if it was so for forgetMs; what was open of it is emitted. Otherwise the reading is refused. A key that
 * takes a slot begins where the one before it ended: what is older is late.
 */

import { isDeepStrictEqual } from "node:util";
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { createBatch, KIND_ARRIVAL_TIME } from "../../../src/core/batch.ts";
import { Catalog } from "../../../src/core/catalog.ts";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { limits } from "../../../src/core/limits.ts";
import type { Definition } from "../../../src/core/frame.ts";
import type { Alert, Sink, Summary } from "../../../src/core/record.ts";
import { deviceId, millis, position, seriesId, sourceId } from "../../../src/core/units.ts";
import { createDataflow, type Dataflow } from "../../../src/edge-ops/dataflow.ts";
import type { DataflowSpec, DataflowState, PipelineSpec } from "../../../src/edge-ops/spec.ts";
import { oneKeyMore } from "./bounded-keys.ts";

export type StreamOptions = {
  /** `where` and `key` as `takesKeys` says. Absent: readings are only accepted, or told to be resent. */
  readonly pipeline?: PipelineSpec;
  readonly time: "message" | "arrival";
  readonly keysMax: number;
  /** A key that was silent for so long may lose its slot to another, ms; 0: never. */
  readonly forgetMs: number;
  /** As of a source, see spec.ts; of readings with a time of their own. */
  readonly disorderMs: number;
  readonly idleMs: number;
  /** 0: a time is never too far ahead. */
  readonly futureMs: number;
  /** Readings of a key among which a resent one is recognised; 0: none is. */
  readonly duplicateRing: number;
};

/** What a pipeline of a stream takes, and what its readings share a window by. */
export const takesKeys = {
  where: { sources: [], metrics: ["k*"], tags: {} },
  key: ["metric"],
} as const;

export type Reading = { readonly key: string; readonly value: number; readonly time?: number };

/** What became of a reading: `ahead` of the clock, `duplicate` of one before, `late` for its window. */
export type Outcome = "accepted" | "late" | "duplicate" | "ahead" | "filtered";

export type Found = { readonly key: string; readonly record: Summary | Alert };

export type Taken = { readonly outcome: Outcome; readonly found: readonly Found[] };

const SOURCE = sourceId(0);
const CLOCK = "clock";
/** The least by which one arrival is after another: operators tell readings of one key by their times. */
const INSTANT_MS = 2 ** -10;
const VERSION = 1;

type Kept = {
  readonly version: number;
  readonly options: StreamOptions;
  readonly state: DataflowState;
  readonly at: number;
  readonly newest: number;
  readonly keys: readonly string[];
  readonly seenAt: readonly number[];
  /** Table, chunk, and its bytes: deflated, in base64. */
  readonly chunks: readonly (readonly [string, number, string])[];
};

export type OpenedStream = {
  readonly stream: Stream;
  /** What was open under other options. */
  readonly leftover: readonly Found[];
  readonly trouble?: string;
};

/** A stream that goes on from what one with the same options kept; from other options it takes what was open. */
export function openStream(options: StreamOptions, kept: unknown, now: number): OpenedStream {
  const stream = new Stream(options);
  if (kept === undefined) return { stream, leftover: [] };
  if (!isKept(kept)) {
    const trouble = "what was kept is of another version of this package: it begins anew";
    return { stream, leftover: [], trouble };
  }
  const before = new Stream(kept.options);
  if (!before.load(kept)) {
    const trouble = "what was kept is of another version of weir's operators: it begins anew";
    return { stream, leftover: [], trouble };
  }
  if (isDeepStrictEqual(kept.options, plain(options))) return { stream: before, leftover: [] };
  return { stream, leftover: before.end(now) };
}

class Stream {
  readonly #options: StreamOptions;
  #catalog = new Catalog();
  readonly #batch = createBatch(1);
  readonly #slots = new Map<string, number>();
  /** By slot: its key, and when a reading of it came, Millis. */
  readonly #keys: string[] = [];
  readonly #seenAt: number[] = [];
  readonly #chunks = new Map<string, readonly [string, number, string]>();
  readonly #sink = new FoundSink((slot) => this.#keys[slot] ?? "");
  #dataflow: Dataflow;
  #at = 0;
  /** The newest arrival, Millis: arrivals never go back. */
  #newest = 0;
  /** The newest wall clock, Millis. */
  #clock = Number.NEGATIVE_INFINITY;
  /** No key may be forgotten before. */
  #forgetAt = Number.NEGATIVE_INFINITY;
  #hasChanged = false;

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#dataflow = createDataflow(specOf(options), this.#catalog);
  }

  get keyCount(): number {
    return this.#slots.size;
  }

  /** Readings in windows that were not emitted yet. */
  get openCount(): number {
    return this.#row?.open ?? 0;
  }

  /** Takes a reading at wall clock `now`, ms. Throws Refused where it has a new key and all slots are taken. */
  take({ key, value, time }: Reading, now: number): Taken {
    const cut = this.#look(now);
    const definitions = this.#begun();
    const slot = this.#slots.get(key) ?? this.#giveSlot(key, now, definitions);
    this.#seenAt[slot] = now;
    const before = this.#row;
    this.#newest = Math.max(this.#newest + INSTANT_MS, now);
    const isArrival = this.#options.time === "arrival";
    const series = isArrival ? slot + 1 : slot;
    const row = { series, value, time: isArrival ? this.#newest : time!, isArrival };
    const isAccepted = this.#apply(definitions, now, row);
    const outcome = isAccepted ? this.#outcomeSince(before) : this.#rejectedAs(row.time, now);
    return { outcome, found: [...cut, ...this.#sink.takeAll()] };
  }

  /** Time has passed. */
  wake(now: number): readonly Found[] {
    const cut = this.#look(now);
    this.#newest = Math.max(this.#newest, now);
    const isClock = this.#options.time === "arrival" && this.openCount > 0;
    const row = { series: 0, value: 0, time: this.#newest, isArrival: true };
    this.#apply(this.#begun(), now, isClock ? row : undefined);
    return [...cut, ...this.#sink.takeAll()];
  }

  /** The wall clock at which `wake` would do something; Infinity if never. */
  wakeAt(): number {
    const wakeAt = this.#dataflow.wakeAt();
    if (this.#options.time === "message" || this.openCount === 0) return wakeAt;
    const tick = flowLimits.arrivalTickMs;
    return Math.min(wakeAt, (Math.floor(this.#newest / tick) + 1) * tick);
  }

  /** Emits everything that is open. The stream ends here. */
  end(now: number): readonly Found[] {
    const { pipeline: _, ...rest } = this.#options;
    const json = JSON.stringify(specOf(rest));
    this.#apply([...this.#begun(), { kind: "config", json }], now, undefined);
    return this.#sink.takeAll();
  }

  /** What `load` takes, as plain values; undefined where nothing changed since the last call. O(what changed). */
  keep(): object | undefined {
    if (!this.#hasChanged) return undefined;
    this.#hasChanged = false;
    this.#dataflow.encodeDirty((table, chunk, bytes) => {
      const text = deflateRawSync(bytes).toString("base64");
      this.#chunks.set(`${table} ${chunk}`, [table, chunk, text]);
    });
    const kept: Kept = {
      version: VERSION,
      options: this.#options,
      state: this.#dataflow.spec,
      at: this.#at,
      newest: this.#newest,
      keys: this.#keys,
      seenAt: this.#seenAt,
      chunks: [...this.#chunks.values()],
    };
    return kept;
  }

  /** Goes on from what was kept under the same options; false where it does not fit. For a stream that is new. */
  load(kept: Kept): boolean {
    for (const [slot, key] of kept.keys.entries()) {
      this.#slots.set(key, slot);
      this.#keys.push(key);
      this.#seenAt.push(kept.seenAt[slot] ?? 0);
    }
    const definitions = [
      ...beginning(this.#options),
      ...kept.keys.flatMap((_, i) => this.#slot(i)),
    ];
    for (const definition of definitions) this.#catalog.define(definition);
    this.#dataflow = createDataflow({ ...kept.state, ...specOf(this.#options) }, this.#catalog);
    for (const [table, chunk, text] of kept.chunks) {
      if (!this.#dataflow.load(table, chunk, inflated(text))) return false;
      this.#chunks.set(`${table} ${chunk}`, [table, chunk, text]);
    }
    this.#dataflow.restore();
    this.#at = kept.at;
    this.#newest = kept.newest;
    return true;
  }

  /**
   * Looks whether the clock was put back, by more than what NTP corrects: then keys were seen now at the
   * latest; and where arrivals are the time, what is open is emitted, and all begins anew by the clock as it
   * is. It would stand still until the clock is where it was.
   */
  #look(now: number): readonly Found[] {
    const isBack = this.#newestClock - now > limits.clockBackMs;
    this.#clock = now;
    if (!isBack) return [];
    this.#forgetAt = Number.NEGATIVE_INFINITY;
    for (const [slot, seenAt] of this.#seenAt.entries()) this.#seenAt[slot] = Math.min(seenAt, now);
    if (this.#options.time === "message") return [];
    const found = this.end(now);
    this.#catalog = new Catalog();
    this.#dataflow = createDataflow(specOf(this.#options), this.#catalog);
    this.#slots.clear();
    this.#keys.length = 0;
    this.#seenAt.length = 0;
    this.#chunks.clear();
    this.#at = 0;
    this.#newest = 0;
    return found;
  }

  /** As far as it is known: by what was kept at the beginning. */
  get #newestClock(): number {
    return this.#clock === Number.NEGATIVE_INFINITY ? Math.max(0, ...this.#seenAt) : this.#clock;
  }

  get #row(): ReturnType<Dataflow["ledger"]["pipeline"]> {
    return this.#dataflow.ledger.pipeline(this.#options.pipeline?.name ?? "");
  }

  #outcomeSince(before: { late: number; filtered: number } | undefined): Outcome {
    const after = this.#row;
    if (after === undefined || before === undefined) return "accepted";
    if (after.late > before.late) return "late";
    return after.filtered > before.filtered ? "filtered" : "accepted";
  }

  #rejectedAs(time: number, now: number): Outcome {
    const { futureMs } = this.#options;
    return futureMs > 0 && time > now + futureMs ? "ahead" : "duplicate";
  }

  /** What the first frame defines. */
  #begun(): Definition[] {
    return this.#catalog.sourceCount === 0 ? [...beginning(this.#options)] : [];
  }

  #giveSlot(key: string, now: number, definitions: Definition[]): number {
    const slot = this.#keys.length < this.#options.keysMax ? this.#keys.length : this.#free(now);
    if (slot === undefined) {
      throw oneKeyMore(key, this.#options.keysMax);
    }
    if (slot === this.#keys.length) definitions.push(...this.#slot(slot));
    this.#keys[slot] = key;
    this.#slots.set(key, slot);
    return slot;
  }

  /** The slot of the key that was silent longest, empty; undefined where it was not silent for long. */
  #free(now: number): number | undefined {
    const { forgetMs, time } = this.#options;
    if (forgetMs === 0 || now < this.#forgetAt) return undefined;
    let slot = 0;
    for (let other = 1; other < this.#seenAt.length; other++) {
      if (this.#seenAt[other]! < this.#seenAt[slot]!) slot = other;
    }
    this.#forgetAt = this.#seenAt[slot]! + forgetMs;
    if (now < this.#forgetAt) return undefined;
    const series = seriesId(time === "arrival" ? slot + 1 : slot);
    this.#dataflow.erase([series], position(this.#at), this.#sink);
    this.#slots.delete(this.#keys[slot]!);
    return slot;
  }

  #slot(slot: number): readonly Definition[] {
    const metric = `k${slot}`;
    if (this.#options.time === "arrival") {
      return [{ kind: "series", id: seriesId(slot + 1), device: deviceId(0), metric }];
    }
    const device = deviceId(slot);
    return [
      { kind: "device", id: device, source: SOURCE, tags: [["slot", String(slot)]] },
      { kind: "series", id: seriesId(slot), device, metric },
    ];
  }

  /** Whether the row was accepted. */
  #apply(
    definitions: readonly Definition[],
    now: number,
    row: { series: number; value: number; time: number; isArrival: boolean } | undefined,
  ): boolean {
    const batch = this.#batch;
    batch.rows = row === undefined ? 0 : 1;
    if (row !== undefined) {
      batch.series[0] = row.series;
      batch.time[0] = row.time;
      batch.value[0] = row.value;
      batch.kind[0] = row.isArrival ? KIND_ARRIVAL_TIME : 0;
    }
    const frame = {
      clock: millis(now),
      clockTrusted: true,
      definitions,
      counts: [],
      deadLetters: [],
      batch,
    };
    const { acceptedCount } = this.#dataflow.apply(frame, position(this.#at), this.#sink);
    this.#at += 1 + batch.rows;
    this.#hasChanged = true;
    return acceptedCount === 1;
  }
}

export type { Stream };

/** What the pipeline emitted, with the keys that its slots have at that moment. */
class FoundSink implements Sink {
  readonly #keyOf: (slot: number) => string;
  #found: Found[] = [];

  constructor(keyOf: (slot: number) => string) {
    this.#keyOf = keyOf;
  }

  summary(_at: unknown, record: Summary): void {
    this.#take(record);
  }

  alert(_at: unknown, record: Alert): void {
    this.#take(record);
  }

  complete(): void {}

  deadLetter(): void {}

  takeAll(): readonly Found[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  #take(record: Summary | Alert): void {
    const metric = record.key.find(([name]) => name === "metric")?.[1] ?? "";
    this.#found.push({ key: this.#keyOf(Number(metric.slice(1))), record });
  }
}

/** Source, and where all share one, device and clock. */
function beginning({ time }: StreamOptions): readonly Definition[] {
  const source: Definition = { kind: "source", id: SOURCE, name: "flow" };
  if (time === "message") return [source];
  return [
    source,
    { kind: "device", id: deviceId(0), source: SOURCE, tags: [] },
    { kind: "series", id: seriesId(0), device: deviceId(0), metric: CLOCK },
  ];
}

function specOf(options: StreamOptions): DataflowSpec {
  const { pipeline, time, keysMax, disorderMs, idleMs, futureMs, duplicateRing } = options;
  const isArrival = time === "arrival";
  const source = {
    name: "flow",
    disorderMs: isArrival ? 0 : disorderMs,
    // What ends a window of arrivals is the clock, not silence.
    idleMs: isArrival ? Number.POSITIVE_INFINITY : idleMs,
    futureMs: futureMs === 0 ? Number.POSITIVE_INFINITY : futureMs,
  };
  return {
    version: 1,
    sources: [source],
    pipelines: pipeline === undefined ? [] : [pipeline],
    duplicateRing,
    seriesMax: keysMax + 1,
    devicesMax: keysMax,
    keysMax,
  };
}

function inflated(text: string): Uint8Array {
  try {
    return inflateRawSync(Buffer.from(text, "base64"));
  } catch {
    // Not the length of any chunk.
    return new Uint8Array(0);
  }
}

/** As it is after it was kept. */
function plain(options: StreamOptions): unknown {
  return JSON.parse(JSON.stringify(options));
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null) return false;
  return "version" in value && value.version === VERSION && "chunks" in value;
}
