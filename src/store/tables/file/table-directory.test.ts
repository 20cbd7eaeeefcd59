import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../../../../test/support/seeded-random.ts";
import { MalformedBytes } from "../../../core/bytes.ts";
import { limits } from "../../../core/limits.ts";
import { type BlockEntry, DirectoryWriter, decodeDirectory } from "./table-directory.ts";

const TWO_52 = 2 ** 52;
const checksums = fc.nat({ max: 2 ** 32 - 1 });
const times = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.maxSafeInteger(),
  fc.integer(),
  fc.constantFrom(0, -0, TWO_52, -TWO_52, 1_700_000_000_000),
);
const offsets = fc.oneof(
  fc.nat(),
  fc.maxSafeInteger().map((at) => Math.floor(Math.abs(at) / 2)),
);
const bounds = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer().map((whole) => whole / 1_000),
  fc.constantFrom(-0, 0, 0.1, 21.5, -1e-6, 1e-7, TWO_52, Number.MAX_VALUE, 5e-324),
);

const entry: fc.Arbitrary<BlockEntry> = fc
  .record({
    rows: fc.integer({ min: 1, max: limits.tableBlockRowsMax }),
    timeFirst: times,
    timeLast: times,
    numbers: fc.oneof(fc.nat({ max: 1_024 }), fc.constant(Number.MAX_SAFE_INTEGER)),
    min: bounds,
    max: bounds,
    sum: fc.oneof(bounds, fc.constant(Number.NaN)),
    stampsAt: offsets,
    stampsBytes: fc.nat({ max: 20_000 }),
    stampsChecksum: checksums,
    valuesAt: offsets,
    valuesBytes: fc.nat({ max: 80_000 }),
    valuesChecksum: checksums,
  })
  .map((drawn) => {
    const ascending =
      drawn.timeFirst <= drawn.timeLast
        ? drawn
        : { ...drawn, timeFirst: drawn.timeLast, timeLast: drawn.timeFirst };
    if (drawn.numbers > 0) return { ...ascending };
    return { ...ascending, min: Number.POSITIVE_INFINITY, max: Number.NEGATIVE_INFINITY, sum: 0 };
  });

test("entries come back, bit by bit", () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), fc.boolean(), (drawn, follow) => {
      const entries = follow ? following(drawn) : drawn;
      const writer = new DirectoryWriter();
      for (const each of entries) writer.add(each);
      // deepEqual tells -0 from 0.
      assert.deepEqual(decodeDirectory(writer.bytes()), entries);
    }),
    { numRuns: 500 },
  );
});

/** The same with parts that follow one another, as in a table. */
function following(entries: readonly BlockEntry[]): readonly BlockEntry[] {
  let stampsAt = 12;
  let valuesAt = 5_000_000;
  return entries.map((each) => {
    const placed = { ...each, stampsAt, valuesAt };
    stampsAt += each.stampsBytes;
    valuesAt += each.valuesBytes;
    return placed;
  });
}

test("an entry takes at most 45 bytes, of decimals fewer", () => {
  const bytesEach = (value: () => number): number => {
    const writer = new DirectoryWriter();
    let [time, stampsAt, valuesAt] = [1_700_000_000_000, 250_000_000, 250_100_000];
    for (let i = 0; i < 100; i++) {
      const [min, max, sum] = [value(), value() + 100, value() * 1_024].toSorted((a, b) => a - b);
      const times = { timeFirst: time, timeLast: time + 1_023_000 };
      const figures = { rows: 1_024, numbers: 1_024, min: min!, max: max!, sum: sum! };
      const stamps = { stampsAt, stampsBytes: 200, stampsChecksum: 1 };
      const values = { valuesAt, valuesBytes: 1_500, valuesChecksum: 2 };
      writer.add({ ...times, ...figures, ...stamps, ...values });
      time += 1_024_000;
      stampsAt += 200;
      valuesAt += 1_500;
    }
    return writer.bytes().length / 100;
  };
  const random = seededRandom(1);
  assert.ok(bytesEach(() => random.uint32() / 3) <= 45);
  assert.ok(bytesEach(() => (random.uint32() % 1_000) / 100) <= 30);
});

test("bytes that are no directory are malformed, never something else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      try {
        for (const { rows, stampsBytes, valuesBytes } of decodeDirectory(bytes)) {
          assert.ok(rows > 0 && rows <= limits.tableBlockRowsMax);
          assert.ok(stampsBytes + valuesBytes <= limits.tableBlockBytesMax);
        }
      } catch (error) {
        assert.ok(error instanceof MalformedBytes, String(error));
      }
    }),
  );
});
