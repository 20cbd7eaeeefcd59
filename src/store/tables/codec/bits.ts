/**
 * Bits in bytes, the lowest first: bit i of a stream is bit i % 8 of byte i >> 3. Numbers up to 2^53
 * are written low bits first.
 *
 * Both ends work on memory of a fixed size that lives as long as they do, so a codec keeps one of
 * each. A reader's memory goes on beyond its bytes with zeros, and every read ends in one comparison
 * with the end.
 */

import { assert } from "../../../core/assert.ts";
import { type ByteReader, type ByteWriter, MalformedBytes } from "../../../core/bytes.ts";

/** Widest number that one `put` or `take` handles; seven bits of a word are lost to alignment. */
export const BITS_AT_ONCE = 24;
/** What `take` may look at beyond the last byte. */
const paddingBytes = 16;

export class BitWriter {
  readonly #bytes: Uint8Array;
  #at = 0;
  /** Bits that fill no byte yet, and how many: fewer than eight. */
  #word = 0;
  #filled = 0;

  constructor(bytesMax: number) {
    this.#bytes = new Uint8Array(bytesMax);
  }

  /** Bytes that `flush` will move. */
  get bytes(): number {
    return this.#at + (this.#filled > 0 ? 1 : 0);
  }

  /** An integer in [0, 2^width), `width` at most BITS_AT_ONCE. */
  put(value: number, width: number): void {
    let word = this.#word | (value << this.#filled);
    let filled = this.#filled + width;
    while (filled >= 8) {
      this.#bytes[this.#at++] = word;
      word >>>= 8;
      filled -= 8;
    }
    this.#word = word;
    this.#filled = filled;
  }

  /** An integer in [0, 2^width), `width` at most 53. */
  putWide(value: number, width: number): void {
    let rest = value;
    let left = width;
    while (left > BITS_AT_ONCE) {
      this.put(rest % 2 ** BITS_AT_ONCE, BITS_AT_ONCE);
      rest = Math.floor(rest / 2 ** BITS_AT_ONCE);
      left -= BITS_AT_ONCE;
    }
    this.put(rest, left);
  }

  /** Moves everything put so far, padded with zero bits to a byte, to `writer`; returns its bytes. */
  flush(writer: ByteWriter): number {
    if (this.#filled > 0) this.#bytes[this.#at++] = this.#word;
    const bytes = this.#at;
    assert(bytes <= this.#bytes.length, "what is put fits the writer");
    writer.copy(this.#bytes, bytes);
    this.#at = 0;
    this.#word = 0;
    this.#filled = 0;
    return bytes;
  }
}

export class BitReader {
  readonly #bytes: Uint8Array;
  readonly #bytesMax: number;
  #bit = 0;
  #bitsEnd = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bytes = new Uint8Array(bytesMax + paddingBytes);
  }

  /** Takes the next `bytes` bytes of `reader` as its own; throws MalformedBytes. */
  fill(reader: ByteReader, bytes: number): void {
    if (bytes > this.#bytesMax) throw new MalformedBytes("more bits than rows", reader.offset);
    reader.copyTo(this.#bytes, bytes);
    this.#bytes.fill(0, bytes, bytes + paddingBytes);
    this.#bit = 0;
    this.#bitsEnd = bytes * 8;
  }

  /** The next bits, not taken yet, `width` at most BITS_AT_ONCE; zeros beyond the end. */
  peek(width: number): number {
    const bytes = this.#bytes;
    const at = this.#bit >>> 3;
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    return (word >>> (this.#bit & 7)) & ((1 << width) - 1);
  }

  /** Goes on by `width` bits that were seen; throws MalformedBytes past the end. */
  skip(width: number): void {
    this.#bit += width;
    if (this.#bit > this.#bitsEnd) throw new MalformedBytes("too few bits", this.#bitsEnd >>> 3);
  }

  /** An integer of `width` bits, at most BITS_AT_ONCE. */
  take(width: number): number {
    const value = this.peek(width);
    this.skip(width);
    return value;
  }

  /** An integer of `width` bits, at most 53. */
  takeWide(width: number): number {
    let value = 0;
    let scale = 1;
    let left = width;
    while (left > BITS_AT_ONCE) {
      value += this.take(BITS_AT_ONCE) * scale;
      scale *= 2 ** BITS_AT_ONCE;
      left -= BITS_AT_ONCE;
    }
    return value + this.take(left) * scale;
  }

  /** Throws MalformedBytes unless less than a byte is left, of zero bits. */
  end(): void {
    const left = this.#bitsEnd - this.#bit;
    if (left >= 8 || this.take(left) !== 0) {
      throw new MalformedBytes("bits left over", this.#bitsEnd >>> 3);
    }
  }
}
