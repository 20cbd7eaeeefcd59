/**
 * A page of a section's index: some series in ascending order, and where their directories are. What
 * follows from the entry before takes a byte: ids are dense, and directories lie in about their order.
 */

import { ByteReader, type ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { readSigned, writeSigned } from "../codec/signed-varint.ts";

/** Few enough that finding one is cheap; each page takes some 16 bytes of both footers. */
export const INDEX_PAGE_ENTRIES = 64;

/** The most an entry may take. */
export const INDEX_ENTRY_BYTES_MAX: number = 5 + 6 + 5 + 4;

export type IndexEntry = {
  readonly series: number;
  /** Of its directory: offset from the first of the section, length, checksum. */
  readonly at: number;
  readonly bytes: number;
  readonly checksum: number;
};

/** What the first entry is told by. */
const before = { series: 0, at: 0, bytes: 0 };

/** At most INDEX_PAGE_ENTRIES, in strictly ascending order of series. */
export function encodeIndexPage(writer: ByteWriter, entries: readonly IndexEntry[]): void {
  let last = before;
  for (const entry of entries) {
    writer.varint(entry.series - last.series);
    writeSigned(writer, entry.at - (last.at + last.bytes));
    writer.varint(entry.bytes);
    writer.u32(entry.checksum);
    last = entry;
  }
}

/** Throws MalformedBytes. */
export function decodeIndexPage(page: Uint8Array): readonly IndexEntry[] {
  const reader = new ByteReader(page);
  const entries: IndexEntry[] = [];
  let last = before;
  while (reader.left > 0) {
    const series = last.series + reader.varint();
    const at = last.at + last.bytes + readSigned(reader);
    const entry = { series, at, bytes: reader.varint(), checksum: reader.u32() };
    if (at < 0) throw new MalformedBytes("a directory before the first", reader.offset);
    entries.push(entry);
    last = entry;
  }
  return entries;
}
