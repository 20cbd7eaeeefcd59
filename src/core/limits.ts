/**
 * Every bound of the agent by name, with its unit; the relations between them (limit-relations.ts)
 * are asserted when the file is loaded. What a user may set is in the configuration, whose defaults
 * come from here.
 */

import { fleetLimits } from "./fleet-limits.ts";
import { httpLimits } from "./http-limits.ts";
import { assertRelations } from "./limit-relations.ts";
import { laneLimits } from "./lane-limits.ts";
import { memoryLimits } from "./memory-limits.ts";
import { operatorLimits } from "./operator-limits.ts";
import { ownTopicLimits } from "./own-topic-limits.ts";
import { storeLimits } from "./store-limits.ts";

const bounds = {
  // receive
  /** Rows of the open batch; when it is full, sockets wait. */
  batchRowsMax: 32_768,
  /** Readings one message may carry. */
  readingsPerMessageMax: 1_024,
  /** An MQTT packet, header included; larger ones close the connection. */
  packetBytesMax: 262_144, // 256 KiB
  connectionsMax: 4_096,
  /** Bytes one connection may have waiting while the batch is full; then its socket is paused. */
  heldBytesPerConnectionMax: 65_536, // 64 KiB
  /** The same for all connections together. */
  heldBytesMax: 16_777_216, // 16 MiB
  /** QoS 1 messages of one connection that wait for their PUBACK; then its socket is paused. */
  inFlightPerConnectionMax: 4_096,
  /** Bytes waiting to be sent to one client that does not read; then it is closed. */
  outboundBytesPerConnectionMax: 4_194_304, // 4 MiB
  /** The same for all clients together; over it, whoever is owed more than an equal share is closed. */
  outboundBytesMax: 67_108_864, // 64 MiB
  /** QoS 1 messages of one batch over all connections; beyond, they wait for the next. */
  inFlightMax: 262_144,
  /** A split packet up to here is kept whatever all connections together keep. */
  splitBytesFree: 4_096, // 4 KiB
  connectWaitMs: 10_000,
  /** A CONNECT, its will included: what a client costs before it is known. */
  connectBytesMax: 16_384, // 16 KiB
  /** After the last byte is queued, a closing client has so long to read it. */
  closeWaitMs: 2_000,
  /** Keep alive is looked at this often; it is late by at most as much. */
  keepAliveSweepMs: 500,
  /** Messages on their way to local subscribers; beyond, their publishers wait. */
  brokerBacklogBytesMax: 8_388_608, // 8 MiB
  subscriptionsMax: 65_536,
  /** Deliveries to one client whose packet ids are remembered; beyond, the oldest is forgotten. */
  openIdsPerClientMax: 1_024,
  /** Sessions without subscriptions that CONNACK calls present; beyond, the oldest is forgotten. */
  keptSessionsMax: 16_384,
  /** Messages kept for one session that is away; further ones are dropped and counted. */
  waitingPerSessionMax: 1_000,
  /** The same for all sessions, in bytes. */
  waitingBytesMax: 16_777_216, // 16 MiB
  retainedMessagesMax: 65_536,
  retainedBytesMax: 16_777_216, // 16 MiB
  /** QoS 2 messages between PUBREC and PUBREL. */
  qos2OpenMax: 65_536,
  /** Topic aliases of one MQTT 5 client, and the bytes they stand for; beyond, it is closed. */
  topicAliasesMax: 64,
  topicAliasBytesMax: 8_192, // 8 KiB
  /** Sessions of MQTT 5 clients, here or away; beyond, a new one ends with its connection. */
  sessionsKeptMax: 16_384,
  /** A client that asks for longer is told that it gets this. */
  sessionExpirySecondsMax: 604_800, // 7 days
  /** Wills that wait for their delay; beyond, a will is not delayed. */
  willsDelayedMax: 4_096,
  /** Ends of sessions and delays of wills are looked at this often; they are late by at most as much. */
  sessionSweepMs: 1_000,
  /** Topics whose parse is remembered; further ones are parsed each time. */
  topicsMax: 131_072,
  topicBytesMax: 1_024,
  /** Room for remembered topics is reserved for this length; longer ones fill it sooner. */
  topicBytesAverage: 128,
  /** Parses lent when no more are remembered: far more than callers hold at a time. */
  topicsLentMax: 4_096,
  /** Fields of all topics that are remembered for the scanners; messages with others are parsed. */
  slotsMax: 524_288,
  /** Slots of all layouts that topics share; topics with others have their own. */
  slotsSharedMax: 65_536,
  /** Different fields of slots, and the bytes of one; others are always parsed. */
  slotKeysMax: 65_536,
  slotKeyBytesMax: 64,

  // who may what
  usersMax: 4_096,
  usersFileBytesMax: 1_048_576, // 1 MiB
  /** A file of users is looked at this often. */
  usersFileLookMs: 2_000,
  /** Passwords hashed at a time, 16 MiB each; further logins wait. */
  passwordChecksMax: 2,
  /** Logins that wait for their password to be hashed; further ones are told to come later. */
  loginsWaitingMax: 1_024,
  /** A login that takes longer is given up. */
  loginWaitMs: 60_000,
  /** Verified credentials that are remembered, so that coming back costs no hashing. */
  credentialsCachedMax: 4_096,
  /** Of one password: 128 * cost * blockSize bytes. */
  scryptBytesMax: 67_108_864, // 64 MiB
  scryptParallelismMax: 16,
  /** Logins that may fail in a row, from one address or for one name; then one per `loginFailureMs`. */
  loginFailuresMax: 10,
  loginFailureMs: 6_000,
  /** Addresses, and names, whose failed logins are remembered; then the longest quiet is forgotten. */
  loginFailureEntriesMax: 4_096,
  /** Security events kept in memory; the oldest go first. */
  securityEventsMax: 256,
  /** Of these the status shows so many. */
  securityEventsShownMax: 32,
  /** Events alike within this time are one event with a count. */
  securityEventGatherMs: 10_000,
  /** Lines of the journal for security events of one second; the rest is one line with a count. */
  securityEventLinesMax: 16,
  /** A notice tells of failed logins of so long ago at most. */
  securityEventNoticeMs: 600_000,
  /** Topic patterns of one user in one direction. */
  rightsPatternsMax: 64,

  // TLS and WebSocket
  /** Listeners of the embedded broker beside the plain one. */
  listenersMax: 8,
  /** Peers of one listener that are not through TLS or the WebSocket upgrade; over it, the oldest of the network that has most goes. */
  handshakesMax: 256,
  /** TLS and the WebSocket upgrade together. */
  handshakeWaitMs: 10_000,
  /** WebSockets of one listener; further upgrades are refused. */
  webSocketsMax: 128,
  /** A WebSocket message, kept until it is whole: clients may put many packets into one. */
  webSocketMessageBytesMax: 1_048_576, // 1 MiB
  /** Certificates, keys and lists of revoked ones are looked at this often. */
  tlsFilesMs: 30_000,
  /** A certificate of ours, or an HTTP token, that expires sooner is told. */
  certificateNoticeMs: 2_592_000_000, // 30 days

  // external brokers
  brokersMax: 8,
  /** Addresses of one broker. */
  brokerAddressesMax: 8,
  /** Silence after which a broker is asked whether it is there; then so long for its answer. */
  brokerKeepAliveMs: 30_000,
  brokerAnswerMs: 10_000,
  /** Messages of one broker in one batch that wait for their answer: there are no more packet ids. */
  brokerInFlightMax: 65_535,
  /** Waits between two rounds of a broker's addresses: doubled from the first to the last, with jitter. */
  brokerRetryMsMin: 500,
  brokerRetryMsMax: 60_000,
  /** At most so long after a connection that did not last but brought messages: a bad link. */
  brokerUsefulRetryMs: 5_000,
  /** Longer where another client has our client id: two of a name must not chase each other. */
  brokerTakenOverMs: 30_000,
  /** A connection that lasted so long was a good one: the next begins soon. */
  brokerSettledMs: 10_000,
  /** Filters of one SUBSCRIBE: some brokers take no more. */
  brokerFiltersPerPacket: 8,
  /** Filters that a broker refused are asked for again this often. */
  brokerResubscribeMs: 60_000,
  /** A broker that was there and is away for longer is a notice; one that was not reached yet, sooner. */
  brokerAwayMs: 60_000,
  brokerUnreachedMs: 3_000,

  // fairness between clients
  /** Packets of one connection that are taken before others have their turn. */
  turnMessagesMax: 256,
  /** A connection whose read brought so many bytes is read again after the others. */
  turnBytesMax: 65_536, // 64 KiB
  /** Messages of one connection in one batch; then it waits for the next. */
  shareMessagesMax: 8_192,
  /** Of one connection; beyond, it waits. A second's worth may come at once. */
  messagesPerSecondMax: 50_000,
  bytesPerSecondMax: 33_554_432, // 32 MiB
  /** Connections over their rate are looked at this often. */
  rateLookMs: 10,
  subscriptionsPerClientMax: 1_024,
  connectionsPerUserMax: 4_096,
  /** Of one IPv4 address, or one /64 of IPv6. */
  connectionsPerAddressMax: 2_048,
  /** Connections one address may open at once; then so many per second. */
  connectsBurstMax: 2_048,
  connectsPerSecondMax: 100,
  /** Who is not welcome is closed after so long: who comes back at once comes less often. */
  unwelcomeMs: 1_000,
  /** So many at a time; then the oldest is closed. */
  unwelcomeMax: 256,
  /** Clients that went, told to the broker in one turn of the event loop. */
  leaversPerTurnMax: 16,
  /** Connections that their peers ended, closed by us in one turn of the event loop. */
  endedPerTurnMax: 16,
  /** Addresses without a connection whose rate is remembered. */
  arrivalsRememberedMax: 4_096,

  // cardinality: ids are never reused, so these bound memory for good
  sourcesMax: 64,
  devicesMax: 100_000,
  seriesMax: 100_000,
  symbolsMax: 65_536,
  symbolBytesMax: 256,
  metricsPerDeviceMax: 1_024,
  /** Bytes of a metric's name; a reading with a longer one is refused. */
  metricBytesMax: 256,
  /** Objects and arrays within one another in a payload. */
  nestingMax: 16,

  // dead letters
  deadLetterBytesMax: 4_096, // 4 KiB
  deadLettersPerFrameMax: 64,
  deadLettersKeptMax: 1_000,

  // append
  segmentBytes: 16_777_216, // 16 MiB
  /** Largest frame: a full batch in plain columns plus definitions and dead letters. */
  frameBytesMax: 4_194_304, // 4 MiB
  logBytesMax: 268_435_456, // 256 MiB
  commitWaitMs: 200,
  /** Rows that start a commit before the wait is over: their sync is then paid for. */
  commitRowsEager: 256,
  /** A frame's sections other than rows start a commit early beyond this. */
  definitionsPerFrameMax: 8_192,

  // commit
  commitIntervalMs: 1_000,
  /** An alert is committed at once, but commits for alerts begin at most this often. */
  alertCommitMs: 50,
  /** All that changed is written, some 1.5 KB a series: at 5 min it would be half of what a card gets. */
  checkpointIntervalMs: 900_000,
  /** A checkpoint is taken early when the log behind it has grown by this. */
  checkpointLogBytes: 100_663_296, // 96 MiB
  kvBytesMax: 1_073_741_824, // 1024 MiB
  /** Values of the state store up to this are stored twice: both copies and their checksums fit a page. */
  copiedValueBytesMax: 512,
  /** Definitions, a checkpoint beside its predecessor, and outputs: what it has at least. */
  kvBytesMin: 134_217_728, // 128 MiB
  /** Encoded outputs waiting for their commit; beyond it frames wait, and with them the senders. */
  pendingOutputBytesMax: 16_777_216, // 16 MiB
  /** A full disk is tried again this often. */
  diskRetryMs: 1_000,
  /** A file that gives its space up when the disk is full: for a segment, a flush of memory, a commit. */
  reserveBytes: 50_331_648, // 48 MiB
  /** It is made again so long after the disk was full, and tried again so often. */
  reserveRestMs: 10_000,
  /** Free space below which no state store is opened: LMDB's lock file is memory that the disk must back. */
  startFreeBytesMin: 1_048_576, // 1 MiB
  /** After a failure of the disk an agent is started again so soon, and twice as late each time, up to the latter. */
  restartMsMin: 1_000,
  restartMsMax: 30_000,
  /** A log that cannot be read is tried again this often, and in one life for so long in all. */
  diskReadRetryMs: 250,
  diskPatienceMs: 10_000,
  /** Longest timer until the dataflow sees the clock again. */
  wakeMsMax: 60_000,
  /** A gateway clock before 2025-01-01 was never set. */
  clockFloorMs: 1_735_689_600_000,
  /** A gateway clock this far behind what the log has seen is not believed. */
  clockBackMs: 60_000,
  alertsRemembered: 50,

  // drain
  uplinksMax: 4,
  /** How long closing waits for the uplinks; what they have not taken stays in the outbox. */
  drainWaitMs: 10_000,
  outboxBytesMax: 536_870_912, // 512 MiB
  /** The least that it may be set to. */
  outboxBytesMin: 1_048_576, // 1 MiB
  /** Records of one value of the outbox, before compression. */
  outboxBlockBytesMax: 262_144, // 256 KiB
  /** Blocks removed from a lane by one commit; the rest waits for the next. */
  outboxPruneBlocksMax: 1_024,
  /** Blocks of a lane, before compression, in which summaries are merged at a time. */
  outboxRollupBytesMax: 16_777_216, // 16 MiB
  /** Keys of a lane whose summaries are merged; those of further ones stay as they are. */
  outboxRollupKeysMax: 131_072,
  /** Records of the outbox that are decoded before others have their turn: about a millisecond. */
  outboxRecordsPerTurn: 64,
  /** An outbox of which all is merged that can be is looked at again after so long. */
  outboxRetryMs: 10_000,
  /** Versions of pipelines whose windows are remembered, so that their summaries can be merged. */
  outboxWindowsMax: 256,
  uplinkFileBytesMax: 67_108_864, // 64 MiB
  /** An open uplink file that holds records is closed after this, so that readers see it. */
  uplinkFileAgeMs: 3_600_000,
  uplinkBatchBytesMax: 4_194_304, // 4 MiB
  /** So many records that wait for others to share a delivery with wait no longer. */
  lingerRecordsMax: 1_024,
  /** Waits between two tries of an uplink: doubled from the first to the last, with jitter. */
  uplinkRetryMsMin: 500,
  uplinkRetryMsMax: 60_000,
  /** A delivery that is under way when the agent closes may take so long. */
  uplinkCloseWaitMs: 2_000,
  /** Records of one Kafka transaction before compression; topics take batches of 1 MiB by default. */
  kafkaBatchBytesMax: 786_432, // 768 KiB
  /** What that may be set to. */
  kafkaBatchBytesCeiling: 67_108_864, // 64 MiB
  /** A larger record is left out, counted and named: a topic would refuse it. */
  kafkaRecordBytesMax: 524_288, // 512 KiB
  kafkaLingerMs: 1_000,
  kafkaRequestMs: 30_000,
  kafkaConnectMs: 10_000,
  /** The cluster aborts a transaction that takes longer. */
  kafkaTransactionMs: 60_000,
  kafkaBrokersMax: 32,
  /** Bytes of the cursor topic that are read to find a cursor. */
  kafkaCursorReadBytesMax: 67_108_864, // 64 MiB
  /** Of one answer. */
  kafkaFetchBytesMax: 1_048_576, // 1 MiB
  /** A longer answer is none that a broker gives; also what the records of a batch unpack to. */
  kafkaAnswerBytesMax: 67_108_864, // 64 MiB
  /** Certificates and tokens on disk are looked at this often. */
  kafkaCredentialsMs: 30_000,
  /** A topic that was just created is waited for. */
  kafkaTopicWaitMs: 10_000,
  /** Whoever reads topics holds so many bytes of transactions that are not decided yet. */
  kafkaUndecidedBytesMax: 67_108_864, // 64 MiB
  /** One read of a topic by `weir upstream verify`: bytes of all its partitions that wait their turn. */
  verifyReadBytesMax: 16_777_216, // 16 MiB
  /** Of these, at least so many for each partition: smaller answers would be too many. */
  verifyFetchBytesMin: 65_536, // 64 KiB
  /** Windows whose newest revision is remembered, and names of keys. */
  verifyWindowsMax: 1_048_576,
  verifyKeysMax: 1_048_576,
  /** Cursors of an outbox that its records are compared with. */
  verifyCursorsMax: 4_096,
  /** What is under way when the end of a topic is read is waited for. */
  verifyPatienceMs: 90_000,
  /** `weir tail` asks each partition for more this often. */
  tailPollMs: 250,

  // links
  linksMax: 8,
  /** The least bandwidth that may be set, bytes per second. */
  linkBandwidthMin: 1_000,
  /**
   * What a link that was quiet may send at once, as time at its bandwidth. The bucket fills so much
   * slower that bandwidth holds over `linkSpanMs`, this included: 2.5 % slower.
   */
  linkBurstMs: 250,
  linkSpanMs: 10_000,
  /** A burst is at most so many pieces: so soon has an alert its turn. */
  linkBurstPieces: 4,
  linkPieceBytesMax: 32_768, // 32 KiB
  /** What is under way at once, as time at the bandwidth: records of one delivery, before compression. */
  linkBatchMs: 5_000,
  /** The same of the first delivery of a lane after it was opened: what is fresh is out there soon. */
  linkFirstMs: 1_000,
  linkBatchBytesMin: 4_096, // 4 KiB
  /** Over so long it is seen which lane has had its share. */
  linkShareMs: 2_000,
  /** A lane looks again so soon whether those before it have gone. */
  linkTurnMs: 100,
  /** A quota is counted ahead in steps of this part of it: so many small writes, and one step a crash costs. */
  linkQuotaSteps: 256,
  linkQuotaStepBytesMin: 65_536, // 64 KiB
  /** The wall clock is looked at this often for the end of a quota's day or month. */
  linkClockMs: 1_000,
  /** A link outside its hours, or without quota, is looked at again. */
  linkLookMs: 60_000,
  linkWindowsMax: 16,
  /** Deliveries over a link that fail for so long, and at least so often, make the next link the one in use. */
  linkFailMs: 60_000,
  linkFailuresMin: 3,
  /** The first link is tried again after so long. */
  linkRetryMs: 600_000,

  /** Records of one delivery of the MQTT bridge: a crash repeats at most so many. */
  bridgeBatchBytes: 262_144, // 256 KiB
  bridgeBatchBytesMax: 1_048_576, // 1 MiB
  /** Records beyond the last receipt that may be sent before anything is stored about them. */
  bridgeAheadRecords: 1_024,
  /** Messages of the bridge that wait for their PUBACK; fewer where the broker says so. */
  bridgeInFlightMax: 1_024,
  /** Bytes of them of one lane: fewer when an answer takes longer than `bridgeQueueMs`, else more. */
  bridgeWindowBytesMin: 4_096, // 4 KiB
  bridgeWindowBytesMax: 262_144, // 256 KiB
  /** An alert waits about so long behind summaries on a slow link. */
  bridgeQueueMs: 1_000,
  /** No answer for so long, while one is owed: the connection is given up. */
  bridgeAnswerMs: 30_000,
  bridgeConnectMs: 10_000,
  bridgeKeepAliveMs: 60_000,
  /** While nothing is to be sent, a connection that was lost is noticed within. */
  bridgeLookMs: 5_000,
  bridgeLingerMs: 1_000,
  bridgeStatusMs: 60_000,
  /** An orderly end waits so long for the answer to its last status. */
  bridgeCloseWaitMs: 1_000,

  /** Records of one POST, before compression. */
  postBatchBytes: 262_144, // 256 KiB
  postBatchBytesMax: 1_048_576, // 1 MiB
  /** As small as it gets where the endpoint, or the way to it, takes no larger ones. */
  postBatchBytesMin: 4_096, // 4 KiB
  /** So many of the smaller size are taken before twice as much is tried. */
  postGrowsAfter: 16,
  /** Posts of one range that are lost on the way before a smaller one is tried. */
  postLossesMax: 2,
  /** Records in a row that an endpoint may refuse one by one before another must be taken again. */
  postLeftOutMax: 16,
  /** Records tried one by one to see whether the endpoint takes any. */
  postProbesMax: 8,
  postLingerMs: 1_000,
  postConnectMs: 10_000,
  postAnswerMs: 30_000,
  /** Of an answer no more is read. */
  postAnswerBytesMax: 16_384, // 16 KiB
  /** Of its words in a message. */
  postWordsMax: 200,
  /** Bytes of a body that are given to the connection at a time. */
  postPieceBytes: 16_384, // 16 KiB
  postHeadersMax: 16,
  postHeaderCharactersMax: 4_096,
  /** Longest Retry-After that is heeded. */
  postRetryAfterMsMax: 900_000,

  // systemd
  /** Signs of life in the time in which it wants one. */
  watchdogSigns: 4,
  /** A message to it that takes longer is given up. */
  notifyMs: 10_000,

  // configuration
  configCharactersMax: 1_048_576,
  configDepthMax: 32,
  /** A file whose content is put in for `${file:...}`. */
  secretCharactersMax: 65_536,
};

type Name =
  | keyof typeof bounds
  | keyof typeof fleetLimits
  | keyof typeof httpLimits
  | keyof typeof laneLimits
  | keyof typeof memoryLimits
  | keyof typeof operatorLimits
  | keyof typeof ownTopicLimits
  | keyof typeof storeLimits;

/** The names of all bounds; every value is a whole number in the unit its name says. */
export type Limits = { readonly [name in Name]: number };

export const limits: Limits = {
  ...bounds,
  ...fleetLimits,
  ...httpLimits,
  ...laneLimits,
  ...memoryLimits,
  ...operatorLimits,
  ...ownTopicLimits,
  ...storeLimits,
};

assertRelations(limits);
