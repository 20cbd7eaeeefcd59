/**
 * Payloads that are a value without a name: `21.5`, `-3e2`, `true`, `ON`, `online`. What begins like
 * a number must be one (`21.5 °C` is refused: a series of such symbols would be of no use), and what
 * begins like JSON is none: a device that sends `{"value":1}` was given the wrong format. All other
 * text is a symbol. Blanks around it do not count, `null` is no reading.
 */

import type { Names } from "../names.ts";
import { DecimalScanner } from "./decimal.ts";
import type { Decoder, Parsed } from "./decoder.ts";
import { refused } from "./decoder.ts";
import type { Draft } from "./draft.ts";
import { offsetOfBadUtf8, textOf } from "./text.ts";

export function createNumberDecoder(names: Names): Decoder {
  const decimal = new DecimalScanner();
  return {
    scan: (draft: Draft, bytes: Uint8Array, start: number, end: number): boolean => {
      const from = pastBlanks(bytes, start, end);
      const to = beforeBlanks(bytes, from, end);
      if (from === to) return false;
      if (decimal.scan(bytes, from, to) === to) return draft.takeBareNumber(decimal.value);
      if (isNumberStart(bytes[from]!) || isJsonStart(bytes[from]!)) return false;
      if (isNull(bytes, from, to)) return false;
      // A JSON string may hold NUL and be a symbol; bare bytes that do are no text.
      if (hasNul(bytes, from, to)) return false;
      const symbol = names.symbolOfBytes(bytes, from, to);
      return symbol >= 0 && draft.takeBareSymbol(symbol);
    },
    parse: parseValue,
  };
}

/** Reasons: number_invalid. A leading `+` and a missing digit before or after the point are accepted. */
function parseValue(bytes: Uint8Array, start: number, end: number): Parsed {
  const from = pastBlanks(bytes, start, end);
  const to = beforeBlanks(bytes, from, end);
  const text = textOf(bytes, from, to);
  if (text === undefined) {
    return refused("number_invalid", offsetOfBadUtf8(bytes, from, to) - start);
  }
  if (text === "" || hasNul(bytes, from, to)) return refused("number_invalid", from - start);
  if (text === "null") return { kind: "parsed", value: undefined };
  if (text === "true" || text === "false") return { kind: "parsed", value: text === "true" };
  if (isJsonStart(bytes[from]!)) return refused("number_invalid", from - start);
  if (!isNumberStart(bytes[from]!)) return { kind: "parsed", value: text };
  const isNumber = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text);
  return isNumber
    ? { kind: "parsed", value: Number(text) }
    : refused("number_invalid", from - start);
}

/** A digit, a sign or a point. */
function isNumberStart(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}

/** What an object, an array or a string begins with. */
function isJsonStart(byte: number): boolean {
  return byte === 0x7b || byte === 0x5b || byte === 0x22;
}

function isNull(bytes: Uint8Array, from: number, to: number): boolean {
  return to - from === 4 && bytes[from] === 0x6e && textOf(bytes, from, to) === "null";
}

function hasNul(bytes: Uint8Array, from: number, to: number): boolean {
  for (let p = from; p < to; p++) if (bytes[p] === 0) return true;
  return false;
}

function pastBlanks(bytes: Uint8Array, start: number, end: number): number {
  let p = start;
  while (p < end && isBlank(bytes[p]!)) p++;
  return p;
}

function beforeBlanks(bytes: Uint8Array, start: number, end: number): number {
  let p = end;
  while (p > start && isBlank(bytes[p - 1]!)) p--;
  return p;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
