import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { InvariantError } from "./assert.ts";
import { ByteReader, ByteWriter, MalformedBytes } from "./bytes.ts";

test("whatever is written is read back", () => {
  const item = fc.oneof(
    fc.record({ kind: fc.constant("varint" as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant("text" as const), value: fc.string({ unit: "grapheme" }) }),
    fc.record({ kind: fc.constant("blob" as const), value: fc.uint8Array() }),
    fc.record({ kind: fc.constant("u32" as const), value: fc.nat({ max: 2 ** 32 - 1 }) }),
    fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
  );
  fc.assert(
    fc.property(fc.array(item), (items) => {
      const writer = new ByteWriter({ bytes: 1, bytesMax: 1 << 20 });
      for (const { kind, value } of items) {
        if (kind === "text") writer.text(value);
        else if (kind === "blob") writer.blob(value);
        else writer[kind](value);
      }
      const reader = new ByteReader(writer.slice(0, writer.length));
      for (const { kind, value } of items) assert.deepEqual(reader[kind](), value);
      assert.equal(reader.left, 0);
    }),
  );
});

test("the largest integers take eight bytes and the smallest one", () => {
  for (const [value, bytes] of [
    [0, 1],
    [127, 1],
    [128, 2],
    [2 ** 32, 5],
    [Number.MAX_SAFE_INTEGER, 8],
  ] as const) {
    const writer = new ByteWriter({ bytes: 16, bytesMax: 16 });
    writer.varint(value);
    assert.equal(writer.length, bytes);
    assert.equal(new ByteReader(writer.slice(0, bytes)).varint(), value);
  }
});

test("a writer that would pass its bound stops", () => {
  const writer = new ByteWriter({ bytes: 8, bytesMax: 12 });
  writer.f64(1);
  writer.u32(2);
  assert.throws(() => writer.u8(3), InvariantError);
});

test("a lone surrogate becomes U+FFFD", () => {
  const writer = new ByteWriter({ bytes: 16, bytesMax: 16 });
  writer.text("a\ud800b");
  assert.equal(new ByteReader(writer.slice(0, writer.length)).text(), "a\ufffdb");
});

test("arbitrary bytes are read or refused, never past the end", () => {
  const reads = ["u8", "u32", "f64", "varint", "text", "blob"] as const;
  fc.assert(
    fc.property(fc.uint8Array(), fc.array(fc.constantFrom(...reads)), (bytes, calls) => {
      const reader = new ByteReader(bytes);
      try {
        for (const call of calls) reader[call]();
      } catch (error) {
        assert(error instanceof MalformedBytes);
        assert(error.offset <= bytes.length);
      }
      assert(reader.left >= 0);
    }),
  );
});
