/**
 * The bytes of columns and stamps in tables, version 1, as they stand on users' disks: decoded for
 * ever. Which encoding is chosen may change; what each means may not, so nothing is written again
 * here.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../src/core/batch.ts";
import { ByteReader } from "../../src/core/bytes.ts";
import { decodeColumn } from "../../src/store/tables/codec/column-codec.ts";
import { createRows, readings, type Stamps } from "../../src/store/tables/rows.ts";
import { decodeStamps } from "../../src/store/tables/codec/stamp-codec.ts";

/** `valueOf` gets the row and an integer below 2^16 that looks random. */
function valuesOf(rows: number, valueOf: (row: number, noise: number) => number): Float64Array {
  let state = 12_345;
  return Float64Array.from({ length: rows }, (_, row) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return valueOf(row, state >>> 16);
  });
}

/** Of two dice: small sums are rare. */
function dice(noise: number): number {
  return (noise % 251) + ((noise >>> 8) % 241);
}

const columns: Readonly<Record<string, Float64Array>> = {
  constant: Float64Array.of(21.5, 21.5, 21.5),
  "constant NaN with a payload": fromBits([0xfff4_0000_0000_0001n, 0xfff4_0000_0000_0001n]),
  "decimals, packed": Float64Array.of(20.25, 20.5, 19.75, 21.1, -3),
  "decimals, packed with patches": valuesOf(64, (row, n) => (row % 30 === 7 ? n * 1e4 : n % 4)),
  "decimals, packed wide": valuesOf(8, (row, n) => (row % 2 === 0 ? -1 : 1) * n * 2 ** 34),
  "decimals, deltas": valuesOf(20, (row) => 1e12 + row * 37),
  "decimals, deltas folded": valuesOf(60, (row, n) => (row < 50 ? 1e9 + row * 700 : 0) + (n % 5)),
  "decimals, fine tokens": valuesOf(200, (_, n) => (9_000 + dice(n)) / 100),
  "decimals, fine tokens, wide": valuesOf(80, (_, n) => dice(n) ** 6),
  "decimals, a line": valuesOf(200, (row, n) => row * 1_000 + (n % 19)),
  "decimals, zstd": valuesOf(300, (row) => (Math.imul((row % 41) + 1, 40_503) >>> 0) % 1_009),
  "decimals off by units": valuesOf(30, (row) => row / 10 + 0.1 + 0.2),
  "decimals through float32": valuesOf(10, (_, n) => Math.fround(n / 1_000)),
  "decimals with exceptions": Float64Array.of(1.5, -0, 2.5, Infinity, 3.5, Math.SQRT2, 1, 2, 3, 4),
  words: valuesOf(6, (row, n) => (row - 3) * Math.sqrt(n)),
  "words of float32": valuesOf(12, (_, n) => Math.fround(Math.sqrt(n))),
  "words of large powers of two": valuesOf(5, (row) => 2 ** (900 + row)),
  dictionary: valuesOf(100, (_, n) => Math.sqrt(2 + (n % 3))),
  "dictionary, direct tokens": valuesOf(200, (_, n) => [3, 40, 41, 42, 90][(n % 1_000) % 7] ?? 41),
};

type Stamp = readonly [time: number, kind: number, sequence: number];
const start = 1_700_000_000_000;

const stamps: Readonly<Record<string, readonly Stamp[]>> = {
  "stamps, one": [[start, 0, 0]],
  "stamps, 1 Hz with a gap": stampsOf(100, (row) => [row * 1_000 + (row > 70 ? 60_000 : 0), 0, 0]),
  "stamps with fractions": stampsOf(5, (row) => [row * 0.125, KIND_ARRIVAL_TIME, 0]),
  "stamps with kinds": stampsOf(10, (row) => [row * 10, row < 4 ? KIND_SYMBOL : 0, 0]),
  "stamps with sequences": stampsOf(10, (row) => [row * 10, KIND_SEQUENCE, 2 ** 53 - 1 - row]),
  "stamps with some sequences": stampsOf(10, (row) => [
    Math.floor(row / 3),
    row % 2 === 0 ? KIND_SEQUENCE | KIND_SYMBOL : 0,
    row % 2 === 0 ? row : 0,
  ]),
};

function stampsOf(rows: number, stampOf: (row: number) => Stamp): readonly Stamp[] {
  return Array.from({ length: rows }, (_, row) => {
    const [time, kind, sequence] = stampOf(row);
    return [start + time, kind, sequence];
  });
}

function fromBits(bits: readonly bigint[]): Float64Array {
  return new Float64Array(BigUint64Array.from(bits).buffer);
}

/** Name -> bytes, from lines of `# name` and hexadecimal. */
function readVectors(): ReadonlyMap<string, Buffer> {
  const text = readFileSync(new URL("columns-v1.hex", import.meta.url), "utf8");
  return new Map(
    text.split("# ").flatMap((part): [string, Buffer][] => {
      const [name = "", ...lines] = part.split("\n");
      return name === "" ? [] : [[name, Buffer.from(lines.join(""), "hex")]];
    }),
  );
}

const vectors = readVectors();

test("there is a vector for every column and all stamps", () => {
  assert.deepEqual([...vectors.keys()], [...Object.keys(columns), ...Object.keys(stamps)]);
});

for (const [name, values] of Object.entries(columns)) {
  test(`version 1, ${name}: decodes to the same bits`, () => {
    const reader = new ByteReader(vectors.get(name)!);
    const decoded = new Float64Array(values.length);
    decodeColumn(reader, decoded, values.length);
    assert.equal(reader.left, 0);
    assert.deepEqual(new BigUint64Array(decoded.buffer), new BigUint64Array(values.buffer));
  });
}

for (const [name, list] of Object.entries(stamps)) {
  test(`version 1, ${name}: decode to the same`, () => {
    const reader = new ByteReader(vectors.get(name)!);
    const decoded: Stamps = createRows(readings, list.length);
    decodeStamps(reader, decoded, list.length);
    assert.equal(reader.left, 0);
    assert.equal(decoded.rows, list.length);
    assert.deepEqual(
      list.map((_, i) => [decoded.time[i], decoded.kind[i], decoded.sequence[i]]),
      list,
    );
  });
}

test("every encoding has a vector, in every way to predict and to write integers", () => {
  const encodings = new Set<number>();
  const predictions = new Set<number>();
  const modes = new Set<number>();
  for (const name of Object.keys(columns)) {
    const reader = new ByteReader(vectors.get(name)!);
    const encoding = reader.u8();
    encodings.add(encoding);
    if (encoding === 2) {
      const count = reader.u8() + 1;
      decodeColumn(reader, new Float64Array(count), count);
      modes.add(reader.u8());
    }
    if ((encoding & 3) !== 3) continue;
    reader.u8();
    const prediction = reader.u8();
    predictions.add(prediction);
    if ((prediction & 3) === 1) reader.varint();
    if ((prediction & 3) === 2) reader.f64();
    reader.varint();
    reader.varint();
    modes.add(reader.u8());
  }
  assert.deepEqual(
    [...encodings].toSorted((a, b) => a - b),
    [0, 1, 2, 3, 3 | 4, 3 | 8, 3 | 16],
  );
  for (const prediction of [0, 1, 2, 0 | 4, 1 | 4]) assert.ok(predictions.has(prediction));
  assert.deepEqual(
    [...modes].toSorted((a, b) => a - b),
    [0, 1, 2, 3],
  );
});
