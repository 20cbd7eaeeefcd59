/**
 * The reserve: a file that takes space while there is some, and gives it up when there is none.
 *
 *   reserve   filled with bytes that no file system compresses, in steps, each synced
 *
 *   disk full -> given up -> memory is flushed, a checkpoint is written -> the log is freed
 *   room again for it and as much beside it -> made anew
 *
 * The log leaves alone what is missing (`bytesMissing`): it would take it for segments, and what the
 * checkpoint needs would be gone. A disk that is full although the reserve was given up has
 * somebody else's bytes on it; then everything waits.
 *
 * A reserve that is shorter than it should be (a crash while it was made) is made on from its end.
 */

import { dirname } from "node:path";
import type { Disk } from "../../core/doors.ts";
import { ifThere, opened } from "./whole-files.ts";

export type ReserveStatus = {
  readonly bytes: number;
  /** What it has when it is whole. */
  readonly bytesMax: number;
  /** Times it was given up, since the start. */
  readonly givenUp: number;
  /** It is not whole, and the disk had no room for it. */
  readonly isRefused: boolean;
};

const STEP_BYTES = 1_048_576;

export class Reserve {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #bytesMax: number;
  #bytes = 0;
  #givenUp = 0;
  #isRefused = false;

  /** `path` of the file, `bytes` it shall have. */
  constructor(disk: Disk, { path, bytes }: { readonly path: string; readonly bytes: number }) {
    this.#disk = disk;
    this.#path = path;
    this.#bytesMax = bytes;
  }

  get status(): ReserveStatus {
    const isRefused = this.#isRefused;
    return { bytes: this.#bytes, bytesMax: this.#bytesMax, givenUp: this.#givenUp, isRefused };
  }

  get isWhole(): boolean {
    return this.#bytes >= this.#bytesMax;
  }

  /** Looks how much of it is there. Rejects as the disk does. */
  async open(): Promise<void> {
    const bytes = await ifThere(async () => {
      await using file = await opened(this.#disk, this.#path, false);
      return await file.size();
    });
    this.#bytes = bytes ?? 0;
  }

  /** What was given up and is not the log's, nor anybody's who can wait. */
  get bytesMissing(): number {
    return this.#bytesMax - this.#bytes;
  }

  /** Its space is the disk's again. Rejects as the disk does; it is then still there. */
  async giveUp(): Promise<void> {
    if (this.#bytes === 0) return;
    await ifThere(() => this.#disk.remove(this.#path));
    this.#bytes = 0;
    this.#givenUp += 1;
    this.#isRefused = true;
    await this.#disk.syncDirectory(dirname(this.#path));
  }

  /**
   * Makes what is missing, where as much again is left beside it. Whether it is whole. Rejects as the
   * disk does: what was made by then stays, and counts.
   */
  async make(): Promise<boolean> {
    if (this.isWhole) return true;
    const free = await this.#disk.freeBytes(dirname(this.#path));
    this.#isRefused = free < this.bytesMissing + this.#bytesMax;
    if (this.#isRefused) return false;
    await using file = await opened(this.#disk, this.#path, true);
    const piece = unpackable(Math.min(STEP_BYTES, this.#bytesMax));
    while (this.#bytes < this.#bytesMax) {
      const part = piece.subarray(0, Math.min(piece.length, this.#bytesMax - this.#bytes));
      await file.write(part, this.#bytes);
      await file.sync();
      this.#bytes += part.length;
    }
    await this.#disk.syncDirectory(dirname(this.#path));
    return true;
  }
}

/** Bytes that do not compress: those of a xorshift. Source: Marsaglia, Xorshift RNGs, 2003. */
function unpackable(bytes: number): Uint8Array {
  const piece = new Uint8Array(bytes);
  let word = 0x9e3779b9;
  for (let at = 0; at < bytes; at++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    piece[at] = word >>> 24;
  }
  return piece;
}
