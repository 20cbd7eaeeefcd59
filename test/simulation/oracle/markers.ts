/**
 * P3 by key: a completeness marker counts the newest revisions of the windows that end by it, all of them
 * are before it, and none comes behind it. Records are looked at in the order in which a consumer has them
 * of a key: of one partition in Kafka, of one lane in files.
 *
 * Where the outbox drops, keys fall short of their markers, all of a pipeline together by no more than its
 * gaps say. A marker within a merged summary is passed over.
 */

import type { Evidence, Upstream, Violation } from "./evidence.ts";
import { isGap, isMarker } from "./once.ts";

type Window = { readonly start: number; readonly end: number; readonly count: number };

export function checkMarkers({ upstream, replayed = [] }: Evidence): readonly Violation[] {
  const streams = Map.groupBy(
    [...upstream, ...replayed].filter(({ lane }) => lane !== "alerts"),
    ({ place, record }) => `${String(record["pipeline"])} in ${place}`,
  );
  return [...streams]
    .flatMap(([where, records]) => checkStream(records).map((what) => `${where}: ${what}`))
    .map((what) => ({ promise: "P3", what }));
}

function checkStream(records: readonly Upstream[]): readonly string[] {
  const found: string[] = [];
  const keyed = records.filter((read) => !isGap(read));
  const keys = Map.groupBy(keyed, ({ record }) => JSON.stringify(record["key"]));
  let short = 0;
  for (const [key, own] of keys) {
    const outcome = checkKey(own);
    short += outcome.short;
    found.push(...outcome.found.map((what) => `${key}: ${what}`));
  }
  const missing = records
    .filter(isGap)
    .reduce((sum, { record }) => sum + Number(record["readings"]), 0);
  if (short > missing)
    found.push(`${short} readings fewer than markers say, and gaps say ${missing}`);
  return found;
}

function checkKey(records: readonly Upstream[]): {
  readonly found: readonly string[];
  readonly short: number;
} {
  const found: string[] = [];
  const windows = new Map<number, Window>();
  let marked = Number.NEGATIVE_INFINITY;
  let short = 0;
  for (const read of records) {
    const { record } = read;
    const of = (name: string): number => Number(record[name]);
    if (!isMarker(read)) {
      const end = of("end");
      if (end <= marked)
        found.push(`${String(record["id"])} is behind the marker through ${marked}`);
      windows.set(of("start"), { start: of("start"), end, count: of("count") });
      continue;
    }
    const [through, readings] = [of("through"), of("readings")];
    if (through <= marked) found.push(`a marker through ${through} behind ${marked}`);
    marked = through;
    const all = [...windows.values()];
    if (all.some(({ start, end }) => start < through && end > through)) continue;
    const counted = all.filter(({ end }) => end <= through);
    const count = counted.reduce((sum, window) => sum + window.count, 0);
    if (count > readings)
      found.push(`${count} readings by ${through}, the marker says ${readings}`);
    short = readings - count;
  }
  return { found, short };
}
