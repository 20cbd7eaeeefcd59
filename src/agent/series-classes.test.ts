import assert from "node:assert/strict";
import { test } from "node:test";
import { Catalog } from "../core/catalog.ts";
import { deviceId, seriesId, sourceId } from "../core/units.ts";
import { parseSelector } from "./query/selector.ts";
import { seriesClasses } from "./series-classes.ts";

function classesOf(catalog: Catalog, ...selectors: readonly string[]) {
  return seriesClasses(
    catalog,
    selectors.map((name) => {
      const parsed = parseSelector(name);
      assert.ok(parsed.kind === "where");
      return { name, where: parsed.where };
    }),
  );
}

test("the first class that takes a series has it, also one that came later", () => {
  const catalog = new Catalog();
  catalog.define({ kind: "source", id: sourceId(0), name: "s" });
  catalog.define({ kind: "device", id: deviceId(0), source: sourceId(0), tags: [["site", "a"]] });
  const define = (id: number, metric: string): void =>
    catalog.define({ kind: "series", id: seriesId(id), device: deviceId(0), metric });
  define(0, "vibration");
  define(1, "power");
  const classOf = classesOf(catalog, "vib*{site=*}", "v*", "{site=b}");
  assert.deepEqual(
    [0, 1].map((id) => classOf(seriesId(id))),
    ["vib*{site=*}", undefined],
  );
  define(2, "volume");
  assert.equal(classOf(seriesId(2)), "v*");
  assert.equal(classesOf(catalog)(seriesId(0)), undefined);
});
