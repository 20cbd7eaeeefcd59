/** Bounds of what is computed: pipelines, their keys and windows, sketches; see limits.ts. */

export const operatorLimits = {
  /** Readings of a series among which a resent one is recognised. */
  duplicateRing: 64,
  /** Event time from one completeness marker of a key to the next. */
  markerIntervalMs: 3_600_000,
  pipelinesMax: 64,
  /** Keys of one pipeline. */
  keysMax: 100_000,
  /** Panes kept per key: open windows, disorder and allowed lateness together. */
  panesPerKeyMax: 4_096,
  sessionsPerKeyMax: 16,
  /** Alerts of one pipeline in a second of the gateway clock; what goes beyond is counted. */
  alertsPerSecondMax: 1_024,
  /** A chart that is out of control for so many readings learns its baseline anew. */
  outOfControlReadingsMax: 600,
  /** Rows of a Count-Min sketch, and counters per row; the latter a power of two. */
  sketchDepthMax: 16,
  sketchWidthMax: 1_048_576, // 4 MiB a row
  /** Symbols one pipeline reports as heavy per period; further ones are counted as suppressed. */
  heavyItemsMax: 16_384,
  /** Blocks of 260 bytes that the quantile sketches of one pipeline share. */
  quantileBlocksMax: 262_144, // 65 MiB
  /** The clock is looked at by operators at most this often. */
  tickMs: 100,
  /** Corrections of one window are gathered for this long. */
  correctionWaitMs: 1_000,
  /** Windows of one pipeline that wait for their correction; then the oldest goes early. */
  correctionsMax: 16_384,
  /** Panes a key has beyond window, disorder and lateness: how far its devices may be apart. */
  paneSlack: 4,
  /** Panes of all keys of one pipeline; keys beyond what they hold are refused. */
  panesMax: 16_777_216,
} as const;
