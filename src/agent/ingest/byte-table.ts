/**
 * A table from byte strings to small numbers: how a topic or a symbol is recognised without making
 * a string. Open addressing with linear probing over one arena of bytes:
 *
 *   buckets  [ 0 | entry+1 | ... ]      a power of two, at most half full
 *   entry e  hashes[e], starts[e] .. starts[e+1] in the arena, values[e]
 *
 * A probe run is bounded: a string that would lie further from its bucket is not kept, so chosen
 * collisions cost the sender's own topics their shortcut and nobody anything else. Nothing is ever
 * removed.
 */

import { assert } from "../../core/assert.ts";
import { murmur32 } from "../../core/hash.ts";

/** Not in the table. */
export const NOT_FOUND = -1;

const probesMax = 128;
const entriesInitial = 256;
const averageBytesInitial = 32;

export type ByteTableOptions = {
  readonly entriesMax: number;
  /** Bytes of all keys together. */
  readonly bytesMax: number;
};

export class ByteTable {
  readonly #options: ByteTableOptions;
  #count = 0;
  #buckets: Int32Array = new Int32Array(entriesInitial * 2);
  #hashes: Int32Array = new Int32Array(entriesInitial);
  #starts: Uint32Array = new Uint32Array(entriesInitial + 1);
  #values: Int32Array = new Int32Array(entriesInitial);
  #arena: Uint8Array = new Uint8Array(entriesInitial * averageBytesInitial);

  constructor(options: ByteTableOptions) {
    assert(options.bytesMax < 2 ** 32, "the arena is addressed by 32 bits");
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** The value of `bytes[start, end)`, or NOT_FOUND. Allocates nothing. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const hash = hashOf(bytes, start, end);
    const buckets = this.#buckets;
    const mask = buckets.length - 1;
    for (let probe = 0; probe < probesMax; probe++) {
      const entry = buckets[(hash + probe) & mask]! - 1;
      if (entry < 0) return NOT_FOUND;
      if (this.#hashes[entry] === hash && this.#isKey(entry, bytes, start, end)) {
        return this.#values[entry]!;
      }
    }
    return NOT_FOUND;
  }

  /**
   * Keeps a copy of `bytes[start, end)`, which must not be in the table, with a value of at least 0.
   * False where there is no room for it.
   */
  add(bytes: Uint8Array, start: number, end: number, value: number): boolean {
    const from = this.#starts[this.#count]!;
    if (this.#count === this.#options.entriesMax) return false;
    if (from + end - start > this.#options.bytesMax) return false;
    if (this.#count === this.#hashes.length) this.#growEntries();
    if (from + end - start > this.#arena.length) this.#growArena(from + end - start);

    const entry = this.#count;
    this.#hashes[entry] = hashOf(bytes, start, end);
    if (!this.#place(entry)) return false;
    this.#arena.set(bytes.subarray(start, end), from);
    this.#starts[entry + 1] = from + end - start;
    this.#values[entry] = value;
    this.#count++;
    return true;
  }

  #isKey(entry: number, bytes: Uint8Array, start: number, end: number): boolean {
    const from = this.#starts[entry]!;
    const length = this.#starts[entry + 1]! - from;
    if (length !== end - start) return false;
    const arena = this.#arena;
    for (let i = 0; i < length; i++) {
      if (arena[from + i] !== bytes[start + i]) return false;
    }
    return true;
  }

  #place(entry: number): boolean {
    const hash = this.#hashes[entry]!;
    const mask = this.#buckets.length - 1;
    for (let probe = 0; probe < probesMax; probe++) {
      const bucket = (hash + probe) & mask;
      if (this.#buckets[bucket] === 0) {
        this.#buckets[bucket] = entry + 1;
        return true;
      }
    }
    return false;
  }

  /** An entry that finds no bucket in the larger table is forgotten; its value can be made again. */
  #growEntries(): void {
    const capacity = Math.min(this.#hashes.length * 2, this.#options.entriesMax);
    this.#hashes = grown(this.#hashes, new Int32Array(capacity));
    this.#values = grown(this.#values, new Int32Array(capacity));
    this.#starts = grown(this.#starts, new Uint32Array(capacity + 1));
    this.#buckets = new Int32Array(2 ** Math.ceil(Math.log2(capacity * 2)));
    for (let entry = 0; entry < this.#count; entry++) this.#place(entry);
  }

  #growArena(bytesNeeded: number): void {
    const bytes = Math.min(Math.max(this.#arena.length * 2, bytesNeeded), this.#options.bytesMax);
    this.#arena = grown(this.#arena, new Uint8Array(bytes));
  }
}

function grown<Cells extends Int32Array | Uint32Array | Uint8Array>(
  old: Cells,
  wide: Cells,
): Cells {
  wide.set(old);
  return wide;
}

/** Signed, as `#hashes` holds it. */
function hashOf(bytes: Uint8Array, start: number, end: number): number {
  return murmur32(bytes, start, end, 0) | 0;
}
