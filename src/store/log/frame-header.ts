/**
 * The 64 bytes before each frame's body (docs/format/log.md). They carry their own checksum, so a
 * damaged body can be skipped and counted, and three proofs that the frame is where it belongs: the
 * incarnation of the segment (a recycled file still holds old, valid-looking frames), the checksum
 * of the predecessor, and the position up to which the log was durable when it was written.
 */

import { checksumOf } from "../../core/checksum.ts";
import { type Millis, millis, type Position, position } from "../../core/units.ts";

export const FRAME_HEADER_BYTES = 64;
/** The highest that is known. A frame is of the lowest that can tell what is in it. */
export const FRAME_VERSION = 3;
/** Has rows with KIND_STORED. */
export const FRAME_VERSION_STORED = 2;
/** Has a definition of what was posted; rows with KIND_STORED or not. */
export const FRAME_VERSION_POSTED = 3;

/** "WFRM": the first bytes of a frame. */
export const FRAME_MAGIC: Uint8Array = Buffer.from("WFRM", "latin1");

export type FrameHeader = {
  readonly version: number;
  /** How the body is stored. */
  readonly encoding: "plain" | "zstd";
  readonly clockTrusted: boolean;
  /** Drawn when the segment was taken into use; unsigned 64 bits. */
  readonly incarnation: bigint;
  /** `checksum` of the frame before; 0 before the first of the log. */
  readonly previous: number;
  readonly rows: number;
  readonly first: Position;
  /** Everything below was synced when this frame was written. */
  readonly durableThrough: Position;
  readonly clock: Millis;
  /** Length of the body, and of the body as stored, without padding. */
  readonly bodyBytes: number;
  readonly storedBytes: number;
  /** CRC-32 of the stored body. */
  readonly bodyChecksum: number;
  /** CRC-32 of the header itself. */
  readonly checksum: number;
};

const MAGIC = new DataView(Uint8Array.from(FRAME_MAGIC).buffer).getUint32(0, true);
const CLOCK_TRUSTED = 1;
const CHECKSUM_AT = 60;

/** Fills `target` (64 bytes) and returns the header's checksum. */
export function encodeFrameHeader(
  target: Uint8Array,
  header: Omit<FrameHeader, "checksum">,
): number {
  const view = new DataView(target.buffer, target.byteOffset, FRAME_HEADER_BYTES);
  target.set(FRAME_MAGIC);
  view.setUint8(4, header.version);
  view.setUint8(5, header.encoding === "zstd" ? 1 : 0);
  view.setUint16(6, header.clockTrusted ? CLOCK_TRUSTED : 0, true);
  view.setBigUint64(8, header.incarnation, true);
  view.setUint32(16, header.previous, true);
  view.setUint32(20, header.rows, true);
  view.setBigUint64(24, BigInt(header.first), true);
  view.setBigUint64(32, BigInt(header.durableThrough), true);
  view.setFloat64(40, header.clock, true);
  view.setUint32(48, header.bodyBytes, true);
  view.setUint32(52, header.storedBytes, true);
  view.setUint32(56, header.bodyChecksum, true);
  const checksum = checksumOf(target.subarray(0, CHECKSUM_AT));
  view.setUint32(CHECKSUM_AT, checksum, true);
  return checksum;
}

/** The header in the first 64 bytes, or undefined where they are no whole header. */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, FRAME_HEADER_BYTES);
  if (view.getUint32(0, true) !== MAGIC) return undefined;
  const checksum = view.getUint32(CHECKSUM_AT, true);
  if (checksumOf(bytes.subarray(0, CHECKSUM_AT)) !== checksum) return undefined;
  return {
    version: view.getUint8(4),
    encoding: view.getUint8(5) === 0 ? "plain" : "zstd",
    clockTrusted: (view.getUint16(6, true) & CLOCK_TRUSTED) !== 0,
    incarnation: view.getBigUint64(8, true),
    previous: view.getUint32(16, true),
    rows: view.getUint32(20, true),
    first: position(Number(view.getBigUint64(24, true))),
    durableThrough: position(Number(view.getBigUint64(32, true))),
    clock: millis(view.getFloat64(40, true)),
    bodyBytes: view.getUint32(48, true),
    storedBytes: view.getUint32(52, true),
    bodyChecksum: view.getUint32(56, true),
    checksum,
  };
}

/** Bytes the frame takes in its segment. */
export function frameBytes(header: Pick<FrameHeader, "storedBytes">): number {
  return FRAME_HEADER_BYTES + Math.ceil(header.storedBytes / 8) * 8;
}

/** The position after the frame's last. */
export function endOfFrame(header: Pick<FrameHeader, "first" | "rows">): Position {
  return position(header.first + header.rows + 1);
}
