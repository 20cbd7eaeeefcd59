/** Which series a `where` takes, by the names that the catalog has for them. */

import type { Catalog } from "../core/catalog.ts";
import { globOf } from "../core/glob.ts";
import type { SeriesId } from "../core/units.ts";
import type { WhereSpec } from "./spec.ts";

/** The result asks the catalog each time: it may grow. */
export function takesSeries(catalog: Catalog, where: WhereSpec): (series: SeriesId) => boolean {
  const { sources } = where;
  const metrics = where.metrics.map(globOf);
  const tagGlobs = Object.entries(where.tags).map(([name, glob]) => ({ name, glob: globOf(glob) }));
  return (series) => {
    const { device, metric } = catalog.series(series);
    if (metrics.length > 0 && !metrics.some((glob) => glob(metric))) return false;
    const { source, tags } = catalog.device(device);
    if (sources.length > 0 && !sources.includes(catalog.source(source))) return false;
    return tagGlobs.every(({ name, glob }) =>
      tags.some(([tag, value]) => tag === name && glob(value)),
    );
  };
}
