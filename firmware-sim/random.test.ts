import assert from "node:assert/strict";
import { test } from "node:test";
import { integer, normal, randomOf, uniform, wave } from "./random.ts";

test("a stream is the same for ever", () => {
  const random = randomOf(1, "device/pump-0001");
  const words = Array.from({ length: 4 }, () => random() * 2 ** 32);
  assert.deepEqual(words, [661109635, 372732112, 1415851444, 2956646843]);
});

test("streams of other names and other seeds are unrelated", () => {
  const names = Array.from({ length: 2_000 }, (_, index) => `device-${index}/radio`);
  const firsts = new Set(names.flatMap((name) => [randomOf(1, name)(), randomOf(2, name)()]));
  assert.equal(firsts.size, 4_000);
  assert.notEqual(randomOf(2 ** 32, "a")(), randomOf(0, "a")());
});

test("numbers fill their range evenly", () => {
  const random = randomOf(7, "range");
  const counts = new Uint32Array(10);
  for (let draw = 0; draw < 100_000; draw += 1) counts[integer(random, 0, 9)]! += 1;
  // Five deviations of a binomial count with p = 0.1.
  for (const count of counts) assert.ok(Math.abs(count - 10_000) < 475, String(count));
  for (let draw = 0; draw < 1_000; draw += 1) {
    const value = uniform(random, -2, 3);
    assert.ok(value >= -2 && value < 3);
  }
});

test("noise has mean 0 and deviation 1 and is bounded", () => {
  const random = randomOf(7, "noise");
  let sum = 0;
  let squares = 0;
  for (let draw = 0; draw < 100_000; draw += 1) {
    const value = normal(random);
    assert.ok(Math.abs(value) < 3.4642);
    sum += value;
    squares += value * value;
  }
  assert.ok(Math.abs(sum / 100_000) < 0.02);
  assert.ok(Math.abs(squares / 100_000 - 1) < 0.02);
});

test("the wave is a sine within its stated error", () => {
  for (let turns = -2; turns < 2; turns += 0.01) {
    assert.ok(Math.abs(wave(turns) - Math.sin(2 * Math.PI * turns)) < 0.0017);
  }
});
