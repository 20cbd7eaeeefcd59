import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../core/bytes.ts";
import { createRows, readings } from "./rows.ts";
import { decodeColumn, encodeColumn } from "./column-codec.ts";
import { decodeStamps, encodeStamps } from "./stamp-codec.ts";

test("any doubles survive bit by bit", () => {
  fc.assert(
    fc.property(fc.array(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), { minLength: 1 }), (bits) => {
      const source = new Float64Array(BigUint64Array.from(bits).buffer);
      const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 16 });
      encodeColumn(writer, source, bits.length);
      const target = new Float64Array(bits.length);
      decodeColumn(new ByteReader(writer.slice(0, writer.length)), target, bits.length);
      assert.deepEqual([...new BigUint64Array(target.buffer)], bits);
    }),
  );
});

test("stamps read back, a sequence only where its kind says there is one", () => {
  const stamps = createRows(readings, 4);
  stamps.time.set([1.5, 2, 2, 3]);
  stamps.kind.set([0, 4, 1, 4]);
  stamps.sequence.set([0, 7, 0, 8]);
  const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 16 });
  encodeStamps(writer, stamps, 4);
  const read = createRows(readings, 4);
  decodeStamps(new ByteReader(writer.slice(0, writer.length)), read, 4);
  assert.deepEqual({ ...read, columns: [] }, { ...stamps, rows: 4, columns: [] });
});
