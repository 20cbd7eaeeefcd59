import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { addItem, clearItems, createItemSet } from "./item-set.ts";

const halves = fc.integer({ min: 0, max: 7 }).map((n) => (n * 0x2492_4925) >>> 0);
const items = fc.array(fc.tuple(halves, halves), { maxLength: 100 });

test("the set says of each item what a Set with a bound would say", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), items, (itemsMax, added) => {
      const set = createItemSet("heavy", itemsMax);
      const model = new Set<string>();
      for (const [low, high] of added) {
        const name = `${low}/${high | 1}`;
        const expected = model.has(name) ? "known" : model.size < itemsMax ? "new" : "full";
        if (expected === "new") model.add(name);
        assert.equal(addItem(set, low, high), expected);
      }
      assert.equal(set.count[0], model.size);
    }),
  );
});

test("a cleared set knows nothing", () => {
  const set = createItemSet("heavy", 4);
  assert.equal(addItem(set, 1, 2), "new");
  clearItems(set);
  assert.equal(addItem(set, 1, 2), "new");
});
