/** Another agent that leaves a transaction open on partitions that ours writes to. */

import { type Cluster, errorOf } from "../../../src/sync/kafka/cluster.ts";
import { encodeRecordBatch, noCompression } from "../../../src/sync/kafka/message/record-batch.ts";

/** Its transactional id, and the key of its records. */
export const otherAgent = "another";

/** On the first partition of each topic; nothing where its last one is not over, or a topic is not there. */
export async function leaveTransactionOpen(
  session: Cluster,
  { topics, timeMs }: { readonly topics: readonly string[]; readonly timeMs: number },
): Promise<void> {
  const transactionalId = otherAgent;
  try {
    const producer = await session.initProducer({ transactionalId, timeoutMs: 60_000 });
    const of = { transactionalId, producer };
    const at = topics.map((topic) => ({ topic, partition: 0 }));
    await session.addPartitions(of, at);
    const bytes = encodeRecordBatch(
      [{ key: Buffer.from(otherAgent), value: Buffer.from("{}"), headers: [] }],
      { producer, sequence: 0, isTransactional: true, timeMs, compression: noCompression },
    );
    await session.produce(
      at.map((place) => ({ ...place, bytes })),
      { transactionalId },
    );
  } catch (error) {
    if (errorOf(error) === undefined) throw error;
  }
}
