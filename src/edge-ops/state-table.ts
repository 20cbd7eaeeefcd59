/**
 * Operator state as a table of typed-array columns, addressed by a dense row index, written to the
 * state store in chunks of fixed size. Memory is reserved for the named capacity at once: the
 * operating system commits a page when it is first touched, so growth never copies and an unused
 * row costs nothing.
 *
 *   column   c0[stride] c1[stride] ...          row r of a column: [r*stride, (r+1)*stride)
 *   chunk k  rows [k*rowsPerChunk, (k+1)*rowsPerChunk) of all columns, one after another
 *
 * A writer calls `touch(row)`; `encodeDirty` gives each touched chunk once. The bytes are native
 * (little-endian on every machine weir runs on, asserted) and begin with the table's version.
 */

import { assert } from "../core/assert.ts";

export type Cells =
  | Float64Array
  | Float32Array
  | Uint32Array
  | Int32Array
  | Uint16Array
  | Uint8Array;
export type Column = { readonly cells: Cells; readonly stride: number };

export type StateTableOptions = {
  /** Unique within the dataflow; part of the key in the state store. */
  readonly name: string;
  /** Layout version; a chunk of another version is refused. */
  readonly version: number;
  readonly rowsMax: number;
  readonly rowsPerChunk: number;
  readonly columns: readonly Column[];
};

/** A table of one row, whose columns are these cells. */
export function cellTable(name: string, ...columns: readonly Cells[]): StateTable {
  return new StateTable({
    name,
    version: 1,
    rowsMax: 1,
    rowsPerChunk: 1,
    columns: columns.map((cells) => ({ cells, stride: cells.length })),
  });
}

const HEADER_BYTES = 8;
const zeros = new Uint8Array(4_096);
assert(new Uint8Array(new Uint16Array([1]).buffer)[0] === 1, "the machine is little-endian");

export class StateTable {
  readonly name: string;
  readonly #options: StateTableOptions;
  readonly #dirty: Uint8Array;
  readonly #shift: number;

  constructor(options: StateTableOptions) {
    const { rowsPerChunk, rowsMax, columns } = options;
    this.#shift = Math.log2(rowsPerChunk);
    assert(Number.isInteger(this.#shift), "rowsPerChunk is a power of two");
    for (const { cells, stride } of columns) {
      assert(cells.length >= rowsMax * stride, "a column has room for every row");
    }
    this.name = options.name;
    this.#options = options;
    this.#dirty = new Uint8Array(Math.ceil(rowsMax / rowsPerChunk));
  }

  get rowsMax(): number {
    return this.#options.rowsMax;
  }

  /** What all its rows come to, bytes. */
  get bytesMax(): number {
    const { rowsMax, columns } = this.#options;
    const rowBytes = columns.map(({ cells, stride }) => cells.BYTES_PER_ELEMENT * stride);
    return rowsMax * rowBytes.reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Marks the chunk of `row` as changed since the last checkpoint. */
  touch(row: number): void {
    this.#dirty[row >>> this.#shift] = 1;
  }

  /** Makes every cell of the row 0. */
  clear(row: number): void {
    for (const { cells, stride } of this.#options.columns) {
      cells.fill(0, row * stride, (row + 1) * stride);
    }
    this.touch(row);
  }

  /** Marks every chunk that holds one of the rows [0, rows). */
  touchAll(rows: number): void {
    this.#dirty.fill(1, 0, Math.ceil(rows / this.#options.rowsPerChunk));
  }

  /** Gives every changed chunk as a fresh copy the receiver owns, in chunk order, and forgets the marks. */
  encodeDirty(visit: (chunk: number, bytes: Uint8Array) => void): void {
    for (let chunk = 0; chunk < this.#dirty.length; chunk++) {
      if (this.#dirty[chunk] === 0) continue;
      visit(chunk, this.#encode(chunk));
      this.#dirty[chunk] = 0;
    }
  }

  /** Loads a chunk. False where the bytes are not of this table's version and shape. */
  load(chunk: number, bytes: Uint8Array): boolean {
    if (chunk >= this.#dirty.length || bytes.length !== this.#bytesOf(chunk)) return false;
    const header = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
    if (header.getUint32(0, true) !== this.#options.version) return false;
    let offset = HEADER_BYTES;
    for (const part of this.#partsOf(chunk)) {
      part.set(bytes.subarray(offset, offset + part.length));
      offset += part.length;
    }
    return true;
  }

  /** Takes over rows and marks of a table of the same layout with at most as many rows; this one has none. */
  adopt(other: StateTable): void {
    for (let chunk = 0; chunk < other.#dirty.length; chunk++) {
      if (other.#dirty[chunk] !== 0) this.#dirty[chunk] = 1;
      // What nobody has touched is not touched here either: memory is given to what is used.
      if (other.#isZero(chunk)) continue;
      assert(this.load(chunk, other.#encode(chunk)), "a table is adopted by one of its layout");
    }
  }

  #isZero(chunk: number): boolean {
    for (const part of this.#partsOf(chunk)) {
      for (let at = 0; at < part.length; at += zeros.length) {
        const piece = part.subarray(at, at + zeros.length);
        if (Buffer.compare(piece, zeros.subarray(0, piece.length)) !== 0) return false;
      }
    }
    return true;
  }

  #bytesOf(chunk: number): number {
    let bytes = HEADER_BYTES;
    for (const part of this.#partsOf(chunk)) bytes += part.length;
    return bytes;
  }

  #encode(chunk: number): Uint8Array {
    const bytes = new Uint8Array(this.#bytesOf(chunk));
    new DataView(bytes.buffer).setUint32(0, this.#options.version, true);
    let offset = HEADER_BYTES;
    for (const part of this.#partsOf(chunk)) {
      bytes.set(part, offset);
      offset += part.length;
    }
    return bytes;
  }

  /** The bytes of each column in the chunk; the last chunk's parts may be shorter than a whole one's. */
  *#partsOf(chunk: number): Generator<Uint8Array> {
    const { rowsPerChunk, columns } = this.#options;
    for (const { cells, stride } of columns) {
      const rowBytes = cells.BYTES_PER_ELEMENT * stride;
      const from = Math.min(chunk * rowsPerChunk * rowBytes, cells.byteLength);
      const to = Math.min(from + rowsPerChunk * rowBytes, cells.byteLength);
      yield new Uint8Array(cells.buffer, cells.byteOffset + from, to - from);
    }
  }
}
