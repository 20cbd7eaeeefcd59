/**
 * P4: each record is upstream once.
 *
 *   Kafka   under one outbox, the numbers of a lane are 0, 1, 2 and so on, each once
 *           and in each partition they rise
 *   both    over all lanes of summaries: no identity twice; revisions of a window are 0, 1, 2 and so on, in that order, and each
 *           says something that the one before it did not
 *   proof   `weir upstream verify` finds no break
 *   end     nothing is left in the outbox, and no uplink has an incident to tell of
 */

import type { Evidence, Upstream, Violation } from "./evidence.ts";

/** `isWhole`: the medium gave back everything; else windows may begin anew with revision 0. */
export function checkOnce(
  evidence: Evidence,
  { isWhole }: { readonly isWhole: boolean },
): readonly Violation[] {
  const { upstream, incidents, leftOver, unproven } = evidence;
  const lanes = Map.groupBy(upstream, ({ place, lane }) => `${lane} in ${place}`);
  // What is behind is of the same windows as what is fresh.
  const kinds = Map.groupBy(
    upstream,
    ({ place, lane }) => `${lane === "alerts" ? lane : "summaries"} in ${place}`,
  );
  const found = [
    ...[...kinds].flatMap(([where, records]) =>
      (isWhole ? checkIdentities(records, isDegraded(evidence)) : []).map(
        (what) => `${where}: ${what}`,
      ),
    ),
    ...[...lanes].flatMap(([where, records]) =>
      checkNumbers(records).map((what) => `${where}: ${what}`),
    ),
  ];
  if (leftOver > 0) found.push(`${leftOver} records are still in the outbox`);
  found.push(...incidents.map((incident) => `an incident: ${incident}`));
  if (isWhole && unproven !== undefined) found.push(`not proven: ${unproven}`);
  return found.map((what) => ({ promise: "P4", what }));
}

/** Summaries may be merged, or dropped: then revisions are missing that newer ones take the place of. */
export function isDegraded({ outbox }: Pick<Evidence, "outbox">): boolean {
  return outbox.merges || outbox.drops;
}

/** It stands for records that were dropped. */
export function isGap({ record }: Upstream): boolean {
  return record["kind"] === "gap";
}

/** It says how far its key is complete. */
export function isMarker({ record }: Upstream): boolean {
  return record["kind"] === "complete";
}

function checkIdentities(records: readonly Upstream[], isDegraded: boolean): readonly string[] {
  const found: string[] = [];
  const seen = new Set<string>();
  const revisions = new Map<string, number>();
  const lastSaid = new Map<string, string>();
  for (const read of records) {
    const { record, lane } = read;
    const id = String(record["id"]);
    if (id.startsWith("no JSON")) found.push(id);
    if (seen.has(id)) found.push(`${id} is there twice`);
    seen.add(id);
    if (lane === "alerts" || isDegraded || isMarker(read)) continue;
    const window = windowOf(id);
    const revision = Number(record["revision"]);
    const next = revisions.get(window) ?? 0;
    if (revision !== next) found.push(`${window} has revision ${revision} where ${next} is due`);
    revisions.set(window, revision + 1);
    const said = JSON.stringify({ ...record, id: "", revision: 0 });
    if (lastSaid.get(window) === said) found.push(`${id} says nothing new`);
    lastSaid.set(window, said);
  }
  return found;
}

/** Of lanes that number their records. */
export function checkNumbers(records: readonly Upstream[]): readonly string[] {
  const numbered = records.flatMap(({ eventId }) => (eventId === undefined ? [] : [eventId]));
  if (numbered.length === 0) return [];
  const last = new Map<number, number>();
  const falls = records.filter(({ partition, eventId = "" }) => {
    const number = Number(eventId.split(":")[2]);
    const before = last.get(partition) ?? -1;
    last.set(partition, number);
    return number <= before;
  });
  const outboxes = new Set(numbered.map((eventId) => eventId.split(":")[0]));
  const numbers = numbered
    .map((eventId) => Number(eventId.split(":")[2]))
    .toSorted((a, b) => a - b);
  const found = outboxes.size > 1 ? [`records of ${outboxes.size} outboxes`] : [];
  if (falls.length > 0) found.push(`${falls[0]!.eventId} is behind a later one`);
  const first = numbers[0] ?? 0;
  const gap = numbers.findIndex((number, index) => number !== first + index);
  if (gap >= 0) found.push(`number ${numbers[gap]} where ${first + gap} is due`);
  if (first > 0) found.push(`the first number is ${first}`);
  return found;
}

/** Agent, pipeline, key and start: what all revisions of a window, or a session that grows, share. */
export function windowOf(id: string): string {
  return id.split("/").slice(0, 4).join("/");
}

/** The newest revision of each window, or session that grew. */
export function newestWindows(
  upstream: readonly Upstream[],
  of: { readonly place: string; readonly pipeline: string },
): readonly Upstream["record"][] {
  const newest = new Map<string, Upstream["record"]>();
  for (const read of upstream) {
    const { place, record } = read;
    if (place !== of.place || record["pipeline"] !== of.pipeline) continue;
    if (isGap(read) || isMarker(read)) continue;
    const window = windowOf(String(record["id"]));
    const known = newest.get(window);
    if (known === undefined || Number(known["revision"]) < Number(record["revision"])) {
      newest.set(window, record);
    }
  }
  return [...newest.values()];
}
