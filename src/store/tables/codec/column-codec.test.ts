import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { decodeColumn, encodeColumn } from "./column-codec.ts";

const rowsMax = limits.tableBlockRowsMax;

/** The encodings by the first byte of a column, without flags. */
const encodings = ["constant", "words", "dictionary", "decimals"] as const;

function encode(values: Float64Array): Uint8Array {
  const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 16 });
  writer.u8(0xaa);
  encodeColumn(writer, values, values.length);
  return writer.slice(1, writer.length).slice();
}

function encodingOf(bytes: Uint8Array): string {
  return encodings[bytes[0]! & 3]!;
}

/** Encodes, checks that the bits come back, alone and between others, and returns the bytes. */
function roundTrip(values: Float64Array): Uint8Array {
  const bytes = encode(values);
  const target = new Float64Array(values.length + 2).fill(7);
  const reader = new ByteReader(Uint8Array.of(...bytes, 0xff, 0xff));
  decodeColumn(reader, target.subarray(1), values.length);
  assert.equal(reader.left, 2, "it reads exactly what was written");
  assert.deepEqual([target[0], target.at(-1)], [7, 7], "it writes its rows only");
  assert.deepEqual(bitsOf(target.subarray(1, -1)), bitsOf(values));
  return bytes;
}

function bitsOf(values: Float64Array): readonly bigint[] {
  return [...new BigUint64Array(values.buffer, values.byteOffset, values.length)];
}

function fromBits(bits: readonly bigint[]): Float64Array {
  return new Float64Array(BigUint64Array.from(bits).buffer);
}

const anyBits = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
/** Quiet and signalling NaN, infinities, both zeros, subnormals, the largest. */
const specialBits = fc.constantFrom(
  0x7ff8000000000000n,
  0xfff8000000000001n,
  0x7ff0000000000001n,
  0xffffffffffffffffn,
  0x7ff0000000000000n,
  0xfff0000000000000n,
  0x0000000000000000n,
  0x8000000000000000n,
  0x0000000000000001n,
  0x800fffffffffffffn,
  0x7fefffffffffffffn,
);
const decimal = fc
  .tuple(fc.integer({ min: -(2 ** 45), max: 2 ** 45 }), fc.integer({ min: 0, max: 18 }))
  .map(([m, exponent]) => m / 10 ** exponent);
const offByUnits = fc.tuple(decimal, fc.integer({ min: -70, max: 70 })).map(([value, units]) => {
  const [bits] = bitsOf(Float64Array.of(value));
  return fromBits([BigInt.asUintN(64, bits! + BigInt(units))])[0]!;
});
const single = fc.float({ noNaN: true });
const anyValue = fc.oneof(
  anyBits.map((bits) => [bits]),
  specialBits.map((bits) => [bits]),
  fc.oneof(decimal, offByUnits, single, fc.double()).map((value) => bitsOf(Float64Array.of(value))),
);
const anyColumn = fc
  .array(anyValue, { minLength: 1, maxLength: 200 })
  .map((v) => fromBits(v.flat()));
/** Few different values of any kind, often: what a dictionary takes. */
const repeatedColumn = fc
  .tuple(
    fc.array(anyValue, { minLength: 1, maxLength: 20 }),
    fc.array(fc.nat({ max: 1000 }), { minLength: 1, maxLength: 300 }),
  )
  .map(([few, picks]) => fromBits(picks.flatMap((pick) => few[pick % few.length]!)));
/** One kind of value each, with some special ones among them. */
const likeColumn = fc
  .tuple(
    fc.oneof(
      ...[decimal, offByUnits, single, fc.double(), fc.integer()].map((value) =>
        fc.array(value, { minLength: 1, maxLength: 200 }),
      ),
    ),
    fc.array(fc.tuple(fc.nat({ max: 1000 }), specialBits), { maxLength: 10 }),
  )
  .map(([values, specials]) => {
    const bits = [...bitsOf(Float64Array.from(values))];
    for (const [at, special] of specials) bits[at % bits.length] = special;
    return fromBits(bits);
  });

test("any doubles survive bit by bit", () => {
  fc.assert(fc.property(anyColumn, (values) => void roundTrip(values)));
  fc.assert(fc.property(repeatedColumn, (values) => void roundTrip(values)));
  fc.assert(fc.property(likeColumn, (values) => void roundTrip(values)));
});

test("a column does not remember the one before it", () => {
  fc.assert(
    fc.property(likeColumn, anyColumn, (values, other) => {
      const bytes = encode(values);
      roundTrip(other);
      assert.deepEqual(encode(values), bytes);
    }),
  );
});

/** A full block; `valueOf` gets the row and a number in [0, 1) that follows from it. */
function block(valueOf: (row: number, noise: number) => number): Float64Array {
  let state = 1;
  return Float64Array.from({ length: rowsMax }, (_, row) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return valueOf(row, state / 2 ** 32);
  });
}

/** Noise of 100 steps; log2(100) / 8 is 0.83 bytes. */
const steps = (noise: number): number => Math.floor(noise * 100);

const blocks: readonly {
  readonly name: string;
  readonly values: Float64Array;
  readonly encoding: string;
  /** At most. */
  readonly bytes: number;
}[] = [
  { name: "a constant", values: block(() => 21.5), encoding: "constant", bytes: 9 },
  { name: "a constant NaN", values: block(() => Number.NaN), encoding: "constant", bytes: 9 },
  { name: "one row", values: Float64Array.of(0.1), encoding: "constant", bytes: 9 },
  { name: "a counter", values: block((row) => 5e14 + row * 37), encoding: "decimals", bytes: 20 },
  {
    name: "a counter with a reset",
    values: block((row) => (row < 500 ? 1e9 + row * 7 : row * 7)),
    encoding: "decimals",
    bytes: 30,
  },
  {
    name: "deltas up to 2^52",
    values: block((row, noise) => (row % 2 === 0 ? -1 : 1) * Math.floor(noise * (2 ** 51 - 1))),
    encoding: "decimals",
    bytes: rowsMax * 6.7,
  },
  {
    name: "decimals with noise",
    values: block((_, noise) => (2_000 + steps(noise)) / 100),
    encoding: "decimals",
    bytes: rowsMax * 0.9,
  },
  {
    name: "a slow sine in hundredths",
    values: block((row) => Math.round(5_000 * Math.sin(row / 100)) / 100),
    encoding: "decimals",
    bytes: rowsMax * 0.73,
  },
  {
    name: "decimals a few units off",
    values: block((_, noise) => Math.floor(noise * 10_000) / 1_000 + 0.1 + 0.2),
    encoding: "decimals",
    bytes: rowsMax * 2.1,
  },
  {
    name: "decimals that went through a float32",
    values: block((_, noise) => Math.fround((200_000 + Math.floor(noise * 5_000)) / 1_000)),
    encoding: "decimals",
    bytes: rowsMax * 1.7,
  },
  {
    name: "float32 noise",
    values: block((_, noise) => Math.fround(Math.sqrt(noise))),
    encoding: "words",
    bytes: rowsMax * 3.3,
  },
  {
    name: "decimals, every fifth missing",
    values: block((row, noise) => (row % 5 === 0 ? Number.NaN : Math.floor(noise * 1e4) / 10)),
    encoding: "decimals",
    bytes: rowsMax * 2,
  },
  {
    name: "steps of a quarter",
    values: block((_, noise) => Math.floor(noise * 2_000) / 4),
    encoding: "decimals",
    bytes: rowsMax * 1.45,
  },
  {
    name: "two states for hours",
    values: block((row) => (row < 700 ? 0 : 1)),
    encoding: "decimals",
    bytes: 20,
  },
  {
    name: "twenty levels of 17 digits",
    values: block((_, noise) => Math.sqrt(2 + Math.floor(noise * 20))),
    encoding: "dictionary",
    bytes: 20 * 8 + rowsMax * 0.58,
  },
  {
    name: "a pattern of 300 values",
    values: block((row) => Math.imul((row % 300) + 1, 0x9e3779b1) / 7),
    encoding: "words",
    bytes: rowsMax * 2.8,
  },
  {
    name: "integers near 2^53, a little less each row",
    values: block((row) => 2 ** 53 - 1 - row * 1_001),
    encoding: "words",
    bytes: rowsMax * 3.8,
  },
  {
    name: "noise in every bit",
    values: block((row, noise) => Math.sqrt(noise + row)),
    encoding: "words",
    bytes: rowsMax * 6.4,
  },
];

for (const { name, values, encoding, bytes } of blocks) {
  test(`${name}: ${encoding}, at most ${Math.ceil(bytes)} bytes for ${values.length} rows`, () => {
    const encoded = roundTrip(values);
    assert.equal(encodingOf(encoded), encoding);
    assert.ok(encoded.length <= bytes, `${encoded.length} bytes`);
  });
}

test("every block reads back after every other, and after half of it", () => {
  for (const before of blocks) {
    for (const after of blocks) {
      encode(before.values);
      roundTrip(after.values);
      roundTrip(before.values.subarray(0, (before.values.length >>> 1) + 1));
    }
  }
});

test("the worst case is little more than the doubles themselves", () => {
  fc.assert(
    fc.property(fc.array(anyBits, { minLength: 1, maxLength: rowsMax }), (bits) => {
      assert.ok(roundTrip(fromBits(bits)).length <= bits.length * 8 + 64);
    }),
    { numRuns: 30 },
  );
});

/** Values that were decoded, or undefined where the bytes were found malformed. */
function decodeHostile(bytes: Uint8Array, rows: number): Float64Array | undefined {
  const target = new Float64Array(rows + 1).fill(7);
  try {
    decodeColumn(new ByteReader(bytes), target, rows);
  } catch (error) {
    assert.ok(error instanceof MalformedBytes, String(error));
    return undefined;
  } finally {
    assert.equal(target[rows], 7, "nothing is written past the rows");
  }
  return target;
}

test("bytes cut short are malformed", () => {
  for (const { values } of blocks) {
    const bytes = encode(values);
    for (let end = 0; end < bytes.length; end += 1 + (end >>> 4)) {
      assert.equal(decodeHostile(bytes.subarray(0, end), values.length), undefined);
    }
  }
});

test("changed bytes are malformed or other values, never more", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.constantFrom(...blocks.map(({ values }) => values)), likeColumn, repeatedColumn),
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
        minLength: 1,
        maxLength: 3,
      }),
      (values, changes) => {
        const bytes = encode(values);
        // Most of what is decided is decided in the first bytes.
        for (const [at, mask] of changes) bytes[at % Math.min(bytes.length, 48)]! ^= mask;
        decodeHostile(bytes, values.length);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("any bytes are malformed or values", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 300 }),
      fc.integer({ min: 1, max: rowsMax }),
      (bytes, rows) => void decodeHostile(bytes, rows),
    ),
    { numRuns: 1_000 },
  );
});

test("zeros keep their sign among decimals, whatever these went through", () => {
  const decimals = Array.from({ length: 40 }, (_, row) => 20 + ((row * 7) % 11) / 10);
  for (const values of [decimals, decimals.map(Math.fround)]) {
    const bytes = roundTrip(Float64Array.from([...values, -0, 0, ...values]));
    assert.equal(encodingOf(bytes), "decimals");
  }
});

test("an exception past the rows is malformed", () => {
  const values = Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, -0);
  const bytes = roundTrip(values);
  // One exception; rows before it, packed in four bits; its words, in which there is no other 9.
  const at = bytes.lastIndexOf(9);
  assert.deepEqual([...bytes.subarray(at - 4, at + 1)], [1, 0, 4, 0, 9]);
  bytes[at] = 10;
  assert.equal(decodeHostile(bytes, values.length), undefined);
});

test("a place past the dictionary is malformed, not what an earlier dictionary had there", () => {
  const levels = (count: number): Float64Array =>
    Float64Array.from({ length: 40 }, (_, row) =>
      Math.sqrt(2 + ((Math.imul(row, 0x9e3779b1) >>> 13) % count)),
    );
  const bytes = roundTrip(levels(3));
  assert.equal(encodingOf(bytes), "dictionary");
  roundTrip(levels(4));
  bytes[bytes.length - 1] = 0xff; // four places of two bits
  assert.equal(decodeHostile(bytes, 40), undefined);
});

test("rows that no block has are malformed", () => {
  const bytes = encode(Float64Array.of(1, 2));
  assert.equal(decodeHostile(bytes, 0), undefined);
  assert.equal(decodeHostile(bytes, rowsMax + 1), undefined);
});
