/**
 * Whether completeness markers hold in a lane, record by record: what came before one adds up to it, less
 * what gaps stand for, and nothing that it counts comes afterwards. Written apart from what checks them
 * upstream.
 */

import assert from "node:assert/strict";
import type { Summary } from "../../src/core/record.ts";
import type { OutboxRecord } from "../../src/store/outbox/record-codec.ts";

/** `records`: those of a lane, in the order of their numbers. The markers that could be compared. */
export function checkMarkers(records: readonly OutboxRecord[], where: string): number {
  const newest = new Map<string, Map<number, Summary>>();
  const marked = new Map<string, { readonly through: number; readonly short: number }>();
  let compared = 0;
  for (const record of records) {
    if (record.kind !== "summary" && record.kind !== "complete") continue;
    const key = `${record.pipeline} ${JSON.stringify(record.key)}`;
    const windows = newest.get(key) ?? new Map<number, Summary>();
    newest.set(key, windows);
    const { through: last = -Infinity } = marked.get(key) ?? {};
    if (record.kind === "summary") {
      assert.ok(record.end > last, `${where}: ${key}: a window behind the marker that counts it`);
      windows.set(record.start, record);
      continue;
    }
    const { through, from = -Infinity, readings } = record;
    assert.ok(through >= last, `${where}: ${key}: markers go on`);
    const all = [...windows.values()];
    if (all.some(({ start, end }) => start < through && end > through)) continue;
    const counted = all.filter(({ end }) => end <= through && end > from);
    const found = counted.reduce((sum, { count }) => sum + count, 0);
    assert.ok(found <= readings, `${where}: ${key}: ${found} of ${readings} readings`);
    marked.set(key, { through, short: readings - found });
    compared += 1;
  }
  let missing = 0;
  for (const record of records) if (record.kind === "gap") missing += record.readings;
  const short = [...marked.values()].reduce((sum, each) => sum + each.short, 0);
  assert.ok(short <= missing, `${where}: ${short} readings are missing, gaps say ${missing}`);
  return compared;
}
