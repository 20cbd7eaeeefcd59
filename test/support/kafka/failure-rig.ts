/** What the failure tests have in common: a broker behind a proxy, places to fail, a half at work. */

import { after, type TestContext } from "node:test";
import { connectCluster } from "../../../src/sync/kafka/client/client.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import type { OutputQueue } from "../../../src/store/outbox/lane.ts";
import { eventually } from "./cluster-contract-rig.ts";
import { type KafkaBroker, type KafkaOptions, startKafka } from "./broker.ts";
import { freePorts } from "../ports.ts";
import { apiKeys, type KafkaProxy, openProxy, type Verdict } from "./proxy.ts";
import { requireKafka } from "./require-kafka.ts";
import { type HalfOptions, startHalf, type UplinkHalf } from "./uplink-half.ts";

/** Longer than a lane waits at most before it tries again. */
const happensMsMax = 60_000;

export type FailureRig = { readonly kafka: KafkaBroker; readonly proxy: KafkaProxy };

/** What a lane asks when it opens and for a transaction. */
export type Step =
  | "InitProducerId"
  | "OffsetFetch"
  | "AddPartitionsToTxn"
  | "AddOffsetsToTxn"
  | "Produce"
  | "TxnOffsetCommit"
  | "EndTxn";

/** In the order in which they come. */
export const steps: readonly Step[] = [
  "InitProducerId",
  "OffsetFetch",
  "AddPartitionsToTxn",
  "AddOffsetsToTxn",
  "Produce",
  "TxnOffsetCommit",
  "EndTxn",
];

/** A broker for the tests of this file, started by the first that asks and ended after the last. */
export function oneBroker(
  options: KafkaOptions & { readonly version: "3.9" | "4" },
): (t: TestContext) => Promise<FailureRig | undefined> {
  let started: Promise<FailureRig> | undefined;
  after(async () => {
    const rig = await started;
    await rig?.proxy[Symbol.asyncDispose]();
    await rig?.kafka[Symbol.asyncDispose]();
  });
  return async (t) => {
    if (!requireKafka(t, [options.version])) return undefined;
    started ??= start(options);
    const rig = await started;
    passAll(rig.proxy);
    return rig;
  };
}

async function start(options: KafkaOptions): Promise<FailureRig> {
  const [port = 0] = await freePorts(1);
  const kafka = await startKafka({ ...options, proxied: port });
  const proxy = await openProxy({ port, to: kafka.behindProxy });
  await warmUp(kafka.bootstrap);
  return { kafka, proxy };
}

/**
 * What a fresh cluster does only once: it makes its inner topics, and it gives out producer id 0,
 * which is also what a client that says nothing would have.
 */
export async function warmUp(bootstrap: string): Promise<void> {
  const cluster = await openCluster(bootstrap);
  for (const transactionalId of ["burnt-1", "burnt-2", "burnt-3"]) {
    await eventually(() => cluster.initProducer({ transactionalId, timeoutMs: 10_000 }));
  }
  await eventually(() => cluster.committedOffsets("burnt"));
  await cluster.close();
}

/** What a test lets a half emit at a time. */
export const portion: Readonly<Record<OutputQueue, number>> = { summaries: 5, alerts: 2 };

/** A half that has sent a portion, and waits for more. */
export async function begun(options: HalfOptions): Promise<UplinkHalf> {
  const half = await startHalf(options);
  await half.emit(portion);
  await half.sent();
  return half;
}

/** A session of the test's own. */
export async function openCluster(bootstrap: string): Promise<Cluster> {
  return await connectCluster({
    bootstrap: [bootstrap],
    clientId: "weir-tests",
    requestTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
  });
}

export function passAll(proxy: KafkaProxy): void {
  proxy.onRequest = () => "pass";
  proxy.onResponse = () => "pass";
}

/** Asks `verdict` about the next frame of this kind; the others pass. */
export function once(
  proxy: KafkaProxy,
  at: { readonly step: Step; readonly side: "request" | "response" },
  verdict: () => Verdict | Promise<Verdict>,
): void {
  let isOver = false;
  const judge = (apiKey: number): Verdict | Promise<Verdict> => {
    if (isOver || apiKey !== apiKeys[at.step]) return "pass";
    isOver = true;
    return verdict();
  };
  if (at.side === "request") proxy.onRequest = judge;
  else proxy.onResponse = judge;
}

/** Resolves as `happens` does; rejects after a minute, with what did not happen. */
export async function inTime<T>(what: string, happens: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`after ${happensMsMax} ms, not yet: ${what}`)),
    happensMsMax,
  );
  try {
    return await Promise.race([happens, late]);
  } finally {
    clearTimeout(timer);
  }
}
