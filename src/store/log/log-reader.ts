/**
 * Frames of the open log in order, decoded. What was lost when the log was opened is passed over;
 * what has become unreadable since is a fault, because whoever replays the log must not miss a frame
 * in silence: opening it again counts the damage and names it.
 */

import { type Batch, createBatch, rowsMaxOf } from "../../core/batch.ts";
import { MalformedBytes } from "../../core/bytes.ts";
import { Fault } from "../../core/faults.ts";
import type { Frame } from "../../core/frame.ts";
import type { Position } from "../../core/units.ts";
import { decodeFrame } from "./frame-codec.ts";
import { endOfFrame } from "./frame-header.ts";
import { type Hole, markBefore, SEGMENT_HEADER_BYTES, type Segment } from "./log-segment.ts";
import { type Found, walkFrames, Window } from "./log-walk.ts";

/** A segment as it stood when the read began: `used` bytes, positions up to `to`. */
export type Held = { readonly segment: Segment; readonly used: number; readonly to: Position };

export type ReadRange = {
  readonly from: Position;
  /** False once the segment was released: its file may be in use again. */
  readonly isHeld: (segment: Segment) => boolean;
};

/** The log waits where it gives a promise. */
export type Visit = (frame: Frame, at: Position) => void | Promise<void>;

const ROWS_AT_FIRST = 1024;

/** Visits the frames of `segments` from the one that holds `from`. Rejects with LOG_CORRUPT. */
export async function readFrames(
  segments: readonly Held[],
  range: ReadRange,
  visit: Visit,
): Promise<void> {
  let batch = createBatch(ROWS_AT_FIRST);
  const roomFor = (rows: number): Batch => {
    if (rowsMaxOf(batch) < rows) batch = createBatch(Math.max(rows, 2 * rowsMaxOf(batch)));
    return batch;
  };
  for (const held of segments) {
    if (held.to <= range.from) continue;
    await readSegment(held, range, (found, stored) => {
      return visit(decode(held.segment, found, stored, roomFor), found.header.first);
    });
  }
}

async function readSegment(
  { segment, used, to }: Held,
  { from, isHeld }: ReadRange,
  visit: (found: Found, stored: Uint8Array) => void | Promise<void>,
): Promise<void> {
  const { path, incarnation, holes } = segment;
  const mark = markBefore(segment, from) ?? { first: segment.first, offset: SEGMENT_HEADER_BYTES };
  const missing = (lost: Hole, offset: number): void => {
    if (holes.some((hole) => hole.from <= lost.from && lost.to <= hole.to)) return;
    if (!isHeld(segment)) return;
    throw corrupt(segment, offset, "could be read when the log was opened, and cannot now");
  };
  const chain = { position: mark.first, checksum: undefined };
  const walk = { path, incarnation, offset: mark.offset, chain };
  const tail = await walkFrames(new Window(segment.file, used), walk, (found) => {
    const { header, stored, expected, expectedAt, offset } = found;
    const end = endOfFrame(header);
    if (header.first > expected) missing({ from: expected, to: header.first }, expectedAt);
    if (stored === undefined) missing({ from: header.first, to: end }, offset);
    else if (end > from) return visit(found, stored);
    return undefined;
  });
  const { position: reached } = tail.chain;
  if (reached < to) missing({ from: reached, to }, tail.offset);
}

function decode(
  segment: Segment,
  { header, offset }: Found,
  stored: Uint8Array,
  roomFor: (rows: number) => Batch,
): Frame {
  try {
    return decodeFrame(header, stored, roomFor);
  } catch (cause) {
    if (!(cause instanceof MalformedBytes)) throw cause;
    throw corrupt(segment, offset, "is not in the log's format though its checksum holds", cause);
  }
}

function corrupt({ path }: Segment, offset: number, what: string, cause?: unknown): Fault {
  return new Fault(
    "LOG_CORRUPT",
    `a frame in ${path} at offset ${offset} ${what}; start again, and report it if it stays`,
    { cause, facts: { path, offset } },
  );
}
