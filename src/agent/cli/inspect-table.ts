/** `weir store inspect TABLE`: sections, series and blocks of one table. */

import { counted } from "../../core/counted.ts";
import { Catalog } from "../../core/catalog.ts";
import type { Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { type SeriesId, seriesId } from "../../core/units.ts";
import { readDefinitions } from "../../store/state/catalog-store.ts";
import type { SectionSummary } from "../../store/tables/file/table-format.ts";
import { tablePath } from "../../store/tables/listing/table-files.ts";
import type { ListedTable } from "../../store/tables/listing/table-list.ts";
import { openTable, type Table } from "../../store/tables/file/table-reader.ts";
import { readingDisk } from "../doors/disk.ts";
import { tableText } from "./ledger-text.ts";
import { resolutionText, timeText } from "./store-text.ts";

type SeriesInTable = {
  readonly series: number;
  /** Undefined where the state store does not know it yet. */
  readonly name: string | undefined;
  readonly blocks: number;
  readonly rows: number;
  readonly numbers: number;
  readonly bytes: number;
  readonly timeFirst: number;
  readonly timeLast: number;
  readonly min: number;
  readonly max: number;
};

type SectionInTable = SectionSummary & { readonly content: readonly SeriesInTable[] };

/** Text, or one line of JSON. Faults: STORE_FAILED where it cannot be opened. */
export async function inspectTable(
  kv: Kv,
  {
    listed,
    directory,
    json,
  }: { readonly listed: ListedTable; readonly directory: string; readonly json: boolean },
): Promise<string> {
  const path = tablePath(directory, listed.id);
  const opened = await openTable(readingDisk, path);
  if (opened.kind === "damaged") {
    const message = `${opened.reason}; weir store repair sets it aside, and so does a running agent`;
    throw new Fault("STORE_FAILED", message);
  }
  try {
    const nameOf = namesIn(kv);
    const sections: SectionInTable[] = [];
    const damaged: string[] = [];
    for (const section of opened.table.summary.sections) {
      sections.push(await sectionOf(opened.table, section, { nameOf, damaged }));
    }
    if (json) return JSON.stringify({ ...listed, path, sections, damaged });
    const lines = sections.map((section) => `${sectionText(section)}\n`);
    return [`${path}\n`, ...lines, ...damaged.map((reason) => `damaged: ${reason}`)].join("\n");
  } finally {
    await opened.table.close();
  }
}

async function sectionOf(
  table: Table,
  section: SectionSummary,
  {
    nameOf,
    damaged,
  }: { readonly nameOf: (id: SeriesId) => string | undefined; readonly damaged: string[] },
): Promise<SectionInTable> {
  const { resolution } = section;
  const content: SeriesInTable[] = [];
  const series = await table.series(resolution);
  if (series.kind === "damaged") damaged.push(series.reason);
  for (const number of series.ids) {
    const id = seriesId(number);
    const found = await table.entries(resolution, id);
    if (found.kind === "damaged") {
      damaged.push(found.reason);
      continue;
    }
    const { entries } = found;
    const sum = (of: (entry: (typeof entries)[number]) => number): number =>
      entries.reduce((total, entry) => total + of(entry), 0);
    content.push({
      series: id,
      name: nameOf(id),
      blocks: entries.length,
      rows: sum(({ rows }) => rows),
      numbers: sum(({ numbers }) => numbers),
      // Stamps that series of one device share are counted for each of them.
      bytes: sum(({ stampsBytes, valuesBytes }) => stampsBytes + valuesBytes),
      timeFirst: Math.min(...entries.map(({ timeFirst }) => timeFirst)),
      timeLast: Math.max(...entries.map(({ timeLast }) => timeLast)),
      min: Math.min(...entries.map(({ min }) => min)),
      max: Math.max(...entries.map(({ max }) => max)),
    });
  }
  return { ...section, content };
}

function sectionText({ resolution, rows, blocks, content }: SectionInTable): string {
  return [
    `${resolutionText(resolution)}: ${content.length} series, ${counted(blocks, "block")}, ${counted(rows, "row")}`,
    tableText({
      head: ["series", "id", "rows", "blocks", "bytes", "min", "max", "from", "to"],
      rows: content.map((one) => [
        one.name ?? "(not known yet)",
        String(one.series),
        String(one.rows),
        String(one.blocks),
        String(one.bytes),
        one.numbers === 0 ? "-" : String(one.min),
        one.numbers === 0 ? "-" : String(one.max),
        timeText(one.timeFirst),
        timeText(one.timeLast),
      ]),
    }),
  ].join("\n");
}

/** A series as its device's tags and its metric. */
function namesIn(kv: Kv): (id: SeriesId) => string | undefined {
  const catalog = new Catalog();
  for (const definition of readDefinitions(kv)) catalog.define(definition);
  return (id) => {
    if (id >= catalog.seriesCount) return undefined;
    const { device, metric } = catalog.series(id);
    const tags = catalog.device(device).tags.map(([name, value]) => `${name}=${value}`);
    return [...tags, `metric=${metric}`].join(",");
  };
}
