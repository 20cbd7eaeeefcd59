/** Bounds of the memory of the process where it has a ceiling, and how the ceiling is kept; see limits.ts. */

export const memoryLimits = {
  /** The least ceiling that may be set: what an agent takes without a series, and some for them. */
  memoryBytesMin: 92_274_688, // 88 MiB
  memoryBytesMax: 1_099_511_627_776, // 1 TiB
  /**
   * Of a ceiling, what anonymous memory leaves: for the pages of the program's file that are in use (22 MB
   * at 5,000 messages a second) and what the kernel has for the process (4 MB).
   */
  memoryFileBytes: 29_360_128, // 28 MiB
  /** Anonymous memory of an agent with an uplink to Kafka under load, before it knows a series. */
  memoryBaseBytes: 54_525_952, // 52 MiB
  /**
   * What a series is taken to cost: 5.5 KB with one window over it, and its part of a checkpoint, which is
   * in memory as a whole while it is written.
   */
  memorySeriesBytes: 8_192, // 8 KiB
  /** So many are known under any ceiling. */
  memorySeriesMin: 256,
  /** Up to such a ceiling the C library has one heap; else one for each thread... */
  memoryOneHeapBytesMax: 268_435_456, // 256 MiB
  /** ...and maps larger pieces by themselves: freed, they are the system's again. */
  memoryMappedPieceBytes: 65_536, // 64 KiB
  /** What is above the base is bounded in so many parts... */
  memoryParts: 8,
  /** ...but no bound gets less than this. */
  memoryPartBytesMin: 1_048_576, // 1 MiB
  /** MQTT connections may have half of what is above the base: so much each, without TLS. */
  memoryConnectionBytes: 32_768, // 32 KiB
  /** A memory table holds a multiple of this before it is flushed. */
  memoryTableRowsStep: 32_768,
  /** Anonymous memory is looked at this often. */
  memoryLookMs: 1_000,
  /** Of what it may have, in percent: from here on it is tight, or short... */
  memoryTightPercent: 90,
  memoryShortPercent: 100,
  /** ...until it is so much below that again. */
  memoryEasePercent: 5,
  /** While it is tight, garbage is collected, and readings flushed, at most this often... */
  memoryCollectMs: 30_000,
  memoryFlushMs: 10_000,
  /** ...and garbage, while it is short, this often: some 40 ms of CPU each time. */
  memoryCollectShortMs: 2_000,
} as const;
