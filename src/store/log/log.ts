/**
 * The log: every frame the agent has taken in, durable before anything else happens to it.
 *
 *   append   encode -> one write -> one sync -> position        one at a time, group commit above
 *   read     from any position, in order                        replay and recovery
 *   release  what a checkpoint has made superfluous             segments go back to the pool
 *
 * Invariants: positions are gapless and never given twice. A frame whose append resolved is read
 * back after any crash; one whose append was still under way is read back whole or not at all. A
 * failed write or sync poisons the log until it is opened again, because nothing is then known about
 * what reached the medium; a full disk does not, because nothing was written.
 *
 * The bytes are described in docs/format/log.md.
 */

import { assert } from "../../core/assert.ts";
import { ByteWriter } from "../../core/bytes.ts";
import type { Disk, DiskFile, Random } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import type { Frame } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { type Position, position } from "../../core/units.ts";
import { encodeBody } from "./frame-codec.ts";
import {
  encodeFrameHeader,
  endOfFrame,
  FRAME_HEADER_BYTES,
  type FrameHeader,
  frameBytes,
} from "./frame-header.ts";
import { readFrames, type Visit } from "./log-reader.ts";
import { type LogDamage, type Recovered, recoverLog } from "./log-recovery.ts";
import {
  encodeSegmentHeader,
  markBefore,
  markFrame,
  SEGMENT_HEADER_BYTES,
  type Segment,
} from "./log-segment.ts";
import { SegmentPool, type Spare } from "./segment-pool.ts";

export type { LogDamage } from "./log-recovery.ts";

export type LogOptions = {
  readonly directory: string;
  /** Size of one segment file; at least twice the largest frame. */
  readonly segmentBytes: number;
  /** All segment files together, spare ones included. */
  readonly bytesMax: number;
  readonly random: Random;
  /** Free bytes of the disk that are not for the log, but for its second file. */
  readonly bytesLeftFree?: (() => number) | undefined;
  /**
   * Positions below are known to be used up (outputs of them are durable). A log that ends earlier
   * has lost its end: it goes on here, and what is missing is counted as damage.
   */
  readonly endMin?: Position;
  /** Positions below were never in this log: it begins here. */
  readonly begin?: Position;
};

/**
 * Opens the log in `directory`, makes it where it does not exist, and repairs what can be repaired.
 * The caller sees to it that nobody else has it open. Reads everything the log holds. Rejects with
 * FORMAT_TOO_NEW, or DISK_FAILED where the directory or the end of the log cannot be written.
 */
export async function openLog(
  disk: Disk,
  options: LogOptions,
): Promise<{ readonly log: Log; readonly damage: LogDamage }> {
  const { directory, segmentBytes, bytesMax, bytesLeftFree } = options;
  const filesMax = Math.floor(bytesMax / segmentBytes);
  assert(segmentBytes % 4096 === 0, "a segment is a whole number of pages");
  assert(filesMax >= 2, "the log has room for two segments");
  try {
    await disk.makeDirectory(directory);
    const found = await recoverLog(disk, directory);
    const { segments, spares, wrecks, nextNumber } = found;
    const files = segments.length + spares.length + wrecks.length;
    const pool = new SegmentPool({
      disk,
      directory,
      segmentBytes,
      filesMax,
      files,
      nextNumber,
      bytesLeftFree,
    });
    const end = position(Math.max(found.chain.position, options.endMin ?? 0));
    const log = new Log({ pool, found, end, options });
    try {
      await pool.adopt(spares, { youngerThan: segments.at(-1)?.number ?? 0 });
    } catch (error) {
      await log.close();
      throw error;
    }
    pool.prepareAhead();
    return { log, damage: damageUpTo(end, found, options) };
  } catch (cause) {
    if (cause instanceof Fault || !isEnvironmental(cause)) throw cause;
    throw new Fault(
      "DISK_FAILED",
      `could not open the log in ${directory} (${cause.code}); check that the directory is writable and its disk sound`,
      { cause, facts: { directory } },
    );
  }
}

function damageUpTo(
  end: Position,
  { chain, damage }: Recovered,
  { directory, begin }: LogOptions,
): LogDamage {
  const missing = end - Math.max(chain.position, begin ?? 0);
  if (missing === 0) return damage;
  return {
    tornBytes: damage.tornBytes,
    lostPositions: damage.lostPositions + missing,
    lostRows: damage.lostRows + missing - 1,
    places: [...damage.places, `${directory}: ends at ${chain.position}, before ${end}`],
  };
}

type Parts = {
  readonly pool: SegmentPool;
  readonly found: Recovered;
  readonly end: Position;
  readonly options: LogOptions;
};

/** An open log; made by `openLog`. */
export class Log {
  readonly #pool: SegmentPool;
  readonly #random: Random;
  readonly #writer: ByteWriter;
  /** Oldest first; frames are appended to the last. Empty until the first append ever. */
  readonly #segments: Segment[];
  #wrecks: readonly Spare[];
  #end: Position;
  /** Checksum of the last frame. */
  #previous: number;
  /** The next frame goes to a new segment, whatever room there is in the last. */
  #sealed: boolean;
  #failure: unknown;
  #appending = false;
  #releasing = false;
  #closed = false;

  constructor({ pool, found, end, options }: Parts) {
    this.#pool = pool;
    this.#random = options.random;
    this.#segments = found.segments;
    this.#wrecks = found.wrecks;
    this.#end = end;
    this.#previous = found.chain.checksum ?? 0;
    this.#sealed = found.sealed || end > found.chain.position;
    const bytes = SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES + limits.frameBytesMax;
    const bytesMax = options.segmentBytes;
    this.#writer = new ByteWriter({ bytes: Math.min(bytes, bytesMax), bytesMax });
  }

  /** The oldest position held. */
  get start(): Position {
    return this.#segments[0]?.first ?? this.#end;
  }

  /** The position the next frame will get. */
  get end(): Position {
    return this.#end;
  }

  /** Bytes in use in the segments held, their header pages included. */
  get bytes(): number {
    let bytes = 0;
    for (const { used } of this.#segments) bytes += used;
    return bytes;
  }

  /**
   * Writes the frame and syncs it; resolves to its first position. The frame is encoded before this
   * returns its promise, so its buffers and arrays may be reused at once. One append at a time
   * (asserted).
   *
   * Rejects with DISK_FULL where a new segment is needed and the limit or the disk leaves no room:
   * nothing was written, the same frame may be offered again. Rejects with DISK_FAILED where the
   * write or sync failed: the log is poisoned, whether the frame survives is decided at reopening,
   * and every later append rejects with LOG_POISONED.
   */
  async append(frame: Frame): Promise<Position> {
    assert(!this.#closed, "a closed log is not appended to");
    assert(!this.#appending, "one append at a time");
    if (this.#failure !== undefined) throw poisoned(this.#failure);
    this.#appending = true;
    try {
      return await this.#append(frame);
    } finally {
      this.#appending = false;
    }
  }

  /**
   * Visits the frames from the one that holds `from` to the last one synced now, in order; `at` is
   * the frame's first position. The batch is reused for the next visit, the rest is the visitor's.
   * Damage found at opening is left out: `at` then jumps. What was released meanwhile is left out.
   * Rejects with LOG_CORRUPT where something cannot be read that could when the log was opened.
   */
  async read(from: Position, visit: Visit): Promise<void> {
    assert(!this.#closed, "a closed log is not read");
    const held = this.#segments.map((segment) => ({
      segment,
      used: segment.used,
      to: segment.end,
    }));
    const isHeld = (segment: Segment): boolean => this.#segments.includes(segment);
    await readFrames(held, { from, isHeld }, visit);
  }

  /**
   * Bytes of log from the frame that holds `from` to the end: what replay from there would read.
   * Up to 64 KiB too many.
   */
  bytesSince(from: Position): number {
    let bytes = 0;
    for (const segment of this.#segments) {
      if (segment.end <= from) continue;
      const before = segment.first < from ? markBefore(segment, from) : undefined;
      bytes += segment.used - (before?.offset ?? 0);
    }
    return bytes;
  }

  /**
   * Recycles the segments that lie wholly below; the one that is appended to always stays. One
   * release at a time (asserted), beside an append. Rejects with DISK_FAILED or DISK_FULL: what was
   * not released is tried again by the next call, the log goes on.
   */
  async release(below: Position): Promise<void> {
    assert(!this.#releasing, "one release at a time");
    assert(below <= this.#end, "only what was appended is released");
    this.#releasing = true;
    try {
      for (;;) {
        const [oldest, next] = this.#segments;
        if (oldest === undefined || next === undefined || oldest.end > below) break;
        await this.#pool.recycle(oldest, () => this.#segments.shift());
      }
      await this.#releaseWrecks();
    } finally {
      this.#releasing = false;
    }
  }

  /** The next frame begins a new segment: all that is before it can be released then. */
  seal(): void {
    this.#sealed = true;
  }

  /**
   * Removes the spare files, which may hold frames of an earlier use. Not beside an append (asserted).
   * Rejects with DISK_FAILED; may be tried again.
   */
  async removeSpares(): Promise<void> {
    assert(!this.#appending && !this.#releasing, "spares are removed when nothing is under way");
    await this.#pool.removeSpares();
  }

  /** Waits for what is prepared in the background, then closes all files. */
  async close(): Promise<void> {
    if (this.#closed) return;
    assert(!this.#appending && !this.#releasing, "a log is closed when nothing is under way");
    this.#closed = true;
    await this.#pool.close();
    for (const { file } of [...this.#segments, ...this.#wrecks]) await file.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- append ----

  /** Up to the first await this runs inside the call of `append`. */
  async #append(frame: Frame): Promise<Position> {
    const { clock, clockTrusted } = frame;
    const { rows } = frame.batch;
    const writer = this.#writer;
    writer.moveTo(SEGMENT_HEADER_BYTES + FRAME_HEADER_BYTES);
    const body = encodeBody(writer, frame);
    const segment = this.#roomIn(frameBytes(body)) ?? (await this.#begin());
    const isNew = segment !== this.#segments.at(-1);
    const first = this.#end;
    const { incarnation } = segment;
    const header = { ...body, clock, clockTrusted, rows, first, incarnation };
    await this.#write(
      segment,
      { ...header, previous: this.#previous, durableThrough: first },
      isNew,
    );
    this.#prepareAhead();
    return first;
  }

  #roomIn(bytes: number): Segment | undefined {
    const last = this.#segments.at(-1);
    return last !== undefined && !this.#sealed && last.used + bytes <= last.capacity
      ? last
      : undefined;
  }

  /** A new segment, not yet part of the log: its header is written with its first frame. */
  async #begin(): Promise<Segment> {
    const spare = await this.#pool.take();
    const high = BigInt(this.#random.uint32());
    const low = BigInt(this.#random.uint32());
    return {
      ...spare,
      incarnation: (high << 32n) | low,
      first: this.#end,
      previous: this.#previous,
      used: SEGMENT_HEADER_BYTES,
      end: this.#end,
      marks: [],
      holes: [],
    };
  }

  /** One write, one sync; only then the frame, and a new segment, are part of the log. */
  async #write(
    segment: Segment,
    header: Omit<FrameHeader, "checksum">,
    isNew: boolean,
  ): Promise<void> {
    const writer = this.#writer;
    const bytes = frameBytes(header);
    const frameAt = SEGMENT_HEADER_BYTES;
    const checksum = encodeFrameHeader(writer.slice(frameAt, frameAt + FRAME_HEADER_BYTES), header);
    if (isNew) encodeSegmentHeader(writer.slice(0, SEGMENT_HEADER_BYTES), segment);
    const record = writer.slice(isNew ? 0 : frameAt, frameAt + bytes);
    try {
      await segment.file.write(record, isNew ? 0 : segment.used);
      await segment.file.sync();
    } catch (cause) {
      this.#failure = cause;
      if (isNew) await closeQuietly(segment.file);
      if (!isEnvironmental(cause)) throw cause;
      throw new Fault(
        "DISK_FAILED",
        `could not write to the log segment ${segment.path}; check its disk, then start again`,
        { cause, facts: { path: segment.path, offset: segment.used } },
      );
    }
    markFrame(segment, header.first, segment.used);
    segment.used += bytes;
    segment.end = this.#end = endOfFrame(header);
    this.#previous = checksum;
    this.#sealed = false;
    if (isNew) this.#segments.push(segment);
  }

  /** The next segment is made while the second half of this one is filled. */
  #prepareAhead(): void {
    const last = this.#segments.at(-1);
    if (last === undefined || this.#sealed || last.used > last.capacity / 2) {
      this.#pool.prepareAhead();
    }
  }

  /** Files with a damaged header go when all that is older than the oldest segment has gone. */
  async #releaseWrecks(): Promise<void> {
    const oldest = this.#segments[0]?.number ?? 0;
    for (const wreck of this.#wrecks) {
      if (wreck.number > oldest) continue;
      await this.#pool.remove(wreck);
      this.#wrecks = this.#wrecks.filter((other) => other !== wreck);
    }
  }
}

function poisoned(cause: unknown): Fault {
  return new Fault(
    "LOG_POISONED",
    "an earlier write to the log failed, so nothing is appended until it is opened again; check the disk, then start again",
    { cause },
  );
}

async function closeQuietly(file: DiskFile): Promise<void> {
  try {
    await file.close();
  } catch {
    // The write that failed before is what is reported.
  }
}
