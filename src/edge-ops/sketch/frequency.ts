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
import { nameOfTags } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";
import { hashOfPair, hashOfText } from "../../core/hash.ts";
import { limits } from "../../core/limits.ts";
import { type Millis, millis, position, seriesId, symbolId } from "../../core/units.ts";
import { createAlertBudget, renewAlerts, spendAlert } from "../alert-budget.ts";
import type { Emitter, Operator, Step } from "../operator.ts";
import {
  COUNT_CLOSED,
  COUNT_FILTERED,
  COUNT_REFUSED,
  COUNT_SUPPRESSED,
  FILTERED,
  type OperatorOptions,
  REFUSED,
} from "../operator-options.ts";
import type { FrequencyPipelineSpec } from "../spec.ts";
import { StateTable } from "../state-table.ts";
import { type CountMin, clearCountMin, countOne, createCountMin } from "./count-min.ts";
import { addItem, clearItems, createItemSet, type ItemSet } from "./item-set.ts";

/** Items reported as heavy per period, at most; fewer where heavyShare allows only fewer. */
const HEAVY_ITEMS_MAX = 16_384;
/** So many times more than can be heavy at one moment. */
const HEAVY_SLACK = 4;
/** Counters in a chunk of state. */
const CHUNK_COUNTERS_MAX = 4_096;

/** The operator of a frequency pipeline. Its specification was checked where it was read. */
export function createFrequency(options: OperatorOptions<FrequencyPipelineSpec>): Operator {
  const { pipeline, counts, rows, catalog } = options;
  const { heavyShare, rareCount, minimum } = options.spec;
  assert(heavyShare >= 0 && heavyShare <= 1, "a share is in [0, 1]");
  const period = createPeriod(pipeline, options.spec);
  const { sketch, heavy } = period;
  const budget = createAlertBudget(pipeline);
  const keyHashes = createHashes(options.dataflow.keysMax);
  const symbolHashes = createHashes(limits.symbolsMax);

  function apply(step: Step, emitter: Emitter): void {
    const { accepted, acceptedCount } = step;
    const { series, value, kind } = step.batch;
    let counted = 0;
    for (let i = 0; i < acceptedCount; i++) {
      const row = accepted[i]!;
      const key = (kind[row]! & KIND_SYMBOL) === 0 ? FILTERED : rows.keyOf(series[row]!);
      if (key < 0) {
        counts[key === REFUSED ? COUNT_REFUSED : COUNT_FILTERED]! += 1;
        continue;
      }
      const symbol = value[row]!;
      if (!isHashed(keyHashes, key)) keepHash(keyHashes, key, nameOfTags(rows.tagsOf(key)));
      if (!isHashed(symbolHashes, symbol)) {
        keepHash(symbolHashes, symbol, catalog.symbol(symbolId(symbol)));
      }
      const low = hashOfPair(keyHashes.low[key]!, symbolHashes.low[symbol]!);
      const high = hashOfPair(keyHashes.high[key]!, symbolHashes.high[symbol]!);
      const estimate = countOne(sketch, low, high);
      counted += 1;
      const total = sketch.total[0]!;
      if (total < minimum) continue;
      if (heavyShare > 0 && estimate >= heavyShare * total) {
        const added = addItem(heavy, low, high);
        if (added === "new") alert("heavy_symbol", estimate / total, step, row, emitter);
        else if (added === "full") counts[COUNT_SUPPRESSED]! += 1;
      } else if (estimate <= rareCount) {
        alert("rare_symbol", estimate, step, row, emitter);
      }
    }
    counts[COUNT_CLOSED]! += counted;
    if (counted > 0) touchPeriod(period);
  }

  function alert(
    reason: "heavy_symbol" | "rare_symbol",
    score: number,
    step: Step,
    row: number,
    emitter: Emitter,
  ): void {
    if (!spendAlert(budget, counts)) return;
    const series = seriesId(step.batch.series[row]!);
    const threshold = reason === "heavy_symbol" ? heavyShare : rareCount;
    emitter.alert(position(step.at + row), {
      kind: "alert",
      pipeline,
      key: withMetric(rows.tagsOf(rows.keyOf(series)), catalog.series(series).metric),
      time: millis(step.batch.time[row]!),
      reason,
      value: catalog.symbol(symbolId(step.batch.value[row]!)),
      score,
      expected: threshold,
      limit: threshold,
    });
  }

  return {
    pipeline,
    tables: [...period.tables, heavy.table, budget.table],
    apply,
    tick: (_at, clock) => {
      renewAlerts(budget, clock);
      if (clock >= period.endsAt[0]!) beginPeriod(period, clock);
    },
    deviceIdle: () => {},
    // An empty tick would only clear counters: the next rows bring one in time.
    wakeAt: () => Number.POSITIVE_INFINITY,
    drain: () => {},
    restore: () => {},
  };
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
  const clock = new StateTable({
    name: `${pipeline}/period`,
    version: 1,
    rowsMax: 1,
    rowsPerChunk: 1,
    columns: [
      { cells: endsAt, stride: 1 },
      { cells: sketch.total, stride: 1 },
    ],
  });
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
  return share === 0 ? 1 : Math.min(Math.ceil(1 / share) * HEAVY_SLACK, HEAVY_ITEMS_MAX);
}

/** Hashes of texts by dense index. Derived, so not checkpointed; both halves 0: not known yet. */
type Hashes = { readonly low: Uint32Array; readonly high: Uint32Array };

function createHashes(indexMax: number): Hashes {
  return { low: new Uint32Array(indexMax), high: new Uint32Array(indexMax) };
}

function isHashed({ low, high }: Hashes, index: number): boolean {
  return low[index] !== 0 || high[index] !== 0;
}

function keepHash(hashes: Hashes, index: number, text: string): void {
  assert(index < hashes.low.length, "keys and symbols are within their limits");
  const { low, high } = hashOfText(text);
  hashes.low[index] = low;
  hashes.high[index] = high;
}

function withMetric(key: Tags, metric: string): Tags {
  if (key.some(([name]) => name === "metric")) return key;
  const after = key.findIndex(([name]) => name > "metric");
  return key.toSpliced(after < 0 ? key.length : after, 0, ["metric", metric]);
}
