import assert from "node:assert/strict";
import { test } from "node:test";
import { createBatch, KIND_SYMBOL } from "../core/batch.ts";
import { Catalog } from "../core/catalog.ts";
import type { Definition, Frame } from "../core/frame.ts";
import { deviceId, millis, seriesId, sourceId } from "../core/units.ts";
import { defineLostNames } from "./lost-names.ts";

function frameOf(
  definitions: readonly Definition[],
  rows: readonly [number, number, number][],
): Frame {
  const batch = createBatch(Math.max(1, rows.length));
  for (const [series, value, kind] of rows) {
    batch.series[batch.rows] = series;
    batch.value[batch.rows] = value;
    batch.kind[batch.rows] = kind;
    batch.rows += 1;
  }
  return { clock: millis(0), clockTrusted: true, definitions, counts: [], deadLetters: [], batch };
}

test("a frame that lacks nothing defines nothing else", () => {
  const catalog = new Catalog();
  const definitions: Definition[] = [
    { kind: "source", id: sourceId(0), name: "plant" },
    { kind: "device", id: deviceId(0), source: sourceId(0), tags: [["device", "p1"]] },
    { kind: "series", id: seriesId(0), device: deviceId(0), metric: "temperature" },
  ];
  assert.deepEqual(defineLostNames(catalog, frameOf(definitions, [[0, 21, 0]])), []);
  assert.equal(catalog.seriesName(seriesId(0)), "temperature{device=p1}");
});

test("readings of a series whose definition was lost get a series that says so", () => {
  const catalog = new Catalog();
  const lost = defineLostNames(catalog, frameOf([], [[2, 7, KIND_SYMBOL]]));
  assert.equal(catalog.seriesCount, 3);
  assert.equal(catalog.symbolCount, 8);
  assert.equal(catalog.series(seriesId(2)).metric, "lost-2");
  assert.deepEqual(
    new Set(lost.map(({ kind }) => kind)),
    new Set(["source", "device", "series", "symbol"]),
  );
});

test("later definitions keep their ids behind lost ones", () => {
  const catalog = new Catalog();
  const definitions: Definition[] = [
    { kind: "device", id: deviceId(3), source: sourceId(1), tags: [["device", "p4"]] },
    { kind: "series", id: seriesId(5), device: deviceId(3), metric: "flow" },
  ];
  defineLostNames(catalog, frameOf(definitions, [[5, 1, 0]]));
  assert.equal(catalog.sourceCount, 2);
  assert.equal(catalog.seriesName(seriesId(5)), "flow{device=p4}");
  assert.equal(catalog.findSeries(deviceId(3), "flow"), 5);
});
