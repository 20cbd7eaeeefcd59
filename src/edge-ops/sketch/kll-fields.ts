/** What a summary says of a sketch: percentiles, and the sketch itself. */

import type { SummaryFields } from "../../core/record.ts";
import { encodeKll } from "./kll-format.ts";
import type { Kll } from "./kll.ts";

const percents = [50, 90, 95, 99] as const;
const values = new Float64Array(percents.length);

/** Names of the percentiles, in the order of `percents`. */
export const percentileNames = ["p50", "p90", "p95", "p99"] as const;

/** Those of its fields that are `wanted`. The sketch is not empty; it is sorted by this. */
export function sketchFieldsOf(
  sketch: Kll,
  wanted: (name: (typeof percentileNames)[number] | "quantiles") => boolean,
): SummaryFields {
  const fields: { -readonly [Name in keyof SummaryFields]: SummaryFields[Name] } = {};
  sketch.sort();
  sketch.percentiles(percents, values);
  for (const [i, name] of percentileNames.entries()) if (wanted(name)) fields[name] = values[i]!;
  if (wanted("quantiles")) fields.quantiles = encodeKll(sketch);
  return fields;
}
