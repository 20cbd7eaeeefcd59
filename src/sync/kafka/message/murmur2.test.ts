import assert from "node:assert/strict";
import { test } from "node:test";
import { murmur2 as libraryMurmur2 } from "@platformatic/kafka";
import fc from "fast-check";
import { murmur2, partitionOf } from "./murmur2.ts";

test("the vectors of Kafka's own test hold", () => {
  const vectors: readonly (readonly [text: string, hash: number])[] = [
    ["21", -973932308],
    ["foobar", -790332482],
    ["a-little-bit-long-string", -985981536],
    ["a-little-bit-longer-string", -1486304829],
    ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
    ["abc", 479470107],
  ];
  for (const [text, hash] of vectors) assert.equal(murmur2(Buffer.from(text)), hash, text);
});

test("any key has the hash that the client's own code finds", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      assert.equal(murmur2(bytes), libraryMurmur2(Buffer.from(bytes)));
    }),
  );
});

test("a partition is one of those there are, and the sign of the hash does not matter", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.integer({ min: 1, max: 2 ** 31 - 1 }), (key, partitions) => {
      const partition = partitionOf(key, partitions);
      assert.ok(Number.isInteger(partition) && partition >= 0 && partition < partitions);
    }),
  );
  assert.equal(partitionOf(Buffer.from("foobar"), 7), (-790332482 + 2 ** 31) % 7);
  assert.equal(partitionOf(Buffer.from("abc"), 7), 479470107 % 7);
});
