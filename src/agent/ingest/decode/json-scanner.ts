/**
 * A single pass over the bytes of a JSON object, or an array of objects, that has only known keys.
 * It accepts a subset of RFC 8259 exactly as JSON.parse does, and gives up on the rest: escapes,
 * keys that are new or come twice, arrays of anything but messages, strings that are no symbol yet.
 *
 *   { "key" : value , ... }     value: number | "text" | true | false | null | { ... }
 */

import { NO_PARENT } from "../route.ts";
import { DecimalScanner } from "./decimal.ts";
import type { Draft } from "./draft.ts";

const GAVE_UP = -1;

export class JsonScanner {
  readonly #decimal = new DecimalScanner();

  /** Whether `bytes[start, end)` was taken whole into the draft. */
  scan(draft: Draft, bytes: Uint8Array, start: number, end: number): boolean {
    let p = pastSpace(bytes, start, end);
    if (p === end) return false;
    p =
      bytes[p] === OPEN_ARRAY
        ? this.#array(draft, bytes, p, end)
        : this.#message(draft, bytes, p, end);
    return p !== GAVE_UP && pastSpace(bytes, p, end) === end;
  }

  #array(draft: Draft, bytes: Uint8Array, at: number, end: number): number {
    let p = pastSpace(bytes, at + 1, end);
    if (p < end && bytes[p] === CLOSE_ARRAY) return p + 1;
    while (p < end) {
      p = this.#message(draft, bytes, p, end);
      if (p === GAVE_UP) return GAVE_UP;
      p = pastSpace(bytes, p, end);
      if (p === end) return GAVE_UP;
      if (bytes[p] === CLOSE_ARRAY) return p + 1;
      if (bytes[p] !== COMMA) return GAVE_UP;
      p = pastSpace(bytes, p + 1, end);
    }
    return GAVE_UP;
  }

  #message(draft: Draft, bytes: Uint8Array, at: number, end: number): number {
    if (!draft.beginObject()) return GAVE_UP;
    const p = this.#object(draft, bytes, at, end, NO_PARENT);
    return p !== GAVE_UP && draft.endObject() ? p : GAVE_UP;
  }

  /** Members nest as deep as the topic's slots do, which the parser bounds. */
  #object(draft: Draft, bytes: Uint8Array, at: number, end: number, parent: number): number {
    if (bytes[at] !== OPEN_OBJECT) return GAVE_UP;
    let p = pastSpace(bytes, at + 1, end);
    if (p < end && bytes[p] === CLOSE_OBJECT) return p + 1;
    while (p < end) {
      if (bytes[p] !== QUOTE) return GAVE_UP;
      p++;
      let slot = draft.takeQuotedKey(bytes, p, end, parent);
      if (slot >= 0) p = draft.keyEnd + 1;
      else {
        const close = endOfText(bytes, p, end);
        if (close === end) return GAVE_UP;
        slot = draft.takeKey(bytes, p, close, parent);
        if (slot < 0) return GAVE_UP;
        p = close + 1;
      }

      if (p < end && bytes[p]! <= SPACE) p = pastSpace(bytes, p, end);
      if (p >= end || bytes[p] !== COLON) return GAVE_UP;
      p++;
      if (p < end && bytes[p]! <= SPACE) p = pastSpace(bytes, p, end);
      if (p >= end) return GAVE_UP;
      p = this.#value(draft, bytes, p, end, slot);
      if (p === GAVE_UP) return GAVE_UP;

      if (p < end && bytes[p]! <= SPACE) p = pastSpace(bytes, p, end);
      if (p >= end) return GAVE_UP;
      if (bytes[p] === CLOSE_OBJECT) return p + 1;
      if (bytes[p] !== COMMA) return GAVE_UP;
      p++;
      if (p < end && bytes[p]! <= SPACE) p = pastSpace(bytes, p, end);
    }
    return GAVE_UP;
  }

  /** The end of the value at `bytes[at]`, which is before `end`. */
  #value(draft: Draft, bytes: Uint8Array, at: number, end: number, slot: number): number {
    const byte = bytes[at]!;
    if (byte === QUOTE) return text(draft, bytes, at + 1, end, slot);
    if (byte === MINUS || (byte >= ZERO && byte <= NINE)) {
      const p = this.#decimal.scan(bytes, at, end);
      return p >= 0 && draft.takeNumber(slot, this.#decimal.value) ? p : GAVE_UP;
    }
    if (byte === OPEN_OBJECT) {
      return draft.isObject(slot) ? this.#object(draft, bytes, at, end, slot) : GAVE_UP;
    }
    if (isWord(bytes, at, end, NULL)) return at + 4;
    if (isWord(bytes, at, end, TRUE)) return draft.takeBoolean(slot, true) ? at + 4 : GAVE_UP;
    if (isWord(bytes, at, end, FALSE)) return draft.takeBoolean(slot, false) ? at + 5 : GAVE_UP;
    return GAVE_UP;
  }
}

/** The string whose first character is at `bytes[from]`. */
function text(draft: Draft, bytes: Uint8Array, from: number, end: number, slot: number): number {
  let p = from;
  let bits = 0;
  for (; p < end; p++) {
    const byte = bytes[p]!;
    if (byte === QUOTE) break;
    if (byte === BACKSLASH || byte < SPACE) return GAVE_UP;
    bits |= byte;
  }
  if (p === end) return GAVE_UP;
  return draft.takeText(slot, bytes, from, p, bits < 0x80) ? p + 1 : GAVE_UP;
}

/** The next quote, or `end` where an escape or a control character comes first. */
function endOfText(bytes: Uint8Array, from: number, end: number): number {
  for (let p = from; p < end; p++) {
    const byte = bytes[p]!;
    if (byte === QUOTE) return p;
    if (byte === BACKSLASH || byte < SPACE) return end;
  }
  return end;
}

function pastSpace(bytes: Uint8Array, from: number, end: number): number {
  let p = from;
  while (p < end) {
    const byte = bytes[p]!;
    if (byte > SPACE) return p;
    if (byte !== SPACE && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return p;
    p++;
  }
  return p;
}

function isWord(bytes: Uint8Array, at: number, end: number, word: Uint8Array): boolean {
  if (at + word.length > end) return false;
  for (let i = 0; i < word.length; i++) if (bytes[at + i] !== word[i]) return false;
  return true;
}

const NULL = new TextEncoder().encode("null");
const TRUE = new TextEncoder().encode("true");
const FALSE = new TextEncoder().encode("false");
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const OPEN_ARRAY = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
