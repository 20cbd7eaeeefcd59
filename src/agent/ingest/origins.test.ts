import assert from "node:assert/strict";
import { test } from "node:test";
import { type Bench, openBench, source, stillClock, take } from "../../../test/support/intake.ts";
import { Catalog } from "../../core/catalog.ts";
import { limits } from "../../core/limits.ts";
import { createIntake } from "./intake.ts";
import { NO_SOURCE, type Receiver } from "./receiver.ts";

const sources = [
  source({ name: "own", topics: ["plant/{device}"] }),
  source({ name: "site", broker: "site", topics: ["plant/{device}", "site/{device}"] }),
  source({ name: "hall", broker: "hall", topics: ["#"] }),
];

function handleOf(receiver: Receiver, topic: string): number {
  const bytes = Buffer.from(topic);
  return receiver.topicOf(bytes, 0, bytes.length);
}

function give(receiver: Receiver, topic: string, payload: string): void {
  const bytes = Buffer.from(payload);
  assert.ok(receiver.receive(handleOf(receiver, topic), bytes, 0, bytes.length));
}

function decoded(bench: Bench): number[] {
  return take(bench).counts.map((count) => count.decoded);
}

test("a topic is looked up among the sources of the broker it came from", () => {
  const bench = openBench(sources);
  const { intake } = bench;
  const site = intake.receiverOf("site");
  give(intake, "plant/p1", "1");
  give(site, "plant/p1", "2");
  give(site, "site/p1", "3");
  give(intake.receiverOf("hall"), "plant/p1", "4");
  assert.equal(handleOf(intake, "site/p1"), NO_SOURCE);
  assert.deepEqual(decoded(bench), [1, 2, 1]);
});

test("all origins fill the same frame", () => {
  const bench = openBench(sources);
  give(bench.intake, "plant/p1", "1");
  give(bench.intake.receiverOf("site"), "site/p2", "2");
  assert.deepEqual(
    take(bench).readings.map(({ series, value }) => [series, value]),
    [
      ["value{device=p1}", 1],
      ["value{device=p2}", 2],
    ],
  );
});

test("remembered topics are bounded over all origins together", () => {
  const bench = openBench(sources, { topicsMax: 2 });
  const { intake } = bench;
  const site = intake.receiverOf("site");
  for (let i = 0; i < 5; i++) {
    give(intake, `plant/p${i}`, "1");
    give(site, `plant/p${i}`, "1");
  }
  assert.equal(intake.counters.topics, 2);
  assert.deepEqual(decoded(bench), [5, 5]);
});

test("a hurry is told once per frame, and only when there is something to make durable", () => {
  const bench = openBench(sources);
  const { intake } = bench;
  take(bench); // the definitions of the sources
  let told = 0;
  intake.onWork(() => (told += 1), { rows: 100 });
  intake.hurry();
  assert.deepEqual([told, intake.isHurried], [0, false]);
  give(intake, "plant/p1", "1");
  intake.hurry();
  intake.hurry();
  assert.deepEqual([told, intake.isHurried], [2, true]);
  take(bench);
  assert.equal(intake.isHurried, false);
});

test("a topic that nobody wants is counted, also behind one of the agent's own from elsewhere", () => {
  const intake = createIntake({
    catalog: new Catalog(),
    sources,
    clock: stillClock,
    ownTopics: ["weir/a/#"],
  });
  const hall = intake.receiverOf("hall");
  const decline = (receiver: Receiver, topic: string): void => {
    assert.equal(handleOf(receiver, topic), NO_SOURCE);
    const bytes = Buffer.from(topic);
    receiver.decline(bytes, 0, bytes.length);
  };
  decline(hall, "weir/a/status");
  decline(intake, "x".repeat(limits.topicBytesMax + 1));
  assert.deepEqual([intake.counters.own, intake.counters.unwanted], [1, 1]);
  decline(intake, "weir/a/status");
  assert.deepEqual([intake.counters.own, intake.counters.unwanted], [2, 1]);
});
