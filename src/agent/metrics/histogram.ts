/**
 * Durations in fixed buckets for /metrics, and quantiles good to the width of a bucket (a factor of
 * two or so). Recording does not allocate.
 */

/** Upper bounds of the buckets, ms; one more bucket takes the rest. */
export const bucketBoundsMs: readonly number[] = [
  0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
];

export class Histogram {
  readonly #counts = new Float64Array(bucketBoundsMs.length + 1);
  #sumMs = 0;
  #count = 0;

  record(durationMs: number): void {
    let bucket = 0;
    while (bucket < bucketBoundsMs.length && durationMs > bucketBoundsMs[bucket]!) bucket += 1;
    this.#counts[bucket]! += 1;
    this.#sumMs += durationMs;
    this.#count += 1;
  }

  get count(): number {
    return this.#count;
  }
  get sumMs(): number {
    return this.#sumMs;
  }
  /** Counts per bucket, not cumulative; a copy. */
  get counts(): Float64Array {
    return this.#counts.slice();
  }

  /** Upper bound of the bucket that holds the quantile, ms; 0 while nothing was recorded. */
  quantileMs(quantile: number): number {
    let remaining = Math.ceil(this.#count * quantile);
    if (remaining === 0) return 0;
    for (let bucket = 0; bucket < bucketBoundsMs.length; bucket++) {
      remaining -= this.#counts[bucket]!;
      if (remaining <= 0) return bucketBoundsMs[bucket]!;
    }
    return Number.POSITIVE_INFINITY;
  }
}
