/**
 * P5, where Kafka was away and the outbox small: what is upstream is coarser than what was emitted, or
 * missing and said to be. The truth is the same log applied once more, with all the room it needs; that
 * this is true, the other checks say.
 *
 *   truth      | 3 | 4 | 0 | 2 | 5 | 1 | 7 | 2 |       newest revisions of a key's windows
 *   upstream   | 3 | 4 |     7     | gap 8 | 2 |       each window in one record or in none;
 *                                                      counts, sums, minima and maxima are those of
 *                                                      their windows, gaps count the windows in none
 */

import type { Evidence, Upstream, Violation } from "./evidence.ts";
import { isGap, newestWindows } from "./once.ts";
import { sketchFault, sketchOf } from "./sketches.ts";

type Found = Upstream["record"];

export function checkDegraded(evidence: Evidence): readonly Violation[] {
  const { replayed, places, outbox } = evidence;
  if (replayed === undefined) return [];
  const pipelines = [
    ...evidence.windows.map(({ name }) => name),
    evidence.sessions,
    evidence.arrivals,
  ];
  const found = places.flatMap((place) => [
    ...pipelines.flatMap((pipeline) => checkPipeline(evidence, { place, pipeline })),
    ...checkAlerts(evidence, place),
  ]);
  const gaps = evidence.upstream.filter(isGap);
  if (gaps.length > 0 && !outbox.drops)
    found.push(`${gaps.length} gaps, though nothing is dropped`);
  return found.map((what) => ({ promise: "P5", what }));
}

function checkPipeline(
  { replayed = [], upstream, outboxTiers }: Evidence,
  of: { readonly place: string; readonly pipeline: string },
): readonly string[] {
  const found: string[] = [];
  const truth = newestWindows(replayed, { place: "replayed", pipeline: of.pipeline });
  const left = Map.groupBy(
    truth.filter(({ count }) => Number(count) > 0),
    deviceOf,
  );
  for (const record of newestWindows(upstream, of)) {
    if (record["count"] === 0) continue;
    const where = `${String(record["id"])} in ${of.place}`;
    const [start, end] = [Number(record["start"]), Number(record["end"])];
    const isMerged = record["merged"] !== undefined;
    const windows = left.get(deviceOf(record)) ?? [];
    const own = windows.filter((window) =>
      isMerged ? isWithin(window, start, end) : window["start"] === start,
    );
    const others = windows.filter((window) => !own.includes(window));
    left.set(deviceOf(record), others);
    if (isMerged && (!outboxTiers.includes(end - start) || start % (end - start) !== 0)) {
      found.push(`${where} is of no tier`);
    }
    const expected: Readonly<Record<string, unknown>> = {
      windows: own.length,
      count: sumOf(own, "count"),
      sum: own[0]?.["sum"] === undefined ? undefined : sumOf(own, "sum"),
      min: own[0]?.["min"] === undefined ? undefined : Math.min(...valuesOf(own, "min")),
      max: own[0]?.["max"] === undefined ? undefined : Math.max(...valuesOf(own, "max")),
    };
    const said: Readonly<Record<string, unknown>> = { ...record, windows: record["merged"] ?? 1 };
    const sketches = own.flatMap((window) => sketchOf(window) ?? []);
    if (sketches.length > 0) {
      const items = sketches.flatMap((sketch) => sketch.items);
      const values = items.map(({ value }) => value);
      if (items.some(({ weight }) => weight > 1)) found.push(`${where}: the truth has forgotten`);
      const fault = sketchFault(record, values);
      if (fault !== undefined) found.push(`${where}: ${fault}`);
    }
    for (const [name, value] of Object.entries(expected)) {
      if (said[name] !== value) {
        found.push(
          `${where}: ${name} is ${String(said[name])}, that of its windows ${String(value)}`,
        );
      }
    }
  }
  return [...found, ...checkGaps(gapsIn(upstream, of), [...left.values()].flat(), of)];
}

/** Windows that are in no record are in a gap, and the gaps count them. */
function checkGaps(
  gaps: readonly Found[],
  missing: readonly Found[],
  of: { readonly place: string; readonly pipeline: string },
): readonly string[] {
  const where = `${of.pipeline} in ${of.place}`;
  const found = missing
    .filter(
      (window) => !gaps.some((gap) => isWithin(window, Number(gap["start"]), Number(gap["end"]))),
    )
    .map((window) => `${where}: ${String(window["id"])} is in no record and no gap`);
  const [said, true_] = [sumOf(gaps, "readings"), sumOf(missing, "count")];
  if (said !== true_) found.push(`${where}: gaps have ${said} readings where ${true_} are missing`);
  if (sumOf(gaps, "records") > 0 && missing.length === 0) found.push(`${where}: a gap for nothing`);
  return found;
}

function checkAlerts({ replayed = [], upstream }: Evidence, place: string): readonly string[] {
  const here = upstream.filter((read) => read.place === place && read.lane === "alerts");
  const ids = new Set(here.map(({ record }) => String(record["id"])));
  const missing = replayed.filter(
    ({ lane, record }) => lane === "alerts" && !ids.has(String(record["id"])),
  ).length;
  const gaps = here.filter(isGap).map(({ record }) => record);
  const said = sumOf(gaps, "records");
  return said === missing
    ? []
    : [`alerts in ${place}: gaps have ${said} where ${missing} are missing`];
}

function gapsIn(
  upstream: readonly Upstream[],
  { place, pipeline }: { readonly place: string; readonly pipeline: string },
): readonly Found[] {
  return upstream
    .filter((read) => isGap(read) && read.place === place && read.record["pipeline"] === pipeline)
    .map(({ record }) => record);
}

function isWithin(window: Found, start: number, end: number): boolean {
  return Number(window["start"]) >= start && Number(window["end"]) <= end;
}

function deviceOf(record: Found): string {
  return JSON.stringify(record["key"]);
}

function valuesOf(records: readonly Found[], name: string): readonly number[] {
  return records.map((record) => Number(record[name]));
}

/** Of numbers that are exact in any order. */
function sumOf(records: readonly Found[], name: string): number {
  return valuesOf(records, name).reduce((sum, value) => sum + value, 0);
}
