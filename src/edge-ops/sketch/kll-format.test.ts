import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { requireData } from "../../../test/support/require-tool.ts";
import { fractions } from "../../../test/support/seeded-random.ts";
import { decodeKll, encodeKll } from "./kll-format.ts";
import { Kll, kllCapacity } from "./kll.ts";

function sketchOf(length: number, seed = 1): Kll {
  const next = fractions(seed);
  const sketch = new Kll();
  for (let i = 0; i < length; i++) sketch.add(next() * 100 - 50);
  return sketch;
}

const partsOf = ({ count, min, max, levels, size, sizes, items }: Kll) => {
  return { count, min, max, levels, size, sizes, items: items.subarray(0, size) };
};

for (const language of ["java", "cpp"]) {
  test(`sketches that DataSketches wrote in ${language} are read: the numbers from 1 to n`, (t) => {
    for (const n of [0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000]) {
      const path = requireData(t, `datasketches/kll_double_n${n}_${language}.sk`);
      if (path === undefined) return;
      const bytes = readFileSync(path);
      const sketch = new Kll();
      assert.ok(decodeKll(bytes, sketch), `${n} is read`);
      assert.equal(sketch.count, n);
      if (n === 0) continue;
      assert.deepEqual([sketch.min, sketch.max], [1, n]);
      const percents = [1, 25, 50, 75, 99];
      const values = new Float64Array(percents.length);
      sketch.percentiles(percents, values);
      for (const [i, value] of values.entries()) {
        assert.ok(Math.abs(value / n - percents[i]! / 100) <= Math.max(0.0165, 1 / n), `${n}`);
      }
      const again = encodeKll(sketch);
      assert.equal(again.length, bytes.length, "ours has as many levels and items");
      // Theirs may have level 0 unsorted, and flag what they did not sort.
      if (n <= 1) assert.deepEqual(Buffer.from(again), bytes);
      else assert.deepEqual(again.subarray(4, 20), new Uint8Array(bytes.subarray(4, 20)));
    }
  });
}

test("ours has as many levels and items as theirs of as many readings", (t) => {
  for (const n of [10, 100, 1_000, 10_000, 100_000, 1_000_000]) {
    const path = requireData(t, `datasketches/kll_double_n${n}_java.sk`);
    if (path === undefined) return;
    const sketch = new Kll();
    for (let value = 1; value <= n; value++) sketch.add(value);
    assert.equal(encodeKll(sketch).length, readFileSync(path).length, `${n}`);
  }
});

test("what is written is read again, to the bit", () => {
  for (const n of [0, 1, 2, 199, 200, 201, 5_000, 70_000]) {
    const sketch = sketchOf(n);
    const bytes = encodeKll(sketch);
    const read = new Kll();
    assert.ok(decodeKll(bytes, read));
    assert.deepEqual(partsOf(read), partsOf(sketch));
    assert.deepEqual(encodeKll(read), bytes);
  }
});

test("bytes that are cut or changed are no sketch, or one that still holds together", () => {
  const sketches = [1, 30, 900].map((n) => encodeKll(sketchOf(n)));
  const isRead = (bytes: Uint8Array): boolean => {
    const sketch = new Kll();
    const isSketch = decodeKll(bytes, sketch);
    if (!isSketch) assert.deepEqual([sketch.count, sketch.size, sketch.levels], [0, 0, 0]);
    else if (sketch.count > 0) {
      sketch.percentiles([1, 50, 100], new Float64Array(3));
      sketch.merge(sketchOf(500));
      assert.ok(decodeKll(encodeKll(sketch), new Kll()));
    }
    return isSketch;
  };
  for (const bytes of sketches) {
    assert.ok(isRead(bytes));
    for (let length = 0; length < bytes.length; length++) {
      assert.equal(isRead(bytes.subarray(0, length)), false);
    }
    assert.equal(isRead(new Uint8Array([...bytes, 0])), false);
  }
  fc.assert(
    fc.property(fc.constantFrom(...sketches), fc.nat(), fc.nat(255), (bytes, at, to) => {
      const changed = Uint8Array.from(bytes);
      changed[at % bytes.length] = to;
      isRead(changed);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void isRead(bytes)));
});

test("a sketch of so many levels that a merge might need more is refused", () => {
  const levels = 40;
  const items = kllCapacity(levels) - 1;
  const bytes = Buffer.alloc(20 + 4 * levels + 16 + 8 * items);
  bytes.set([5, 1, 15, 2, 200, 0, 8]);
  bytes.writeBigUInt64LE(BigInt(items) * 2n ** BigInt(levels - 1), 8);
  bytes.set([200, 0, levels], 16);
  // All of them at the top.
  for (let level = 0; level < levels; level++) bytes.writeUInt32LE(1, 20 + 4 * level);
  assert.equal(decodeKll(bytes, new Kll()), false);
});

test("what libraries say of an empty one beside that it is empty does not matter", () => {
  assert.ok(decodeKll(Uint8Array.of(2, 1, 15, 3, 200, 0, 8, 0), new Kll()));
});

test("the long form of no readings is refused", () => {
  const bytes = Buffer.alloc(40);
  bytes.set([5, 1, 15, 2, 200, 0, 8]);
  bytes.set([200, 0, 1], 16);
  bytes.writeUInt32LE(200, 20);
  assert.equal(decodeKll(bytes, new Kll()), false);
});
