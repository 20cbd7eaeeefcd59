/** A block as it lies in a table: the bytes of its stamps and of its values, and what a directory says of them. */

import { assert } from "../../../core/assert.ts";
import { ByteWriter } from "../../../core/bytes.ts";
import { checksumOf } from "../../../core/checksum.ts";
import { limits } from "../../../core/limits.ts";
import { encodeColumn } from "../codec/column-codec.ts";
import { encodeStamps } from "../codec/stamp-codec.ts";
import { columnCountOf, type ResolutionMs, type Rows } from "../rows.ts";
import { type BlockFigures, figuresOf } from "./block-figures.ts";

export type EncodedBlock = {
  readonly figures: BlockFigures;
  readonly stamps: Uint8Array;
  readonly stampsChecksum: number;
  readonly values: Uint8Array;
  readonly valuesChecksum: number;
};

const scratch = new ByteWriter({
  bytes: limits.tableBlockBytesMax,
  bytesMax: limits.tableBlockBytesMax,
});

/** Rows of one block, limits.tableBlockRowsMax at most. The bytes are valid until the next call. */
export function encodeBlock(resolution: ResolutionMs, rows: Rows): EncodedBlock {
  assert(rows.columns.length === columnCountOf(resolution), "rows have the section's columns");
  scratch.moveTo(0);
  encodeStamps(scratch, rows, rows.rows);
  const stampsEnd = scratch.length;
  for (const column of rows.columns) encodeColumn(scratch, column, rows.rows);
  const stamps = scratch.slice(0, stampsEnd);
  const values = scratch.slice(stampsEnd, scratch.length);
  return {
    figures: figuresOf(resolution, rows),
    stamps,
    stampsChecksum: checksumOf(stamps),
    values,
    valuesChecksum: checksumOf(values),
  };
}
