/** Bounds of what looks after an agent from outside: `weir doctor` and remote configuration; see limits.ts. */

export const fleetLimits = {
  /** What the doctor writes to measure a disk: a file of so many bytes, or an eighth of what is free... */
  doctorFileBytesMax: 16_777_216, // 16 MiB
  /** ...none where that is less; in such pieces, for so long at most. */
  doctorFileBytesMin: 1_048_576, // 1 MiB
  doctorPieceBytes: 1_048_576,
  doctorWriteMs: 3_000,
  /** Small writes of it, each with a sync, and how long they may take together. */
  doctorSyncsMax: 128,
  doctorSyncsPerSpell: 8,
  doctorSyncBytes: 4_096,
  doctorSyncMs: 3_000,
  /** A sync that readings wait for as long as for `commit.wait`: more is told. */
  doctorSyncMsMax: 200,
  /** Another program that is asked, and all of one broker or cluster. */
  doctorAskMs: 2_000,
  doctorReachMs: 10_000,
  /** A certificate that ends within so long is told. */
  doctorCertificateMs: 2_592_000_000, // 30 days
  /** The clock and that of the board, or the clock while it is looked at, may differ by so much. */
  doctorClockMs: 2_000,
  /** Open files without which an agent does not get far, and what it has beside connections and tables. */
  doctorFilesMin: 256,
  doctorFilesOther: 128,
  /** Where memory is little, a device that reads so much around a missing page pushes others out. */
  doctorReadAheadKbMax: 1_024,
  /** Of a file of /proc or /sys. */
  doctorTextBytesMax: 4_194_304, // 4 MiB

  /** Public keys that may sign a configuration, and one such document, signature included. */
  remoteKeysMax: 16,
  remoteDocumentBytesMax: 196_608, // 192 KiB
  /** Characters of the glob that says for whom it is. */
  remoteGlobMax: 256,
  remotePollMs: 60_000,
  /** Versions are free up to the first; beyond, one may be so much higher than all before: some are always left. */
  remoteVersionFree: 4_503_599_627_370_496, // 2^52
  remoteVersionLeapMax: 4_294_967_296, // 2^32
  /** So long a new configuration must run well, and is looked at so often. */
  remoteWatchMs: 120_000,
  remoteLookMs: 1_000,
  /** However short that is; and how often endpoints that it brings are asked. */
  remoteLooksMin: 8,
  remoteAsks: 8,
  /** Starts that it gets; what may be set. */
  remoteTries: 2,
  remoteTriesMax: 16,
  /** Of these, so many that ended as they were asked to are not counted. */
  remoteStopsMax: 16,
  /**
   * Entries of the audit log on disk: decisions, and refusals; those that the status shows, and characters
   * of a reason.
   */
  remoteAuditDecidedMax: 128,
  remoteAuditRefusedMax: 128,
  remoteAuditShownMax: 16,
  remoteReasonMax: 500,
  /** Refusals that are written in a minute; beyond, they are only counted. */
  remoteAuditPerMinute: 12,
  /** What a broker or cluster that failed is left alone for, at last. */
  remoteRetryMsMin: 1_000,
  remoteRetryMsMax: 300_000,
  /** After so long is tried again what the disk or a file kept from being judged or written. */
  remoteAgainMs: 30_000,
  /** Documents that wait to be judged; beyond, the oldest is dropped that is not the highest version. */
  remoteWaitingMax: 16,
} as const;
