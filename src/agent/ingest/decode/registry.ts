/**
 * The payload formats. A new one is a file with a Decoder and a line here; where its payloads can be
 * told from the others by their first bytes, also a line in `formatOf`.
 */

import type { Names } from "../names.ts";
import type { PayloadFormat } from "../source-config.ts";
import { createCborDecoder } from "./cbor.ts";
import type { Decoder } from "./decoder.ts";
import { createJsonDecoder } from "./json.ts";
import { createNumberDecoder } from "./number.ts";

export type Decoders = Readonly<Record<PayloadFormat, Decoder>>;

export function createDecoders(options: {
  readonly names: Names;
  readonly nestingMax: number;
}): Decoders {
  return {
    json: createJsonDecoder(),
    cbor: createCborDecoder(options),
    number: createNumberDecoder(options.names),
  };
}

/**
 * The format of a payload, by its first byte that is not blank: `{`, `[` and `"` begin JSON, CBOR
 * arrays and maps are 0x80-0xbf (which begins no UTF-8 text), and so is the tag that says "CBOR".
 */
export function formatOf(bytes: Uint8Array, start: number, end: number): PayloadFormat {
  if (start === end) return "number";
  const first = bytes[start]!;
  if (first >= 0x80 && first <= 0xbf) return "cbor";
  if (first === 0xd9 && end - start > 3 && bytes[start + 1] === 0xd9 && bytes[start + 2] === 0xf7) {
    return "cbor";
  }
  let p = start;
  while (p < end && (bytes[p] === 0x20 || (bytes[p]! >= 0x09 && bytes[p]! <= 0x0d))) p++;
  const byte = bytes[p];
  return byte === 0x7b || byte === 0x5b || byte === 0x22 ? "json" : "number";
}
