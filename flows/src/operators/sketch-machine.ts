/**
 * Sketches of a period: much in little memory, with a stated error. One output, at the end of the period
 * (quantiles: a second one for late messages).
 *
 *   top         which items came most often, by a Count-Min sketch: an item's count is never too low, and
 *               over by at most `error` with probability 1 - e^-4
 *   quantiles   percentiles of each key by a KLL sketch, and the sketch itself, to be merged elsewhere:
 *               exact up to 200 numbers, then a rank is off by less than 1.33 %
 *
 * Periods of `top` are of arrival, aligned to UTC. Candidates are kept beside the sketch: an item that is
 * among the most frequent at the end was so when it came last, or others have come down since, which counts
 * never do; so none is missed but for the error of the sketch.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import { limits } from "../../../src/core/limits.ts";
import { hashOfText } from "../../../src/core/hash.ts";
import type { Summary } from "../../../src/core/record.ts";
import {
  clearCountMin,
  type CountMin,
  countOne,
  createCountMin,
  decodeCountMin,
  encodeCountMin,
} from "../../../src/edge-ops/sketch/count-min.ts";
import type { Settings } from "../migrations.ts";
import type { Message, Outputs } from "../red.ts";
import { choiceIn, numberIn, textIn, wholeIn } from "../settings.ts";
import { type Machine, nothing, type Started } from "./machine.ts";
import { type PropertyReader, textOf } from "./reading.ts";
import { parsed, SECONDS_MAX } from "./stream-settings.ts";
import { spanOf, startWindows } from "./window-machine.ts";

type Context = { readonly read: PropertyReader; readonly now: number };

const DEPTH = 4;
const VERSION = 1;

export function startSketch(
  settings: Settings,
  kept: string | undefined,
  context: Context,
): Started {
  return choiceIn(settings, "method", ["top", "quantiles"]) === "top"
    ? startTop(settings, kept, context)
    : startQuantiles(settings, kept, context);
}

function startQuantiles(settings: Settings, kept: string | undefined, context: Context): Started {
  return startWindows(
    {
      window: { kind: "tumbling", sizeMs: periodMsOf(settings) },
      aggregate: ["count", "min", "max", "p50", "p90", "p95", "p99", "quantiles"],
      allowedLatenessMs: 0,
      resultOf: quantilesOf,
    },
    { settings, kept, ...context },
  );
}

/** `sketch`: a KLL sketch of doubles, as Apache DataSketches stores one. */
function quantilesOf(key: string, summary: Summary): Message {
  const { count, fields } = summary;
  const { min, max, p50, p90, p95, p99, quantiles } = fields;
  return {
    topic: key,
    payload: { count, min, max, p50, p90, p95, p99 },
    window: spanOf(key, summary),
    sketch: quantiles === undefined ? undefined : Buffer.from(quantiles),
  };
}

function startTop(settings: Settings, kept: string | undefined, { read, now }: Context): Started {
  const itemPath = textIn(settings, "itemProperty");
  const error = numberIn(settings, "errorPercent", { min: 0.01, max: 10 }) / 100;
  const machine = new TopMachine(
    {
      periodMs: periodMsOf(settings),
      topCount: wholeIn(settings, "topCount", { min: 1, max: flowLimits.topMax }),
      // e / width is the error as a share of all that was counted; a width is a power of two.
      width: 2 ** Math.ceil(Math.log2(Math.E / error)),
    },
    (message) => textOf(read, message, itemPath),
  );
  if (kept === undefined) return { machine, leftover: nothing };
  const state = parsed(kept);
  const trouble = isKept(state) ? machine.load(state) : "what was kept is of another method";
  if (trouble === undefined) return { machine, leftover: machine.wake(now) };
  return { machine, leftover: nothing, trouble: `${trouble}: the period begins anew` };
}

type TopRule = {
  readonly periodMs: number;
  readonly topCount: number;
  readonly width: number;
};

type Kept = {
  readonly version: number;
  readonly periodMs: number;
  readonly endsAt: number;
  /** encodeCountMin in base64. */
  readonly counts: string;
  readonly candidates: readonly (readonly [item: string, estimate: number])[];
};

class TopMachine implements Machine {
  readonly #rule: TopRule;
  readonly #itemOf: (message: Message) => string;
  #counted: CountMin;
  /** At most topCount items with their estimates. */
  readonly #candidates = new Map<string, number>();
  /** No candidate has less. */
  #least = 0;
  /** Infinity while nothing was counted. */
  #endsAt = Number.POSITIVE_INFINITY;
  #hasChanged = false;

  constructor(rule: TopRule, itemOf: (message: Message) => string) {
    this.#rule = rule;
    this.#itemOf = itemOf;
    this.#counted = createCountMin({ depth: DEPTH, width: rule.width });
  }

  take(message: Message, now: number): Outputs {
    const item = this.#itemOf(message);
    const outputs = this.wake(now);
    if (this.#endsAt === Number.POSITIVE_INFINITY) {
      this.#endsAt = (Math.floor(now / this.#rule.periodMs) + 1) * this.#rule.periodMs;
    }
    const { low, high } = hashOfText(item);
    this.#consider(item, countOne(this.#counted, low, high));
    this.#hasChanged = true;
    return outputs;
  }

  wake(now: number): Outputs {
    if (now < this.#endsAt && !this.#isPutBack(now)) return nothing;
    const result = this.#result();
    clearCountMin(this.#counted);
    this.#candidates.clear();
    this.#endsAt = Number.POSITIVE_INFINITY;
    this.#hasChanged = true;
    return [[result]];
  }

  wakeAt(): number {
    return this.#endsAt;
  }

  keep(): string | undefined {
    if (!this.#hasChanged) return undefined;
    this.#hasChanged = false;
    const isEmpty = this.#endsAt === Number.POSITIVE_INFINITY;
    const kept: Kept = {
      version: VERSION,
      periodMs: this.#rule.periodMs,
      endsAt: isEmpty ? 0 : this.#endsAt,
      counts: isEmpty ? "" : Buffer.from(encodeCountMin(this.#counted)).toString("base64"),
      candidates: [...this.#candidates],
    };
    return JSON.stringify(kept);
  }

  /** Why it does not fit; undefined where it does. */
  load({ periodMs, endsAt, counts, candidates }: Kept): string | undefined {
    if (periodMs !== this.#rule.periodMs) return "what was kept is of another period";
    if (counts === "") return undefined;
    const counted = decodeCountMin(Buffer.from(counts, "base64"));
    if (counted?.width !== this.#rule.width) return "what was kept has another error";
    this.#counted = counted;
    this.#endsAt = endsAt;
    for (const [item, estimate] of candidates) this.#consider(item, estimate);
    return undefined;
  }

  counts(): Readonly<Record<string, number>> {
    return { seen: this.#counted.total[0]! };
  }

  /** The clock was put back to long before the period: it would not end until the clock is there again. */
  #isPutBack(now: number): boolean {
    if (this.#endsAt === Number.POSITIVE_INFINITY) return false;
    return now < this.#endsAt - this.#rule.periodMs - limits.clockBackMs;
  }

  #consider(item: string, estimate: number): void {
    const candidates = this.#candidates;
    if (candidates.has(item) || candidates.size < this.#rule.topCount) {
      candidates.set(item, estimate);
      this.#least = 0;
      return;
    }
    if (estimate <= this.#least) return;
    const [item0, least] = leastOf(candidates);
    this.#least = least;
    if (estimate <= least) return;
    candidates.delete(item0);
    candidates.set(item, estimate);
  }

  #result(): Message {
    const total = this.#counted.total[0]!;
    const items = [...this.#candidates].toSorted(([, a], [, b]) => b - a);
    const end = this.#endsAt;
    return {
      payload: items.map(([item, count]) => ({ item, count, share: count / total })),
      window: { start: end - this.#rule.periodMs, end, count: total },
      error: Math.ceil((Math.E / this.#rule.width) * total),
    };
  }
}

function leastOf(candidates: ReadonlyMap<string, number>): readonly [string, number] {
  let found: readonly [string, number] = ["", Number.POSITIVE_INFINITY];
  for (const entry of candidates) if (entry[1] < found[1]) found = entry;
  return found;
}

function periodMsOf(settings: Settings): number {
  const ms = numberIn(settings, "periodSeconds", { min: 1, max: SECONDS_MAX }) * 1_000;
  if (Number.isInteger(ms)) return ms;
  throw new Error(`periodSeconds is ${ms / 1_000}: set whole milliseconds`);
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null) return false;
  return "version" in value && value.version === VERSION && "candidates" in value;
}
