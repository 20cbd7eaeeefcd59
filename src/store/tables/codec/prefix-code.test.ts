import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { BitReader, BitWriter } from "./bits.ts";
import {
  buildPrefixCode,
  CODE_BITS_MAX,
  createPrefixCode,
  createPrefixTable,
  prefixCodeBits,
  readPrefixTable,
  TOKENS,
  writePrefixCode,
} from "./prefix-code.ts";

/** Counts with a long tail, so that Huffman's own lengths pass the maximum: Fibonacci, say. */
const skewed = fc.integer({ min: 1, max: 40 }).map((length) => {
  const counts = new Uint16Array(TOKENS);
  let a = 1;
  let b = 1;
  for (let i = 0; i < length; i++) {
    counts[i * 6] = Math.min(a, 1_024);
    [a, b] = [b, a + b];
  }
  return counts;
});
const anyCounts = fc
  .array(fc.oneof(fc.constant(0), fc.constant(1), fc.nat({ max: 1_024 })), {
    minLength: 1,
    maxLength: TOKENS,
  })
  .map((list) => {
    const counts = new Uint16Array(TOKENS);
    counts.set(list);
    if (list.every((count) => count === 0)) counts[0] = 1;
    return counts;
  });

const code = createPrefixCode();
const table = createPrefixTable();
const writer = new BitWriter(4_096);
const reader = new BitReader(4_096);

function bytesOf(): Uint8Array {
  const bytes = new ByteWriter({ bytes: 64, bytesMax: 4_096 });
  writer.flush(bytes);
  return bytes.slice(0, bytes.length).slice();
}

test("every token comes back, no code is too long and none is wasted", () => {
  fc.assert(
    fc.property(fc.oneof(skewed, anyCounts), (counts) => {
      const tokens = [...counts.keys()].filter((token) => counts[token]! > 0);
      buildPrefixCode(code, counts);
      writePrefixCode(writer, code);
      assert.equal(writer.bytes, Math.ceil(prefixCodeBits(tokens[0]!, tokens.at(-1)!) / 8));
      for (const token of tokens) writer.put(code.codes[token]!, code.lengths[token]!);
      const kraft = tokens.reduce((sum, token) => sum + 2 ** -code.lengths[token]!, 0);
      assert.equal(kraft, 1);
      assert.ok(Math.max(...code.lengths) <= CODE_BITS_MAX);

      const bytes = bytesOf();
      reader.fill(new ByteReader(bytes), bytes.length);
      readPrefixTable(reader, createPrefixCode(), table);
      for (const token of tokens) {
        const slot = reader.peek(CODE_BITS_MAX);
        assert.equal(table.tokens[slot], token);
        reader.skip(table.lengths[slot]!);
      }
      reader.end();
    }),
  );
});

test("the only token takes no bits, whatever code it had in the block before", () => {
  const counts = new Uint16Array(TOKENS);
  counts[3] = 1;
  counts[9] = 1;
  buildPrefixCode(code, counts);
  assert.equal(code.codes[9], 1);
  counts[3] = 0;
  buildPrefixCode(code, counts);
  assert.deepEqual([code.first, code.last], [9, 9]);
  assert.deepEqual([code.codes[9], code.lengths[9]], [0, 0]);
});

test("the bits of a code are near the entropy of its tokens", () => {
  const counts = new Uint16Array(TOKENS);
  [500, 250, 125, 62, 31, 16, 16, 24].forEach((count, token) => {
    counts[token] = count;
  });
  buildPrefixCode(code, counts);
  let bits = 0;
  let entropy = 0;
  for (let token = 0; token < 8; token++) {
    bits += counts[token]! * code.lengths[token]!;
    entropy -= counts[token]! * Math.log2(counts[token]! / 1_024);
  }
  assert.ok(bits >= entropy && bits <= entropy * 1.02, `${bits} against ${entropy}`);
});

test("lengths that are no code are malformed", () => {
  const lengthsOf = (lengths: readonly number[]): Uint8Array => {
    writer.put(0, 8);
    writer.put(lengths.length - 1, 8);
    for (const length of lengths) writer.put(length, 4);
    return bytesOf();
  };
  for (const lengths of [
    [1, 1, 1],
    [1, 12],
    [1, 15],
  ]) {
    const bytes = lengthsOf(lengths);
    reader.fill(new ByteReader(bytes), bytes.length);
    assert.throws(() => readPrefixTable(reader, code, table), MalformedBytes);
  }
});
