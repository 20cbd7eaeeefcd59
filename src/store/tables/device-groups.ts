/** Series in the order in which a table has them: by device, since those of one share their stamps. */

import { type SeriesId, seriesId } from "../../core/units.ts";

/** Groups of one device each; devices and series ascend. */
export function deviceGroups(
  series: Iterable<number>,
  deviceOf: (series: SeriesId) => number,
): readonly (readonly SeriesId[])[] {
  const ids = [...series].toSorted((a, b) => a - b).map((id) => seriesId(id));
  const groups = Map.groupBy(ids, deviceOf);
  return [...groups].toSorted(([a], [b]) => a - b).map(([, group]) => group);
}
