/**
 * The stamps of a block as bytes (docs/format/tables.md, Stamps): times, kinds, and sequences where
 * any row has one.
 *
 *   times       whole milliseconds as a series of integers: a regular one is its start and its
 *               period, and what deviates is patched (the delta of delta of Gorilla, Pelkonen et
 *               al. 2015, with the period of the block in place of the delta before). Others as a
 *               column
 *   kinds       one for all rows, or a series
 *   sequences   a column
 */

import { assert } from "../../../core/assert.ts";
import { isKind, KIND_SEQUENCE } from "../../../core/batch.ts";
import { type ByteReader, type ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { decodeColumn, encodeColumn } from "./column-codec.ts";
import { decodeSeries, encodeSeries, SERIES_END } from "./integer-series.ts";
import type { Stamps } from "../rows.ts";

const FLAG_FRACTIONS = 1;
const FLAG_KINDS = 2;

const rowsMax = limits.tableBlockRowsMax;
const kinds = new Float64Array(rowsMax);

/** Rows [0, rows) of `stamps`; a sequence is kept where any of them has KIND_SEQUENCE. */
export function encodeStamps(writer: ByteWriter, stamps: Stamps, rows: number): void {
  assert(rows > 0 && rows <= rowsMax && rows <= stamps.time.length, "stamps are of one block");
  const { time, kind, sequence } = stamps;
  assert(areAscending(time, rows), "times are finite and ascend");
  const hasFractions = !areIntegers(time, rows);
  const first = kind[0]!;
  const hasKinds = !areKind(kind, rows, first);
  writer.u8((hasFractions ? FLAG_FRACTIONS : 0) | (hasKinds ? FLAG_KINDS : 0));
  if (hasFractions) encodeColumn(writer, time, rows);
  else encodeSeries(writer, time, rows);
  if (hasKinds) {
    for (let i = 0; i < rows; i++) kinds[i] = kind[i]!;
    encodeSeries(writer, kinds, rows);
  } else writer.u8(first);
  if (haveSequence(kind, rows)) encodeColumn(writer, sequence, rows);
}

/** Into rows [0, rows) of `target`, and sets `target.rows`; throws MalformedBytes. */
export function decodeStamps(reader: ByteReader, target: Stamps, rows: number): void {
  const { time, kind, sequence } = target;
  assert(rows <= time.length, "the target has room for the rows");
  if (rows < 1 || rows > rowsMax) throw new MalformedBytes("rows of no block", reader.offset);
  const start = reader.offset;
  const flags = reader.u8();
  if (flags > (FLAG_FRACTIONS | FLAG_KINDS)) throw new MalformedBytes("unknown stamps", start);
  if ((flags & FLAG_FRACTIONS) !== 0) decodeColumn(reader, time, rows);
  else decodeSeries(reader, time, rows);
  if (!areAscending(time, rows)) throw new MalformedBytes("times that do not ascend", start);
  if ((flags & FLAG_KINDS) !== 0) decodeKinds(reader, kind, rows);
  else kind.fill(parseKind(reader.u8(), reader.offset - 1), 0, rows);
  if (haveSequence(kind, rows)) decodeColumn(reader, sequence, rows);
  else sequence.fill(0, 0, rows);
  target.rows = rows;
}

function decodeKinds(reader: ByteReader, kind: Uint8Array, rows: number): void {
  const start = reader.offset;
  decodeSeries(reader, kinds, rows);
  for (let i = 0; i < rows; i++) kind[i] = parseKind(kinds[i]!, start);
}

function parseKind(bits: number, at: number): number {
  if (bits < 0 || bits > 0xff || !isKind(bits)) throw new MalformedBytes("an unknown kind", at);
  return bits;
}

function areAscending(time: Float64Array, rows: number): boolean {
  if (!(time[0]! > -Infinity && time[rows - 1]! < Infinity)) return false;
  for (let i = 1; i < rows; i++) if (!(time[i]! >= time[i - 1]!)) return false;
  return true;
}

/** Whether a series can hold them. */
function areIntegers(time: Float64Array, rows: number): boolean {
  if (time[0]! <= -SERIES_END || time[rows - 1]! >= SERIES_END) return false;
  for (let i = 0; i < rows; i++) {
    const value = time[i]!;
    if (Math.floor(value) !== value || Object.is(value, -0)) return false;
  }
  return true;
}

function areKind(kind: Uint8Array, rows: number, bits: number): boolean {
  for (let i = 1; i < rows; i++) if (kind[i] !== bits) return false;
  return true;
}

function haveSequence(kind: Uint8Array, rows: number): boolean {
  for (let i = 0; i < rows; i++) if ((kind[i]! & KIND_SEQUENCE) !== 0) return true;
  return false;
}
