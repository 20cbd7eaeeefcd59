/**
 * CBOR payloads (RFC 8949): the scanner for the common, cbor-x for the rest. What cbor-x is given
 * has been looked over first and its tags are taken out, so that no extension of it (records,
 * shared references, typed arrays, dates) ever runs. Maps stay Maps: a key is data, `__proto__` too.
 */

import { Decoder as CborXDecoder } from "cbor-x";
import { CborScanner } from "./cbor-scanner.ts";
import { shapeOfCbor } from "./cbor-shape.ts";
import type { Decoder, Parsed } from "./decoder.ts";
import { refused } from "./decoder.ts";
import type { Draft } from "./draft.ts";

export function createCborDecoder({ nestingMax }: { readonly nestingMax: number }): Decoder {
  const scanner = new CborScanner();
  const options = { useRecords: false, mapsAsObjects: false, int64AsNumber: true };
  const decoder = new CborXDecoder(options);
  return {
    scan: (draft: Draft, bytes: Uint8Array, start: number, end: number): boolean =>
      scanner.scan(draft, bytes, start, end),
    parse: (bytes: Uint8Array, start: number, end: number): Parsed => {
      const shape = shapeOfCbor(bytes, start, end, { nestingMax });
      if (shape.kind === "refused") return shape;
      try {
        const value: unknown = decoder.decode(withoutTags(bytes, start, end, shape.tags));
        return { kind: "parsed", value };
      } catch {
        return refused("cbor_invalid", 0);
      }
    },
  };
}

/** A copy without the given spans. Lengths in CBOR count items, so the rest stays as it is. */
function withoutTags(
  bytes: Uint8Array,
  start: number,
  end: number,
  tags: readonly number[],
): Uint8Array {
  const copy = new Uint8Array(end - start);
  let length = 0;
  let from = start;
  for (let i = 0; i <= tags.length; i += 2) {
    const part = bytes.subarray(from, tags[i] ?? end);
    copy.set(part, length);
    length += part.length;
    from = tags[i + 1] ?? end;
  }
  return copy.subarray(0, length);
}
