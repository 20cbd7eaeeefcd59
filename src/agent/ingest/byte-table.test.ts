import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteTable, NOT_FOUND } from "./byte-table.ts";

test("what was added is found by its bytes, wherever they lie, and nothing else is", () => {
  const keys = fc.uniqueArray(fc.string({ maxLength: 12 }), { maxLength: 1_200 });
  fc.assert(
    fc.property(keys, fc.string({ maxLength: 12 }), (texts, other) => {
      const table = new ByteTable({ entriesMax: 2_000, bytesMax: 64_000 });
      for (const [value, text] of texts.entries()) {
        const bytes = Buffer.from(text);
        assert.ok(table.add(bytes, 0, bytes.length, value));
      }
      for (const [value, text] of [...texts, other].entries()) {
        const bytes = Buffer.from(`<${text}>`);
        const expected = texts.includes(text) ? texts.indexOf(text) : NOT_FOUND;
        assert.equal(
          table.find(bytes, 1, bytes.length - 1),
          value < texts.length ? value : expected,
        );
      }
    }),
    { numRuns: 50 },
  );
});

test("a full table takes nothing more and keeps what it has", () => {
  const table = new ByteTable({ entriesMax: 3, bytesMax: 1_000 });
  const bytes = Buffer.from("abcdef");
  for (let i = 0; i < 3; i++) assert.ok(table.add(bytes, i, i + 1, i));
  assert.equal(table.add(bytes, 3, 4, 3), false);
  assert.equal(table.find(bytes, 1, 2), 1);
  assert.equal(table.find(bytes, 3, 4), NOT_FOUND);
});

test("the bytes of all keys are bounded", () => {
  const table = new ByteTable({ entriesMax: 100, bytesMax: 10 });
  const bytes = new Uint8Array(16);
  assert.ok(table.add(bytes, 0, 8, 0));
  assert.equal(table.add(bytes, 0, 3, 1), false);
});

test("growing keeps every value", () => {
  const table = new ByteTable({ entriesMax: 50_000, bytesMax: 2 ** 20 });
  for (let i = 0; i < 50_000; i++) {
    const bytes = Buffer.from(`plant/${i}`);
    assert.ok(table.add(bytes, 0, bytes.length, i));
  }
  for (let i = 0; i < 50_000; i += 7) {
    const bytes = Buffer.from(`plant/${i}`);
    assert.equal(table.find(bytes, 0, bytes.length), i);
  }
});
