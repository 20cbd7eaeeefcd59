import assert from "node:assert/strict";
import { test } from "node:test";
import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import {
  createIntegers,
  decodeIntegers,
  encodeIntegers,
  measureIntegers,
} from "./integer-codec.ts";

const rowsMax = limits.tableBlockRowsMax;
const integers = createIntegers();

function encode(values: readonly number[]): Uint8Array {
  integers.rows = values.length;
  integers.values.set(values);
  measureIntegers(integers);
  const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 16 });
  encodeIntegers(writer, integers);
  return writer.slice(0, writer.length).slice();
}

function roundTrip(values: readonly number[]): Uint8Array {
  const bytes = encode(values);
  const reader = new ByteReader(bytes);
  const decoded = new Float64Array(values.length);
  decodeIntegers(reader, decoded, values.length);
  assert.equal(reader.left, 0);
  assert.deepEqual([...decoded], values);
  return bytes;
}

/** Integers just above or just below a few powers of two, so that many or all share a token. */
const integersOf = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 53 }), fc.boolean()), { minLength: 1, maxLength: 3 })
  .chain((places) =>
    fc.array(
      fc.tuple(fc.constantFrom(...places), fc.nat({ max: 63 })).map(([[length, above], n]) => {
        const integer = 2 ** length + (above ? n : -1 - n);
        return Math.max(0, Math.min(integer, 2 ** 53 - 1));
      }),
      { minLength: 1, maxLength: 80 },
    ),
  );

test("integers come back, whatever was written before them", () => {
  fc.assert(
    fc.property(fc.array(integersOf, { minLength: 1, maxLength: 5 }), (columns) => {
      for (const values of columns) roundTrip(values);
    }),
    { numRuns: 1_000 },
  );
});

test("integers of one size take their code from no block before", () => {
  // In the first block a token has a code that is not 0, in the second it is the only one. Both are
  // scattered, since what comes back as a run is written otherwise.
  const rowsOf = (valueOf: (n: number) => number): number[] =>
    Array.from({ length: 300 }, (_, row) => valueOf(Math.imul(row + 1, 0x9e3779b1) >>> 12));
  for (let size = 8; size <= 52; size++) {
    roundTrip(rowsOf((n) => (n % 3 === 0 ? n % 5 : 1.5 * 2 ** size - (n % 4 === 1 ? 0 : 1))));
    roundTrip(rowsOf((n) => 2 ** (size + 1) - 1 - (n % 2 ** (size - 2))));
  }
});

test("a bit that is cut off or left over is malformed", () => {
  const columns = [
    Array.from({ length: 200 }, (_, row) => (row * row) % 97),
    Array.from({ length: 200 }, (_, row) => (row % 50 === 3 ? 2 ** 40 + row : row % 4)),
    Array.from({ length: 200 }, (_, row) => (row % 7) * 1e6 + ((row * row * 31) % 1_009)),
  ];
  for (const values of columns) {
    const bytes = encode(values);
    const target = new Float64Array(values.length + 1);
    for (let end = 0; end < bytes.length; end++) {
      const cut = new ByteReader(bytes.subarray(0, end));
      assert.throws(() => decodeIntegers(cut, target, values.length), MalformedBytes);
    }
    assert.throws(
      () => decodeIntegers(new ByteReader(bytes), target, values.length - 100),
      MalformedBytes,
    );
  }
});

/** Decodes four rows into memory that goes on behind them. */
function decodeFour(write: (writer: ByteWriter) => void): Float64Array {
  const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 16 });
  write(writer);
  const target = new Float64Array(rowsMax).fill(7);
  try {
    decodeIntegers(new ByteReader(writer.slice(0, writer.length)), target, 4);
  } finally {
    assert.ok(target.subarray(4).every((value) => value === 7));
  }
  return target.subarray(0, 4);
}

test("a patch past the rows is malformed", () => {
  const patched = (row: number) => (writer: ByteWriter) => {
    for (const byte of [0, 2, 1, row, 5, 0b11_10_01_00]) writer.u8(byte); // packed in two bits
  };
  assert.deepEqual([...decodeFour(patched(3))], [0, 1, 2, 3 + 5 * 4]);
  assert.throws(() => decodeFour(patched(4)), /a patch past the rows/);
});

test("a frame is unpacked to as much as the rows can be, not further", () => {
  const framed = (bytes: number) => (writer: ByteWriter) => {
    writer.u8(3);
    writer.blob(zstdCompressSync(new Uint8Array(bytes)));
  };
  assert.deepEqual([...decodeFour(framed(4))], [0, 0, 0, 0]);
  assert.throws(() => decodeFour(framed(3)), MalformedBytes);
  assert.throws(() => decodeFour(framed(5)), /integers left over/);
  for (const bytes of [1 << 19, 1 << 24]) {
    assert.throws(() => decodeFour(framed(bytes)), /no frame of zstd/);
  }
});
