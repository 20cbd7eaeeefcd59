/**
 * The files that are ready to become the log's next segment: zero-filled ahead of need, or recycled.
 *
 *   prepare   create, fill with zeros, sync, sync the directory
 *   recycle   rename to the next number, sync the directory
 *
 * A file that exists, has its size and its blocks costs one flush per append instead of three. A
 * recycled one still holds its last use: the header names another number than the file, and the
 * frames carry another incarnation than the one its next use will draw.
 *
 * Numbers only grow, and what makes files runs one at a time, so spares lie in order and every one
 * is younger than the segment in use.
 */

import { assert } from "../../core/assert.ts";
import type { Disk, DiskFile } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { segmentPath } from "./log-segment.ts";

export type Spare = {
  readonly number: number;
  readonly path: string;
  readonly file: DiskFile;
  readonly capacity: number;
};

export type PoolOptions = {
  readonly disk: Disk;
  readonly directory: string;
  readonly segmentBytes: number;
  /** Files of the log, in use and spare together. */
  readonly filesMax: number;
  /** Files there are, in use and spare together. */
  readonly files: number;
  readonly nextNumber: number;
  /** Free bytes of the disk that are not for the log. */
  readonly bytesLeftFree?: (() => number) | undefined;
};

/** Zeros are written and synced in steps: the sync of an append never waits for more than one. */
const STEP_BYTES = 1024 * 1024;

export class SegmentPool {
  readonly #options: PoolOptions;
  readonly #spares: Spare[] = [];
  #files: number;
  #nextNumber: number;
  /** Settles when the file being made is done; work on files waits for it. */
  #work: Promise<unknown> = Promise.resolve();
  #preparing = false;
  /** The last try ahead of need failed: the next is made when a file is needed. */
  #failed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#files = options.files;
    this.#nextNumber = options.nextNumber;
  }

  /**
   * A file that holds no frames, younger than all segments; the caller owns it. Waits only
   * where none could be prepared in time. Rejects with DISK_FULL or DISK_FAILED; may be tried again.
   */
  async take(): Promise<Spare> {
    const spare =
      this.#spares.shift() ??
      (await this.#inTurn(async () => this.#spares.shift() ?? (await this.#prepare())));
    this.#failed = false;
    return spare;
  }

  /** Prepares a file in the background unless one is there; a failure shows when one is needed. */
  prepareAhead(): void {
    const full = this.#files >= this.#options.filesMax;
    if (this.#spares.length > 0 || this.#preparing || this.#failed || full) return;
    this.#preparing = true;
    void this.#inTurn(async () => this.#spares.push(await this.#prepare()))
      .catch((error: unknown) => {
        if (!isEnvironmental(error)) throw error;
        this.#failed = true;
      })
      .finally(() => {
        this.#preparing = false;
      });
  }

  /** Takes over the files that opening found; those that do not fit are recycled. */
  async adopt(
    spares: readonly Spare[],
    { youngerThan }: { readonly youngerThan: number },
  ): Promise<void> {
    const { directory, disk, segmentBytes } = this.#options;
    const isFit = ({ number, capacity }: Spare): boolean =>
      number > youngerThan && capacity === segmentBytes;
    this.#spares.push(...spares.filter(isFit));
    await disk.syncDirectory(directory);
    for (const spare of spares) if (!isFit(spare)) await this.recycle(spare, () => undefined);
  }

  /**
   * Makes a file whose frames are not needed any more a spare, or removes it where it has another
   * size or is one too many. `left` is called when it has left the log. Rejects with DISK_FAILED: if
   * `left` was not called the file is as it was, else it is gone.
   */
  async recycle(used: Omit<Spare, "number">, left: () => void): Promise<void> {
    await this.#inTurn(async () => {
      const { disk, directory, segmentBytes } = this.#options;
      const number = this.#nextNumber++;
      const path = segmentPath(directory, number);
      try {
        await disk.rename(used.path, path);
      } catch (cause) {
        throw faultOf(cause, { doing: "recycle", path: used.path });
      }
      left();
      try {
        await disk.syncDirectory(directory);
        if (used.capacity !== segmentBytes || this.#tooMany()) await this.#remove(used.file, path);
        else this.#spares.push({ number, path, file: used.file, capacity: used.capacity });
        this.#failed = false;
      } catch (cause) {
        await this.#discard(used.file, path);
        throw faultOf(cause, { doing: "recycle", path });
      }
    });
  }

  /** Removes a file that is of no use. Rejects with DISK_FAILED; may be tried again. */
  async remove({ file, path }: Spare): Promise<void> {
    await this.#inTurn(async () => {
      try {
        await this.#options.disk.remove(path);
      } catch (cause) {
        throw faultOf(cause, { doing: "remove", path });
      }
      this.#files -= 1;
      await file.close();
    });
  }

  /** Removes the files that are ready; the next is made anew. Rejects with DISK_FAILED. */
  async removeSpares(): Promise<void> {
    await this.#work;
    for (let spare = this.#spares.at(-1); spare !== undefined; spare = this.#spares.at(-1)) {
      await this.remove(spare);
      this.#spares.pop();
    }
    await this.#inTurn(() => this.#options.disk.syncDirectory(this.#options.directory));
  }

  /** Waits for what is being made, then closes the spares. */
  async close(): Promise<void> {
    await this.#work;
    for (const { file } of this.#spares) await file.close();
  }

  async #prepare(): Promise<Spare> {
    const { disk, directory, segmentBytes, filesMax, bytesLeftFree } = this.#options;
    if (this.#files >= filesMax) {
      throw new Fault(
        "DISK_FULL",
        `the log in ${directory} has reached its limit of ${filesMax * segmentBytes} bytes; it goes on when a checkpoint has freed a segment, or with a higher limit`,
        { facts: { directory, files: this.#files } },
      );
    }
    const number = this.#nextNumber++;
    const path = segmentPath(directory, number);
    let file: DiskFile | undefined;
    // With a single file no checkpoint frees anything: the one that is written to stays.
    const left = this.#files < 2 ? 0 : (bytesLeftFree?.() ?? 0);
    this.#files += 1;
    try {
      if ((await disk.freeBytes(directory)) - left < segmentBytes) throw new NoSpace();
      file = await disk.open(path, { create: true });
      await fillWithZeros(file, segmentBytes);
      await disk.syncDirectory(directory);
      return { number, path, file, capacity: segmentBytes };
    } catch (cause) {
      await this.#discard(file, path);
      throw faultOf(cause, { doing: "prepare", path });
    }
  }

  /** A file that cannot be trusted goes; where even that fails, the next opening finds it. */
  async #discard(file: DiskFile | undefined, path: string): Promise<void> {
    try {
      await this.#remove(file, path);
    } catch {
      // The failure that brought us here is the one that is reported.
    }
  }

  #tooMany(): boolean {
    return this.#files > this.#options.filesMax;
  }

  async #remove(file: DiskFile | undefined, path: string): Promise<void> {
    this.#files -= 1;
    if (file === undefined) return;
    await file.close();
    await this.#options.disk.remove(path);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#work.then(work);
    this.#work = result.catch(() => undefined);
    return result;
  }
}

class NoSpace extends Error {
  readonly code = "ENOSPC";
}

async function fillWithZeros(file: DiskFile, bytes: number): Promise<void> {
  const zeros = new Uint8Array(Math.min(STEP_BYTES, bytes));
  for (let offset = 0; offset < bytes; offset += zeros.length) {
    await file.write(zeros.subarray(0, Math.min(zeros.length, bytes - offset)), offset);
    await file.sync();
  }
  assert((await file.size()) >= bytes, "a prepared segment has its size");
}

/** A failed call of the disk as a fault; a bug is thrown on. */
function faultOf(
  cause: unknown,
  { doing, path }: { readonly doing: string; readonly path: string },
): Fault {
  if (!isEnvironmental(cause)) throw cause;
  const { code } = cause;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return full
    ? new Fault(
        "DISK_FULL",
        `there is no space left to ${doing} the log segment ${path}; free some space on its disk and the log goes on by itself`,
        { cause, facts: { path } },
      )
    : new Fault(
        "DISK_FAILED",
        `could not ${doing} the log segment ${path} (${code}); check its disk and that its directory is writable`,
        { cause, facts: { path } },
      );
}
