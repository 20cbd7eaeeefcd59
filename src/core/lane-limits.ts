/** Bounds of the lanes: what is fresh, what is put behind, and readings that were asked for; see limits.ts. */

export const laneLimits = {
  /** What is so much older than the newest, by event time, does not keep what is fresh waiting... */
  freshForMs: 300_000,
  /** ...but is put behind, so many blocks at a time, in at most so many ranges of numbers. */
  behindBlocksPerStep: 64,
  behindRangesMax: 256,
  /** A delivery that takes longer is one over a slow link. */
  slowDeliveryMs: 1_000,
  /** Records of one delivery of what is behind, or raw, before compression: what is fresh waits for at most one. */
  backfillBatchBytesMax: 131_072, // 128 KiB

  /** An uplink that is paused for a time is so for... */
  pauseMsMin: 1_000,
  pauseMsMax: 31_536_000_000, // 365 d

  /** Readings that were asked for: requests that are open, and the newest of those answered that are known. */
  rawRequestsMax: 64,
  rawAnsweredKept: 256,
  /** Selectors of a request, series that they may take, and how far ahead it may reach. */
  rawSelectorsMax: 16,
  /** Of a manifest; what is more is joined with its neighbours. */
  rawCoarserSpansMax: 32,
  /** Alerts may ask for so much before and after them, each, and have so many requests open... */
  rawAroundMsMax: 82_800_000, // 23 h: its end is less than rawAheadMs ahead
  rawAlertRequestsMax: 32,
  /** ...and made in such a time; beyond, an alert asks for nothing, and that is counted. */
  rawAlertsPerWindow: 60,
  rawAlertWindowMs: 3_600_000,
  rawSeriesMax: 256,
  rawAheadMs: 86_400_000,
  /** What ends later than now is answered so much after its end: readings are on their way. */
  rawSettleMs: 2_000,
  /** Of one record: readings, and characters of their times and values. */
  rawRecordReadingsMax: 1_000,
  rawRecordCharsMax: 49_152,
  /** Records of one transaction of the state store, before compression, and those that wait, as stored. */
  rawCommitBytes: 131_072, // 128 KiB
  rawWaitingBytesMax: 1_048_576, // 1 MiB
  /** While there is no room for more it is looked again so often, whether or not an uplink is further. */
  rawLookMs: 1_000,

  /** A command out of a topic: its bytes; those that one answer of the cluster holds, or one batch. */
  commandBytesMax: 16_384, // 16 KiB
  commandsFetchBytesMax: 65_536, // 64 KiB
  /** After so many of our own it waits so long: asked for by the thousand, they take turns with all else. */
  commandsPerTurn: 64,
  commandsTurnMs: 1_000,
  /** The cluster holds the question for more so long, at most; between looks, without it. */
  commandsPollMs: 10_000,
  commandsPollMsMax: 86_400_000,
  /** Who looks less often than this has no connection in between. */
  commandsIdleMs: 60_000,
  /** Of a topic of commands. */
  commandPartitionsMax: 256,
} as const;
