/**
 * The stamps of a block as bytes (docs/format/tables.md): times, kinds, and sequences where any row
 * has one.
 */

import { KIND_SEQUENCE } from "../../core/batch.ts";
import type { ByteReader, ByteWriter } from "../../core/bytes.ts";
import { decodeColumn, encodeColumn } from "./column-codec.ts";
import type { Stamps } from "./rows.ts";

/** Rows [0, rows) of `stamps`; a sequence is kept only where its kind has KIND_SEQUENCE. */
export function encodeStamps(writer: ByteWriter, stamps: Stamps, rows: number): void {
  encodeColumn(writer, stamps.time, rows);
  writer.copy(stamps.kind, rows);
  if (hasSequence(stamps.kind, rows)) encodeColumn(writer, stamps.sequence, rows);
}

/** Into rows [0, rows) of `target`, and sets `target.rows`; throws MalformedBytes. */
export function decodeStamps(reader: ByteReader, target: Stamps, rows: number): void {
  decodeColumn(reader, target.time, rows);
  reader.copyTo(target.kind, rows);
  if (hasSequence(target.kind, rows)) decodeColumn(reader, target.sequence, rows);
  else target.sequence.fill(0, 0, rows);
  target.rows = rows;
}

function hasSequence(kind: Uint8Array, rows: number): boolean {
  for (let i = 0; i < rows; i++) if ((kind[i]! & KIND_SEQUENCE) !== 0) return true;
  return false;
}
