/**
 * P2: outputs are a function of the log. One identity is one text, wherever it was read, and the
 * same log applied once more, from nothing, says the same.
 */

import type { Evidence, Upstream, Violation } from "./evidence.ts";

export function checkSame({ upstream, replayed }: Evidence): readonly Violation[] {
  const found: string[] = [];
  const places = [...Map.groupBy(upstream, ({ place }) => place)].map(
    ([place, records]) => [place, byIdentity(records)] as const,
  );
  if (replayed !== undefined) places.push(["replayed" as never, byIdentity(replayed)]);
  const [first, ...others] = places;
  for (const [place, texts] of others) {
    const [firstPlace, firstTexts] = first!;
    for (const id of new Set([...firstTexts.keys(), ...texts.keys()])) {
      const [here, there] = [firstTexts.get(id), texts.get(id)];
      if (here === there) continue;
      const how =
        here === undefined
          ? `only in ${place}`
          : there === undefined
            ? `only in ${firstPlace}`
            : "differs";
      found.push(`${id}: ${how} (${firstPlace} and ${place})`);
    }
  }
  return found.map((what) => ({ promise: "P2", what }));
}

function byIdentity(records: readonly Upstream[]): ReadonlyMap<string, string> {
  return new Map(records.map(({ record, text }) => [String(record["id"]), text]));
}
