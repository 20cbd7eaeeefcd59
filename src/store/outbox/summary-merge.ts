/**
 * Summaries of one key in windows that follow each other, merged into one of the whole interval.
 *
 *   count, arrivalTimed   exact
 *   min, max              exact
 *   first, last           those of the earliest and the latest time: exact
 *   sum + sumError        compensated pair (Neumaier 1974), as the windows' own
 *   quantiles, p50 to p99 of the merged sketch (kll.ts): its error is as of one; percentiles without
 *                         `quantiles` are left out
 *   mean                  of the sum where there is one, else weighted by the counts
 *   variance              Chan, Golub and LeVeque 1983 ("Algorithms for computing the sample
 *                         variance"), where the difference of the means is taken from exact products;
 *                         relative error 1e-12 and what the windows' own were off by. Without sum it
 *                         is taken from the means: an error of some 2^-52 of the square of the mean
 *                         more. Without either it is left out
 *
 * What one of the windows lacks, the whole lacks. Numbers beyond 1e145 or so may make the variance
 * NaN or infinite; nothing here fails.
 */

import { assert } from "../../core/assert.ts";
import type { Summary, SummaryFields } from "../../core/record.ts";
import type { Millis } from "../../core/units.ts";
import { decodeKll } from "../../edge-ops/sketch/kll-format.ts";
import { Kll } from "../../edge-ops/sketch/kll.ts";
import { sketchFieldsOf } from "../../edge-ops/sketch/kll-fields.ts";
import { errorOfProduct, errorOfSum } from "../../edge-ops/rounding-error.ts";

/** `parts`: at least one, of one pipeline and key, apart in time, the earliest first. */
export function mergeSummaries(
  parts: readonly Summary[],
  interval: { readonly start: Millis; readonly end: Millis },
): Summary {
  const [head] = parts;
  assert(head !== undefined, "something is merged");
  let all: Part | undefined;
  let arrivalTimed = 0;
  let merged = 0;
  const counted = parts.filter(({ count }) => count > 0);
  for (const part of parts) {
    arrivalTimed += part.arrivalTimed;
    merged += part.merged ?? 1;
  }
  for (const part of counted) all = all === undefined ? part : added(all, part);
  return {
    kind: "summary",
    pipeline: head.pipeline,
    key: head.key,
    ...interval,
    revision: 0,
    count: all?.count ?? 0,
    fields: counted.length > 1 ? { ...all?.fields, ...sketchOf(counted) } : (all?.fields ?? {}),
    arrivalTimed,
    merged,
  };
}

type Part = Pick<Summary, "count" | "fields">;

function added(a: Part, b: Part): Part {
  const count = a.count + b.count;
  const sums = sumOf(a.fields, b.fields);
  return {
    count,
    fields: {
      ...sums,
      ...both(a.fields.mean, b.fields.mean, "mean", (x, y) =>
        sums.sum === undefined
          ? (x * a.count + y * b.count) / count
          : (sums.sum + (sums.sumError ?? 0)) / count,
      ),
      ...both(a.fields.min, b.fields.min, "min", Math.min),
      ...both(a.fields.max, b.fields.max, "max", Math.max),
      ...varianceOf(a, b),
      ...firstOf(a.fields, b.fields),
      ...lastOf(a.fields, b.fields),
    },
  };
}

function both<Name extends string>(
  a: number | undefined,
  b: number | undefined,
  name: Name,
  of: (a: number, b: number) => number,
): { readonly [name in Name]?: number } {
  if (a === undefined || b === undefined) return {};
  const value: { [name in Name]?: number } = {};
  value[name] = of(a, b);
  return value;
}

function sumOf(a: SummaryFields, b: SummaryFields): Pick<SummaryFields, "sum" | "sumError"> {
  if (a.sum === undefined || b.sum === undefined) return {};
  const sum = a.sum + b.sum;
  const isFinite = Number.isFinite(sum);
  const error = (a.sumError ?? 0) + (b.sumError ?? 0) + errorOfSum(a.sum, b.sum, sum);
  return { sum, sumError: isFinite ? error : 0 };
}

function varianceOf(a: Part, b: Part): Pick<SummaryFields, "variance"> {
  const apart = squaresApart(a, b);
  if (a.fields.variance === undefined || b.fields.variance === undefined) return {};
  if (apart === undefined) return {};
  const squares = a.fields.variance * a.count + b.fields.variance * b.count + apart;
  return { variance: squares / (a.count + b.count) };
}

/** What the squares of two parts lack because their means differ; undefined where these are unknown. */
function squaresApart({ count: m, fields: a }: Part, { count: n, fields: b }: Part) {
  if (a.sum !== undefined && b.sum !== undefined) {
    const left = n * a.sum;
    const right = m * b.sum;
    const low =
      errorOfProduct(n, a.sum, left) -
      errorOfProduct(m, b.sum, right) +
      (n * (a.sumError ?? 0) - m * (b.sumError ?? 0));
    const distance = left - right + low;
    return ((distance / m) * (distance / n)) / (m + n);
  }
  if (a.mean === undefined || b.mean === undefined) return undefined;
  const distance = a.mean - b.mean;
  return distance * distance * ((m * n) / (m + n));
}

const whole = new Kll();
const one = new Kll();

/** Of all parts at once: reading them off a sketch is what costs. Nothing where one lacks its sketch, or has another's. */
function sketchOf(parts: readonly Part[]): SummaryFields {
  whole.clear();
  for (const { fields, count } of parts) {
    if (fields.quantiles === undefined || !decodeKll(fields.quantiles, one)) return {};
    if (one.count !== count) return {};
    whole.merge(one);
  }
  return sketchFieldsOf(whole, (name) => parts.every(({ fields }) => fields[name] !== undefined));
}

function firstOf(a: SummaryFields, b: SummaryFields): Pick<SummaryFields, "first" | "firstTime"> {
  if (a.first === undefined || b.first === undefined) return {};
  if (a.firstTime === undefined || b.firstTime === undefined) return { first: a.first };
  const { first, firstTime } = b.firstTime < a.firstTime ? b : a;
  return { first: first ?? a.first, firstTime: firstTime ?? a.firstTime };
}

function lastOf(a: SummaryFields, b: SummaryFields): Pick<SummaryFields, "last" | "lastTime"> {
  if (a.last === undefined || b.last === undefined) return {};
  if (a.lastTime === undefined || b.lastTime === undefined) return { last: b.last };
  const { last, lastTime } = a.lastTime > b.lastTime ? a : b;
  return { last: last ?? b.last, lastTime: lastTime ?? b.lastTime };
}
