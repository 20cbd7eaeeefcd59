/** Which class of the store a series belongs to: the first that takes it, decided once. */

import type { Catalog } from "../core/catalog.ts";
import type { SeriesId } from "../core/units.ts";
import type { WhereSpec } from "../edge-ops/spec.ts";
import { takesSeries } from "../edge-ops/where.ts";

export type SeriesClass = { readonly name: string; readonly where: WhereSpec };

/** Asked when memory is flushed, never by reading. */
export function seriesClasses(
  catalog: Catalog,
  classes: readonly SeriesClass[],
): (series: SeriesId) => string | undefined {
  if (classes.length === 0) return () => undefined;
  const all = classes.map(({ name, where }) => ({ name, takes: takesSeries(catalog, where) }));
  /** By series; what it is called never changes. */
  const known: (string | undefined)[] = [];
  return (series) => {
    if (series in known) return known[series];
    const name = all.find(({ takes }) => takes(series))?.name;
    known[series] = name;
    return name;
  };
}
