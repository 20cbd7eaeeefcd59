/**
 * Writes a table file from front to back: section after section, in each of them device after
 * device. Blocks are gathered device by device (device-writer.ts), directories and index section by
 * section (section-writer.ts), bytes in pieces (append-file.ts). What is in memory is one group of
 * blocks, the pieces that were not drained, and the directories of the section.
 *
 * ```ts
 * const writer = await openTableWriter(disk, { path });
 * writer.beginSection(readings);
 * for (const device of devices) {
 *   writer.beginDevice();
 *   for (const series of device) writer.add(series, rowsOf(series));
 *   await writer.drain();
 * }
 * const summary = await writer.finish();
 * ```
 */

import { assert } from "../../../core/assert.ts";
import { checksumOf } from "../../../core/checksum.ts";
import type { Disk } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import type { SeriesId } from "../../../core/units.ts";
import { type AppendFile, openAppendFile } from "./append-file.ts";
import { DeviceWriter } from "./device-writer.ts";
import { type EncodedBlock, encodeBlock } from "./encoded-block.ts";
import type { ResolutionMs, Rows } from "../rows.ts";
import { SectionWriter } from "./section-writer.ts";
import { createSeriesFilter } from "./series-filter.ts";
import {
  encodeFooter,
  encodeTableHeader,
  encodeTrailers,
  type Section,
  summaryOf,
  TABLE_VERSION,
  TRAILERS_BYTES,
  type TableSummary,
} from "./table-format.ts";

export type { BlockEntry } from "./table-directory.ts";

/** Makes the file, empty even where one was left there. Rejects as the disk does. */
export async function openTableWriter(
  disk: Disk,
  { path }: { readonly path: string },
): Promise<TableWriter> {
  return new TableWriter(await openAppendFile(disk, path));
}

/**
 * Made by `openTableWriter`. Nothing is called while one of its promises is pending; when one has
 * rejected, only `abandon` is left.
 */
export class TableWriter {
  readonly #file: AppendFile;
  readonly #sections: Section[] = [];
  /** Ids of each section. */
  readonly #ids: Uint32Array[] = [];
  #section: SectionWriter | undefined;
  #device: DeviceWriter | undefined;

  constructor(file: AppendFile) {
    this.#file = file;
    file.append(encodeTableHeader());
  }

  /** Bytes so far, the directories of this section left out: for who wants tables of a size. */
  get bytes(): number {
    return this.#file.bytes + (this.#device?.bytes ?? 0);
  }

  /** Sections come in ascending order of resolution; one that gets no rows is left out. */
  beginSection(resolution: ResolutionMs): void {
    const before = this.#section?.resolution ?? -1;
    assert(resolution > before, "sections come in ascending order of resolution");
    this.#endSection();
    this.#section = new SectionWriter(resolution);
  }

  /** Stamps are shared among the series added until the next call. */
  beginDevice(): void {
    assert(this.#section !== undefined, "a device stands in a section");
    this.#device?.end();
    this.#device = new DeviceWriter(this.#file, this.#section);
  }

  /**
   * Rows of a series of the device, in blocks of at most limits.tableBlockRowsMax; encoded before it
   * returns. More rows of the series may follow, none of them earlier. A series has one device.
   */
  add(series: SeriesId, rows: Rows): void {
    assert(this.#section !== undefined, "rows belong to a section");
    const { resolution } = this.#section;
    for (let from = 0; from < rows.rows; from += limits.tableBlockRowsMax) {
      this.addEncoded(series, encodeBlock(resolution, rowsFrom(rows, from)));
    }
  }

  /** A block that is encoded already, otherwise like `add`; its bytes are copied. */
  addEncoded(series: SeriesId, block: EncodedBlock): void {
    assert(this.#device !== undefined, "a block belongs to a device");
    this.#device.add(series, block);
  }

  /** Writes what is gathered in whole pieces; to be awaited every few MiB. Rejects as the disk does. */
  async drain(): Promise<void> {
    await this.#file.drain();
  }

  /** Writes the rest, syncs and closes. There is at least a row. Rejects as the disk does. */
  async finish(): Promise<TableSummary> {
    this.#endSection();
    assert(this.#sections.length > 0, "a table holds rows");
    const filter = createSeriesFilter(distinct(this.#ids));
    const footer = encodeFooter(this.#sections);
    const bytes = this.#file.bytes + filter.length + 2 * footer.length + TRAILERS_BYTES;
    const trailers = encodeTrailers({
      bytes,
      filterBytes: filter.length,
      filterChecksum: checksumOf(filter),
      footerBytes: footer.length,
      footerChecksum: checksumOf(footer),
    });
    for (const part of [filter, footer, footer, trailers]) this.#file.append(part);
    await this.#file.finish();
    return summaryOf(this.#sections, { version: TABLE_VERSION, bytes });
  }

  /** Closes and removes the file, as far as the disk does that. */
  async abandon(): Promise<void> {
    await this.#file.abandon();
  }

  #endSection(): void {
    this.#device?.end();
    this.#device = undefined;
    if (this.#section === undefined || this.#section.isEmpty) return;
    const { section, ids } = this.#section.end(this.#file);
    this.#sections.push(section);
    this.#ids.push(ids);
  }
}

/** One block of rows from a row on; shares their memory. */
function rowsFrom(rows: Rows, from: number): Rows {
  if (from === 0 && rows.rows <= limits.tableBlockRowsMax) return rows;
  const to = Math.min(from + limits.tableBlockRowsMax, rows.rows);
  return {
    rows: to - from,
    time: rows.time.subarray(from, to),
    kind: rows.kind.subarray(from, to),
    sequence: rows.sequence.subarray(from, to),
    columns: rows.columns.map((column) => column.subarray(from, to)),
  };
}

/** Each id once, ascending. */
function distinct(sections: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(sections.reduce((sum, ids) => sum + ids.length, 0));
  let end = 0;
  for (const ids of sections) {
    all.set(ids, end);
    end += ids.length;
  }
  all.sort();
  return all.filter((id, i) => i === 0 || id !== all[i - 1]);
}
