/**
 * What a section of a table is closed with: the directories of its series, and the index to them.
 * Directories lie in the order in which series were written, index entries in that of their ids.
 */

import { assert } from "../../core/assert.ts";
import { ByteWriter } from "../../core/bytes.ts";
import { checksumOf } from "../../core/checksum.ts";
import { limits } from "../../core/limits.ts";
import type { SeriesId } from "../../core/units.ts";
import type { AppendFile } from "./append-file.ts";
import type { BlockFigures } from "./block-figures.ts";
import type { ResolutionMs } from "./rows.ts";
import {
  INDEX_ENTRY_BYTES,
  INDEX_PAGE_BYTES,
  INDEX_PAGE_ENTRIES,
  type Section,
} from "./table-format.ts";

export class SectionWriter {
  readonly resolution: ResolutionMs;
  readonly #directories = new ByteWriter({
    bytes: 4_096,
    bytesMax: limits.tableDirectoriesBytesMax,
  });
  /** Index entries in the order in which series were written. */
  readonly #entries = new ByteWriter({
    bytes: INDEX_PAGE_BYTES,
    bytesMax: limits.seriesMax * INDEX_ENTRY_BYTES,
  });
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
    const { ids, index } = this.#index();
    const series = ids.length;
    const directoriesAt = file.bytes;
    file.append(this.#directories.slice(0, this.#directories.length));
    const indexAt = file.bytes;
    file.append(index);
    const pages = Math.ceil(series / INDEX_PAGE_ENTRIES);
    const pageSeries = new Uint32Array(pages);
    const pageChecksums = new Uint32Array(pages);
    for (let page = 0; page < pages; page++) {
      const from = page * INDEX_PAGE_BYTES;
      pageSeries[page] = ids[page * INDEX_PAGE_ENTRIES]!;
      pageChecksums[page] = checksumOf(index.subarray(from, from + INDEX_PAGE_BYTES));
    }
    const section: Section = {
      resolution: this.resolution,
      series,
      blocks: this.#blocks,
      rows: this.#rows,
      timeFirst: this.#timeFirst,
      timeLast: this.#timeLast,
      directoriesAt,
      indexAt,
      pageSeries,
      pageChecksums,
    };
    return { section, ids };
  }

  /** The entries in ascending order of series. */
  #index(): { readonly ids: Uint32Array; readonly index: Uint8Array } {
    const entries = this.#entries.slice(0, this.#entries.length);
    const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
    const count = entries.length / INDEX_ENTRY_BYTES;
    const seriesOf = (place: number): number => view.getUint32(place * INDEX_ENTRY_BYTES, true);
    const places = Uint32Array.from({ length: count }, (_, place) => place);
    places.sort((one, other) => seriesOf(one) - seriesOf(other));
    const ids = places.map(seriesOf);
    const index = new Uint8Array(entries.length);
    for (let i = 0; i < count; i++) {
      assert(i === 0 || ids[i] !== ids[i - 1], "a series has one device");
      const from = places[i]! * INDEX_ENTRY_BYTES;
      index.set(entries.subarray(from, from + INDEX_ENTRY_BYTES), i * INDEX_ENTRY_BYTES);
    }
    return { ids, index };
  }
}
