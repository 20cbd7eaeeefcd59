/**
 * Which records of the outbox tell of erased series alone, and in which of them there is something of
 * theirs beside others': aggregates, which stay and are told.
 *
 * Of a pipeline that is in force the keys are known, with the series in each. One of an earlier
 * definition left nothing but its records, so the tags of a record's key decide: whose they are, it may
 * be about.
 */

import { type Catalog, nameOfTags } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";
import type { Alert, Raw, Summary } from "../../core/record.ts";
import { type SeriesId, seriesId } from "../../core/units.ts";
import type { ErasedKeys, PipelineKey } from "../../edge-ops/dataflow.ts";

/** What of a record tells whose it is. */
export type Telling = Pick<Summary | Alert, "kind" | "pipeline" | "key"> | Raw;

export type RecordChoice = {
  /** Whether a record tells of the erased series, and of no others. */
  readonly tells: (record: Telling) => boolean;
  /** Keys that hold something of them still; of earlier pipelines those of the records seen by now. */
  readonly kept: () => readonly PipelineKey[];
};

/** `pipelines`: names of those in force; `keys`: theirs of the series. O(series known) for each key. */
export function chooseRecords(
  catalog: Catalog,
  {
    series,
    keys,
    pipelines,
  }: {
    readonly series: readonly SeriesId[];
    readonly keys: ErasedKeys;
    readonly pipelines: readonly string[];
  },
): RecordChoice {
  const chosen = new Set(series);
  const inForce = new Set(pipelines);
  const own = new Set(keys.own.map(named));
  const kept = new Map(keys.shared.map((shared) => [named(shared), shared]));
  const byKey = new Map<string, Holders>();
  const holdersOf = (key: Tags): Holders => {
    const name = nameOfTags(key);
    const known = byKey.get(name);
    if (known !== undefined) return known;
    const all = seriesWith(catalog, key);
    const count = all.filter((id) => chosen.has(id)).length;
    const holders = count === 0 ? "others" : count === all.length ? "erased" : "both";
    byKey.set(name, holders);
    return holders;
  };
  const names = new Set(series.map((id) => nameOfSeries(catalog, id)));
  const tells = (record: Telling): boolean => {
    if (record.kind === "raw") return names.has(`${record.source} ${record.series}`);
    const { pipeline, key } = record;
    const name = named({ pipeline, key });
    if (own.has(name)) return true;
    const holders = holdersOf(key);
    if (holders === "both" && !inForce.has(pipeline)) kept.set(name, { pipeline, key });
    return holders === "erased";
  };
  return { tells, kept: () => [...kept.values()] };
}

/** Who has the tags of a key. */
type Holders = "erased" | "others" | "both";

function named({ pipeline, key }: PipelineKey): string {
  return `${pipeline} ${nameOfTags(key)}`;
}

function nameOfSeries(catalog: Catalog, id: SeriesId): string {
  const { source } = catalog.device(catalog.series(id).device);
  return `${catalog.source(source)} ${catalog.seriesName(id)}`;
}

/** Series that have these tags, `metric` among them. */
function seriesWith(catalog: Catalog, key: Tags): readonly SeriesId[] {
  return Array.from({ length: catalog.seriesCount }, (_, id) => seriesId(id)).filter((id) => {
    const { device, metric } = catalog.series(id);
    const { tags } = catalog.device(device);
    return key.every(([name, value]) =>
      name === "metric"
        ? metric === value
        : tags.some(([tag, tagged]) => tag === name && tagged === value),
    );
  });
}
