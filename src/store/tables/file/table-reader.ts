/**
 * An open table. The way to a block, and what is read for it:
 *
 *   footer (in memory) -> one page of the index -> the directory of the series -> its blocks
 *
 * Every step is checked by the checksum that the step before has for it, so a read gives what was
 * written or says that it is damaged, and damage harms only what lies behind it. Failures of the disk
 * itself reject as they come.
 */

import { assert } from "../../../core/assert.ts";
import { ByteReader, MalformedBytes } from "../../../core/bytes.ts";
import { checksumOf } from "../../../core/checksum.ts";
import type { DiskFile } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import type { SeriesId } from "../../../core/units.ts";
import { type BlockRun, runFrom } from "./block-runs.ts";
import { decodeColumn } from "../codec/column-codec.ts";
import { decodeIndexPage, type IndexEntry } from "./index-page.ts";
import { ReadAhead } from "./read-ahead.ts";
import { columnCountOf, type ResolutionMs, type Rows } from "../rows.ts";
import { mayHoldSeries } from "./series-filter.ts";
import { decodeStamps } from "../codec/stamp-codec.ts";
import { type BlockEntry, decodeDirectory } from "./table-directory.ts";
import {
  assertKnownTable,
  type Damaged,
  decodeFooter,
  decodeTrailers,
  type Section,
  summaryOf,
  TABLE_HEADER_BYTES,
  type TableSummary,
  type Trailer,
  TRAILERS_BYTES,
  versionInHeader,
} from "./table-format.ts";

/** What a reader needs of a disk. */
export type TableDisk = {
  open(path: string, options: { readonly create: false }): Promise<TableFile>;
};
export type TableFile = Pick<DiskFile, "read" | "size" | "close">;

export type OpenedTable = { readonly kind: "table"; readonly table: Table } | Damaged;

/**
 * Reads the end of the file, and where that is not all, the rest of footer and filter. Rejects with
 * FORMAT_TOO_NEW, or as the disk does.
 */
export async function openTable(disk: TableDisk, path: string): Promise<OpenedTable> {
  const file = await disk.open(path, { create: false });
  try {
    const end = await readEnd(file, path);
    if (end.kind === "end") return { kind: "table", table: new Table(file, path, end) };
    await file.close();
    return end;
  } catch (error) {
    await file.close();
    throw error;
  }
}

type TableEnd = {
  readonly kind: "end";
  readonly version: number;
  readonly bytes: number;
  readonly sections: readonly Section[];
  /** Undefined where it is damaged: then it rules out nothing. */
  readonly filter: Uint8Array | undefined;
};

async function readEnd(file: TableFile, path: string): Promise<TableEnd | Damaged> {
  const size = await file.size();
  const head = TABLE_HEADER_BYTES;
  if (size < head + TRAILERS_BYTES) return await withoutTrailer(file, path, size);
  const end = await readAt(file, Math.max(0, size - limits.tableTailReadBytes), size);
  if (end === undefined) return damaged(`${path}: its end cannot be read`);
  const trailer = decodeTrailers(end);
  if (trailer === undefined) return await withoutTrailer(file, path, size);
  assertKnownTable(trailer.version, path);
  const { version, bytes, filterBytes, footerBytes } = trailer;
  if (bytes !== size) return damaged(`${path}: is ${size} bytes long, of ${bytes}`);
  const wanted = filterBytes + 2 * footerBytes + TRAILERS_BYTES;
  if (version < 1 || head + wanted > size) return damaged(`${path}: its trailer is none of ours`);
  const whole = wanted <= end.length ? end : await readAt(file, size - wanted, size);
  if (whole === undefined) return damaged(`${path}: its footer cannot be read`);
  const parts = whole.subarray(whole.length - wanted);
  const sections = sectionsIn(parts.subarray(filterBytes), trailer);
  if (sections === undefined) return damaged(`${path}: both copies of its footer are damaged`);
  // A copy: what else was read is let go.
  const filter = new Uint8Array(parts.subarray(0, filterBytes));
  const isFilter = filterBytes > 0 && checksumOf(filter) === trailer.filterChecksum;
  return { kind: "end", version, bytes, sections, filter: isFilter ? filter : undefined };
}

/** What the first copy that is whole says. */
function sectionsIn(
  copies: Uint8Array,
  { footerBytes, footerChecksum }: Trailer,
): readonly Section[] | undefined {
  for (const from of [0, footerBytes]) {
    const copy = copies.subarray(from, from + footerBytes);
    if (checksumOf(copy) !== footerChecksum) continue;
    const sections = parsed(() => decodeFooter(copy));
    if (sections !== undefined) return sections;
  }
  return undefined;
}

/** A file that does not end like a table: of a newer version, or damaged. */
async function withoutTrailer(file: TableFile, path: string, size: number): Promise<Damaged> {
  const header = await readAt(file, 0, Math.min(size, TABLE_HEADER_BYTES));
  const version = header === undefined ? undefined : versionInHeader(header);
  if (version !== undefined) assertKnownTable(version, path);
  return damaged(`${path}: does not end like a table (${size} bytes)`);
}

/** Made by `openTable`. Reads may run side by side. */
export class Table {
  readonly path: string;
  readonly summary: TableSummary;
  readonly #file: TableFile;
  readonly #end: TableEnd;
  #lastPage:
    | {
        readonly section: Section;
        readonly page: number;
        readonly index: readonly IndexEntry[];
      }
    | undefined;

  constructor(file: TableFile, path: string, end: TableEnd) {
    this.path = path;
    const { sections, version, bytes } = end;
    this.summary = summaryOf(sections, { version, bytes });
    this.#file = file;
    this.#end = end;
  }

  /** The same for who reads all of it, one read at a time; open as long as this one is. */
  readingAhead(): Table {
    return new Table(new ReadAhead(this.#file), this.path, this.#end);
  }

  /** False where the table certainly has no rows of the series, in no section. */
  mayHold(series: SeriesId): boolean {
    const { filter } = this.#end;
    return filter === undefined || mayHoldSeries(filter, series);
  }

  /** The blocks of a series in ascending order of time; none where it has none. */
  async entries(
    resolution: ResolutionMs,
    series: SeriesId,
  ): Promise<{ readonly kind: "entries"; readonly entries: readonly BlockEntry[] } | Damaged> {
    const none = { kind: "entries", entries: [] } as const;
    const section = this.#sectionOf(resolution);
    if (section === undefined) return none;
    const page = pageWith(section.pages.series, series);
    if (page < 0) return none;
    const index = await this.#pageAgain(section, page);
    if (index === undefined) return this.#damaged(section, `page ${page} of the index`);
    const found = index.find((entry) => entry.series === series);
    if (found === undefined) return none;
    const entries = await this.#directory(section, found);
    if (entries === undefined) return this.#damaged(section, `the directory of series ${series}`);
    return { kind: "entries", entries };
  }

  /**
   * All series of a section in the order in which they lie in the file, that is, by device. Where
   * pages of the index are damaged, those on the others.
   */
  async series(resolution: ResolutionMs): Promise<SeriesRead> {
    const section = this.#sectionOf(resolution);
    if (section === undefined) return { kind: "series", ids: new Uint32Array(0) };
    const entries: IndexEntry[] = [];
    let damage: Damaged | undefined;
    for (let page = 0; page < section.pages.series.length; page++) {
      const index = await this.#page(section, page);
      if (index === undefined) damage ??= this.#damaged(section, `page ${page} of the index`);
      else entries.push(...index);
    }
    entries.sort((one, other) => one.at - other.at);
    const ids = Uint32Array.from(entries, ({ series }) => series);
    return damage === undefined ? { kind: "series", ids } : { ...damage, ids };
  }

  /** One block into `target`, which has the section's columns and room for its rows. */
  async read(
    resolution: ResolutionMs,
    entry: BlockEntry,
    target: Rows,
  ): Promise<"read" | "damaged"> {
    assertRoom(resolution, entry, target);
    return decodeBlock(await this.readEncoded(entry), entry.rows, target);
  }

  /** Blocks of a series one after another, in few reads where they lie together. */
  cursor(resolution: ResolutionMs, entries: readonly BlockEntry[]): BlockCursor {
    return new BlockCursor({ resolution, entries, blocksOf: (run) => this.#blocksOf(run) });
  }

  /** The bytes of one block as they were written; the caller owns them. */
  async readEncoded(entry: BlockEntry): Promise<BlockBytes | Damaged> {
    return (await this.#blocksOf(runFrom([entry], 0)))(entry);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Reads a run; gives the bytes of each of its entries. */
  async #blocksOf({ stamps, values }: BlockRun): Promise<BlocksRead> {
    const isAdjacent = stamps.to === values.from;
    const first = await readAt(this.#file, stamps.from, isAdjacent ? values.to : stamps.to);
    const stampsRead = first?.subarray(0, stamps.to - stamps.from);
    const valuesRead = isAdjacent
      ? first?.subarray(values.from - stamps.from)
      : await readAt(this.#file, values.from, values.to);
    return ({ stampsAt, stampsBytes, stampsChecksum, valuesAt, valuesBytes, valuesChecksum }) => {
      const stampsFrom = stampsAt - stamps.from;
      const valuesFrom = valuesAt - values.from;
      const stampsOf = stampsRead?.subarray(stampsFrom, stampsFrom + stampsBytes);
      const valuesOf = valuesRead?.subarray(valuesFrom, valuesFrom + valuesBytes);
      if (stampsOf === undefined || checksumOf(stampsOf) !== stampsChecksum) {
        return damaged(`${this.path}: the stamps at ${stampsAt}`);
      }
      if (valuesOf === undefined || checksumOf(valuesOf) !== valuesChecksum) {
        return damaged(`${this.path}: the values at ${valuesAt}`);
      }
      return { kind: "block", stamps: stampsOf, values: valuesOf };
    };
  }

  #sectionOf(resolution: ResolutionMs): Section | undefined {
    return this.#end.sections.find((section) => section.resolution === resolution);
  }

  /** The last page is remembered: a merge asks for one series after another. */
  async #pageAgain(section: Section, page: number): Promise<readonly IndexEntry[] | undefined> {
    const last = this.#lastPage;
    if (last?.section === section && last.page === page) return last.index;
    const index = await this.#page(section, page);
    if (index !== undefined) this.#lastPage = { section, page, index };
    return index;
  }

  async #page(
    { indexAt, pages }: Section,
    page: number,
  ): Promise<readonly IndexEntry[] | undefined> {
    const from = indexAt + (pages.ends[page - 1] ?? 0);
    const bytes = await readAt(this.#file, from, indexAt + pages.ends[page]!);
    if (bytes === undefined || checksumOf(bytes) !== pages.checksums[page]) return undefined;
    return parsed(() => decodeIndexPage(bytes));
  }

  async #directory(
    { directoriesAt }: Section,
    { at, bytes: length, checksum }: IndexEntry,
  ): Promise<readonly BlockEntry[] | undefined> {
    if (length > limits.tableDirectoryBytesMax) return undefined;
    const from = directoriesAt + at;
    const bytes = await readAt(this.#file, from, from + length);
    if (bytes === undefined || checksumOf(bytes) !== checksum) return undefined;
    return parsed(() => decodeDirectory(bytes));
  }

  #damaged({ resolution }: Section, what: string): Damaged {
    return damaged(`${this.path}: ${what}, section ${resolution}`);
  }
}

/** The bytes of a block of a run. */
type BlocksRead = (entry: BlockEntry) => BlockBytes | Damaged;

/** Made by `Table.cursor`; one `next` at a time. */
export class BlockCursor {
  readonly #resolution: ResolutionMs;
  readonly #entries: readonly BlockEntry[];
  readonly #blocksOf: (run: BlockRun) => Promise<BlocksRead>;
  #place = 0;
  /** What was read ahead, up to the entry at `#runEnd`. */
  #run: BlocksRead | undefined;
  #runEnd = 0;

  constructor(parts: {
    readonly resolution: ResolutionMs;
    readonly entries: readonly BlockEntry[];
    readonly blocksOf: (run: BlockRun) => Promise<BlocksRead>;
  }) {
    this.#resolution = parts.resolution;
    this.#entries = parts.entries;
    this.#blocksOf = parts.blocksOf;
  }

  /**
   * The next block into `target`, as `Table.read` does; undefined after the last. Where it rejects,
   * the next call tries the same again.
   */
  async next(
    target: Rows,
  ): Promise<{ readonly kind: "read" | "damaged"; readonly entry: BlockEntry } | undefined> {
    const entry = this.#entries[this.#place];
    if (entry === undefined) {
      this.#run = undefined;
      return undefined;
    }
    assertRoom(this.#resolution, entry, target);
    if (this.#run === undefined || this.#place >= this.#runEnd) {
      const run = runFrom(this.#entries, this.#place);
      this.#run = await this.#blocksOf(run);
      this.#runEnd = this.#place + run.entries.length;
    }
    this.#place += 1;
    return { kind: decodeBlock(this.#run(entry), entry.rows, target), entry };
  }
}

/** Ids in file order. */
export type SeriesRead = ({ readonly kind: "series" } | Damaged) & { readonly ids: Uint32Array };

export type BlockBytes = {
  readonly kind: "block";
  readonly stamps: Uint8Array;
  readonly values: Uint8Array;
};

function assertRoom(resolution: ResolutionMs, entry: BlockEntry, target: Rows): void {
  assert(target.columns.length === columnCountOf(resolution), "a target has all columns");
  assert(target.time.length >= entry.rows, "a target has room for the block");
}

/** `damaged` too where the bytes are not what their encodings say. */
function decodeBlock(block: BlockBytes | Damaged, rows: number, target: Rows): "read" | "damaged" {
  if (block.kind === "damaged") return "damaged";
  const left = parsed(() => {
    const stamps = new ByteReader(block.stamps);
    const values = new ByteReader(block.values);
    decodeStamps(stamps, target, rows);
    for (const column of target.columns) decodeColumn(values, column, rows);
    return stamps.left + values.left;
  });
  return left === 0 ? "read" : "damaged";
}

/** The last page whose least series is not above `series`; -1 where all are. */
function pageWith(pageSeries: Uint32Array, series: number): number {
  let low = 0;
  let high = pageSeries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (pageSeries[middle]! <= series) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// ---- bytes ----

/** Bytes [from, to), or undefined where the file ends before. */
async function readAt(file: TableFile, from: number, to: number): Promise<Uint8Array | undefined> {
  const bytes = Buffer.allocUnsafe(to - from);
  return (await file.read(bytes, from)) === bytes.length ? bytes : undefined;
}

/** What `parse` gives, or undefined where the bytes are malformed. */
function parsed<Result>(parse: () => Result): Result | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined;
    throw error;
  }
}

function damaged(reason: string): Damaged {
  return { kind: "damaged", reason };
}
