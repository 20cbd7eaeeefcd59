/** Bounds of how the device is watched and spared, and of looking up resends in tables; see limits.ts. */

export const storeLimits = {
  /** The device's write counter is looked at this often; days of it that are kept. */
  wearLookMs: 3_600_000, // an hour
  wearDaysMax: 32,
  /** Shorter spans say nothing of a day. */
  wearSpanMsMin: 86_400_000, // a day
  /** Under a cap on writes: how often is looked, and how sparing the agent gets, each level twice as much. */
  sparingLookMs: 60_000,
  sparingStepMs: 600_000, // 10 min
  sparingLevelMax: 5,
  sparingWaitMsMax: 5_000,
  sparingIntervalMsMax: 10_000,
  sparingCheckpointMsMax: 3_600_000, // an hour
  sparingMergeTablesMin: 64,

  /** Resends older than the ring of duplicates that are looked up in tables, of one frame: rows, blocks read... */
  resendRowsMax: 8_192,
  resendBlocksMax: 256,
  /** ...and rows further apart are looked up by themselves. */
  resendGapMs: 600_000, // 10 min
} as const;
