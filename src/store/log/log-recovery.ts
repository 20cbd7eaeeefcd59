/**
 * Opening the log: which files hold frames, where the last frame ends, what was lost on the way.
 *
 * Appends are made one at a time and each is synced before the next, so of all frames only the last
 * can be torn: whatever follows it proves that everything before it was durable. Hence
 *
 *   unreadable, nothing after it   a torn tail: cut, and the cut synced, before anything is appended
 *   unreadable, a frame or segment after it   corruption: skipped, counted, named
 *
 * The last whole frame may have reached only the page cache when a process died or a sync failed
 * before; it is written and synced again here, so that what replay makes of it stays true.
 */

import type { Disk } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { type Position, position } from "../../core/units.ts";
import { endOfFrame, FRAME_HEADER_BYTES, FRAME_MAGIC, frameBytes } from "./frame-header.ts";
import {
  decodeSegmentHeader,
  encodeSegmentHeader,
  type HeaderPage,
  markFrame,
  SEGMENT_HEADER_BYTES,
  type Segment,
  type SegmentHeader,
  segmentNumberOf,
  segmentPath,
} from "./log-segment.ts";
import { type Chain, type Found, type Tail, walkFrames, Window } from "./log-walk.ts";
import type { Spare } from "./segment-pool.ts";

/** What opening found that is not as it was written. */
export type LogDamage = {
  /** Bytes of a frame that was being written, where they can be told from those of an older use. */
  readonly tornBytes: number;
  /** Positions that were durable and are gone. */
  readonly lostPositions: number;
  /** Rows among them; at most, where not even the header of their frame can be read. */
  readonly lostRows: number;
  /** Path and offset of each damage, the first hundred. */
  readonly places: readonly string[];
};

const PLACES_MAX = 100;

export type Recovered = {
  /** Oldest first; the last is the one to append to. */
  readonly segments: Segment[];
  readonly spares: readonly Spare[];
  /** Files whose header is damaged: kept until the log behind them is released. */
  readonly wrecks: readonly Spare[];
  /** What the next frame continues. */
  readonly chain: Chain;
  /** The last segment's rest cannot be read: it must not be written to. */
  readonly sealed: boolean;
  readonly nextNumber: number;
  readonly damage: LogDamage;
};

/** Reads every segment in `directory`. Rejects with FORMAT_TOO_NEW, DISK_FAILED or DISK_FULL. */
export async function recoverLog(disk: Disk, directory: string): Promise<Recovered> {
  const files = await openFiles(disk, directory);
  try {
    return await recoverFiles(files, { settle: true });
  } catch (error) {
    for (const { file } of files) await file.close();
    throw error;
  }
}

/** What a log holds, and what of it is damaged: as opening would find it. */
export type LogSurvey = {
  readonly segments: number;
  readonly bytes: number;
  /** Positions [first, end) are in it, but what is damaged. */
  readonly first: Position;
  readonly end: Position;
  readonly damage: LogDamage;
};

/** Reads all of it and changes nothing. Rejects with FORMAT_TOO_NEW, and as the disk does. */
export async function surveyLog(
  disk: Pick<Disk, "open" | "list">,
  directory: string,
): Promise<LogSurvey> {
  const files = await openFiles(disk, directory);
  try {
    const { segments, damage } = await recoverFiles(files, { settle: false });
    return {
      segments: segments.length,
      bytes: files.reduce((sum, { capacity }) => sum + capacity, 0),
      first: segments[0]?.first ?? position(0),
      end: segments.at(-1)?.end ?? position(0),
      damage,
    };
  } finally {
    for (const { file } of files) await file.close();
  }
}

type Damage = { -readonly [Key in Exclude<keyof LogDamage, "places">]: number } & {
  readonly places: string[];
};

async function openFiles(
  disk: Pick<Disk, "open" | "list">,
  directory: string,
): Promise<readonly Spare[]> {
  const numbers = (await disk.list(directory))
    .map(segmentNumberOf)
    .filter((number) => number !== undefined)
    .toSorted((a, b) => a - b);
  const files: Spare[] = [];
  try {
    for (const number of numbers) {
      const path = segmentPath(directory, number);
      const file = await disk.open(path, { create: false });
      files.push({ number, path, file, capacity: await file.size() });
    }
  } catch (error) {
    for (const { file } of files) await file.close();
    throw error;
  }
  return files;
}

async function readHeaderPage(file: Spare): Promise<HeaderPage> {
  const window = new Window(file.file, SEGMENT_HEADER_BYTES);
  await window.load(0, SEGMENT_HEADER_BYTES);
  if (window.unreadableAt !== undefined) return { kind: "damaged" };
  return decodeSegmentHeader(window.bytes(0, SEGMENT_HEADER_BYTES), file);
}

async function recoverFiles(
  files: readonly Spare[],
  { settle }: { readonly settle: boolean },
): Promise<Recovered> {
  const { segments, spares, wrecks } = await sortFiles(files);
  const places = wrecks.map(({ path }) => `${path}: damaged header`);
  const damage: Damage = { tornBytes: 0, lostPositions: 0, lostRows: 0, places };
  let last: Scan | undefined;
  for (const [index, segment] of segments.entries()) {
    if (last !== undefined) countGap(damage, last, segment.first);
    last = await scanSegment(segment, damage, segments[index + 1]?.first);
  }
  const sealed = last !== undefined && settle && (await settleTail(last, damage));
  return {
    segments,
    spares,
    wrecks,
    chain: last?.tail.chain ?? { position: position(0), checksum: 0 },
    sealed,
    nextNumber: (files.at(-1)?.number ?? 0) + 1,
    damage,
  };
}

type Sorted = { readonly segments: Segment[]; readonly spares: Spare[]; readonly wrecks: Spare[] };

/** By what their header pages say. A segment that begins after a younger one is not of this log. */
async function sortFiles(files: readonly Spare[]): Promise<Sorted> {
  const sorted: Sorted = { segments: [], spares: [], wrecks: [] };
  for (const file of files.toReversed()) {
    const page = await readHeaderPage(file);
    const younger = sorted.segments[0];
    if (page.kind === "spare") {
      sorted.spares.unshift(file);
    } else if (
      page.kind === "segment" &&
      page.header.first <= (younger?.first ?? Number.POSITIVE_INFINITY)
    ) {
      sorted.segments.unshift(segmentOf(file, page.header));
    } else {
      sorted.wrecks.unshift(file);
    }
  }
  return sorted;
}

function segmentOf({ file, path, capacity }: Spare, header: SegmentHeader): Segment {
  const used = SEGMENT_HEADER_BYTES;
  return { ...header, file, path, capacity, used, end: header.first, marks: [], holes: [] };
}

// ---- one segment ----

/** What is known of a segment after all of it was read. */
type Scan = {
  readonly segment: Segment;
  readonly window: Window;
  /** Where the next frame goes. */
  readonly tail: Tail;
  /** The last whole frame. */
  readonly lastAt: number | undefined;
  /** Bytes of a frame behind the tail whose header is whole and whose body is not. */
  readonly tornBytes: number;
};

/**
 * Reads the segment. `until`: where the next segment begins; whoever began it there could not read
 * what this one may hold from there on, and gave its positions to others.
 */
async function scanSegment(
  segment: Segment,
  damage: Damage,
  until: Position | undefined,
): Promise<Scan> {
  const { path, incarnation, first, previous, file, capacity } = segment;
  const window = new Window(file, capacity);
  let lastAt: number | undefined;
  /** Found with a damaged body: corrupt if anything follows it, else torn. */
  let pending: Found | undefined;
  let voided: Tail | undefined;
  const chain = { position: first, checksum: previous };
  const walk = { path, incarnation, offset: SEGMENT_HEADER_BYTES, chain };
  const tail = await walkFrames(window, walk, (found) => {
    const { header, expected, expectedAt, offset } = found;
    if (voided !== undefined) return;
    if (until !== undefined && header.first >= until) {
      voided = { offset: expectedAt, chain: { position: expected, checksum: undefined } };
      return;
    }
    if (pending !== undefined) countFrame(damage, segment, pending);
    pending = undefined;
    if (header.first > expected) {
      const lost = { from: expected, to: header.first };
      segment.holes.push(lost);
      count(damage, lost, `${path}: damaged header at ${expectedAt}`);
    }
    if (found.stored === undefined) {
      pending = found;
    } else {
      lastAt = offset;
      markFrame(segment, header.first, offset);
    }
  });
  const ended = pending === undefined ? (voided ?? tail) : tailBefore(pending);
  segment.used = ended.offset;
  segment.end = ended.chain.position;
  const tornBytes = pending === undefined ? 0 : frameBytes(pending.header);
  return { segment, window, tail: ended, lastAt, tornBytes };
}

function tailBefore({ header, offset }: Found): Tail {
  return { offset, chain: { position: header.first, checksum: header.previous } };
}

function countFrame(damage: Damage, segment: Segment, { header, offset }: Found): void {
  segment.holes.push({ from: header.first, to: endOfFrame(header) });
  damage.lostPositions += header.rows + 1;
  damage.lostRows += header.rows;
  note(damage, `${segment.path}: damaged body at ${offset}`);
}

/** The next segment may begin later than this one ends. */
function countGap(damage: Damage, { segment, tail }: Scan, next: Position): void {
  const lost = { from: tail.chain.position, to: next };
  if (lost.from < lost.to) count(damage, lost, `${segment.path}: missing from ${tail.offset}`);
}

function count(
  damage: Damage,
  lost: { readonly from: Position; readonly to: Position },
  place: string,
): void {
  damage.lostPositions += lost.to - lost.from;
  damage.lostRows += lost.to - lost.from - 1;
  note(damage, place);
}

function note(damage: Damage, place: string): void {
  if (damage.places.length < PLACES_MAX) damage.places.push(place);
}

// ---- the tail ----

const ZEROS = Buffer.alloc(64 * 1024);

/**
 * Makes the last segment's end durable: the last frame is written again, what follows becomes zeros,
 * all of it synced. True where the rest cannot be read; it is then left as it is.
 */
async function settleTail(scan: Scan, damage: Damage): Promise<boolean> {
  const { segment, window, tail, lastAt } = scan;
  if (window.unreadableAt !== undefined && window.unreadableAt >= tail.offset) {
    note(damage, `${segment.path}: unreadable at ${window.unreadableAt}`);
    return true;
  }
  try {
    const page = new Uint8Array(SEGMENT_HEADER_BYTES);
    encodeSegmentHeader(page, segment);
    await segment.file.write(page, 0);
    if (lastAt !== undefined) {
      await window.load(lastAt, tail.offset - lastAt);
      await segment.file.write(window.bytes(lastAt, tail.offset - lastAt), lastAt);
    }
    damage.tornBytes += await cutTail(scan);
    await segment.file.sync();
  } catch (cause) {
    if (!isEnvironmental(cause)) throw cause;
    throw new Fault(
      "DISK_FAILED",
      `could not write to the log segment ${segment.path}; check its disk and that it is writable`,
      { cause, facts: { path: segment.path, offset: tail.offset } },
    );
  }
  return false;
}

/** Zeroes what follows the tail; the bytes of it that were a frame of ours. */
async function cutTail({ segment, window, tail, tornBytes }: Scan): Promise<number> {
  const { offset: from } = tail;
  let torn = tornBytes;
  let begun = false;
  for (let offset = from; offset < segment.capacity; offset += ZEROS.length) {
    const length = Math.min(ZEROS.length, segment.capacity - offset);
    if (!window.holds(offset, length)) await window.load(offset, length);
    const bytes = window.bytes(offset, length);
    if (offset === from) begun = isBegun(bytes, segment.incarnation);
    if (ZEROS.compare(bytes, 0, length, 0, length) === 0) continue;
    const used = bytes.findLastIndex((byte) => byte !== 0) + 1;
    if (begun && tornBytes === 0) torn = offset + used - from;
    await segment.file.write(ZEROS.subarray(0, length), offset);
  }
  return torn;
}

/** Whether a frame of this incarnation begins here, whole or not. */
function isBegun(bytes: Uint8Array, incarnation: bigint): boolean {
  if (bytes.length < FRAME_HEADER_BYTES) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return FRAME_MAGIC.every((b, i) => bytes[i] === b) && view.getBigUint64(8, true) === incarnation;
}
