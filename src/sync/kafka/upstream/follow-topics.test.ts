import assert from "node:assert/strict";
import { test } from "node:test";
import { RecordedTopics } from "../../../../test/support/kafka/recorded-topics.ts";
import { sampleRecord } from "../../../../test/support/kafka/sample-record.ts";
import { SimulatedClock } from "../../../../test/support/simulated-clock.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { type FollowedCluster, type FollowOptions, followTopics } from "./follow-topics.ts";

const topic = "summaries";
const stream = { topic, lane: "summaries", outbox: "a".repeat(32) } as const;

const sample = (number: number): Uint8Array =>
  sampleRecord({ agent: "gw1", lane: "summaries", number, by: "gw1" });

const samples = (from: number, to: number): readonly Uint8Array[] =>
  Array.from({ length: to - from }, (_, n) => sample(from + n));

/** A session that fails at the request of this number, counted over all sessions. */
class Sessions {
  readonly #topics: RecordedTopics;
  readonly #failsAt: ReadonlySet<number>;
  #requests = 0;
  opened = 0;
  closed = 0;

  constructor(topics: RecordedTopics, failsAt: readonly number[]) {
    this.#topics = topics;
    this.#failsAt = new Set(failsAt);
  }

  async connect(): Promise<FollowedCluster> {
    this.opened += 1;
    const { partitionsOf, offsets } = this.#topics;
    return {
      partitionsOf,
      offsets,
      fetch: async (at, options) => {
        this.#requests += 1;
        if (this.#failsAt.has(this.#requests)) {
          throw new Fault("UPLINK_UNREACHABLE", "the broker hung up");
        }
        return await this.#topics.fetch(at, options);
      },
      close: async () => {
        this.closed += 1;
      },
    };
  }
}

/** Numbers of the records that are given while time goes on, until it ends or `count` are there. */
async function followed(
  sessions: Sessions,
  { count = Infinity, ...options }: Partial<FollowOptions> & { readonly count?: number },
): Promise<{ readonly numbers: readonly number[]; readonly troubles: number }> {
  const clock = new SimulatedClock(0);
  const numbers: number[] = [];
  let troubles = 0;
  let isOver = false;
  const follow = async (): Promise<void> => {
    const all: FollowOptions = {
      topics: [topic],
      takes: () => true,
      from: "beginning",
      endsThere: true,
      connect: () => sessions.connect(),
      clock,
      onMissing: (missing) => assert.fail(missing.join(" ")),
      onTrouble: () => (troubles += 1),
      ...options,
    };
    for await (const { number } of followTopics(all, () => numbers.length >= count)) {
      numbers.push(number);
    }
    isOver = true;
  };
  const following = follow();
  for (let n = 0; n < 1_000 && !isOver; n++) await clock.pass(limits.tailPollMs);
  await following;
  return { numbers, troubles };
}

test("all that is committed is given once, and what was aborted is not", async () => {
  const topics = new RecordedTopics("gw1", { [topic]: 3 });
  topics.send(stream, samples(0, 5), { outcome: "abort" });
  topics.send(stream, samples(0, 5));
  topics.send(stream, samples(5, 9));
  topics.send(stream, samples(9, 12), { outcome: "open" });
  const sessions = new Sessions(topics, []);
  const { numbers, troubles } = await followed(sessions, {});
  assert.deepEqual(
    numbers.toSorted((a, b) => a - b),
    [...Array(9).keys()],
  );
  assert.deepEqual([troubles, sessions.opened, sessions.closed], [0, 1, 1]);
});

test("where sessions fail, others go on at the same place: nothing is missing or given twice", async () => {
  const topics = new RecordedTopics("gw1", { [topic]: 2 });
  for (let n = 0; n < 6; n++) topics.send(stream, samples(4 * n, 4 * n + 4));
  for (let failsAt = 1; failsAt < 20; failsAt++) {
    const sessions = new Sessions(topics, [failsAt, failsAt + 3]);
    const { numbers, troubles } = await followed(sessions, {});
    assert.deepEqual(
      numbers.toSorted((a, b) => a - b),
      [...Array(24).keys()],
      `fails at ${failsAt}`,
    );
    assert.equal(sessions.opened, troubles + 1);
    assert.equal(sessions.closed, sessions.opened);
  }
});

test("what comes later is given when it comes", async () => {
  const topics = new RecordedTopics("gw1", { [topic]: 1 });
  topics.send(stream, samples(0, 3));
  const sessions = new Sessions(topics, []);
  const following = followed(sessions, { from: "end", endsThere: false, count: 2 });
  await new Promise((resolve) => setImmediate(resolve));
  topics.send(stream, samples(3, 5));
  assert.deepEqual((await following).numbers, [3, 4]);
});

test("topics that are not there are told, and the others are followed", async () => {
  const topics = new RecordedTopics("gw1", { [topic]: 1 });
  topics.send(stream, samples(0, 2));
  const missing: string[] = [];
  const { numbers } = await followed(new Sessions(topics, []), {
    topics: ["alerts", topic, "raw"],
    onMissing: (names) => void missing.push(...names),
  });
  assert.deepEqual(missing, ["alerts", "raw"]);
  assert.deepEqual(numbers, [0, 1]);
});
