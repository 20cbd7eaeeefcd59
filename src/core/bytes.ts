/**
 * Little-endian byte writer and reader with varints (LEB128, unsigned, up to 2^53 - 1) and UTF-8.
 *
 * The writer grows by doubling up to a bound; going past it is a bug of the caller, who has limits
 * of his own. The reader trusts nothing: whatever does not fit yields MalformedBytes with the
 * offset, which whoever knows the file turns into a fault.
 */

import { assert } from "./assert.ts";

const VARINT_BYTES_MAX = 8;
const TWO_32 = 2 ** 32;

export class ByteWriter {
  readonly #bytesMax: number;
  #bytes: Buffer;
  #view: DataView;
  #length = 0;

  /** `bytes`: reserved at once; `bytesMax`: the most that may ever be written. */
  constructor(options: { readonly bytes: number; readonly bytesMax: number }) {
    assert(options.bytes > 0 && options.bytes <= options.bytesMax, "a writer has room");
    this.#bytesMax = options.bytesMax;
    this.#bytes = Buffer.from(new ArrayBuffer(options.bytes));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far; the next one goes here. */
  get length(): number {
    return this.#length;
  }

  /** Goes on at `length`; what lies before keeps its bytes, what lies after is undefined. */
  moveTo(length: number): void {
    this.#length = 0;
    this.#reserve(length);
    this.#length = length;
  }

  /** Bytes [from, to) as a view, valid until the writer grows or is written again. */
  slice(from: number, to: number): Uint8Array<ArrayBuffer> {
    assert(from <= to && to <= this.#length, "a slice lies within what was written");
    return new Uint8Array(this.#view.buffer as ArrayBuffer, from, to - from);
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#length] = value;
    this.#length += 1;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#length, value, true);
    this.#length += 4;
  }

  /** The eight bytes of a double, as they are. */
  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#length, value, true);
    this.#length += 8;
  }

  /** An integer in [0, 2^53): seven bits a byte, lowest first. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a varint is an integer in [0, 2^53)");
    this.#reserve(VARINT_BYTES_MAX);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = rest < TWO_32 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** Length in bytes as a varint, then UTF-8; lone surrogates become U+FFFD. */
  text(value: string): void {
    const bytes = Buffer.byteLength(value, "utf8");
    this.varint(bytes);
    this.#reserve(bytes);
    this.#bytes.write(value, this.#length, bytes, "utf8");
    this.#length += bytes;
  }

  /** Length as a varint, then the bytes. */
  blob(value: Uint8Array): void {
    this.varint(value.length);
    this.copy(value, value.length);
  }

  /** The first `bytes` bytes of a typed array's memory, as they are. */
  copy(source: ArrayBufferView, bytes: number): void {
    assert(bytes <= source.byteLength, "a copy lies within its source");
    this.#reserve(bytes);
    this.#bytes.set(new Uint8Array(source.buffer, source.byteOffset, bytes), this.#length);
    this.#length += bytes;
  }

  /** Zero bytes up to the next multiple of `unit`. */
  align(unit: number): void {
    const end = Math.ceil(this.#length / unit) * unit;
    this.#reserve(end - this.#length);
    this.#bytes.fill(0, this.#length, end);
    this.#length = end;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#bytes.length) return;
    assert(needed <= this.#bytesMax, "what is written stays within the writer's bound");
    const grown = Math.min(Math.max(this.#bytes.length * 2, needed), this.#bytesMax);
    const bytesBefore = this.#bytes;
    this.#bytes = Buffer.from(new ArrayBuffer(grown));
    this.#bytes.set(bytesBefore);
    this.#view = new DataView(this.#bytes.buffer);
  }
}

/** Bytes that are not what their format says. `offset` counts from the reader's first byte. */
export class MalformedBytes extends Error {
  override readonly name = "MalformedBytes";
  readonly offset: number;

  constructor(what: string, offset: number) {
    super(`${what} at byte ${offset}`);
    this.offset = offset;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads `bytes` from the front; every method throws MalformedBytes where they do not fit. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  /** Keeps `bytes` and reads them in place. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#offset;
  }

  u8(): number {
    return this.#bytes[this.#take(1)]!;
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8), true);
  }

  varint(): number {
    const start = this.#offset;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < VARINT_BYTES_MAX; i++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (Number.isSafeInteger(value)) return value;
        break;
      }
      scale *= 0x80;
    }
    throw new MalformedBytes("a varint past 2^53", start);
  }

  /** A varint that counts items of at least `bytesEach` bytes, so never more than can follow. */
  count(bytesEach: number): number {
    const start = this.#offset;
    const count = this.varint();
    if (count * bytesEach > this.left) throw new MalformedBytes("a count past the end", start);
    return count;
  }

  text(): string {
    const bytes = this.count(1);
    const start = this.#take(bytes);
    try {
      return utf8.decode(this.#bytes.subarray(start, start + bytes));
    } catch {
      throw new MalformedBytes("invalid UTF-8", start);
    }
  }

  /** A copy the caller owns. */
  blob(): Uint8Array {
    const bytes = this.count(1);
    const start = this.#take(bytes);
    return this.#bytes.slice(start, start + bytes);
  }

  /** The next `bytes` bytes where they are, not a copy. */
  view(bytes: number): Uint8Array {
    const start = this.#take(bytes);
    return this.#bytes.subarray(start, start + bytes);
  }

  /** Copies the next `bytes` bytes into the front of `target`'s memory. */
  copyTo(target: ArrayBufferView, bytes: number): void {
    assert(bytes <= target.byteLength, "a copy fits its target");
    const start = this.#take(bytes);
    new Uint8Array(target.buffer, target.byteOffset, bytes).set(
      this.#bytes.subarray(start, start + bytes),
    );
  }

  /** Skips to the next multiple of `unit`, counted from the reader's first byte. */
  align(unit: number): void {
    this.#take(Math.ceil(this.#offset / unit) * unit - this.#offset);
  }

  #take(bytes: number): number {
    const start = this.#offset;
    if (bytes > this.#bytes.length - start) throw new MalformedBytes("an end too early", start);
    this.#offset = start + bytes;
    return start;
  }
}
