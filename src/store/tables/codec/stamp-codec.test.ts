import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../../core/batch.ts";
import { ByteReader, ByteWriter, MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { createRows, readings, type Stamps } from "../rows.ts";
import { decodeStamps, encodeStamps } from "./stamp-codec.ts";

const rowsMax = limits.tableBlockRowsMax;
const start = 1_790_000_000_000;

type Stamp = readonly [time: number, kind: number, sequence: number];

function stampsOf(list: readonly Stamp[]): Stamps {
  const stamps = createRows(readings);
  stamps.rows = list.length;
  list.forEach(([time, kind, sequence], i) => {
    stamps.time[i] = time;
    stamps.kind[i] = kind;
    stamps.sequence[i] = sequence;
  });
  return stamps;
}

function listOf(stamps: Stamps): readonly Stamp[] {
  return Array.from({ length: stamps.rows }, (_, i) => [
    stamps.time[i]!,
    stamps.kind[i]!,
    stamps.sequence[i]!,
  ]);
}

function encode(stamps: Stamps): Uint8Array {
  const writer = new ByteWriter({ bytes: 64, bytesMax: 1 << 16 });
  encodeStamps(writer, stamps, stamps.rows);
  return writer.slice(0, writer.length).slice();
}

function roundTrip(list: readonly Stamp[]): Uint8Array {
  const bytes = encode(stampsOf(list));
  const reader = new ByteReader(Uint8Array.of(...bytes, 0xff));
  const target = stampsOf(Array.from({ length: rowsMax }, () => [9, KIND_SEQUENCE, 9]));
  decodeStamps(reader, target, list.length);
  assert.equal(reader.left, 1, "it reads exactly what was written");
  assert.deepEqual(listOf(target), list);
  if (list.length < rowsMax) assert.equal(target.time[list.length], 9, "it writes its rows only");
  return bytes;
}

const anyStamp = fc
  .tuple(
    fc.oneof(
      fc.nat({ max: 5_000 }),
      fc.nat({ max: 100 }).map((n) => n / 8),
      fc.constant(0),
    ),
    fc.integer({ min: 0, max: 7 }),
    fc.maxSafeNat(),
  )
  .map(([gap, kind, n]): Stamp => [gap, kind, (kind & KIND_SEQUENCE) === 0 ? 0 : n]);

/** From gaps to times. */
function running(list: readonly Stamp[], from: number): readonly Stamp[] {
  let time = from;
  return list.map(([gap, kind, sequence]) => [(time += gap), kind, sequence]);
}

test("any stamps read back", () => {
  const starts = fc.constantFrom(start, 0, -0, -1e6, start + 0.25, 2 ** 51 - 1, -1e300, 1e300);
  const lists = fc.array(anyStamp, { minLength: 1, maxLength: 100 });
  fc.assert(fc.property(lists, starts, (list, from) => void roundTrip(running(list, from))));
});

/** One stamp after another with these gaps; `gapOf` gets the row. */
function block(
  gapOf: (row: number) => number,
  kindOf = (_row: number): number => 0,
): readonly Stamp[] {
  let sequence = 100;
  return running(
    Array.from({ length: rowsMax }, (_, row): Stamp => {
      const kind = kindOf(row);
      return [gapOf(row), kind, (kind & KIND_SEQUENCE) === 0 ? 0 : sequence++];
    }),
    start,
  );
}

/** A number in [0, count) that follows from the row. */
function scattered(row: number, count: number): number {
  return (Math.imul(row + 1, 0x9e3779b1) >>> 8) % count;
}

const blocks: Readonly<
  Record<string, { readonly list: readonly Stamp[]; readonly bytes: number }>
> = {
  "1 Hz": { list: block(() => 1_000), bytes: 20 },
  "1 Hz with two gaps": {
    list: block((row) => (row === 300 || row === 800 ? 61_000 : 1_000)),
    bytes: 30,
  },
  "one row": { list: block(() => 0).slice(0, 1), bytes: 14 },
  "100 Hz, three to a bin of 30 ms": {
    list: block((row) => (row % 3 === 0 ? 30 : 0)),
    bytes: 60,
  },
  "1 Hz with a jitter of some milliseconds": {
    list: block((row) => 1_000 + scattered(row, 19) - scattered(row - 1, 19)),
    bytes: rowsMax * 0.75,
  },
  "1 Hz in fractions of a millisecond": { list: block(() => 1_000.125), bytes: 24 },
  "arrival times": {
    list: block(
      () => 1_000,
      () => KIND_ARRIVAL_TIME,
    ),
    bytes: 20,
  },
  "sequence numbers": {
    list: block(
      () => 1_000,
      () => KIND_SEQUENCE,
    ),
    bytes: 34,
  },
  "numbers, then symbols": {
    list: block(
      () => 1_000,
      (row) => (row < 500 ? 0 : KIND_SYMBOL),
    ),
    bytes: 34,
  },
};

for (const [name, { list, bytes }] of Object.entries(blocks)) {
  test(`${name}: at most ${Math.ceil(bytes)} bytes for ${list.length} rows`, () => {
    const encoded = roundTrip(list);
    assert.ok(encoded.length <= bytes, `${encoded.length} bytes`);
  });
}

test("times that do not ascend are a bug of the caller", () => {
  assert.throws(
    () =>
      encode(
        stampsOf([
          [2, 0, 0],
          [1, 0, 0],
        ]),
      ),
    /ascend/,
  );
  assert.throws(() => encode(stampsOf([[Number.NaN, 0, 0]])), /ascend/);
});

/** Whether the bytes were stamps; then they ascend and their kinds are known. */
function decodeHostile(bytes: Uint8Array, rows: number): boolean {
  const target = createRows(readings, rowsMax);
  try {
    decodeStamps(new ByteReader(bytes), target, rows);
  } catch (error) {
    assert.ok(error instanceof MalformedBytes, String(error));
    assert.equal(target.rows, 0);
    return false;
  }
  assert.equal(target.rows, rows);
  for (let i = 0; i < rows; i++) {
    assert.ok(Number.isFinite(target.time[i]) && target.kind[i]! < 8);
    assert.ok(i === 0 || target.time[i]! >= target.time[i - 1]!);
  }
  return true;
}

test("bytes cut short are malformed", () => {
  for (const { list } of Object.values(blocks)) {
    const bytes = encode(stampsOf(list));
    for (let end = 0; end < bytes.length; end++) {
      assert.ok(!decodeHostile(bytes.subarray(0, end), list.length));
    }
  }
});

test("changed or arbitrary bytes are malformed or stamps that hold what stamps promise", () => {
  const change = fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 }));
  const lists = fc.constantFrom(...Object.values(blocks).map(({ list }) => list));
  fc.assert(
    fc.property(lists, fc.array(change, { minLength: 1, maxLength: 2 }), (list, changes) => {
      const bytes = encode(stampsOf(list));
      for (const [at, mask] of changes) bytes[at % bytes.length]! ^= mask;
      decodeHostile(bytes, list.length);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.integer({ min: 1, max: rowsMax }),
      (bytes, rows) => void decodeHostile(bytes, rows),
    ),
    { numRuns: 500 },
  );
});
