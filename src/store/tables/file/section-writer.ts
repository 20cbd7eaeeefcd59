/**
 * What a section of a table is closed with: the directories of its series, and the index to them.
 * Directories lie in the order in which series were written, index entries in that of their ids.
 */

import { assert } from "../../../core/assert.ts";
import { ByteReader, ByteWriter } from "../../../core/bytes.ts";
import { checksumOf } from "../../../core/checksum.ts";
import { limits } from "../../../core/limits.ts";
import type { SeriesId } from "../../../core/units.ts";
import type { AppendFile } from "./append-file.ts";
import type { BlockFigures } from "./block-figures.ts";
import {
  encodeIndexPage,
  INDEX_ENTRY_BYTES_MAX,
  INDEX_PAGE_ENTRIES,
  type IndexEntry,
} from "./index-page.ts";
import type { ResolutionMs } from "../rows.ts";
import { createIndexPages, type IndexPages, type Section } from "./table-format.ts";

/** Of an index entry in memory: four times 32 bits. */
const ENTRY_BYTES = 16;

export class SectionWriter {
  readonly resolution: ResolutionMs;
  readonly #directories = new ByteWriter({
    bytes: 4_096,
    bytesMax: limits.tableDirectoriesBytesMax,
  });
  /** In the order in which series were written: series, offset, length and checksum of each directory. */
  readonly #entries = new ByteWriter({ bytes: 4_096, bytesMax: limits.seriesMax * ENTRY_BYTES });
  #blocks = 0;
  #rows = 0;
  #timeFirst = Number.POSITIVE_INFINITY;
  #timeLast = Number.NEGATIVE_INFINITY;

  constructor(resolution: ResolutionMs) {
    this.resolution = resolution;
  }

  get isEmpty(): boolean {
    return this.#blocks === 0;
  }

  /** A block was written. */
  count({ rows, timeFirst, timeLast }: BlockFigures): void {
    this.#blocks += 1;
    this.#rows += rows;
    this.#timeFirst = Math.min(this.#timeFirst, timeFirst);
    this.#timeLast = Math.max(this.#timeLast, timeLast);
  }

  /** All blocks of a series were written; copies its directory. */
  addSeries(series: SeriesId, directory: Uint8Array): void {
    this.#entries.u32(series);
    this.#entries.u32(this.#directories.length);
    this.#entries.u32(directory.length);
    this.#entries.u32(checksumOf(directory));
    this.#directories.copy(directory, directory.length);
  }

  /** Appends directories and index; gives the ids of all series in ascending order. */
  end(file: AppendFile): { readonly section: Section; readonly ids: Uint32Array } {
    const directoriesAt = file.bytes;
    file.append(this.#directories.slice(0, this.#directories.length));
    const indexAt = file.bytes;
    const entries = this.#entriesBySeries();
    const pages = appendIndex(file, entries);
    const section: Section = {
      resolution: this.resolution,
      series: entries.length,
      blocks: this.#blocks,
      rows: this.#rows,
      timeFirst: this.#timeFirst,
      timeLast: this.#timeLast,
      directoriesAt,
      indexAt,
      pages,
    };
    return { section, ids: Uint32Array.from(entries, ({ series }) => series) };
  }

  #entriesBySeries(): readonly IndexEntry[] {
    const reader = new ByteReader(this.#entries.slice(0, this.#entries.length));
    const entries = Array.from({ length: reader.left / ENTRY_BYTES }, () => ({
      series: reader.u32(),
      at: reader.u32(),
      bytes: reader.u32(),
      checksum: reader.u32(),
    }));
    entries.sort((one, other) => one.series - other.series);
    for (const [i, { series }] of entries.entries()) {
      assert(series !== entries[i - 1]?.series, "a series has one device");
    }
    return entries;
  }
}

function appendIndex(file: AppendFile, entries: readonly IndexEntry[]): IndexPages {
  const bytesMax = INDEX_PAGE_ENTRIES * INDEX_ENTRY_BYTES_MAX;
  const writer = new ByteWriter({ bytes: bytesMax, bytesMax });
  const pages = createIndexPages(Math.ceil(entries.length / INDEX_PAGE_ENTRIES));
  const start = file.bytes;
  for (let page = 0; page < pages.series.length; page++) {
    const from = page * INDEX_PAGE_ENTRIES;
    writer.moveTo(0);
    encodeIndexPage(writer, entries.slice(from, from + INDEX_PAGE_ENTRIES));
    const bytes = writer.slice(0, writer.length);
    file.append(bytes);
    pages.series[page] = entries[from]!.series;
    pages.ends[page] = file.bytes - start;
    pages.checksums[page] = checksumOf(bytes);
  }
  return pages;
}
