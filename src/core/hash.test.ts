import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { hashOfPair, hashOfText, murmur32 } from "./hash.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const hash32 = (bytes: Uint8Array, seed: number) => murmur32(bytes, 0, bytes.length, seed);

test("the published MurmurHash3 x86_32 vectors of bytes hold", () => {
  const vectors: [bytes: number[], seed: number, expected: number][] = [
    [[], 0, 0],
    [[], 1, 0x514e28b7],
    [[], 0xffffffff, 0x81f16f39],
    [[0xff, 0xff, 0xff, 0xff], 0, 0x76293b50],
    [[0x21, 0x43, 0x65, 0x87], 0, 0xf55b516b],
    [[0x21, 0x43, 0x65, 0x87], 0x5082edee, 0x2362f9de],
    [[0x21, 0x43, 0x65], 0, 0x7e4a8634],
    [[0x21, 0x43], 0, 0xa0f7b07a],
    [[0x21], 0, 0x72661cf4],
    [[0, 0, 0, 0], 0, 0x2362f9de],
    [[0, 0, 0], 0, 0x85f0b427],
    [[0, 0], 0, 0x30f4c306],
    [[0], 0, 0x514e28b7],
  ];
  for (const [bytes, seed, expected] of vectors) {
    assert.equal(hash32(new Uint8Array(bytes), seed), expected);
  }
});

test("the published MurmurHash3 x86_32 vectors of texts hold", () => {
  const vectors: [text: string, expected: number][] = [
    ["aaaa", 0x5a97808a],
    ["aaa", 0x283e0130],
    ["aa", 0x5d211726],
    ["a", 0x7fa09ea6],
    ["abcd", 0xf0478627],
    ["abc", 0xc84a62dd],
    ["ab", 0x74875592],
    ["Hello, world!", 0x24884cba],
    ["ππππππππ", 0xd58063c1],
    ["a".repeat(256), 0x37405bdc],
  ];
  for (const [text, expected] of vectors) {
    assert.equal(hash32(bytesOf(text), 0x9747b28c), expected);
  }
});

test("SMHasher's verification value of the function is met", () => {
  const hashes = new DataView(new ArrayBuffer(256 * 4));
  const key = new Uint8Array(256);
  for (let length = 0; length < 256; length++) {
    key[length] = length;
    hashes.setUint32(length * 4, hash32(key.subarray(0, length), 256 - length), true);
  }
  assert.equal(hash32(new Uint8Array(hashes.buffer), 0), 0xb0f57ee3);
});

test("a hash sees only its part of the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.nat(), fc.nat(), (bytes, a, b) => {
      const start = a % (bytes.length + 1);
      const end = start + (b % (bytes.length - start + 1));
      assert.equal(murmur32(bytes, start, end, 7), hash32(bytes.slice(start, end), 7));
    }),
  );
});

test("a text hashes as its UTF-8 bytes under the two seeds", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const bytes = bytesOf(text);
      assert.deepEqual(hashOfText(text), {
        low: hash32(bytes, 0x9747b28c),
        high: hash32(bytes, 0x5082edee),
      });
    }),
  );
});

test("the hash of a pair is the hash of the second's bytes seeded with the first", () => {
  const uint32 = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(uint32, uint32, (first, second) => {
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, second, true);
      assert.equal(hashOfPair(first, second), hash32(bytes, first));
    }),
  );
});
