import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hashOfText } from "../../core/hash.ts";
import { limits } from "../../core/limits.ts";
import {
  type CountMin,
  type CountMinShape,
  clearCountMin,
  countOne,
  createCountMin,
  decodeCountMin,
  encodeCountMin,
  estimateOf,
  isCountMinShape,
  mergeCountMin,
} from "./count-min.ts";

const shapes = fc.record({
  depth: fc.integer({ min: 1, max: 5 }),
  width: fc.constantFrom(2, 8, 64),
});
const texts = fc.array(fc.string({ maxLength: 3 }), { maxLength: 200 });

function sketchOf(shape: CountMinShape, items: readonly string[]): CountMin {
  const sketch = createCountMin(shape);
  for (const item of items) {
    const { low, high } = hashOfText(item);
    countOne(sketch, low, high);
  }
  return sketch;
}

function countsOf(items: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(item, (counts.get(item) ?? 0) + 1);
  return counts;
}

function merged(...parts: readonly CountMin[]): CountMin {
  const [first, ...rest] = parts;
  assert.ok(first);
  const sum = createCountMin(first);
  for (const part of [first, ...rest]) mergeCountMin(sum, part);
  return sum;
}

test("an estimate is never below the true count, and exact for a lone item", () => {
  fc.assert(
    fc.property(shapes, texts, (shape, items) => {
      const sketch = sketchOf(shape, items);
      const counts = countsOf(items);
      for (const [item, count] of counts) {
        const estimate = estimateOf(sketch, hashOfText(item));
        assert.ok(estimate >= count && estimate <= items.length);
        if (counts.size === 1) assert.equal(estimate, count);
      }
      assert.equal(sketch.total[0], items.length);
    }),
  );
});

test("counting returns the estimate that asking would give", () => {
  fc.assert(
    fc.property(shapes, texts, (shape, items) => {
      const sketch = createCountMin(shape);
      for (const item of items) {
        const hash = hashOfText(item);
        assert.equal(countOne(sketch, hash.low, hash.high), estimateOf(sketch, hash));
      }
    }),
  );
});

test("estimates exceed e/width * N for at most a share of e^-depth of the items", () => {
  for (const depth of [1, 2, 3, 4]) {
    const width = 256;
    // A Zipf-like stream: item k occurs about 20,000 / k times.
    const items: [text: string, count: number][] = [];
    for (let k = 1; k <= 20_000; k++) items.push([`item-${k}`, Math.ceil(20_000 / k)]);
    const sketch = createCountMin({ depth, width });
    for (const [text, count] of items) {
      const { low, high } = hashOfText(text);
      for (let i = 0; i < count; i++) countOne(sketch, low, high);
    }
    const bound = (Math.E / width) * sketch.total[0]!;
    let beyond = 0;
    for (const [text, count] of items) {
      if (estimateOf(sketch, hashOfText(text)) > count + bound) beyond += 1;
    }
    const share = beyond / items.length;
    assert.ok(share <= Math.exp(-depth), `depth ${depth}: ${share}`);
  }
});

test("a merge is the sketch of the union, whatever the order and grouping", () => {
  fc.assert(
    fc.property(shapes, texts, texts, texts, (shape, a, b, c) => {
      const [x, y, z] = [sketchOf(shape, a), sketchOf(shape, b), sketchOf(shape, c)];
      const whole = encodeCountMin(sketchOf(shape, [...a, ...b, ...c]));
      assert.deepEqual(encodeCountMin(merged(x, y, z)), whole);
      assert.deepEqual(encodeCountMin(merged(z, x, y)), whole);
      assert.deepEqual(encodeCountMin(merged(x, merged(y, z))), whole);
    }),
  );
});

test("a full counter stays full, in counting and in merging", () => {
  const sketch = createCountMin({ depth: 2, width: 2 });
  sketch.counters.fill(0xffff_fffe);
  assert.equal(countOne(sketch, 0, 0), 0xffff_ffff);
  assert.equal(countOne(sketch, 0, 0), 0xffff_ffff);
  const other = sketchOf(sketch, ["a", "b", "c"]);
  assert.deepEqual(encodeCountMin(merged(sketch, other)), encodeCountMin(merged(other, sketch)));
  assert.equal(estimateOf(merged(sketch, other), { low: 0, high: 0 }), 0xffff_ffff);
});

test("encoded bytes decode to the same sketch, and nothing else decodes", () => {
  fc.assert(
    fc.property(shapes, texts, fc.nat(), (shape, items, at) => {
      const bytes = encodeCountMin(sketchOf(shape, items));
      const decoded = decodeCountMin(bytes);
      assert.ok(decoded);
      assert.deepEqual(encodeCountMin(decoded), bytes);
      assert.equal(decodeCountMin(bytes.subarray(0, at % bytes.length)), undefined);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const decoded = decodeCountMin(bytes);
      if (decoded) assert.deepEqual(encodeCountMin(decoded), bytes);
    }),
  );
});

test("the encoded form is what it always was", () => {
  const bytes = encodeCountMin(sketchOf({ depth: 2, width: 8 }, ["open", "open", "shut"]));
  const words = new Uint32Array(bytes.buffer);
  const [f64low, f64high] = new Uint32Array(new Float64Array([3]).buffer);
  assert.deepEqual([...words.subarray(0, 6)], [1, 2, 8, 0, f64low, f64high]);
  assert.deepEqual([...words.subarray(6, 14)], [0, 0, 0, 2, 0, 0, 0, 1]);
  assert.deepEqual([...words.subarray(14)], [1, 0, 0, 0, 2, 0, 0, 0]);
});

test("a cleared sketch is a new one", () => {
  const shape = { depth: 3, width: 16 };
  const sketch = sketchOf(shape, ["a", "b"]);
  clearCountMin(sketch);
  assert.deepEqual(encodeCountMin(sketch), encodeCountMin(createCountMin(shape)));
});

test("shapes out of bounds are refused", () => {
  const { sketchDepthMax: depthMax, sketchWidthMax: widthMax } = limits;
  assert.ok(isCountMinShape({ depth: 4, width: 1024 }));
  assert.ok(isCountMinShape({ depth: depthMax, width: widthMax }));
  for (const [depth, width] of [
    [0, 8],
    [depthMax + 1, 8],
    [1.5, 8],
    [4, 1],
    [4, 1000],
    [4, widthMax * 2],
    [4, Number.NaN],
  ] as const) {
    assert.ok(!isCountMinShape({ depth, width }), `${depth} x ${width}`);
    assert.throws(() => createCountMin({ depth, width }), /within its bounds/);
  }
  const wide = createCountMin({ depth: 2, width: 16 });
  assert.throws(() => mergeCountMin(wide, createCountMin({ depth: 2, width: 8 })), /one shape/);
});
