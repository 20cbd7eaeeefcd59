/**
 * P2: outputs are a function of the log. One identity is one text in every place that it must reach,
 * and the same log applied once more, from nothing, says the same.
 */

import type { Evidence, Upstream, Violation } from "./evidence.ts";

export function checkSame({ upstream, places, replayed }: Evidence): readonly Violation[] {
  const found: string[] = [];
  const all = places.map(
    (place) => [place, byIdentity(upstream.filter((read) => read.place === place))] as const,
  );
  if (replayed !== undefined) all.push(["replayed", byIdentity(replayed)]);
  const [first, ...others] = all;
  if (first === undefined) return [];
  const [firstPlace, firstTexts] = first;
  for (const [place, texts] of others) {
    for (const id of new Set([...firstTexts.keys(), ...texts.keys()])) {
      const [here, there] = [firstTexts.get(id), texts.get(id)];
      if (here === there) continue;
      const one = here === undefined ? place : firstPlace;
      const how = here === undefined || there === undefined ? `is only in ${one}` : "differs";
      found.push(`${id} ${how} (${firstPlace} and ${place})`);
    }
  }
  return found.map((what) => ({ promise: "P2", what }));
}

function byIdentity(records: readonly Upstream[]): ReadonlyMap<string, string> {
  return new Map(records.map(({ record, text }) => [String(record["id"]), text]));
}
