/** A model of a cluster with a topic of three partitions, and one session that writes to it. */

import assert from "node:assert/strict";
import {
  type Cluster,
  errorOf,
  type Producer,
  type TransactionOf,
} from "../../../src/sync/kafka/cluster.ts";
import { encodeRecordBatch, noCompression } from "../../../src/sync/kafka/message/record-batch.ts";
import { ClusterModel } from "./cluster-model.ts";

export const topic = "t";

export class ClusterModelRig {
  nowMs = 1_700_000_000_000;
  readonly model: ClusterModel = new ClusterModel({ clock: () => this.nowMs });
  readonly session: Cluster = this.model.connect();

  constructor() {
    this.model.createTopic(topic, { partitions: 3 });
  }

  /** A new incarnation, once the older one's transaction is over. */
  async begin(transactionalId = "x"): Promise<TransactionOf> {
    for (;;) {
      try {
        const producer = await this.session.initProducer({ transactionalId, timeoutMs: 60_000 });
        return { transactionalId, producer };
      } catch (error) {
        if (errorOf(error) !== "CONCURRENT_TRANSACTIONS") throw error;
      }
    }
  }

  add(of: TransactionOf, partition = 0): Promise<void> {
    return this.session.addPartitions(of, [{ topic, partition }]);
  }

  async write(
    of: TransactionOf,
    values: readonly string[],
    { sequence, partition = 0 }: { readonly sequence: number; readonly partition?: number },
  ): Promise<number> {
    const bytes = batch(values, { producer: of.producer, sequence, timeMs: this.nowMs });
    const batches = [{ topic, partition, bytes }];
    const [at] = await this.session.produce(batches, { transactionalId: of.transactionalId });
    return at?.offset ?? -1;
  }

  /** A whole transaction with one batch; the next one can begin. */
  async transact(of: TransactionOf, values: readonly string[], sequence: number): Promise<void> {
    await this.add(of);
    await this.write(of, values, { sequence });
    await this.session.endTransaction(of, "commit");
    this.model.settle();
  }

  committed(): readonly (string | undefined)[] {
    return this.model.readCommitted(topic).map(({ value }) => value);
  }
}

type BatchOptions = {
  readonly producer?: Producer;
  readonly sequence?: number;
  readonly isTransactional?: boolean;
  readonly timeMs?: number;
};

/** A value "k=v" has key "k". */
export function batch(
  values: readonly string[],
  { producer, sequence = -1, isTransactional = producer !== undefined, timeMs = 0 }: BatchOptions,
): Uint8Array {
  const records = values.map((value) => ({
    key: Buffer.from(value.split("=")[0] ?? ""),
    value: Buffer.from(value),
    headers: [{ name: Buffer.from("h"), value: Buffer.from(value) }],
  }));
  return encodeRecordBatch(records, {
    producer,
    sequence,
    isTransactional,
    timeMs,
    compression: noCompression,
  });
}

/** The answer is a refusal with one of these errors. */
export async function refuses(
  answer: Promise<unknown>,
  ...errors: readonly string[]
): Promise<void> {
  const error = await answer.then(
    () => "success",
    (reason: unknown) => errorOf(reason) ?? String(reason),
  );
  assert.ok(errors.includes(error), `${error}, not ${errors.join(" or ")}`);
}
