/**
 * Looks over a CBOR item (RFC 8949, appendix C) before it is decoded: well formed to the last byte,
 * nested no deeper than we follow, nothing in it that a decoder might make more of than data. Tags
 * 0 and 1 (date and time) and 55799 (this is CBOR) say nothing that the field's role does not say,
 * so they are left out; other tags, byte strings, keys that are no text, lengths that are not given
 * and simple values of private use are refused.
 */

import { type Refusal, refused, type Seen } from "./decoder.ts";
import { offsetOfBadUtf8, textOf } from "./text.ts";

export type CborShape =
  /** `tags`: where tags begin and end, in pairs, offsets into `bytes`, ascending. */
  { readonly kind: "sound"; readonly tags: readonly number[] } | Refusal;

/**
 * Reasons: cbor_invalid (not well formed), shape_unsupported. `seen` is told of the values before the
 * fault, of one with tags once for each.
 */
export function shapeOfCbor(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: { readonly nestingMax: number; readonly seen?: Seen },
): CborShape {
  const walk = new Walk(bytes, start, end, options);
  const fault = walk.item(0);
  if (fault !== undefined) return { ...fault, offset: fault.offset - start };
  if (walk.at < end) return refused("cbor_invalid", walk.at - start);
  return { kind: "sound", tags: walk.tags };
}

class Walk {
  readonly tags: number[] = [];
  at: number;
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #nestingMax: number;
  readonly #seen: Seen | undefined;
  /** Of each array and map that is open, which item of it this is. */
  readonly #keys: (string | number)[] = [];
  #argument = 0;

  constructor(
    bytes: Uint8Array,
    start: number,
    end: number,
    { nestingMax, seen }: { readonly nestingMax: number; readonly seen?: Seen },
  ) {
    this.#bytes = bytes;
    this.at = start;
    this.#end = end;
    this.#nestingMax = nestingMax;
    this.#seen = seen;
  }

  /** One item; recursion is bounded by the nesting. Offsets are into `bytes`. */
  item(depth: number): Refusal | undefined {
    const from = this.at;
    if (from >= this.#end) return refused("cbor_invalid", from);
    this.#seen?.(this.#keys, from);
    const major = this.#bytes[from]! >> 5;
    const head = this.#head();
    if (head !== undefined) return head;
    switch (major) {
      case 0:
      case 1:
        return undefined;
      case 2:
        return refused("shape_unsupported", from);
      case 3:
        return this.#text();
      case 4:
      case 5:
        if (depth >= this.#nestingMax) return refused("shape_unsupported", from);
        return this.#items(depth, major === 5);
      case 6:
        if (this.#argument > 1 && this.#argument !== 55799) {
          return refused("shape_unsupported", from);
        }
        if (this.tags.at(-1) === from) return refused("shape_unsupported", from);
        this.tags.push(from, this.at);
        return this.item(depth);
      default:
        return isSimple(this.#bytes[from]!) ? undefined : refused("shape_unsupported", from);
    }
  }

  #items(depth: number, isMap: boolean): Refusal | undefined {
    const count = this.#argument;
    const place = this.#keys.push(0) - 1;
    for (let index = 0; index < count; index++) {
      this.#keys[place] = index;
      const fault = (isMap ? this.#key(place) : undefined) ?? this.item(depth + 1);
      if (fault !== undefined) return fault;
    }
    this.#keys.pop();
    return undefined;
  }

  #key(place: number): Refusal | undefined {
    const from = this.at;
    if (from >= this.#end) return refused("cbor_invalid", from);
    const isText = this.#bytes[from]! >> 5 === 3;
    const head = this.#head();
    if (head !== undefined) return head;
    if (!isText) return refused("shape_unsupported", from);
    const textAt = this.at;
    const fault = this.#text();
    if (fault === undefined && this.#seen !== undefined) {
      this.#keys[place] = textOf(this.#bytes, textAt, this.at) ?? "";
    }
    return fault;
  }

  #text(): Refusal | undefined {
    const to = this.at + this.#argument;
    if (to > this.#end) return refused("cbor_invalid", this.#end);
    const bad = offsetOfBadUtf8(this.#bytes, this.at, to);
    if (bad < to) return refused("cbor_invalid", bad);
    this.at = to;
    return undefined;
  }

  #head(): Refusal | undefined {
    const from = this.at;
    const low = this.#bytes[from]! & 0x1f;
    if (low > 27) return refused(low === 31 ? "shape_unsupported" : "cbor_invalid", from);
    const length = low < 24 ? 0 : 1 << (low - 24);
    if (from + 1 + length > this.#end) return refused("cbor_invalid", this.#end);
    let argument = low < 24 ? low : 0;
    for (let i = 1; i <= length; i++) argument = argument * 256 + this.#bytes[from + i]!;
    this.#argument = argument;
    this.at = from + 1 + length;
    return undefined;
  }
}

/** false, true, null, undefined and the three floats. */
function isSimple(byte: number): boolean {
  return (byte >= 0xf4 && byte <= 0xf7) || (byte >= 0xf9 && byte <= 0xfb);
}
