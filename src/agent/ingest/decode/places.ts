/**
 * Where in a payload its values stand: for what is refused of a sound payload, the byte of the value
 * that it is about, and for a person who looks at the byte later, the field that it is in. Only dead
 * letters are walked through, so this costs good messages nothing.
 */

import { limits } from "../../../core/limits.ts";
import type { PayloadFormat } from "../source-config.ts";
import { shapeOfCbor } from "./cbor-shape.ts";
import type { Keys, Seen } from "./decoder.ts";
import { offsetOfJsonFault } from "./json-fault.ts";
import { formatOf } from "./registry.ts";
import { millisOfText } from "./time.ts";

/** The byte of `bytes[start, end)` at which the value with these keys begins, counted from `start`. */
export function offsetOfKeys(
  format: PayloadFormat,
  bytes: Uint8Array,
  { start, end, keys }: { readonly start: number; readonly end: number; readonly keys: Keys },
): number {
  if (keys.length === 0) return 0;
  let found = start;
  walk(format, bytes, start, end, (seen, offset) => {
    // Of two equal keys the last counts.
    if (seen.length === keys.length && seen.every((key, i) => key === keys[i])) found = offset;
  });
  return found - start;
}

/** The field whose value begins at a byte, as `time` and `ignore` name it; the payload may be cut. */
export function fieldAt(payload: Uint8Array, at: number): string | undefined {
  let field: string | undefined;
  walk(formatOf(payload, 0, payload.length), payload, 0, payload.length, (keys, offset) => {
    if (offset !== at) return;
    const names = keys.filter((key) => typeof key === "string");
    field = names.length === 0 ? undefined : names.join(".");
  });
  return field;
}

/** Whether the text that begins at a byte is a time, but for its zone. */
export function isZonelessAt(payload: Uint8Array, at: number): boolean {
  const [from, to] = textAt(payload, at);
  const isTime = (zonelessIsUtc: boolean): boolean =>
    !Number.isNaN(millisOfText(payload, from, to, zonelessIsUtc));
  return isTime(true) && !isTime(false);
}

function walk(
  format: PayloadFormat,
  bytes: Uint8Array,
  start: number,
  end: number,
  seen: Seen,
): void {
  if (format === "json") offsetOfJsonFault(bytes, start, end, seen);
  else if (format === "cbor") {
    shapeOfCbor(bytes, start, end, { nestingMax: limits.nestingMax, seen });
  }
}

/** The bytes of a JSON or CBOR text without escapes and of at most 255 bytes; none where there is none. */
function textAt(payload: Uint8Array, at: number): readonly [number, number] {
  const head = payload[at] ?? 0;
  if (head === 0x22) return [at + 1, payload.indexOf(0x22, at + 1)];
  if (head === 0x78) return [at + 2, at + 2 + (payload[at + 1] ?? 0)];
  return [at + 1, at + 1 + (head >= 0x60 && head < 0x78 ? head - 0x60 : 0)];
}
