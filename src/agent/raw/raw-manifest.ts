/** What ends an answer: counts, digest, and what is missing. */

import { limits } from "../../core/limits.ts";
import type { RawOutcome } from "../../core/record.ts";
import { millis, type SeriesId, seriesId } from "../../core/units.ts";
import { encodeManifest } from "../../store/outbox/raw-codec.ts";
import { coarserSpans } from "../query/answers.ts";
import type { Query } from "../query/queries.ts";
import { joinedSpans } from "./coarser-spans.ts";
import type { RawRequest } from "./raw-request.ts";

/** The bytes, a new buffer. */
export function manifestOf(
  request: RawRequest,
  {
    agent,
    outcome,
    namesOf,
  }: {
    readonly agent: string;
    readonly outcome: RawOutcome;
    readonly namesOf: (series: SeriesId) => { readonly source: string; readonly series: string };
  },
): Uint8Array {
  const { id, from, to, select, parts, readings, digest, reason, coarser, damaged } = request;
  return encodeManifest(agent, {
    kind: "manifest",
    request: id,
    from: millis(from),
    to: millis(to),
    outcome,
    select,
    parts,
    readings,
    digest,
    reason,
    coarser,
    damaged,
    series: [...request.counts].map(([series, { readings: count, first, last }]) => ({
      ...namesOf(seriesId(series)),
      readings: count,
      first: millis(first),
      last: millis(last),
    })),
  });
}

/** The request with what the query could not read of it. */
export function reported(request: RawRequest, { report }: Query): RawRequest {
  if (report.coarser.size === 0 && report.damaged.size === 0) return request;
  const spans = [...request.coarser, ...coarserSpans([...report.coarser])];
  const coarser = joinedSpans(spans, limits.rawCoarserSpansMax);
  return { ...request, coarser, damaged: request.damaged || report.damaged.size > 0 };
}
