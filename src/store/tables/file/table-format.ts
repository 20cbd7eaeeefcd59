/**
 * A table file around its blocks (docs/format/tables.md):
 *
 *   | header | section | section | ... | filter | footer | footer | trailer | zeros | trailer |
 *              |
 *              groups of blocks | directories of series | pages of the index
 *
 * From the end to the front each part has the checksums of the next: the trailer those of footer and
 * filter, the footer those of the index pages, a page those of directories, a directory those of
 * blocks. So damage is always seen by whoever comes across it, and harms only what lies behind it;
 * footer and trailer stand twice, since all lies behind them.
 */

import { assert } from "../../../core/assert.ts";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { checksumOf } from "../../../core/checksum.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { INDEX_PAGE_ENTRIES } from "./index-page.ts";
import type { ResolutionMs } from "../rows.ts";

export const TABLE_VERSION = 1;

/** Something in a file is not what was written; the reason says what and where. */
export type Damaged = { readonly kind: "damaged"; readonly reason: string };

export type SectionSummary = {
  readonly resolution: ResolutionMs;
  readonly series: number;
  readonly blocks: number;
  readonly rows: number;
  /** Times of the earliest and the latest row. */
  readonly timeFirst: number;
  readonly timeLast: number;
};

/** What is known of a table without opening it. Sections are in ascending order of resolution. */
export type TableSummary = {
  readonly version: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly sections: readonly SectionSummary[];
  /** Of all sections together. */
  readonly rows: number;
  readonly timeFirst: number;
  readonly timeLast: number;
};

/** The pages of an index in columns, one row per page. */
export type IndexPages = {
  /** The least series in it. */
  readonly series: Uint32Array;
  /** Its end, counted from the start of the first. */
  readonly ends: Uint32Array;
  readonly checksums: Uint32Array;
};

export function createIndexPages(count: number): IndexPages {
  return {
    series: new Uint32Array(count),
    ends: new Uint32Array(count),
    checksums: new Uint32Array(count),
  };
}

/** Where the directories of a section are. */
export type Section = SectionSummary & {
  /** Directories lie one after another from here, the index pages from there. */
  readonly directoriesAt: number;
  readonly indexAt: number;
  /** In ascending order of series. */
  readonly pages: IndexPages;
};

// ---- header ----

/** "WTBL" */
const MAGIC = 0x4c425457;
export const TABLE_HEADER_BYTES = 12;

/** The first bytes of a table: magic, version, checksum of both. */
export function encodeTableHeader(): Uint8Array {
  const bytes = new Uint8Array(TABLE_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, TABLE_VERSION, true);
  view.setUint32(8, checksumOf(bytes.subarray(0, 8)), true);
  return bytes;
}

/** The version in a header; undefined where it is none. */
export function versionInHeader(bytes: Uint8Array): number | undefined {
  if (bytes.length < TABLE_HEADER_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, TABLE_HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  if (view.getUint32(8, true) !== checksumOf(bytes.subarray(0, 8))) return undefined;
  return view.getUint32(4, true);
}

/** Throws FORMAT_TOO_NEW where `version` is above the one known here. */
export function assertKnownTable(version: number, path: string): void {
  if (version <= TABLE_VERSION) return;
  throw new Fault(
    "FORMAT_TOO_NEW",
    `${path} was written by a newer weir (table format ${version}, this one knows ${TABLE_VERSION}); start the newer version`,
    { facts: { path, version, known: TABLE_VERSION } },
  );
}

// ---- trailer ----

/** What the end of a file says of the parts before it. */
export type Trailer = {
  readonly version: number;
  /** Size of the file. */
  readonly bytes: number;
  readonly filterBytes: number;
  readonly filterChecksum: number;
  /** Of one copy. */
  readonly footerBytes: number;
  readonly footerChecksum: number;
};

export const TRAILER_BYTES = 36;
/** The copies begin so far apart that no single sector holds both. */
const COPIES_APART = 512;
/** Both trailers and what is between. */
export const TRAILERS_BYTES: number = COPIES_APART + TRAILER_BYTES;

/** The last bytes of a table. */
export function encodeTrailers(trailer: Omit<Trailer, "version">): Uint8Array {
  const bytes = new Uint8Array(TRAILERS_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  view.setUint32(4, TABLE_VERSION, true);
  view.setBigUint64(8, BigInt(trailer.bytes), true);
  view.setUint32(16, trailer.filterBytes, true);
  view.setUint32(20, trailer.filterChecksum, true);
  view.setUint32(24, trailer.footerBytes, true);
  view.setUint32(28, trailer.footerChecksum, true);
  view.setUint32(32, checksumOf(bytes.subarray(0, 32)), true);
  bytes.copyWithin(COPIES_APART, 0, TRAILER_BYTES);
  return bytes;
}

/** The trailer in the last bytes of a file, which are at least TRAILERS_BYTES; undefined where both are damaged. */
export function decodeTrailers(end: Uint8Array): Trailer | undefined {
  const at = end.length - TRAILERS_BYTES;
  assert(at >= 0, "the end of a table has room for its trailers");
  return decodeTrailer(end.subarray(at)) ?? decodeTrailer(end.subarray(at + COPIES_APART));
}

/** Both copies in the last bytes of a file; undefined what is damaged. */
export function trailerCopies(end: Uint8Array): readonly (Trailer | undefined)[] {
  const at = end.length - TRAILERS_BYTES;
  return [decodeTrailer(end.subarray(at)), decodeTrailer(end.subarray(at + COPIES_APART))];
}

function decodeTrailer(bytes: Uint8Array): Trailer | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, TRAILER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  if (view.getUint32(32, true) !== checksumOf(bytes.subarray(0, 32))) return undefined;
  return {
    version: view.getUint32(4, true),
    bytes: Number(view.getBigUint64(8, true)),
    filterBytes: view.getUint32(16, true),
    filterChecksum: view.getUint32(20, true),
    footerBytes: view.getUint32(24, true),
    footerChecksum: view.getUint32(28, true),
  };
}

// ---- footer ----

export function encodeFooter(sections: readonly Section[]): Uint8Array {
  const writer = new ByteWriter({ bytes: 1_024, bytesMax: limits.tableFooterBytesMax });
  writeSections(writer, sections);
  for (const { directoriesAt, indexAt, pages } of sections) {
    writer.varint(directoriesAt);
    writer.varint(indexAt);
    for (const [page, series] of pages.series.entries()) {
      writer.varint(series - (pages.series[page - 1] ?? 0));
      writer.varint(pages.ends[page]! - (pages.ends[page - 1] ?? 0));
      writer.u32(pages.checksums[page]!);
    }
  }
  return writer.slice(0, writer.length);
}

/** Throws MalformedBytes. */
export function decodeFooter(bytes: Uint8Array): readonly Section[] {
  const reader = new ByteReader(bytes);
  const sections = readSections(reader).map((section): Section => {
    const directoriesAt = reader.varint();
    const indexAt = reader.varint();
    const count = Math.ceil(section.series / INDEX_PAGE_ENTRIES);
    if (count * 6 > reader.left) throw new MalformedBytes("pages past the end", reader.offset);
    const pages = createIndexPages(count);
    for (let page = 0; page < count; page++) {
      pages.series[page] = (pages.series[page - 1] ?? 0) + reader.varint();
      pages.ends[page] = (pages.ends[page - 1] ?? 0) + reader.varint();
      pages.checksums[page] = reader.u32();
    }
    return { ...section, directoriesAt, indexAt, pages };
  });
  assertAllRead(reader);
  return sections;
}

// ---- summary ----

const SUMMARY_VERSION = 1;

/** For the list of tables. */
export function encodeTableSummary(summary: TableSummary): Uint8Array {
  const writer = new ByteWriter({ bytes: 128, bytesMax: 1_024 });
  writer.u8(SUMMARY_VERSION);
  writer.varint(summary.version);
  writer.varint(summary.bytes);
  writeSections(writer, summary.sections);
  return writer.slice(0, writer.length);
}

/** Throws MalformedBytes. */
export function decodeTableSummary(bytes: Uint8Array): TableSummary {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== SUMMARY_VERSION) throw new MalformedBytes("an unknown version", 0);
  const version = reader.varint();
  const size = reader.varint();
  const sections = readSections(reader);
  assertAllRead(reader);
  return summaryOf(sections, { version, bytes: size });
}

export function summaryOf(
  sections: readonly SectionSummary[],
  file: { readonly version: number; readonly bytes: number },
): TableSummary {
  return {
    ...file,
    sections: sections.map(({ resolution, series, blocks, rows, timeFirst, timeLast }) => {
      return { resolution, series, blocks, rows, timeFirst, timeLast };
    }),
    rows: sections.reduce((sum, { rows }) => sum + rows, 0),
    timeFirst: Math.min(...sections.map(({ timeFirst }) => timeFirst)),
    timeLast: Math.max(...sections.map(({ timeLast }) => timeLast)),
  };
}

function writeSections(writer: ByteWriter, sections: readonly SectionSummary[]): void {
  assert(sections.length <= limits.tableSectionsMax, "a table has so many sections");
  writer.u8(sections.length);
  for (const { resolution, series, blocks, rows, timeFirst, timeLast } of sections) {
    writer.varint(resolution);
    writer.varint(series);
    writer.varint(blocks);
    writer.varint(rows);
    writer.f64(timeFirst);
    writer.f64(timeLast);
  }
}

function readSections(reader: ByteReader): readonly SectionSummary[] {
  const count = reader.u8();
  if (count === 0 || count > limits.tableSectionsMax) {
    throw new MalformedBytes(`${count} sections`, reader.offset - 1);
  }
  return Array.from({ length: count }, () => ({
    resolution: reader.varint(),
    series: reader.varint(),
    blocks: reader.varint(),
    rows: reader.varint(),
    timeFirst: reader.f64(),
    timeLast: reader.f64(),
  }));
}

function assertAllRead(reader: ByteReader): void {
  if (reader.left > 0) throw new MalformedBytes("more than there is to say", reader.offset);
}
