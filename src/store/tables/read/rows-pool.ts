/**
 * Blocks of rows that are used again: a merge opens a source of every table for every series, and 25
 * to 81 KB of fresh columns for each would keep the collector busier than the codecs.
 */

import { columnCountOf, createRows, type ResolutionMs, type Rows } from "../rows.ts";

/** Of each kind, that wait for their next use; further ones are let go. */
const SPARE_MAX = 64;

/** By the number of their columns. */
const spares = new Map<number, Rows[]>();

/** A block with room for tableBlockRowsMax rows, none of them in use; the caller's until it is returned. */
export function borrowRows(resolution: ResolutionMs): Rows {
  const rows = spares.get(columnCountOf(resolution))?.pop() ?? createRows(resolution);
  rows.rows = 0;
  return rows;
}

/** It was borrowed, and nobody looks at it any more: once only. */
export function returnRows(rows: Rows): void {
  const waiting = spares.get(rows.columns.length) ?? [];
  spares.set(rows.columns.length, waiting);
  if (waiting.length < SPARE_MAX) waiting.push(rows);
}
