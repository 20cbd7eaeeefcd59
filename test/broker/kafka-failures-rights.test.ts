/**
 * The failure table on Kafka itself, last part: a right is missing. The sentence names it, nothing is
 * lost meanwhile, and when it is granted the uplink goes on by itself.
 */

import assert from "node:assert/strict";
import { after, describe, it, type TestContext } from "node:test";
import { type OutputQueue, outputQueues } from "../../src/store/outbox/lane.ts";
import type { Right } from "../support/kafka/admin.ts";
import { type KafkaBroker, startKafka } from "../support/kafka/broker.ts";
import { warmUp } from "../support/kafka/failure-rig.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";
import {
  partitions,
  startHalf,
  type TopicNames,
  topicNames,
  type UplinkHalf,
} from "../support/kafka/uplink-half.ts";
import { assertOnce } from "../support/kafka/upstream-records.ts";
import { requireTool } from "../support/require-tool.ts";

const version = "4";
const password = "wonderland";
const lane: OutputQueue = "summaries";
const missingNames: TopicNames = { alerts: "a-none", summaries: "s-none", cursors: "c-none" };

/** A right without its principal; what begins with `weir.` is a prefix. */
type Grant = `${Right["operation"]} ${Right["resourceType"]} ${string}`;

/** Who lacks what, has what instead, and is told to grant what. */
type Case = {
  readonly agent: string;
  readonly lacks: Grant;
  /** A lesser right on the same resource. */
  readonly has?: Grant;
  readonly says: RegExp;
  readonly topics?: TopicNames;
};

const { summaries, cursors } = topicNames;

const cases: readonly Case[] = [
  {
    agent: "no-txn",
    lacks: "WRITE TRANSACTIONAL_ID weir.no-txn.",
    says: /use transactional id weir\.no-txn\.summaries: grant WRITE and DESCRIBE on TransactionalId weir\.no-txn\.summaries$/,
  },
  {
    agent: "sees-txn",
    lacks: "WRITE TRANSACTIONAL_ID weir.sees-txn.",
    has: "DESCRIBE TRANSACTIONAL_ID weir.sees-txn.",
    says: /grant WRITE and DESCRIBE on TransactionalId weir\.sees-txn\.summaries$/,
  },
  {
    agent: "no-topic",
    lacks: `WRITE TOPIC ${summaries}`,
    says: /DESCRIBE topic summaries: grant DESCRIBE on Topic summaries$/,
  },
  {
    agent: "sees-topic",
    lacks: `WRITE TOPIC ${summaries}`,
    has: `DESCRIBE TOPIC ${summaries}`,
    says: /WRITE to topic summaries: grant WRITE on Topic summaries$/,
  },
  {
    agent: "no-cursor-read",
    lacks: `READ TOPIC ${cursors}`,
    says: /READ topic cursors: grant READ on Topic cursors$/,
  },
  {
    agent: "no-cursor-write",
    lacks: `WRITE TOPIC ${cursors}`,
    says: /WRITE to topic cursors: grant WRITE on Topic cursors$/,
  },
  {
    agent: "no-group",
    lacks: "READ GROUP weir.no-group.",
    says: /use group weir\.no-group\.summaries: grant READ on Group weir\.no-group\.summaries$/,
  },
  {
    agent: "sees-group",
    lacks: "READ GROUP weir.sees-group.",
    has: "DESCRIBE GROUP weir.sees-group.",
    says: /grant READ on Group weir\.sees-group\.summaries$/,
  },
  {
    agent: "no-create",
    lacks: "CREATE CLUSTER kafka-cluster",
    says: /CREATE topic s-none: grant CREATE on Topic s-none$/,
    topics: missingNames,
  },
];

describe(`Kafka ${version}: an agent`, () => {
  let started: Promise<KafkaBroker> | undefined;
  after(async () => await (await started)?.[Symbol.asyncDispose]());

  async function broker(t: TestContext): Promise<KafkaBroker | undefined> {
    if (!requireKafka(t, [version]) || !requireTool(t, "openssl")) return undefined;
    const users = Object.fromEntries(cases.map(({ agent }) => [agent, password]));
    started ??= startSecured(users);
    return await started;
  }

  it("that lacks a right says which, and goes on when it is granted", async (t) => {
    const kafka = await broker(t);
    if (kafka === undefined) return;
    const granted = cases.map(async (of) => ({ of, half: await grantedLate(kafka, of) }));
    const halves = await Promise.all(granted);
    for (const topics of [undefined, missingNames]) {
      const own = halves.filter(({ of }) => of.topics === topics).map(({ half }) => half);
      const names = topics === undefined ? {} : { topics };
      await assertOnce(own, { bootstrap: kafka.bootstrap, ...names });
    }
  });
});

async function startSecured(users: Readonly<Record<string, string>>): Promise<KafkaBroker> {
  const kafka = await startKafka({ version, security: { users } });
  await warmUp(kafka.bootstrap);
  const config = { "cleanup.policy": "compact" };
  await kafka.createTopic(topicNames.cursors, { partitions: 2, config });
  for (const name of outputQueues) await kafka.createTopic(topicNames[name], { partitions });
  return kafka;
}

/** A half that got the right when it had said so, and then sent everything. */
async function grantedLate(kafka: KafkaBroker, of: Case): Promise<UplinkHalf> {
  const { agent, lacks, has, topics = topicNames } = of;
  const rights = allRights(agent, topics).filter((right) => right !== lacks);
  const grant = async (wanted: readonly Grant[]): Promise<void> =>
    await kafka.grant(...wanted.map((right) => rightOf(agent, right)));
  await grant(has === undefined ? rights : [...rights, has]);
  await using half = await startHalf({
    agent,
    topics,
    bootstrap: kafka.secured.saslPlaintext,
    sasl: { mechanism: "PLAIN", username: agent, password },
  });
  await half.emit({ summaries: 5, alerts: 2 });
  await half.until("it says what is missing", () => half.status(lane).trouble !== undefined);
  assert.match(half.status(lane).trouble ?? "", of.says);
  assert.match(half.status(lane).trouble ?? "", new RegExp(`does not let User:${agent} `));
  await grant([lacks]);
  await half.sent();
  return half;
}

/** All that an agent needs. */
function allRights(agent: string, topics: TopicNames): readonly Grant[] {
  return [
    `WRITE TRANSACTIONAL_ID weir.${agent}.`,
    `WRITE TOPIC ${topics.alerts}`,
    `WRITE TOPIC ${topics.summaries}`,
    `WRITE TOPIC ${topics.cursors}`,
    `READ TOPIC ${topics.cursors}`,
    `READ GROUP weir.${agent}.`,
  ];
}

function rightOf(agent: string, right: Grant): Right {
  const [operation, resourceType, name = ""] = right.split(" ");
  return {
    principal: `User:${agent}`,
    operation: operation as Right["operation"],
    resourceType: resourceType as Right["resourceType"],
    name,
    pattern: name.startsWith("weir.") ? "PREFIXED" : "LITERAL",
  };
}
