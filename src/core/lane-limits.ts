/** Bounds of the lanes of summaries: what is fresh, and what is put behind; see limits.ts. */

export const laneLimits = {
  /** What is so much older than the newest, by event time, does not keep what is fresh waiting... */
  freshForMs: 300_000,
  /** ...but is put behind, so many blocks at a time, in at most so many ranges of numbers. */
  behindBlocksPerStep: 64,
  behindRangesMax: 256,
  /** A delivery that takes longer is one over a slow link. */
  slowDeliveryMs: 1_000,
  /** Records of one delivery of what is behind, before compression: what is fresh waits for at most one. */
  backfillBatchBytesMax: 131_072, // 128 KiB
} as const;
