/**
 * EWMA control chart, one per series (Roberts, "Control chart tests based on geometric moving
 * averages", Technometrics 1, 1959; Lucas & Saccucci, "Exponentially weighted moving average
 * control schemes", Technometrics 32, 1990): finds small lasting shifts of the mean that no single
 * reading shows.
 *
 *   learning --warmup readings--> in control --z leaves the limits: alert--> out of control
 *       ^                             ^                                         |     |
 *       |                             +---- rearm readings inside in a row -----+     |
 *       +------------ out of control for limits.outOfControlReadingsMax --------------+
 *
 *   z = z + lambda (x - z), beginning at the centre
 *   limits = centre +- sigmas * sigma * sqrt(lambda / (2 - lambda) * (1 - (1 - lambda)^(2t)))
 *
 * Centre and sigma are the baseline. While learning it is the plain mean and sample variance
 * (Welford 1962). In control it follows with the weight `baseline` (West 1979), after the reading was
 * judged. Out of control it stands still, or it would learn the fault; but only for so long, so that
 * a step becomes the new normal and does not silence the series for ever.
 *
 * Departures from the paper, which takes centre and sigma as known: they are learned, so false
 * alarms come somewhat more often than its tables say, the less the longer the warm-up and the
 * smaller `baseline`. Only + - * / and sqrt, no library functions: equal bits on every architecture.
 */

import { assert } from "../../core/assert.ts";
import { KIND_SYMBOL } from "../../core/batch.ts";
import { type Catalog, sortedTags } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { millis, position, type SeriesId, seriesId } from "../../core/units.ts";
import { type AlertBudget, createAlertBudget, renewAlerts, spendAlert } from "../alert-budget.ts";
import type { Emitter, Operator, Step } from "../operator.ts";
import type { OperatorOptions } from "../operator-options.ts";
import { COUNT_CLOSED, COUNT_FILTERED, COUNT_LATE, COUNT_REFUSED } from "../pipeline-counts.ts";
import { FILTERED, REFUSED } from "../series-keys.ts";
import type { EwmaPipelineSpec } from "../spec.ts";
import { StateTable } from "../state-table.ts";

/** Readings beyond this are filtered: the sum of their squares must stay finite. */
export const EWMA_VALUE_MAX = 1e150;

/** Smallest sigma of all: scores stay finite where `sigmaMin` is 0 and a series is constant. */
const SIGMA_FLOOR = 1e-150;

/** Below this (1 - lambda)^(2t) is nothing beside 1, and is set to 0 before it becomes subnormal. */
const FADE_MIN = 2 ** -60;

const ROWS_PER_CHUNK = 256;

/** The charts of a pipeline in columns by SeriesId. A row of zeros is a series never seen. */
type Charts = {
  readonly table: StateTable;
  /** Centre of the chart, in the unit of the series. */
  readonly mean: Float64Array;
  /** While learning the sum of squared deviations, then the variance. */
  readonly spread: Float64Array;
  /** z. */
  readonly statistic: Float64Array;
  /** (1 - lambda)^(2t). */
  readonly fade: Float64Array;
  /** Newest event time, Millis. */
  readonly newest: Float64Array;
  /** 0: never seen; n + 1: n readings learned, up to `warmup`. */
  readonly learned: Uint32Array;
  /** Readings inside the limits that are still wanted before the next alert. */
  readonly quiet: Uint32Array;
  /** Readings since the chart went out of control; 0 in control. */
  readonly outside: Uint32Array;
};

/** The specification with what follows from it. */
type Rule = EwmaPipelineSpec & {
  /** (1 - lambda)^2. */
  readonly fading: number;
  /** Variance of z over that of a reading, in the long run: lambda / (2 - lambda). */
  readonly ratio: number;
};

type Verdict = "fine" | "high" | "low";

type Ewma = {
  readonly options: OperatorOptions<EwmaPipelineSpec>;
  readonly rule: Rule;
  readonly charts: Charts;
  readonly budget: AlertBudget;
};

/** The operator of an EWMA pipeline. Its specification was checked where it was read. */
export function createEwma(options: OperatorOptions<EwmaPipelineSpec>): Operator {
  const { pipeline, spec, capacity } = options;
  const charts = createCharts(pipeline, capacity.seriesMax);
  const budget = createAlertBudget(pipeline);
  const ewma: Ewma = { options, rule: ruleOf(spec), charts, budget };
  return {
    pipeline,
    tables: [charts.table, budget.table],
    apply: loopOf(ewma),
    tick: (clock) => renewAlerts(budget, clock),
    deviceIdle: () => {},
    wakeAt: () => Number.POSITIVE_INFINITY,
    drain: () => {},
    erase: ({ series }) => {
      for (const chart of series) charts.table.clear(chart);
    },
    restore: () => {},
  };
}

/** The loop as a closure: while it is the only one, V8 takes what it holds for constants. */
function loopOf(ewma: Ewma): Operator["apply"] {
  const { options, rule, charts } = ewma;
  const { counts, keys } = options;
  const { newest, learned, table } = charts;
  return (step, emitter) => {
    const { accepted, acceptedCount } = step;
    const { series, time, value, kind } = step.batch;
    for (let i = 0; i < acceptedCount; i++) {
      const row = accepted[i]!;
      const chart = series[row]!;
      const x = value[row]!;
      const isNumber = (kind[row]! & KIND_SYMBOL) === 0 && Math.abs(x) <= EWMA_VALUE_MAX;
      const place = isNumber ? keys.keyOf(chart) : FILTERED;
      if (place < 0) {
        counts[place === REFUSED ? COUNT_REFUSED : COUNT_FILTERED]! += 1;
        continue;
      }
      if (learned[chart] !== 0 && time[row]! <= newest[chart]!) {
        counts[COUNT_LATE]! += 1;
        continue;
      }
      newest[chart] = time[row]!;
      table.touch(chart);
      counts[COUNT_CLOSED]! += 1;
      const verdict = judge(charts, chart, x, rule);
      if (verdict !== "fine") alert(ewma, { verdict, row }, step, emitter);
    }
  };
}

function alert(
  { options, rule, charts, budget }: Ewma,
  { verdict, row }: { readonly verdict: "high" | "low"; readonly row: number },
  step: Step,
  emitter: Emitter,
): void {
  const { pipeline, counts, catalog } = options;
  if (!spendAlert(budget, counts)) return;
  const chart = step.batch.series[row]!;
  const centre = charts.mean[chart]!;
  const sigma = sigmaOfStatistic(charts, chart, rule);
  emitter.at = position(step.at + row);
  emitter.alert({
    kind: "alert",
    pipeline,
    key: tagsOfSeries(catalog, seriesId(chart)),
    time: millis(step.batch.time[row]!),
    reason: `ewma_${verdict}`,
    value: step.batch.value[row]!,
    score: Math.abs(charts.statistic[chart]! - centre) / sigma,
    expected: centre,
    limit: centre + (verdict === "high" ? rule.sigmas : -rule.sigmas) * sigma,
  });
}

/** Tags of the series with its metric: the key of what is said about it. */
function tagsOfSeries(catalog: Catalog, series: SeriesId): Tags {
  const { device, metric } = catalog.series(series);
  return sortedTags([...catalog.device(device).tags, ["metric", metric]]);
}

/** Takes one reading into its chart; whether an alert is due. */
function judge(charts: Charts, chart: number, x: number, rule: Rule): Verdict {
  const { mean, spread, statistic, fade, learned, quiet, outside } = charts;
  if (outside[chart]! >= limits.outOfControlReadingsMax) restart(charts, chart);
  if (learned[chart]! <= rule.warmup) {
    learn(charts, chart, x, rule);
    return "fine";
  }
  const centre = mean[chart]!;
  const z = statistic[chart]! + rule.lambda * (x - statistic[chart]!);
  const faded = fade[chart]! * rule.fading;
  statistic[chart] = z;
  fade[chart] = faded < FADE_MIN ? 0 : faded;
  const distance = z - centre;
  if (Math.abs(distance) > rule.sigmas * sigmaOfStatistic(charts, chart, rule)) {
    const isDue = quiet[chart] === 0;
    quiet[chart] = rule.rearm;
    outside[chart]! += 1;
    if (!isDue) return "fine";
    return distance > 0 ? "high" : "low";
  }
  if (quiet[chart]! > 0) {
    quiet[chart]! -= 1;
    outside[chart]! += 1;
    return "fine";
  }
  outside[chart] = 0;
  const step = rule.baseline * (x - centre);
  spread[chart] = (1 - rule.baseline) * (spread[chart]! + (x - centre) * step);
  mean[chart] = centre + step;
  return "fine";
}

/** A reading of the warm-up. The last one turns sums into the baseline and starts the chart. */
function learn(charts: Charts, chart: number, x: number, rule: Rule): void {
  const { mean, spread, learned } = charts;
  const n = Math.max(learned[chart]!, 1);
  const distance = x - mean[chart]!;
  mean[chart]! += distance / n;
  spread[chart]! += distance * (x - mean[chart]!);
  learned[chart] = n + 1;
  if (n < rule.warmup) return;
  spread[chart]! /= n - 1;
  charts.statistic[chart] = mean[chart]!;
  charts.fade[chart] = 1;
}

/** Back to learning; the series stays known. */
function restart(charts: Charts, chart: number): void {
  charts.learned[chart] = 1;
  charts.mean[chart] = 0;
  charts.spread[chart] = 0;
  charts.quiet[chart] = 0;
  charts.outside[chart] = 0;
}

function sigmaOfStatistic({ spread, fade }: Charts, chart: number, rule: Rule): number {
  const sigma = Math.max(Math.sqrt(spread[chart]!), rule.sigmaMin, SIGMA_FLOOR);
  return sigma * Math.sqrt(rule.ratio * (1 - fade[chart]!));
}

function ruleOf(spec: EwmaPipelineSpec): Rule {
  const { lambda, baseline } = spec;
  assert(lambda > 0 && lambda <= 1, "lambda is in (0, 1]");
  assert(baseline > 0 && baseline <= 1, "the weight of the baseline is in (0, 1]");
  assert(spec.warmup >= 2, "a variance is learned from at least two readings");
  assert(spec.sigmas > 0 && spec.sigmaMin >= 0, "the limits have a width");
  return { ...spec, fading: (1 - lambda) * (1 - lambda), ratio: lambda / (2 - lambda) };
}

function createCharts(pipeline: string, seriesMax: number): Charts {
  const mean = new Float64Array(seriesMax);
  const spread = new Float64Array(seriesMax);
  const statistic = new Float64Array(seriesMax);
  const fade = new Float64Array(seriesMax);
  const newest = new Float64Array(seriesMax);
  const learned = new Uint32Array(seriesMax);
  const quiet = new Uint32Array(seriesMax);
  const outside = new Uint32Array(seriesMax);
  const columns = [mean, spread, statistic, fade, newest, learned, quiet, outside];
  const table = new StateTable({
    name: `${pipeline}/ewma`,
    version: 1,
    rowsMax: seriesMax,
    rowsPerChunk: ROWS_PER_CHUNK,
    columns: columns.map((cells) => ({ cells, stride: 1 })),
  });
  return { table, mean, spread, statistic, fade, newest, learned, quiet, outside };
}
