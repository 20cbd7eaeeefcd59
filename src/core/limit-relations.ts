/** How the bounds of the agent must stand to one another for its promises to hold. */

import { assert } from "./assert.ts";
import type { Limits } from "./limits.ts";

/** Throws where a relation does not hold. */
export function assertRelations(limits: Limits): void {
  assert(
    limits.packetBytesMax <= limits.frameBytesMax / 4,
    "the readings of one packet fit into a frame",
  );
  assert(
    limits.readingsPerMessageMax < limits.batchRowsMax,
    "an empty batch has room for any one message",
  );
  assert(
    limits.batchRowsMax * 29 +
      limits.deadLettersPerFrameMax * (limits.deadLetterBytesMax + limits.topicBytesMax + 64) +
      limits.definitionsPerFrameMax * 128 +
      limits.postsPerFrameMax * limits.postedBytesMax <=
      limits.frameBytesMax,
    "a full frame fits the largest record",
  );
  assert(
    limits.frameBytesMax * 2 <= limits.segmentBytes,
    "a segment holds at least two of the largest frames",
  );
  assert(
    limits.checkpointLogBytes + 2 * limits.segmentBytes < limits.logBytesMax,
    "a checkpoint frees the log before it is full",
  );
  assert(
    limits.kvBytesMin <= limits.kvBytesMax &&
      limits.logBytesMax + limits.kvBytesMax + limits.reserveBytes + limits.tablesBytesMin <=
        limits.storeBytesMax,
    "a full log, a full state store and the reserve leave the tables what they have at least",
  );
  assert(
    limits.outboxBytesMin <= limits.outboxBytesMax &&
      limits.outboxBytesMax * 2 <= limits.kvBytesMax,
    "whatever the outbox may hold, the state store has as much again for the rest",
  );
  assert(
    limits.memoryTableRowsMax * 25 * 2 <= limits.tablesBytesMin,
    "the tables have room for a full memory table, and to write it once more",
  );
  assert(
    limits.segmentBytes + limits.memoryTableRowsMax * 25 + limits.pendingOutputBytesMax <=
      limits.reserveBytes,
    "the reserve has room for a segment, for what is in memory and for a commit",
  );
  assert(limits.restartMsMin <= limits.restartMsMax, "a restart waits longer each time");
  assert(
    limits.tierMsMin < limits.tierMsMax && limits.tierMsMax < limits.keepMsMax,
    "whatever the resolutions, each can be kept for longer than one row",
  );
  assert(
    limits.heldBytesPerConnectionMax <= limits.heldBytesMax,
    "one connection cannot hold more than all together",
  );
  assert(limits.alertCommitMs < limits.commitIntervalMs, "alerts do not wait for summaries");
  assert(
    limits.ownTurnBytes <= limits.ownUnreadBytes &&
      limits.ownUnreadBytes < limits.outboundBytesPerConnectionMax,
    "a client that reads is not closed for what the agent itself publishes",
  );
  assert(
    limits.bridgeWindowBytesMin <= limits.bridgeWindowBytesMax &&
      limits.bridgeBatchBytes <= limits.bridgeBatchBytesMax,
    "the bridge's window and batch have room to grow",
  );
  assert(
    limits.linkBurstMs * 10 <= limits.linkSpanMs,
    "a link that fills slower for the sake of its burst still has nine tenths of its bandwidth",
  );
  assert(
    limits.linkPieceBytesMax * 2 <= limits.linkQuotaStepBytesMin &&
      (limits.linkBandwidthMin * limits.linkBurstMs) / 1_000 >= limits.linkBurstPieces,
    "a piece fits into half a step of a quota, and is never empty",
  );
  assert(
    limits.linkFirstMs <= limits.linkBatchMs && limits.linkBatchMs * 4 <= limits.kafkaRequestMs,
    "a delivery at the bandwidth of its link has its answer in time, with three others beside it",
  );
  assert(
    limits.outboxBlockBytesMax <= limits.uplinkBatchBytesMax,
    "a block of the outbox fits into one delivery",
  );
  assert(
    limits.kafkaRecordBytesMax <= limits.kafkaBatchBytesMax,
    "a transaction has room for any one record",
  );
  assert(
    limits.kafkaBatchBytesMax <= limits.kafkaBatchBytesCeiling,
    "the default is one that may be set",
  );
  assert(
    limits.kafkaFetchBytesMax + limits.kafkaBatchBytesMax <= limits.kafkaAnswerBytesMax,
    "an answer has room for a batch that is sent whole though it is larger than what was asked for",
  );
  assert(
    limits.kafkaRequestMs < limits.kafkaTransactionMs,
    "a request is given up before its transaction is aborted",
  );
  assert(
    limits.brokerRetryMsMin <= limits.brokerUsefulRetryMs,
    "what is waited at most is not less than at first",
  );
  assert(
    limits.brokerRetryMsMin <= limits.brokerTakenOverMs &&
      limits.brokerTakenOverMs <= limits.brokerRetryMsMax,
    "who lost its client id waits longer than others, and no longer than anyone ever does",
  );
  assert(
    limits.brokerInFlightMax < 65_536,
    "messages that wait for their answer each have a packet id",
  );
  assert(
    limits.slotKeyBytesMax <= limits.metricBytesMax,
    "a field of a slot can be a metric's name",
  );
  assert(
    limits.splitBytesFree < limits.heldBytesMax,
    "what is always kept is less than all that is",
  );
  assert(
    limits.httpConnectionsPerAddressMax < limits.httpConnectionsMax,
    "one host leaves some connections to others",
  );
  assert(limits.httpHeadersWaitMs <= limits.httpRequestWaitMs, "headers come before the whole");
  assert(
    limits.postWaitMs < limits.httpSilenceMs,
    "who posts is answered before the silence closes the connection",
  );
  assert(
    limits.postRowsPerFrameMax + limits.readingsPerMessageMax < limits.batchRowsMax,
    "what is posted leaves room in a batch for others",
  );
  assert(
    limits.postBodyBytesMax <= limits.postBodiesBytesMax &&
      limits.postBodyBytesMax <= limits.memoryPartBytesMin,
    "under any ceiling there is room for any one body",
  );
  assert(
    limits.passwordChecksMax * limits.scryptBytesMax <= 134_217_728,
    "passwords are hashed in at most 128 MiB",
  );
  assert(
    limits.shareMessagesMax * 4 <= limits.batchRowsMax,
    "it takes more than one client to fill a batch with single readings",
  );
  assert(
    limits.packetBytesMax <= limits.webSocketMessageBytesMax,
    "a WebSocket message holds any one packet",
  );
  assert(
    // Twice 17 bytes a row in stamps and 64 in values, for what an encoding tries and takes back.
    limits.tableBlockRowsMax * 2 * 81 <= limits.tableBlockBytesMax &&
      limits.tableBlockBytesMax <= limits.tableGroupBytesMax,
    "a group of a table has room for any one block",
  );
  assert(
    limits.tableSyncBytes % limits.tablePieceBytes === 0,
    "a table is synced after whole pieces",
  );
  assert(
    limits.tiersMax + 1 <= limits.tableSectionsMax,
    "a table has room for the readings and every resolution",
  );
  assert(
    limits.tableSectionsMax * Math.ceil(limits.seriesMax / 64) * 16 <= limits.tableFooterBytesMax,
    "a table may hold every series at every resolution",
  );
  assert(
    limits.tableDirectoryBytesMax <= limits.tableDirectoriesBytesMax,
    "the directories of a table have room for any one",
  );
  assert(
    limits.savepointChunkBytesMin <= limits.savepointChunkBytesDear &&
      limits.savepointChunkBytesDear <= limits.savepointChunkBytes &&
      limits.savepointChunkBytes < limits.kafkaRecordBytesMax &&
      limits.kafkaRecordBytesMax <= limits.kafkaFetchBytesMax,
    "a chunk of a savepoint is a record that clusters take, and that one answer holds",
  );
  assert(
    limits.remoteDocumentBytesMax + 2 * limits.topicBytesMax <= limits.packetBytesMax &&
      limits.remoteDocumentBytesMax < limits.kafkaRecordBytesMax,
    "a remote configuration is a message that brokers and clusters take",
  );
  assert(
    limits.savepointOutboxBytesMax * 2 <= limits.savepointFileBytesMax &&
      limits.savepointLineBytesMax <= limits.savepointFileBytesMax,
    "a savepoint that is sent has room for what waits, in base64, and for any one line",
  );
  assert(
    limits.reserveBytes <= limits.savepointFreeBytesMin,
    "a savepoint leaves the disk what an agent needs when it is full",
  );
  assert(
    limits.memoryFileBytes + limits.memoryBaseBytes < limits.memoryBytesMin &&
      limits.memoryBytesMin < limits.memoryOneHeapBytesMax,
    "the least ceiling has something left for series",
  );
  assert(
    limits.memoryTableRowsStep <= limits.memoryTableRowsMax &&
      limits.batchRowsMax <= limits.memoryTableRowsStep,
    "a memory table has room for any one batch",
  );
  assert(
    limits.heldBytesPerConnectionMax <= limits.memoryPartBytesMin &&
      limits.packetBytesMax * 2 <= limits.memoryPartBytesMin &&
      limits.ownUnreadBytes <= limits.memoryPartBytesMin,
    "under any ceiling one connection has room for what it may hold, and for its packets",
  );
  assert(
    limits.memoryEasePercent < limits.memoryTightPercent &&
      limits.memoryTightPercent + limits.memoryEasePercent < limits.memoryShortPercent,
    "memory that eases is not short any more before it is not tight any more",
  );
}
