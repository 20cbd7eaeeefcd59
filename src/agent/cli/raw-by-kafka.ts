/** `weir raw ask` and `cancel` from the side of Kafka: a command in the topic that an agent reads. */

import { Fault } from "../../core/faults.ts";
import { partitionOf } from "../../sync/kafka/message/murmur2.ts";
import { encodeRecordBatch, noCompression } from "../../sync/kafka/message/record-batch.ts";
import { systemClock } from "../doors/clock.ts";
import { systemRandom } from "../doors/random.ts";
import { timeOf } from "../query/times.ts";
import { savepointTopicDefault } from "../config/kafka-config.ts";
import { commandOf } from "../raw/command.ts";
import { UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { type KafkaValues, kafkaTarget } from "./kafka-target.ts";

export type AskByKafka = {
  readonly selectors: readonly string[];
  readonly id?: string | undefined;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly priority?: string | undefined;
  readonly expires?: string | undefined;
};

/** Resolves to the request's id when the cluster has the command. Faults as `Cluster`, INPUT_INVALID. */
export async function askByKafka(target: KafkaValues, ask: AskByKafka): Promise<string> {
  const { selectors, priority, expires, from = "-1h", to = "now" } = ask;
  const clock = systemClock();
  const now = clock.now();
  const random = systemRandom().uint32().toString(16).padStart(8, "0");
  const id = ask.id ?? `raw-${Math.trunc(now)}-${random}`;
  // Times that are relative here are none there, when somebody reads it.
  const timed = (name: string, text: string): number => {
    const time = timeOf(text, now);
    if (time !== undefined) return time;
    throw new UsageError(`--${name} is a time such as -2h or 2026-11-28T10:00:00Z, not ${text}`);
  };
  const until = expires === undefined ? undefined : timed("expires", expires);
  if (until !== undefined && until <= now) {
    const example = new Date(now + 86_400_000).toISOString().slice(0, 19);
    throw new UsageError(
      `--expires ${expires} is over: every agent would refuse it; say a time to come, such as ${example}Z`,
    );
  }
  await send(target, {
    command: "raw.ask",
    id,
    select: selectors,
    from: timed("from", from),
    to: timed("to", to),
    ...(priority === undefined ? {} : { priority }),
    ...(until === undefined ? {} : { expires: until }),
  });
  return id;
}

/** As askByKafka. */
export async function cancelByKafka(target: KafkaValues, id: string): Promise<void> {
  await send(target, { command: "raw.cancel", id });
}

async function send(values: KafkaValues, command: object): Promise<void> {
  const clock = systemClock();
  const { agent, connect, configured, cursorTopic } = await kafkaTarget(values, clock);
  if (agent === undefined) throw new UsageError("say which agent is to answer: --agent NAME");
  const topic = await topicOf(values);
  const { summaries, alerts, raw } = configured.topics;
  const savepoints = configured.savepoints ?? savepointTopicDefault;
  if ([summaries, alerts, raw, cursorTopic, savepoints].includes(topic)) {
    throw new UsageError(`records go to ${topic}: commands need a topic of their own`);
  }
  const value = Buffer.from(JSON.stringify({ v: 1, agent, ...command }));
  const understood = commandOf(value, agent);
  if (understood.kind === "refused" || understood.kind === "unreadable") {
    throw new Fault("INPUT_INVALID", `no agent would take this command: ${understood.reason}`);
  }
  const cluster = await connect();
  try {
    const count = (await cluster.partitionsOf([topic])).get(topic);
    if (count === undefined) {
      const message = `the cluster has no topic ${topic}: create it, and name it in commands of the agent's uplink`;
      throw new Fault("UPLINK_REFUSED", message);
    }
    // By its key as other clients do it: the commands of one agent stay in order.
    const key = Buffer.from(agent);
    const partition = partitionOf(key, count);
    const bytes = encodeRecordBatch([{ key, value, headers: [] }], {
      producer: undefined,
      sequence: -1,
      isTransactional: false,
      timeMs: clock.now(),
      compression: noCompression,
    });
    await cluster.produce([{ topic, partition, bytes }], { transactionalId: undefined });
  } finally {
    await cluster.close();
  }
}

async function topicOf({ topic, config }: KafkaValues): Promise<string> {
  const [named, second] = Array.isArray(topic) ? topic.map(String) : [];
  if (second !== undefined) throw new UsageError("commands go into one topic");
  if (named !== undefined) return named;
  const uplinks = typeof config === "string" ? (await readConfig(config)).uplinks : [];
  for (const uplink of uplinks) {
    if (uplink.kind === "kafka" && uplink.commands !== undefined) return uplink.commands.topic;
  }
  throw new UsageError(
    "say which topic the agent reads commands from: --topic NAME, or -c with commands in it",
  );
}
