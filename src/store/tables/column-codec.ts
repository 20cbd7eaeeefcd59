/**
 * One column of a block as bytes (docs/format/tables.md): an encoding, then the values, bit by bit.
 */

import { type ByteReader, type ByteWriter, MalformedBytes } from "../../core/bytes.ts";

const ENCODING_PLAIN = 0;

/** Rows [0, rows) of `values`; every bit pattern survives. */
export function encodeColumn(writer: ByteWriter, values: Float64Array, rows: number): void {
  writer.u8(ENCODING_PLAIN);
  writer.copy(values, rows * 8);
}

/** Into rows [0, rows) of `target`; throws MalformedBytes. */
export function decodeColumn(reader: ByteReader, target: Float64Array, rows: number): void {
  const encoding = reader.u8();
  if (encoding !== ENCODING_PLAIN) {
    throw new MalformedBytes(`an unknown encoding ${encoding}`, reader.offset - 1);
  }
  reader.copyTo(target, rows * 8);
}
