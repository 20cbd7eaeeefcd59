/**
 * A file that is read front to back, in several places by turns: directories here, stamps and values
 * there. Each place has a window of the file in memory, so that a series' few hundred bytes are copied
 * from it, and the disk is asked once in 32 KiB and not three times a series.
 */

import { limits } from "../../../core/limits.ts";
import { isEnvironmental } from "../../../core/faults.ts";
import type { TableFile } from "./table-reader.ts";

type Window = { readonly bytes: Uint8Array; from: number; to: number };

/** Directories, stamps and values. */
const WINDOWS = 3;

/** One read at a time. */
export class ReadAhead implements TableFile {
  readonly #file: TableFile;
  /** The one that was used last is the last. */
  readonly #windows: Window[] = [];

  constructor(file: TableFile) {
    this.#file = file;
  }

  async size(): Promise<number> {
    return await this.#file.size();
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** As DiskFile.read. Where a window cannot be read, just the bytes that are asked for are tried. */
  async read(target: Uint8Array, offset: number): Promise<number> {
    const window = this.#windowWith(offset, target.length) ?? (await this.#fill(offset, target));
    if (window === undefined) return await this.#file.read(target, offset);
    const from = offset - window.from;
    const bytes = Math.min(target.length, window.to - offset);
    target.set(window.bytes.subarray(from, from + bytes));
    return bytes;
  }

  #windowWith(offset: number, length: number): Window | undefined {
    const at = this.#windows.findIndex(({ from, to }) => from <= offset && offset + length <= to);
    if (at < 0) return undefined;
    const [window] = this.#windows.splice(at, 1);
    if (window !== undefined) this.#windows.push(window);
    return window;
  }

  async #fill(offset: number, target: Uint8Array): Promise<Window | undefined> {
    if (target.length > limits.tableReadAheadBytes) return undefined;
    const isNew = this.#windows.length < WINDOWS;
    const spare = isNew ? undefined : this.#windows.shift();
    const bytes = spare?.bytes ?? new Uint8Array(limits.tableReadAheadBytes);
    try {
      const window = { bytes, from: offset, to: offset + (await this.#file.read(bytes, offset)) };
      this.#windows.push(window);
      return window;
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      return undefined;
    }
  }
}
