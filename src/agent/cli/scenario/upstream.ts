/**
 * Where a scenario's agent sends to, as the scenario reads it afterwards: a cluster, reached past the
 * proxy, or files.
 */

import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Fault } from "../../../core/faults.ts";
import type { Clock } from "../../../core/doors.ts";
import { decodeRecord } from "../../../store/outbox/record-codec.ts";
import type { ClusterOptions } from "../../../sync/kafka/client/cluster-options.ts";
import { sentenceOf } from "../../../sync/kafka/upstream/break.ts";
import { followTopics } from "../../../sync/kafka/upstream/follow-topics.ts";
import { openRecordReader } from "../../../sync/kafka/upstream/record-reader.ts";
import { partsOfKey } from "../../../sync/kafka/upstream/upstream-message.ts";
import {
  type AgentProven,
  type Verdict,
  verifyUpstream,
} from "../../../sync/kafka/upstream/verify-upstream.ts";
import type { KafkaUplinkConfig } from "../../config/kafka-config.ts";
import { systemKafka } from "../../doors/kafka.ts";
import type { WindowBook } from "./window-book.ts";

export type UpstreamRead = {
  /** What is wrong with it by itself, as a sentence. */
  readonly broken: string | undefined;
  /** What `weir upstream verify` has proven. */
  readonly proven: AgentProven | undefined;
};

// ---- a cluster ----

/** What it takes to connect, as often as wanted. */
export async function sessionOptions(
  uplink: KafkaUplinkConfig,
  clock: Clock,
): Promise<ClusterOptions> {
  const credentials = systemKafka(clock).credentials(uplink.security);
  return {
    bootstrap: uplink.brokers,
    ...(uplink.addresses === undefined ? {} : { addresses: uplink.addresses }),
    clientId: "weir-sim",
    requestTimeoutMs: uplink.requestMs,
    connectTimeoutMs: uplink.connectMs,
    ...(await credentials.read()),
  };
}

export async function readKafka(
  uplink: KafkaUplinkConfig,
  {
    agent,
    clock,
    book,
  }: { readonly agent: string; readonly clock: Clock; readonly book: WindowBook },
): Promise<UpstreamRead> {
  const options = await sessionOptions(uplink, clock);
  const connect = async () => await systemKafka(clock).connect(options);
  const topics = [...new Set([uplink.topics.summaries, uplink.topics.alerts])];
  const cluster = await connect();
  const whole = { agent, topics, cursorTopic: uplink.topics.cursor, mayBeginLater: false, clock };
  let verdict: Verdict;
  try {
    verdict = await verifyUpstream(cluster, whole);
  } finally {
    await cluster.close();
  }
  if (verdict.kind === "broken") return { broken: sentenceOf(verdict.first), proven: undefined };
  const read = openRecordReader();
  const follow = {
    topics,
    takes: ({ key }: { readonly key: Uint8Array | undefined }) =>
      key !== undefined && partsOfKey(Buffer.from(key).toString("utf8")).agent === agent,
    from: "beginning",
    endsThere: true,
    connect,
    clock,
    // The agent sent nothing there: then it is in the verdict.
    onMissing: () => undefined,
    onTrouble: () => undefined,
  } as const;
  for await (const { value, at } of followTopics(follow, () => false)) {
    const place = `${at.topic}/${at.partition} at offset ${at.offset}`;
    book.take(await read(value, place), place);
  }
  return { broken: book.repeated, proven: verdict.agents[0] };
}

// ---- files ----

/** Closed ones, and what is whole of the open ones: their agent has ended. */
export async function readFiles(directory: string, book: WindowBook): Promise<UpstreamRead> {
  const names = (await readdir(directory).catch((): string[] => [])).toSorted();
  const damaged = names.find((name) => name.endsWith(".damaged"));
  if (damaged !== undefined) {
    return { broken: `${join(directory, damaged)}: a file was damaged`, proven: undefined };
  }
  for (const name of names) {
    const lines = (await readFile(join(directory, name), "utf8")).split("\n");
    for (const [index, line] of lines.entries()) {
      if (line === "") continue;
      const place = `${name}:${index + 1}`;
      try {
        book.take(decodeRecord(Buffer.from(line), place), place);
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        return { broken: error.message, proven: undefined };
      }
    }
  }
  return { broken: book.repeated, proven: undefined };
}
