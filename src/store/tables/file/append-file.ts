/**
 * A file that is written once, from front to back: what is appended is gathered into pieces, and
 * synced every few MiB, so that no single sync keeps an SD card, and with it the log, waiting long.
 *
 *   append ... append ──> piece, piece, rest ── drain ──> whole pieces are written
 *                                            ── finish ─> all is written, synced, closed
 *
 * A failed write or sync leaves the file to be abandoned: nothing is known about what reached the
 * medium.
 */

import { assert } from "../../../core/assert.ts";
import type { Disk, DiskFile } from "../../../core/doors.ts";
import { isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";

/** Makes the file, empty even where one was left there. Rejects as the disk does. */
export async function openAppendFile(disk: Disk, path: string): Promise<AppendFile> {
  const file = await disk.open(path, { create: true });
  try {
    await file.truncate(0);
  } catch (error) {
    await file.close();
    throw error;
  }
  return new AppendFile(disk, path, file);
}

/** Made by `openAppendFile`. */
export class AppendFile {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #file: DiskFile;
  readonly #whole: Uint8Array[] = [];
  #piece = new Uint8Array(limits.tablePieceBytes);
  #pieceBytes = 0;
  #bytes = 0;
  #written = 0;
  #synced = 0;
  #state: "ready" | "writing" | "failed" | "closed" = "ready";

  constructor(disk: Disk, path: string, file: DiskFile) {
    this.#disk = disk;
    this.#path = path;
    this.#file = file;
  }

  /** Bytes appended so far; the next one goes here. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies `source`. */
  append(source: Uint8Array): void {
    assert(this.#state === "ready", "a file that is whole and idle is appended to");
    for (let from = 0; from < source.length; ) {
      const part = source.subarray(from, from + limits.tablePieceBytes - this.#pieceBytes);
      this.#piece.set(part, this.#pieceBytes);
      this.#pieceBytes += part.length;
      from += part.length;
      if (this.#pieceBytes < limits.tablePieceBytes) continue;
      this.#whole.push(this.#piece);
      this.#piece = new Uint8Array(limits.tablePieceBytes);
      this.#pieceBytes = 0;
    }
    this.#bytes += source.length;
  }

  /** Writes the whole pieces there are. Rejects as the disk does. */
  async drain(): Promise<void> {
    await this.#work(() => this.#writeWhole());
  }

  /** Writes, syncs and closes; the directory is the caller's to sync. Rejects as the disk does. */
  async finish(): Promise<void> {
    await this.#work(async () => {
      await this.#writeWhole();
      await this.#file.write(this.#piece.subarray(0, this.#pieceBytes), this.#written);
      await this.#file.sync();
    });
    this.#state = "closed";
    await this.#file.close();
  }

  /**
   * Closes and removes the file; once, and not after `finish` has resolved. A disk that does not do
   * that either is no news to whoever abandons a file: it may stay there.
   */
  async abandon(): Promise<void> {
    assert(this.#state !== "writing", "a file is not abandoned while it is written");
    const wasOpen = this.#state !== "closed";
    this.#state = "closed";
    try {
      if (wasOpen) await this.#file.close();
      await this.#disk.remove(this.#path);
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
    }
  }

  async #writeWhole(): Promise<void> {
    for (;;) {
      const piece = this.#whole[0];
      if (piece === undefined) return;
      await this.#file.write(piece, this.#written);
      this.#whole.shift();
      this.#written += piece.length;
      if (this.#written - this.#synced < limits.tableSyncBytes) continue;
      await this.#file.sync();
      this.#synced = this.#written;
    }
  }

  async #work(work: () => Promise<void>): Promise<void> {
    assert(this.#state === "ready", "a file that is whole and idle is written");
    this.#state = "writing";
    try {
      await work();
      this.#state = "ready";
    } catch (error) {
      this.#state = "failed";
      throw error;
    }
  }
}
