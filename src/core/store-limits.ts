/**
 * Bounds of what keeps the readings (tables, their merges, who looks after them), and of how the device
 * is spared; see limits.ts.
 */

export const storeLimits = {
  // the tail of the outbox, for streams
  /** Of all queues, in the shares that they have of the outbox; at most an eighth of that. */
  tailBytesMax: 8_388_608, // 8 MiB
  /** Of one queue: commits may be small. */
  tailBlocksMax: 16_384,

  // tables
  /** Rows of one block of a table: what is read and decoded at a time. */
  tableBlockRowsMax: 1_024,
  /** Stamps and values of one block: what a read may allocate. */
  tableBlockBytesMax: 262_144, // 256 KiB
  /** Blocks that lie together are read together up to this; larger ones alone. */
  tableReadBytesMax: 65_536, // 64 KiB
  /** What a merge has of each of three places of each input in memory. */
  tableReadAheadBytes: 32_768, // 32 KiB
  /** Blocks of one device that are gathered while a table is written, so that each series' lie together. */
  tableGroupBytesMax: 2_097_152, // 2 MiB
  /** Encoded stamps of one device that further series can still share. */
  tableSharedStampsBytesMax: 4_194_304, // 4 MiB
  /** A table is written in pieces of this... */
  tablePieceBytes: 262_144, // 256 KiB
  /** ...and synced this often, so that no sync is a long one. */
  tableSyncBytes: 4_194_304, // 4 MiB
  /** Of one series in one section: some 400,000 blocks. */
  tableDirectoryBytesMax: 16_777_216, // 16 MiB
  /** Directories of one section, in memory while it is written. */
  tableDirectoriesBytesMax: 268_435_456, // 256 MiB
  /** What a table is closed with, the filter apart. */
  tableFooterBytesMax: 1_048_576, // 1 MiB
  /** The end of a table that is read first when it is opened: mostly all that is needed. */
  tableTailReadBytes: 8_192, // 8 KiB
  /** The resolutions a table may have, the readings themselves among them. */
  tableSectionsMax: 9,
  /** Rows in memory that no table has yet, 25 bytes each; then they are flushed. A batch may go beyond. */
  memoryTableRowsMax: 655_360,
  /** Stretches of refused rows since the last flush that a checkpoint keeps; then memory is flushed. */
  refusedRunsMax: 32_768,
  /** Length of a partition of time: no table reaches beyond, but those of scattered late readings. */
  partitionMs: 86_400_000, // a day
  /** Partitions that a flush gives tables of their own; readings of further ones share one. */
  flushPartitionsMax: 8,
  /** Flushing and compaction stop after so long and let what arrived go first. */
  workStepMs: 1,
  /** Rows that a flush counts, and series it passes over, before it looks whether it should. */
  flushRowsPerTurn: 16_384,
  flushSeriesPerTurn: 1_024,
  /** What of its time a merge takes for itself, unless tables come faster than that. */
  mergeShare: 0.25,
  /** Each time they wait so long, at most, for a frame that is being appended. */
  giveWayMsMax: 5,
  /** Tables of the first level of one partition that are merged; at most so many at a time. */
  mergeTablesMin: 16,
  mergeTablesMax: 16,
  /** A merge adds a section with so many times fewer rows than the readings, or than the buckets before. */
  mergeReadingsPerBucket: 64,
  mergeBucketsPerBucket: 2,
  /** So many rows of the finest section tell which coarser ones are not worth gathering. */
  mergeTellingRows: 65_536,
  /** Coarser sections of a merge that wait in memory until the finest is written. */
  mergeGatheredBytesMax: 4_194_304, // 4 MiB
  /** A backup begins anew so often where the data directory changes under it. */
  backupTriesMax: 5,
  /** Copied at a time. */
  backupPieceBytes: 1_048_576, // 1 MiB
  /** Entries of the state store that a savepoint reads at a time, and the longest line it may have. */
  savepointEntriesPerRead: 64,
  savepointLineBytesMax: 67_108_864, // 64 MiB
  /** What waits in the outbox, with all that is small, is held in memory while a running agent's is made. */
  savepointOutboxBytesMax: 8_388_608, // 8 MiB
  /** A larger file is not sent upstream. */
  savepointFileBytesMax: 268_435_456, // 256 MiB
  /** What the disk keeps free beside it. */
  savepointFreeBytesMin: 67_108_864, // 64 MiB
  /** One of which nothing was sent for `every`, and at least so long, is dropped; or that is older than four times that. */
  savepointPatienceMsMin: 600_000,
  savepointPatiencesMax: 4,
  /** Keys of chunks that are removed in one batch. */
  savepointKeysPerBatch: 1_000,
  /** A chunk of a set in a topic: a record that every cluster takes. */
  savepointChunkBytes: 491_520, // 480 KiB
  /** The same where bytes are dear, and the least after one got no answer in time. */
  savepointChunkBytesDear: 65_536,
  savepointChunkBytesMin: 16_384,
  /** A set that could not be sent is tried again so many times, at last this often; then the next one is made. */
  savepointTriesMax: 30,
  savepointRetryMs: 60_000,
  /** While others are before it, or the link holds it back, it is asked again this often. */
  savepointYieldMs: 1_000,
  /** Keys of pipelines whose windows are held back one by one after a restore from Kafka. */
  heldBackKeysMax: 65_536,
  /** Savepoints that remember where topics ended when they were sent. */
  savepointEndsMax: 8,
  /** Values of the state store found with one copy that are remembered, and those that a commit mends. */
  kvWornMax: 1_024,
  kvMendedPerCommitMax: 16,
  /** Entries of the state store that are copied in one transaction. */
  kvCopyEntriesMax: 64,
  /** Backups that a data directory remembers; older ones become a count. */
  backupsListedMax: 256,
  /** Whether something expired, or the disk has too little space, is looked at this often. */
  storeLookMs: 60_000,
  /** Files of damaged tables that are kept; at most an eighth of what tables may take. */
  quarantineBytesMax: 268_435_456, // 256 MiB
  /** Damaged tables that are remembered. */
  quarantinedTablesMax: 64,
  /** A command that takes longer says so often how far it is. */
  progressMs: 5_000,
  /** A command that works on a store looks so often how far it is. */
  workLookMs: 200,
  /** Problems of one table that a verification tells. */
  verifyProblemsMax: 10,
  /** A table that the disk failed to read is left alone for so long. */
  unreadableTableMs: 3_600_000, // an hour
  /** Tables that are kept open for reading; the longest unused is closed. */
  tablesOpenMax: 128,
  /** Log, state store and tables together; then readings are rolled up before their time. */
  storeBytesMax: 8_589_934_592, // 8 GiB
  /** Of that, what the tables have at least. */
  tablesBytesMin: 67_108_864, // 64 MiB
  /** Space of the disk that is left to others. */
  freeBytesMin: 536_870_912, // 512 MiB
  /** Resolutions that readings are rolled up to. */
  tiersMax: 8,
  /** Classes of series that are kept by rules of their own: a flush makes tables for each. */
  storeClassesMax: 8,
  /** Of a class, and as far below 0. */
  classPriorityMax: 4,
  tierMsMin: 1_000,
  tierMsMax: 2_678_400_000, // 31 days
  /** Longest time that readings or a resolution may be kept for, short of for ever. */
  keepMsMax: 316_224_000_000, // 3660 days

  // wear of the device
  /** The device's write counter is looked at this often; days of it that are kept. */
  wearLookMs: 3_600_000, // an hour
  wearDaysMax: 32,
  /** Shorter spans say nothing of a day. */
  wearSpanMsMin: 86_400_000, // a day
  /** Under a cap on writes: how often is looked, and how sparing the agent gets, each level twice as much. */
  sparingLookMs: 60_000,
  sparingStepMs: 600_000, // 10 min
  /** Bytes that are so far ahead of the clock are none too many: a flush comes all at once. */
  sparingSlackMs: 1_800_000, // 30 min
  sparingLevelMax: 5,
  sparingWaitMsMax: 5_000,
  sparingIntervalMsMax: 10_000,
  sparingCheckpointMsMax: 3_600_000, // an hour
  sparingMergeTablesMin: 64,
  /** Pages that a transaction of the state store is taken to write beside what it holds: the way to a leaf. */
  ownTransactionPages: 4,

  // resends
  /** Resends older than the ring of duplicates that are looked up in tables, of one frame: rows, blocks read... */
  resendRowsMax: 8_192,
  resendBlocksMax: 256,
  /** ...and rows further apart are looked up by themselves. */
  resendGapMs: 600_000, // 10 min
} as const;
