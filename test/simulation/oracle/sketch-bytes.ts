/**
 * The fields that a summary has of a few values: their sketch, made by hand, and a percentile. With a
 * level, each value stands for 2^level readings.
 */
export function sketchedAs(
  values: readonly number[],
  level = 0,
): Readonly<Record<string, unknown>> {
  const sorted = values.toSorted((a, b) => a - b);
  const begins = 20 + 4 * (level + 1);
  const bytes = Buffer.alloc(begins + 16 + 8 * sorted.length);
  bytes.set([5, 1, 15, 2, 200, 0, 8]);
  bytes.writeBigUInt64LE(BigInt(sorted.length * 2 ** level), 8);
  bytes.set([200, 0, level + 1], 16);
  for (let at = 20; at < begins; at += 4) bytes.writeUInt32LE(400 - sorted.length, at);
  for (const [i, value] of [sorted[0] ?? 0, sorted.at(-1) ?? 0, ...sorted].entries()) {
    bytes.writeDoubleLE(value, begins + 8 * i);
  }
  const p95 = sorted[Math.ceil((95 * sorted.length) / 100) - 1];
  return { p95, quantiles: bytes.toString("base64") };
}
