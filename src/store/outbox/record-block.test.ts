import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { decodeBlock, encodeBlock, skippedIn } from "./record-block.ts";

const goldenFolder = join(import.meta.dirname, "../../../test/golden");
const ndjson = readFileSync(join(goldenFolder, "records-v1.ndjson"), "utf8");
const lines = ndjson.trimEnd().split("\n");
const records = lines.map((line) => new TextEncoder().encode(line));

test("any records read back, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 })), (drawn) => {
      const decoded = decodeBlock(encodeBlock(drawn));
      assert.ok(decoded.kind === "records");
      assert.deepEqual(
        decoded.records.map((record) => new Uint8Array(record)),
        drawn,
      );
      assert.equal(
        decoded.bytes,
        drawn.reduce((sum, record) => sum + record.length, 0),
      );
    }),
  );
});

test("records that resemble each other shrink, others are stored as they are", () => {
  const alike = Array.from({ length: 200 }, (_, i) => new TextEncoder().encode(`${lines[0]}${i}`));
  assert.ok(encodeBlock(alike).length < (200 * alike[0]!.length) / 8);
  assert.equal(encodeBlock([alike[0]!.subarray(0, 100)]).length, 16 + 4 + 100);
});

test("a changed byte is found, wherever it is", () => {
  const block = encodeBlock(records);
  for (let i = 0; i < block.length; i++) {
    if (i === 2 || i === 3) continue; // reserved
    const changed = block.slice();
    changed[i]! ^= 0x41;
    assert.equal(decodeBlock(changed).kind, "damaged", `byte ${i}`);
  }
});

test("bytes that are no block are damaged, never a crash", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(decodeBlock(bytes).kind, "damaged");
    }),
  );
});

test("blocks of version 1 still read", () => {
  const textsOf = (name: string): readonly string[] => {
    const block = decodeBlock(readFileSync(join(goldenFolder, name)));
    assert.ok(block.kind === "records", name);
    return block.records.map((record) => new TextDecoder().decode(record));
  };
  assert.deepEqual(textsOf("records-v1.block"), ["x"]);
  assert.deepEqual(textsOf("records-v1.zstd.block"), lines);
});

test("the bytes of version 2 are those of the golden file", () => {
  const golden = readFileSync(join(goldenFolder, "records-v2.block"));
  assert.deepEqual(Buffer.from(encodeBlock(records.slice(0, 1), 300)), golden);
  const decoded = decodeBlock(golden);
  assert.ok(decoded.kind === "records");
  assert.deepEqual([decoded.skipped, decoded.records.length], [300, 1]);
  assert.deepEqual(Buffer.from(decoded.records[0]!), Buffer.from(records[0]!));
});

test("a block that skips numbers says so, and one that does not is as it always was", () => {
  const records = [Buffer.from("a"), Buffer.from("b")];
  const skipping = encodeBlock(records, 41);
  const plain = encodeBlock(records);
  assert.deepEqual([plain[0], skipping[0]], [1, 2]);
  assert.deepEqual([skippedIn(plain), skippedIn(skipping)], [0, 41]);
  const decoded = decodeBlock(skipping);
  assert.ok(decoded.kind === "records");
  assert.deepEqual([decoded.skipped, decoded.records.length], [41, 2]);
  assert.equal(decodeBlock(skipping.subarray(0, 18)).kind, "damaged");
});
