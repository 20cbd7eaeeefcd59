/** Bounds of how the wear of the device is watched and spared; see limits.ts. */

export const flashLimits = {
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
} as const;
