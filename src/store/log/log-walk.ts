/**
 * Walks the frames of one segment in order: the one way in which the log is read, at opening as in
 * replay.
 *
 *   frame | frame | damaged body | frame | damaged header ..... | frame | rest
 *   ------------->  skip by its header ->  search, 8 bytes a step ->       nothing follows: the tail
 *
 * A header counts if its checksum holds, it carries the segment's incarnation, and its position fits:
 * the next expected one with the predecessor's checksum, or, behind damage, a later one. An older
 * frame that a payload carries inside therefore never counts.
 */

import { checksumOf } from "../../core/checksum.ts";
import type { DiskFile } from "../../core/doors.ts";
import type { Position } from "../../core/units.ts";
import {
  decodeFrameHeader,
  endOfFrame,
  FRAME_HEADER_BYTES,
  FRAME_MAGIC,
  FRAME_VERSION,
  type FrameHeader,
  frameBytes,
} from "./frame-header.ts";
import { assertKnownVersion } from "./log-segment.ts";

/** What the next frame must continue. */
export type Chain = {
  readonly position: Position;
  /** `checksum` of the frame before; undefined where it is not known. */
  readonly checksum: number | undefined;
};

export type Walk = {
  readonly path: string;
  readonly incarnation: bigint;
  /** Where to begin; a multiple of 8. */
  readonly offset: number;
  readonly chain: Chain;
};

/** A frame, and what was lost before it. */
export type Found = {
  readonly header: FrameHeader;
  readonly offset: number;
  /** The body as stored, valid during the visit; undefined where it is damaged. */
  readonly stored: Uint8Array | undefined;
  /** What this frame had to continue. Where its `first` is later, the frames between are lost. */
  readonly expected: Position;
  /** Where those lost frames were: the offset at which a header should have been. */
  readonly expectedAt: number;
};

/** Where the walk ended. */
export type Tail = { readonly offset: number; readonly chain: Chain };

/** Visits every frame that can be read in `window`; resolves to where they end. */
export async function walkFrames(
  window: Window,
  { path, incarnation, offset: from, chain: before }: Walk,
  visit: (found: Found) => void | Promise<void>,
): Promise<Tail> {
  let chain = before;
  let expectedAt = from;
  let offset: number | undefined = from;
  while (offset !== undefined && offset + FRAME_HEADER_BYTES <= window.end) {
    if (!window.holds(offset, FRAME_HEADER_BYTES)) await window.load(offset, FRAME_HEADER_BYTES);
    const header = decodeFrameHeader(window.bytes(offset, FRAME_HEADER_BYTES));
    if (header === undefined || header.incarnation !== incarnation || !fits(header, chain)) {
      offset = await findMagic(window, offset + 8);
      continue;
    }
    assertKnownVersion(header.version, FRAME_VERSION, { path, offset });
    const bytes = frameBytes(header);
    if (offset + bytes > window.end) break;
    if (!window.holds(offset, bytes)) await window.load(offset, bytes);
    const bodyAt = offset + FRAME_HEADER_BYTES;
    const body = window.bytes(bodyAt, header.storedBytes);
    const stored = checksumOf(body) === header.bodyChecksum ? body : undefined;
    const visiting = visit({ header, offset, stored, expected: chain.position, expectedAt });
    if (visiting !== undefined) await visiting;
    chain = { position: endOfFrame(header), checksum: header.checksum };
    offset = expectedAt = offset + bytes;
  }
  return { offset: expectedAt, chain };
}

function fits(header: FrameHeader, chain: Chain): boolean {
  if (header.first > chain.position) return true;
  const known = chain.checksum === undefined || header.previous === chain.checksum;
  return header.first === chain.position && known;
}

/** The first multiple of 8 at or after `from` where the magic of a frame stands. */
async function findMagic(window: Window, from: number): Promise<number | undefined> {
  for (let offset = from; offset + FRAME_HEADER_BYTES <= window.end; ) {
    if (!window.holds(offset, FRAME_HEADER_BYTES)) await window.load(offset, FRAME_HEADER_BYTES);
    const found = window.indexOf(FRAME_MAGIC, offset);
    if (found === undefined) {
      offset = Math.max(offset + 8, Math.floor((window.loadedEnd - FRAME_MAGIC.length) / 8) * 8);
    } else if (found % 8 === 0) {
      return found;
    } else {
      offset = Math.ceil(found / 8) * 8;
    }
  }
  return undefined;
}

const WINDOW_BYTES = 256 * 1024;
const PAGE_BYTES = 4096;

/** A file seen through a buffer that moves along. Pages that cannot be read are zeros. */
export class Window {
  readonly #file: DiskFile;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  /** Bytes of the file that count. */
  readonly end: number;
  /** Offset of the last page that could not be read. */
  unreadableAt: number | undefined;

  constructor(file: DiskFile, end: number) {
    this.#file = file;
    this.end = end;
  }

  get loadedEnd(): number {
    return this.#start + this.#bytes.length;
  }

  holds(offset: number, bytes: number): boolean {
    return offset >= this.#start && offset + bytes <= this.loadedEnd;
  }

  /** A view of loaded bytes, valid until the next `load`. */
  bytes(offset: number, bytes: number): Uint8Array {
    return this.#bytes.subarray(offset - this.#start, offset - this.#start + bytes);
  }

  /** The offset of `what` in the loaded bytes, from `offset` on. */
  indexOf(what: Uint8Array, offset: number): number | undefined {
    const index = this.#bytes.indexOf(what, offset - this.#start);
    return index < 0 ? undefined : this.#start + index;
  }

  /** Loads at least `bytes` bytes from `offset`, and what follows as far as the buffer goes. */
  async load(offset: number, bytes: number): Promise<void> {
    const length = Math.min(Math.max(bytes, WINDOW_BYTES), this.end - offset);
    if (this.#bytes.buffer.byteLength < length) {
      this.#bytes = Buffer.from(new ArrayBuffer(Math.max(length, WINDOW_BYTES)));
    }
    this.#bytes = Buffer.from(this.#bytes.buffer, 0, length);
    this.#start = offset;
    try {
      const read = await this.#file.read(this.#bytes, offset);
      this.#bytes.fill(0, read);
    } catch {
      await this.#loadPages();
    }
  }

  /** The same, page by page, so that one bad sector costs one page. */
  async #loadPages(): Promise<void> {
    for (let from = 0; from < this.#bytes.length; from += PAGE_BYTES) {
      const page = this.#bytes.subarray(from, from + PAGE_BYTES);
      try {
        const read = await this.#file.read(page, this.#start + from);
        page.fill(0, read);
      } catch {
        page.fill(0);
        this.unreadableAt = this.#start + from;
      }
    }
  }
}
