/**
 * How often each symbol occurs under each key, in the memory of one Count-Min sketch per pipeline:
 * an alert for an item that takes a heavy share of the period, and for one that is rare in it.
 *
 *   reading (series, symbol) --> item = hash(text of key, text of symbol) --> sketch --> estimate
 *
 *   heavy   estimate >= heavyShare * N   once per item and period
 *   rare    estimate <= rareCount        each time, that is at most rareCount times per item
 *   both    only once the period has N >= minimum readings; one alert per reading, heavy first
 *
 * A period lasts from one multiple of periodMs of the gateway clock to the next, and everything
 * starts again with the first tick in the next one. That clock never goes back: after the wall clock
 * was set, periods are as long as before but no longer aligned with it. Event time plays no part:
 * this counts what arrives, and nothing is late.
 *
 * Items are hashed by content, not by id, so sketches of several agents can be merged. The estimate
 * is never too low, and more than e / width * N too high for a share of e^-depth of the items: a
 * heavy alert may be wrong by that much, and a rare item may be missed, never invented. Items
 * already reported as heavy are remembered in a bounded set; when more were heavy in one period
 * (shares are taken as the period grows, so early ones need not stay heavy), later ones are
 * counted as suppressed.
 */

import { assert } from "../../core/assert.ts";
import { KIND_SYMBOL } from "../../core/batch.ts";
import { nameOfTags, sortedTags } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";
import { hashOfPair, hashOfText } from "../../core/hash.ts";
import { limits } from "../../core/limits.ts";
import { type Millis, millis, position, seriesId, symbolId } from "../../core/units.ts";
import { type AlertBudget, createAlertBudget, renewAlerts, spendAlert } from "../alert-budget.ts";
import type { Emitter, Operator, Step } from "../operator.ts";
import type { OperatorOptions } from "../operator-options.ts";
import {
  COUNT_CLOSED,
  COUNT_FILTERED,
  COUNT_REFUSED,
  COUNT_SUPPRESSED,
} from "../pipeline-counts.ts";
import { FILTERED, REFUSED } from "../series-keys.ts";
import type { FrequencyPipelineSpec } from "../spec.ts";
import { cellTable, StateTable } from "../state-table.ts";
import { type CountMin, clearCountMin, countOne, createCountMin } from "./count-min.ts";
import { addItem, clearItems, createItemSet, type ItemSet } from "./item-set.ts";

/** Items remembered as heavy: so many times more than can be heavy at one moment. */
const HEAVY_SLACK = 4;
/** Counters in a chunk of state. */
const CHUNK_COUNTERS_MAX = 4_096;

type Frequency = {
  readonly options: OperatorOptions<FrequencyPipelineSpec>;
  readonly period: Period;
  readonly budget: AlertBudget;
  readonly keyHashes: Hashes;
  readonly symbolHashes: Hashes;
};

/** The operator of a frequency pipeline. Its specification was checked where it was read. */
export function createFrequency(options: OperatorOptions<FrequencyPipelineSpec>): Operator {
  const { pipeline, spec, capacity } = options;
  assert(spec.heavyShare >= 0 && spec.heavyShare <= 1, "a share is in [0, 1]");
  const period = createPeriod(pipeline, spec);
  const budget = createAlertBudget(pipeline);
  const keyHashes = createHashes(capacity.keysMax);
  const symbolHashes = createHashes(limits.symbolsMax);
  const frequency: Frequency = { options, period, budget, keyHashes, symbolHashes };
  return {
    pipeline,
    tables: [...period.tables, period.heavy.table, budget.table],
    apply: loopOf(frequency),
    tick: (clock) => {
      renewAlerts(budget, clock);
      if (clock >= period.endsAt[0]!) beginPeriod(period, clock);
    },
    deviceIdle: () => {},
    // An empty tick would only clear counters: the next rows bring one in time.
    wakeAt: () => Number.POSITIVE_INFINITY,
    drain: () => {},
    // The sketch has counts of hashes, nothing of a single reading, and forgets them with the period.
    erase: () => {},
    restore: () => {},
  };
}

/** The loop as a closure: while it is the only one, V8 takes what it holds for constants. */
function loopOf(frequency: Frequency): Operator["apply"] {
  const { options, period, keyHashes, symbolHashes } = frequency;
  const { counts, keys, spec } = options;
  const { sketch } = period;
  return (step, emitter) => {
    const { accepted, acceptedCount } = step;
    const { series, value, kind } = step.batch;
    let counted = 0;
    for (let i = 0; i < acceptedCount; i++) {
      const row = accepted[i]!;
      const key = (kind[row]! & KIND_SYMBOL) === 0 ? FILTERED : keys.keyOf(series[row]!);
      if (key < 0) {
        counts[key === REFUSED ? COUNT_REFUSED : COUNT_FILTERED]! += 1;
        continue;
      }
      const symbol = value[row]!;
      if (!isHashed(keyHashes, key) || !isHashed(symbolHashes, symbol)) {
        keepHashes(frequency, key, symbol);
      }
      const low = hashOfPair(keyHashes.low[key]!, symbolHashes.low[symbol]!);
      const high = hashOfPair(keyHashes.high[key]!, symbolHashes.high[symbol]!);
      const estimate = countOne(sketch, low, high);
      counted += 1;
      if (sketch.total[0]! < spec.minimum) continue;
      const reason = reasonOf(frequency, estimate, low, high);
      if (reason !== undefined) alert(frequency, { reason, estimate, row }, step, emitter);
    }
    counts[COUNT_CLOSED]! += counted;
    if (counted > 0) touchPeriod(period);
  };
}

type Reason = "heavy_symbol" | "rare_symbol";

/** Whether an alert is due for an item, given by its hash halves; remembers the heavy ones. */
function reasonOf(
  { options, period }: Frequency,
  estimate: number,
  low: number,
  high: number,
): Reason | undefined {
  const { heavyShare, rareCount } = options.spec;
  if (heavyShare === 0 || estimate < heavyShare * period.sketch.total[0]!) {
    return estimate <= rareCount ? "rare_symbol" : undefined;
  }
  const added = addItem(period.heavy, low, high);
  if (added === "full") options.counts[COUNT_SUPPRESSED]! += 1;
  return added === "new" ? "heavy_symbol" : undefined;
}

function alert(
  { options, period, budget }: Frequency,
  found: { readonly reason: Reason; readonly estimate: number; readonly row: number },
  step: Step,
  emitter: Emitter,
): void {
  const { pipeline, counts, keys, catalog, spec } = options;
  if (!spendAlert(budget, counts)) return;
  const { reason, estimate, row } = found;
  const isHeavy = reason === "heavy_symbol";
  const series = seriesId(step.batch.series[row]!);
  const threshold = isHeavy ? spec.heavyShare : spec.rareCount;
  emitter.at = position(step.at + row);
  emitter.alert({
    kind: "alert",
    pipeline,
    key: withMetric(keys.tagsOf(keys.keyOf(series)), catalog.series(series).metric),
    time: millis(step.batch.time[row]!),
    reason,
    value: catalog.symbol(symbolId(step.batch.value[row]!)),
    score: isHeavy ? estimate / period.sketch.total[0]! : estimate,
    expected: threshold,
    limit: threshold,
  });
}

/** What is forgotten when a period ends. */
type Period = {
  readonly tables: readonly StateTable[];
  readonly periodMs: number;
  readonly sketch: CountMin;
  /** Items that were reported as heavy. */
  readonly heavy: ItemSet;
  /** One cell: gateway clock, Millis. */
  readonly endsAt: Float64Array;
};

function createPeriod(pipeline: string, spec: FrequencyPipelineSpec): Period {
  assert(spec.periodMs > 0, "a period has a length");
  const sketch = createCountMin(spec);
  const endsAt = new Float64Array(1);
  const counters = new StateTable({
    name: `${pipeline}/counters`,
    version: 1,
    rowsMax: sketch.counters.length,
    rowsPerChunk: Math.min(spec.width, CHUNK_COUNTERS_MAX),
    columns: [{ cells: sketch.counters, stride: 1 }],
  });
  const clock = cellTable(`${pipeline}/period`, endsAt, sketch.total);
  const heavy = createItemSet(`${pipeline}/heavy`, heavyItemsMaxOf(spec.heavyShare));
  return { tables: [counters, clock], periodMs: spec.periodMs, sketch, heavy, endsAt };
}

function beginPeriod(period: Period, clock: Millis): void {
  const { sketch, heavy, endsAt, periodMs } = period;
  clearCountMin(sketch);
  clearItems(heavy);
  endsAt[0] = (Math.floor(clock / periodMs) + 1) * periodMs;
  touchPeriod(period);
}

/** Additions fall all over the sketch, so every chunk of it has changed. */
function touchPeriod({ tables, sketch }: Period): void {
  for (const table of tables) table.touchAll(sketch.counters.length);
}

function heavyItemsMaxOf(share: number): number {
  return share === 0 ? 1 : Math.min(Math.ceil(1 / share) * HEAVY_SLACK, limits.heavyItemsMax);
}

/** Hashes of texts by dense index. Derived, so not checkpointed; both halves 0: not known yet. */
type Hashes = { readonly low: Uint32Array; readonly high: Uint32Array };

function createHashes(indexMax: number): Hashes {
  return { low: new Uint32Array(indexMax), high: new Uint32Array(indexMax) };
}

function isHashed({ low, high }: Hashes, index: number): boolean {
  return low[index] !== 0 || high[index] !== 0;
}

function keepHashes(
  { options, keyHashes, symbolHashes }: Frequency,
  key: number,
  symbol: number,
): void {
  keepHash(keyHashes, key, nameOfTags(options.keys.tagsOf(key)));
  keepHash(symbolHashes, symbol, options.catalog.symbol(symbolId(symbol)));
}

function keepHash(hashes: Hashes, index: number, text: string): void {
  assert(index < hashes.low.length, "keys and symbols are within their limits");
  const { low, high } = hashOfText(text);
  hashes.low[index] = low;
  hashes.high[index] = high;
}

function withMetric(key: Tags, metric: string): Tags {
  if (key.some(([name]) => name === "metric")) return key;
  return sortedTags([...key, ["metric", metric]]);
}
