/**
 * A session of the model of a cluster over a link: what a request would take on the network is asked
 * for piece by piece, as a socket does, and what its answer takes counts when it is there.
 */

import type { Wire } from "../../../src/core/doors.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";

/** What of a request is no record, and an answer. About what was seen of real ones. */
const requestBytes = 120;
const answerBytes = 60;

/** `onSent`: pieces that are on their way; `isRecords`: of a produce request. */
export function wiredCluster(
  cluster: Cluster,
  wire: Wire,
  {
    onSent,
    onReceived,
  }: {
    readonly onSent: (bytes: number, isRecords: boolean) => void;
    readonly onReceived: (bytes: number) => void;
  },
): Cluster {
  const cancels = new Set<() => void>();
  const send = async (bytes: number, isRecords: boolean): Promise<void> => {
    for (let left = bytes; left > 0; left -= wire.pieceBytesMax) {
      const piece = Math.min(left, wire.pieceBytesMax);
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = wire.send(piece, resolve);
      cancels.add(cancel);
      await promise;
      cancels.delete(cancel);
      onSent(piece, isRecords);
    }
  };
  const over = async <Value>(ask: () => Promise<Value>, records = 0): Promise<Value> => {
    await send(requestBytes + records, records > 0);
    const answer = await ask();
    wire.received(answerBytes);
    onReceived(answerBytes);
    return answer;
  };
  return {
    id: cluster.id,
    get isLost() {
      return cluster.isLost;
    },
    get traffic() {
      return cluster.traffic;
    },
    partitionsOf: (...of) => over(() => cluster.partitionsOf(...of)),
    createTopic: (...of) => over(() => cluster.createTopic(...of)),
    topicConfig: (...of) => over(() => cluster.topicConfig(...of)),
    initProducer: (...of) => over(() => cluster.initProducer(...of)),
    addPartitions: (...of) => over(() => cluster.addPartitions(...of)),
    addGroup: (...of) => over(() => cluster.addGroup(...of)),
    produce: (batches, options) =>
      over(
        () => cluster.produce(batches, options),
        batches.reduce((sum, { bytes }) => sum + bytes.length, 0),
      ),
    commitOffset: (...of) => over(() => cluster.commitOffset(...of)),
    endTransaction: (...of) => over(() => cluster.endTransaction(...of)),
    committedOffsets: (...of) => over(() => cluster.committedOffsets(...of)),
    offsets: (...of) => over(() => cluster.offsets(...of)),
    fetch: (...of) => over(() => cluster.fetch(...of)),
    close: async () => {
      for (const cancel of cancels) cancel();
      await cluster.close();
    },
  };
}
