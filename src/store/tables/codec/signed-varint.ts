/** Integers of either sign as varints, near to 0 in few bytes: 0, -1, 1, -2, ... as 0, 1, 2, 3, ... */

import type { ByteReader, ByteWriter } from "../../../core/bytes.ts";

/** The largest that still is a varint, and of negative ones the least. */
const SIGNED_MAX = 2 ** 52 - 1;

/** Whether a number can be written so and come back; -0 has no place among integers. */
export function isSigned(value: number): boolean {
  return Number.isInteger(value) && Math.abs(value) <= SIGNED_MAX && !Object.is(value, -0);
}

export function writeSigned(writer: ByteWriter, value: number): void {
  writer.varint(value < 0 ? -2 * value - 1 : 2 * value);
}

/** Throws MalformedBytes. */
export function readSigned(reader: ByteReader): number {
  const varint = reader.varint();
  return varint % 2 === 0 ? varint / 2 : -(varint + 1) / 2;
}
