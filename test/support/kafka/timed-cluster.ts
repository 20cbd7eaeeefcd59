/**
 * A session of the model of a cluster with a time limit for every request, as the client on sockets
 * has one: what hangs is given up, and may still arrive.
 */

import type { Clock } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";

export function timedCluster(
  cluster: Cluster,
  { clock, timeoutMs }: { readonly clock: Clock; readonly timeoutMs: number },
): Cluster {
  const within = async <Value>(answer: Promise<Value>): Promise<Value> => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const cancel = clock.after(timeoutMs, () => reject(timedOut(timeoutMs)));
    try {
      return await Promise.race([answer, late]);
    } finally {
      cancel();
    }
  };
  return {
    id: cluster.id,
    get isLost() {
      return cluster.isLost;
    },
    get traffic() {
      return cluster.traffic;
    },
    partitionsOf: (...of) => within(cluster.partitionsOf(...of)),
    createTopic: (...of) => within(cluster.createTopic(...of)),
    topicConfig: (...of) => within(cluster.topicConfig(...of)),
    initProducer: (...of) => within(cluster.initProducer(...of)),
    addPartitions: (...of) => within(cluster.addPartitions(...of)),
    addGroup: (...of) => within(cluster.addGroup(...of)),
    produce: (...of) => within(cluster.produce(...of)),
    commitOffset: (...of) => within(cluster.commitOffset(...of)),
    endTransaction: (...of) => within(cluster.endTransaction(...of)),
    committedOffsets: (...of) => within(cluster.committedOffsets(...of)),
    offsets: (...of) => within(cluster.offsets(...of)),
    fetch: (...of) => within(cluster.fetch(...of)),
    close: () => cluster.close(),
  };
}

function timedOut(ms: number): Fault {
  return new Fault("UPLINK_UNREACHABLE", `no answer within ${ms} ms`);
}
