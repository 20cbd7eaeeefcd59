/**
 * P5 of sketches: a summary's sketch stands for its readings, no more and no fewer, and its percentiles
 * have the ranks they say, by no more than the error that is stated. The bytes are those of a KLL sketch
 * of doubles of Apache DataSketches, read here by what is known of that format alone.
 */

type Found = Readonly<Record<string, unknown>>;

/** With less chance to be exceeded than the 1 in 100 of the published 1.33 %: worlds are many. */
const rankErrorMax = 0.02;
/** Up to so many readings a sketch has them all. */
const exactMax = 200;
const percents = [50, 95];

type Sketch = {
  readonly count: number;
  readonly min: number;
  readonly max: number;
  /** Each item with the readings it stands for, ascending. */
  readonly items: readonly { readonly value: number; readonly weight: number }[];
};

/** The sketch of a record; undefined where it has none. */
export function sketchOf({ quantiles }: Found): Sketch | undefined {
  if (typeof quantiles !== "string") return undefined;
  const bytes = Buffer.from(quantiles, "base64");
  if (bytes[0] === 2) {
    const value = bytes.readDoubleLE(8);
    return { count: 1, min: value, max: value, items: [{ value, weight: 1 }] };
  }
  const levels = bytes[18]!;
  const endsAt = 20 + 4 * levels;
  const size = (bytes.length - endsAt - 16) / 8;
  const begins = Array.from({ length: levels }, (_, level) => bytes.readUInt32LE(20 + 4 * level));
  const items = Array.from({ length: size }, (_, i) => {
    const level = begins.findLastIndex((begin) => begin <= begins[0]! + i);
    return { value: bytes.readDoubleLE(endsAt + 16 + 8 * i), weight: 2 ** level };
  });
  return {
    count: Number(bytes.readBigUInt64LE(8)),
    min: bytes.readDoubleLE(endsAt),
    max: bytes.readDoubleLE(endsAt + 8),
    items: items.toSorted((a, b) => a.value - b.value),
  };
}

/** What of the record's sketch and percentile is not that of these readings; undefined if nothing. */
export function sketchFault(record: Found, values: readonly number[]): string | undefined {
  const sketch = sketchOf(record);
  if (sketch === undefined) return "it has no sketch";
  const sorted = values.toSorted((a, b) => a - b);
  const { count, min, max, items } = sketch;
  const weight = items.reduce((sum, item) => sum + item.weight, 0);
  if (count !== values.length) return `the sketch has ${count} readings, not ${values.length}`;
  if (weight !== count) return `the items of the sketch stand for ${weight} readings of ${count}`;
  if (min !== sorted[0] || max !== sorted.at(-1)) return `the sketch goes from ${min} to ${max}`;
  for (const percent of percents) {
    const rank = Math.ceil((percent * count) / 100);
    const value = valueAt(sketch, rank);
    const off = count <= exactMax ? 0 : rankErrorMax * count;
    const below = sorted.filter((each) => each < value).length;
    const upTo = sorted.filter((each) => each <= value).length;
    if (below >= rank + off || upTo < rank - off) return `p${percent} of the sketch is ${value}`;
  }
  const p95 = valueAt(sketch, Math.ceil((95 * count) / 100));
  return record["p95"] === p95
    ? undefined
    : `p95 is ${String(record["p95"])}, of the sketch ${p95}`;
}

/** By the nearest rank; the ends are those the sketch names. */
function valueAt({ count, min, max, items }: Sketch, rank: number): number {
  if (rank === 1) return min;
  if (rank === count) return max;
  let seen = 0;
  return items.find((item) => (seen += item.weight) >= rank)?.value ?? Number.NaN;
}
