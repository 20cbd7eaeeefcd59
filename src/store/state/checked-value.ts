/**
 * Values of the state store with checksums, and the short ones twice:
 *
 *   value, longer    bytes | checksum
 *   value, short     bytes | checksum | bytes | checksum        up to limits.copiedValueBytesMax
 *
 * The checksum (u32, CRC-32) is over key and bytes, so a value under another's key is found, too. A
 * damaged copy is of no consequence while the other is whole. Which of the two forms it is nothing
 * says: what checks is what it is.
 */

import { checksumOf } from "../../core/checksum.ts";
import { limits } from "../../core/limits.ts";

/** `isWhole`: neither copy is damaged. */
export type CheckedValue =
  | { readonly kind: "value"; readonly bytes: Uint8Array; readonly isWhole: boolean }
  | { readonly kind: "damaged" };

const CHECKSUM_BYTES = 4;

/** A new buffer. */
export function encodeChecked(key: string, bytes: Uint8Array): Uint8Array {
  const unitBytes = bytes.length + CHECKSUM_BYTES;
  const copies = bytes.length <= limits.copiedValueBytesMax ? 2 : 1;
  const value = new Uint8Array(copies * unitBytes);
  const view = new DataView(value.buffer);
  const checksum = checksumOf(bytes, keyChecksumOf(key));
  for (let at = 0; at < value.length; at += unitBytes) {
    value.set(bytes, at);
    view.setUint32(at + bytes.length, checksum, true);
  }
  return value;
}

/** `bytes` of the answer are a part of `value`. */
export function decodeChecked(key: string, value: Uint8Array): CheckedValue {
  const half = value.length / 2;
  if (Number.isInteger(half) && half <= limits.copiedValueBytesMax + CHECKSUM_BYTES) {
    const copies = [value.subarray(0, half), value.subarray(half)];
    const [first, second] = copies.map((copy) => contentOf(key, copy));
    const bytes = first ?? second;
    const isWhole = first !== undefined && second !== undefined;
    if (bytes !== undefined) return { kind: "value", bytes, isWhole };
  }
  const bytes = contentOf(key, value);
  // The bytes of a short value are never alone: it would be one that lost a part.
  if (bytes === undefined || bytes.length <= limits.copiedValueBytesMax) return { kind: "damaged" };
  return { kind: "value", bytes, isWhole: true };
}

function contentOf(key: string, unit: Uint8Array): Uint8Array | undefined {
  const length = unit.length - CHECKSUM_BYTES;
  if (length < 0) return undefined;
  const bytes = unit.subarray(0, length);
  const said = new DataView(unit.buffer, unit.byteOffset, unit.length).getUint32(length, true);
  return checksumOf(bytes, keyChecksumOf(key)) === said ? bytes : undefined;
}

const keyBytes = new TextEncoder();

function keyChecksumOf(key: string): number {
  return checksumOf(keyBytes.encode(key));
}
