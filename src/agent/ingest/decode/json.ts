/**
 * JSON payloads (RFC 8259): the scanner for the common, JSON.parse for everything.
 */

import type { Decoder, Parsed } from "./decoder.ts";
import { refused } from "./decoder.ts";
import type { Draft } from "./draft.ts";
import { offsetOfJsonFault } from "./json-fault.ts";
import { JsonScanner } from "./json-scanner.ts";
import { offsetOfBadUtf8, textOf } from "./text.ts";

export function createJsonDecoder(): Decoder {
  const scanner = new JsonScanner();
  return {
    scan: (draft: Draft, bytes: Uint8Array, start: number, end: number): boolean =>
      scanner.scan(draft, bytes, start, end),
    parse: parseJson,
  };
}

/** Reasons: json_invalid. */
function parseJson(bytes: Uint8Array, start: number, end: number): Parsed {
  const text = textOf(bytes, start, end);
  if (text === undefined) {
    return refused("json_invalid", offsetOfBadUtf8(bytes, start, end) - start);
  }
  try {
    const value: unknown = JSON.parse(text);
    return { kind: "parsed", value };
  } catch {
    return refused("json_invalid", offsetOfJsonFault(bytes, start, end) - start);
  }
}
