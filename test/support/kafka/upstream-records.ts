/**
 * What a read_committed consumer finds of an agent: the oracle of the failure tests. Records are put
 * together by the outbox in their `ce_id`; in each, every number is there once, without gaps, and in
 * each partition they come in their order. Read by kcat, so nothing here is shared with the uplink.
 */

import assert from "node:assert/strict";
import { systemClock } from "../../../src/agent/doors/clock.ts";
import { verifyUpstream } from "../../../src/sync/kafka/upstream/verify-upstream.ts";
import { byOutputQueue, type OutputQueue, outputQueues } from "../../../src/store/outbox/lane.ts";
import { openCluster } from "./failure-rig.ts";
import { readCommitted, type ReadRecord } from "./kcat.ts";
import { allDecided } from "./stable-offsets.ts";
import { type Emitted, type TopicNames, topicNames } from "./uplink-half.ts";

/** The texts of an outbox's records in their order, by its id. */
type Outboxes = ReadonlyMap<string, readonly string[]>;

export type Upstream = {
  readonly outboxes: Readonly<Record<OutputQueue, Outboxes>>;
  /** `<outbox>:<seq>` of all `weir-forked-from` headers, once each. */
  readonly forkedFrom: readonly string[];
};

type UpstreamOptions = {
  readonly bootstrap: string;
  readonly topics?: Partial<TopicNames>;
  /** The number that an outbox begins with here: not 0 where another cluster has those before. */
  readonly from?: Readonly<Record<OutputQueue, number>>;
};

/** What is upstream of an agent. Throws where a number is missing, is there twice, or out of order. */
export async function readOutboxes(agent: string, options: UpstreamOptions): Promise<Upstream> {
  return upstreamOf(agent, await readAll(options), options.from);
}

/** As readOutboxes, where the agent has one outbox in each lane that has sent what it emitted. */
export async function assertOnce(
  halves: readonly { readonly agent: string; readonly emitted: Emitted }[],
  options: UpstreamOptions,
): Promise<void> {
  const read = await readAll(options);
  for (const { agent, emitted } of halves) {
    const { outboxes, forkedFrom } = upstreamOf(agent, read, options.from);
    for (const lane of outputQueues) {
      const texts = emitted[lane].slice(options.from?.[lane]);
      const expected = texts.length === 0 ? [] : [texts];
      assert.deepEqual([...outboxes[lane].values()], expected, `${lane} of ${agent}`);
    }
    assert.deepEqual(forkedFrom, []);
  }
  await assertProven(
    halves.map(({ agent }) => agent),
    options,
  );
}

/** What `weir upstream verify` has to say of them, on the way: it shares code with the uplink. */
export async function assertProven(
  agents: readonly string[],
  options: UpstreamOptions,
): Promise<void> {
  const { bootstrap, topics, from } = options;
  const { alerts, summaries, cursors } = { ...topicNames, ...topics };
  const cluster = await openCluster(bootstrap);
  for (const agent of agents) {
    const verdict = await verifyUpstream(cluster, {
      agent,
      topics: [alerts, summaries],
      cursorTopic: cursors,
      mayBeginLater: from !== undefined,
      clock: systemClock(),
    });
    assert.equal(verdict.kind, "proven", JSON.stringify(verdict));
  }
  await cluster.close();
}

type Read = Readonly<Record<OutputQueue, readonly ReadRecord[]>>;

async function readAll({ bootstrap, topics }: UpstreamOptions): Promise<Read> {
  const names = { ...topicNames, ...topics };
  await allDecided(bootstrap, [names.alerts, names.summaries]);
  const [alerts = [], summaries = []] = await Promise.all(
    [names.alerts, names.summaries].map((topic) => readCommitted({ bootstrap, topic })),
  );
  return { alerts, summaries };
}

function upstreamOf(
  agent: string,
  read: Read,
  from: UpstreamOptions["from"] = { alerts: 0, summaries: 0 },
): Upstream {
  const own = byOutputQueue((lane) =>
    read[lane].filter(({ headers }) => headers["ce_source"] === `/weir/${agent}`),
  );
  const forks = outputQueues.flatMap((lane) =>
    own[lane].map(({ headers }) => headers["weir-forked-from"]),
  );
  return {
    outboxes: byOutputQueue((lane) => outboxesOf(own[lane], from[lane], `${lane} of ${agent}`)),
    forkedFrom: [...new Set(forks.filter((fork) => fork !== undefined))],
  };
}

function outboxesOf(records: readonly ReadRecord[], from: number, what: string): Outboxes {
  const byOutbox = Map.groupBy(records, ({ headers }) => idOf(headers).outbox);
  return new Map(
    [...byOutbox].map(([outbox, own]) => [outbox, inOrder(own, from, `outbox ${outbox}, ${what}`)]),
  );
}

function inOrder(records: readonly ReadRecord[], from: number, what: string): readonly string[] {
  for (const [partition, own] of Map.groupBy(records, (record) => record.partition)) {
    const numbers = own.map(({ headers }) => idOf(headers).seq);
    const sorted = numbers.toSorted((a, b) => a - b);
    assert.deepEqual(numbers, sorted, `order in partition ${partition} (${what})`);
  }
  const sorted = records.toSorted((a, b) => idOf(a.headers).seq - idOf(b.headers).seq);
  const numbers = sorted.map(({ headers }) => idOf(headers).seq);
  const expected = records.map((_, index) => from + index);
  assert.deepEqual(numbers, expected, `each number is there once (${what})`);
  return sorted.map(({ value = "" }) => value);
}

function idOf(headers: ReadRecord["headers"]): { readonly outbox: string; readonly seq: number } {
  const [outbox = "", , seq = ""] = (headers["ce_id"] ?? "").split(":");
  return { outbox, seq: Number(seq) };
}
