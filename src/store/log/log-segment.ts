/**
 * A segment: one file of the log, of fixed size, written from front to back and then recycled.
 *
 *   log-0000000007.seg   | header page, 4096 | frame | frame | ... | zeros or bytes of an older use |
 *
 * The header page holds the same header twice, in different sectors, so one flipped bit or lost
 * sector does not take the segment along. A file whose header is blank, or of the number it had
 * before it was recycled, holds no frames: it is a spare. What follows the last frame is never
 * trusted: a frame belongs to the segment only if it carries the segment's incarnation, 64 random
 * bits drawn when the file was taken into use.
 */

import { join } from "node:path";
import { checksumOf } from "../../core/checksum.ts";
import type { DiskFile } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { type Position, position } from "../../core/units.ts";

export const SEGMENT_HEADER_BYTES = 4096;
export const SEGMENT_VERSION = 1;

export type SegmentHeader = {
  readonly number: number;
  /** Unsigned 64 bits. */
  readonly incarnation: bigint;
  /** Position of the first frame that is, or will be, in the segment. */
  readonly first: Position;
  /** `checksum` of the last frame before the segment; 0 where there was none. */
  readonly previous: number;
};

/** A file that holds frames. */
export type Segment = SegmentHeader & {
  readonly file: DiskFile;
  readonly path: string;
  /** Size of the file. */
  readonly capacity: number;
  /** Bytes in use from the front, header page included. */
  used: number;
  /** The position after its last frame. */
  end: Position;
  /** A few of its frames, ascending: where a read may begin. */
  readonly marks: Mark[];
  /** Positions [from, to) that were lost when the log was opened. */
  readonly holes: Hole[];
};

export type Hole = { readonly from: Position; readonly to: Position };

export type Mark = { readonly first: Position; readonly offset: number };

/** Bytes between two marks. */
const MARK_BYTES = 64 * 1024;

/** What the header page of a file says. */
export type HeaderPage =
  | { readonly kind: "segment"; readonly header: SegmentHeader }
  /** Blank, or of an earlier number: nothing in the file counts. */
  | { readonly kind: "spare" }
  /** Neither header can be read. */
  | { readonly kind: "damaged" };

export function segmentPath(directory: string, number: number): string {
  return join(directory, `log-${String(number).padStart(10, "0")}.seg`);
}

/** The number of a file's name, or undefined where it is no segment's. */
export function segmentNumberOf(name: string): number | undefined {
  const digits = /^log-(\d{10,})\.seg$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Notes a frame that begins at `offset`, where the last mark lies far enough behind. */
export function markFrame(segment: Segment, first: Position, offset: number): void {
  const last = segment.marks.at(-1);
  if (last === undefined || offset - last.offset >= MARK_BYTES) {
    segment.marks.push({ first, offset });
  }
}

/** The last mark at or below `at`; undefined where none is. */
export function markBefore(segment: Segment, at: Position): Mark | undefined {
  return segment.marks.findLast(({ first }) => first <= at);
}

// ---- the header page ----

const MAGIC = 0x47455357; // "WSEG"
const COPIES_AT = [0, 2048] as const;
const CHECKSUM_AT = 36;
const HEADER_BYTES = 40;

/** Fills `target` (4096 bytes). */
export function encodeSegmentHeader(target: Uint8Array, header: SegmentHeader): void {
  target.fill(0, 0, SEGMENT_HEADER_BYTES);
  for (const offset of COPIES_AT) {
    const copy = target.subarray(offset, offset + HEADER_BYTES);
    const view = new DataView(copy.buffer, copy.byteOffset, HEADER_BYTES);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, SEGMENT_VERSION, true);
    view.setBigUint64(8, BigInt(header.number), true);
    view.setBigUint64(16, header.incarnation, true);
    view.setBigUint64(24, BigInt(header.first), true);
    view.setUint32(32, header.previous, true);
    view.setUint32(CHECKSUM_AT, checksumOf(copy.subarray(0, CHECKSUM_AT)), true);
  }
}

/** Reads the header page of the file with this number and path. Throws FORMAT_TOO_NEW. */
export function decodeSegmentHeader(
  page: Uint8Array,
  file: { readonly number: number; readonly path: string },
): HeaderPage {
  const copies = COPIES_AT.map((offset) => page.subarray(offset, offset + HEADER_BYTES));
  const headers = copies.map((copy) => decodeCopy(copy, file.path));
  const header = headers.find((copy) => copy?.number === file.number);
  if (header !== undefined) return { kind: "segment", header };
  const isSpare = headers.some((copy) => copy !== undefined) || copies.every(isBlank);
  return { kind: isSpare ? "spare" : "damaged" };
}

function isBlank(copy: Uint8Array): boolean {
  return copy.every((byte) => byte === 0);
}

function decodeCopy(copy: Uint8Array, path: string): SegmentHeader | undefined {
  const view = new DataView(copy.buffer, copy.byteOffset, HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  if (checksumOf(copy.subarray(0, CHECKSUM_AT)) !== view.getUint32(CHECKSUM_AT, true)) {
    return undefined;
  }
  assertKnownVersion(view.getUint32(4, true), SEGMENT_VERSION, { path, offset: 0 });
  return {
    number: Number(view.getBigUint64(8, true)),
    incarnation: view.getBigUint64(16, true),
    first: position(Number(view.getBigUint64(24, true))),
    previous: view.getUint32(32, true),
  };
}

/** Throws FORMAT_TOO_NEW where `version` is above `known`. */
export function assertKnownVersion(
  version: number,
  known: number,
  place: { readonly path: string; readonly offset: number },
): void {
  if (version <= known) return;
  throw new Fault(
    "FORMAT_TOO_NEW",
    `${place.path} was written by a newer weir (log format ${version}, this one knows ${known}); start the newer version`,
    { facts: { ...place, version, known } },
  );
}
