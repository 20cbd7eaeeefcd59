/** Bounds of the HTTP side and of queries; see limits.ts. */

export const httpLimits = {
  // HTTP
  httpTokensMax: 64,
  httpConnectionsMax: 64,
  /** Of one host: what asks from elsewhere, and who looks on this machine, find room. */
  httpConnectionsPerAddressMax: 32,
  httpRequestsPerConnectionMax: 10_000,
  httpTargetCharactersMax: 1_024,
  httpHeadersMax: 64,
  httpHeaderBytesMax: 8_192, // 8 KiB
  /** A request must have come whole by then. */
  httpRequestWaitMs: 10_000,
  httpHeadersWaitMs: 5_000,
  /** An idle connection is kept so long for the next request. */
  httpKeepAliveMs: 5_000,
  /** A client that takes nothing for so long is closed. */
  httpSilenceMs: 15_000,

  // queries
  /** Under way at a time; further ones are told to come later. */
  queriesMax: 4,
  /** Series that one query reads. */
  querySeriesMax: 1_000,
  /** Series of one page of their list. */
  queryPageSeriesMax: 1_000,
  /** Buckets of one series in an answer. */
  queryBucketsMax: 10_000,
  /** A query that takes longer ends with what it has said so far. */
  queryMs: 60_000,
  /** An answer is sent in pieces of about this. */
  queryPieceCharacters: 32_768,
} as const;
