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
  /** A request must have come whole by then, its body too: the largest at 35 KB a second. */
  httpRequestWaitMs: 30_000,
  httpHeadersWaitMs: 5_000,
  /** An idle connection is kept so long for the next request. */
  httpKeepAliveMs: 5_000,
  /** A client that takes nothing for so long is closed. */
  httpSilenceMs: 15_000,

  // streams
  /** Open at a time; further ones are told to come later. */
  streamsMax: 16,
  /** What is read of a queue before the others have their turn, and before the client took it. */
  streamReadBytes: 65_536, // 64 KiB
  /** A stream that has nothing to say says so: within httpSilenceMs, or it would be taken for a dead one. */
  streamHeartbeatMs: 5_000,
  /** A stream ends after so long, and its client begins where it was: a token that is no good any more ends too. */
  streamLifeMs: 3_600_000, // 1 h
  /** When clients are to come again. */
  streamRetryMs: 2_000,
  /** What nobody streamed for so long is not kept for streams any more. */
  streamForgetMs: 604_800_000, // 7 d
  /** How often that is looked at, and stored that somebody streams. */
  streamLookMs: 21_600_000, // 6 h
  /** Patterns that one stream may be narrowed by. */
  streamPatternsMax: 16,

  // readings that are posted
  /** Of one request; a larger one is refused. */
  postBodyBytesMax: 1_048_576, // 1 MiB
  /** Of all that are held at once; who comes then is told to come later. */
  postBodiesBytesMax: 8_388_608, // 8 MiB
  /** The same, by their number. */
  postsMax: 64,
  /** Messages of one body: it is taken in one piece, and leaves room for others in a batch. */
  postMessagesMax: 8_192,
  /** Topics that an answer names because no source wants them. */
  postUnwantedTopicsMax: 1_024,
  /** A body that is not durable after so long is told to come again. */
  postWaitMs: 10_000,
  postRetrySeconds: 5,
  postKeyCharactersMax: 64,
  /** Keys that are remembered: the newest, and for so long where the clock is believed. */
  postKeysMax: 4_096,
  postKeyMsMax: 86_400_000, // 1 day
  /** Readings of all bodies in one frame, at least one message: the rest is for MQTT. */
  postRowsPerFrameMax: 16_384,
  /** Bodies under a key that one frame tells of, and what one of them takes there at most. */
  postsPerFrameMax: 64,
  postedBytesMax: 160,

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
