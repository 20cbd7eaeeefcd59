/** Kafka itself keeps what weir counts on it for: the contract on real brokers, old and new. */

import { after, type TestContext } from "node:test";
import { connectCluster } from "../../src/sync/kafka/client/client.ts";
import { clusterContract } from "../support/kafka/cluster-contract.ts";
import type { ClusterUnderTest } from "../support/kafka/cluster-contract-rig.ts";
import { type KafkaBroker, startKafka } from "../support/kafka/broker.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";

for (const version of ["3.9", "4"] as const) {
  // One broker for all claims: they share nothing by name.
  let started: Promise<KafkaBroker> | undefined;
  after(async () => await (await started)?.[Symbol.asyncDispose]());

  clusterContract(`Kafka ${version}`, async (t: TestContext) => {
    if (!requireKafka(t, [version])) return undefined;
    started ??= startKafka({ version });
    return onBroker(await started);
  });
}

function onBroker({ bootstrap }: KafkaBroker): ClusterUnderTest {
  return {
    open: async () =>
      await connectCluster({
        bootstrap: [bootstrap],
        clientId: "weir-contract",
        requestTimeoutMs: 10_000,
        connectTimeoutMs: 5_000,
      }),
  };
}
