import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { BridgeBrokerModel } from "../../../test/support/bridge/broker-model.ts";
import { openBridgeHalf } from "../../../test/support/bridge/upstream.ts";
import type { Committed, SimulatedHalf } from "../../../test/support/simulated-half.ts";
import { below, seededRandom } from "../../../test/support/seeded-random.ts";
import { eachSeed, reachesAll, seedCount } from "../../../test/support/seeds.ts";
import { limits } from "../../core/limits.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import {
  type Lane,
  lanes,
  type OutputQueue,
  queueOf,
  outputQueues,
} from "../../store/outbox/lane.ts";
import type { MqttUplinkOptions } from "./mqtt-uplink.ts";

const topicOf: Readonly<Record<OutputQueue, string>> = {
  alerts: "weir/gw1/alert/states",
  summaries: "weir/gw1/summary/temp",
};

async function rig(changes: Partial<MqttUplinkOptions> = {}) {
  const broker = new BridgeBrokerModel();
  const committed: Committed = { alerts: [], summaries: [] };
  const half = await openBridgeHalf({ connect: broker.connect, committed, seed: 1, changes });
  return { broker, committed, half };
}

function textsOf(broker: BridgeBrokerModel, lane: OutputQueue): readonly string[] {
  return broker.taken.filter(({ topic }) => topic === topicOf[lane]).map(({ text }) => text);
}

function statusOf(half: SimulatedHalf, lane: OutputQueue) {
  const [uplink] = half.drain.status;
  assert.ok(uplink !== undefined);
  return uplink.lanes[lane];
}

/** What is said of a record by its id, in the order of first arrivals. */
function arrivedIn(broker: BridgeBrokerModel, lane: Lane): readonly number[] {
  const ids = new Set(broker.taken.map(({ id = "" }) => id).filter((id) => laneOf(id) === lane));
  return [...ids].map((id) => Number(id.split(":")[2]));
}

function laneOf(id: string): string | undefined {
  return id.split(":")[1];
}

/**
 * Each record at least once, first arrivals of a lane in order, one text for each id and one id for each
 * text: what is behind keeps its lane.
 */
function assertAllThere(broker: BridgeBrokerModel, committed: Committed): void {
  for (const lane of lanes) {
    const first = arrivedIn(broker, lane);
    assert.deepEqual(first, ascending(first), `${lane} is in order`);
  }
  for (const queue of outputQueues) {
    const first = lanes
      .filter((lane) => queueOf(lane) === queue)
      .flatMap((lane) => arrivedIn(broker, lane));
    assert.deepEqual(ascending(first), [...committed[queue].keys()], `every record of ${queue}`);
  }
  const textOf = new Map<string, string>();
  for (const { id, text, topic } of broker.taken) {
    assert.ok(id !== undefined, "every record has an id");
    assert.equal(textOf.get(id) ?? text, text, `${id} is one record`);
    textOf.set(id, text);
    const [, lane = "", seq = ""] = id.split(":");
    assert.equal(topicOf[lane === "alerts" ? "alerts" : "summaries"], topic);
    assert.equal(committed[lane === "alerts" ? "alerts" : "summaries"][Number(seq)], text);
  }
  assert.equal(new Set(textOf.values()).size, textOf.size, "no record has two ids");
}

function ascending(numbers: readonly number[]): readonly number[] {
  return numbers.toSorted((a, b) => a - b);
}

describe("the bridge", () => {
  test("publishes each record once where nothing fails, many at a time, and prunes the outbox", async () => {
    const { broker, committed, half } = await rig();
    await half.add("summaries", 700);
    await half.add("alerts", 3);
    await half.clock.pass(1);
    assertAllThere(broker, committed);
    assert.equal(broker.taken.length, 703);
    assert.ok(broker.inFlightMost > 50, `${broker.inFlightMost} under way at once`);
    for (const lane of outputQueues) assert.equal(half.store.status.outbox[lane].records, 0);
    assert.equal(broker.connections, 1, "outputQueues share the connection");
    await half.close();
  });

  test("counts a record when its PUBACK is there, and keeps it until then", async () => {
    const { broker, committed, half } = await rig();
    broker.fate = () => "hold";
    await half.add("alerts", 5);
    await half.clock.pass(1);
    assert.equal(broker.taken.length, 5, "it does not wait for one answer after the other");
    assert.equal(half.store.status.outbox.alerts.records, 5);
    assert.equal(statusOf(half, "alerts").delivered, 0);
    broker.fate = () => "answer";
    broker.answerHeld();
    await half.clock.pass(1);
    assert.equal(half.store.status.outbox.alerts.records, 0);
    assertAllThere(broker, committed);
    await half.close();
  });

  test("keeps to what the broker allows under way, with room for alerts", async () => {
    const { broker, committed, half } = await rig();
    broker.receiveMax = 16;
    broker.fate = () => "hold";
    await half.add("summaries", 100);
    await half.clock.pass(1);
    assert.equal(broker.taken.length, 14);
    await half.add("alerts", 2);
    await half.clock.pass(1);
    assert.equal(textsOf(broker, "alerts").length, 2, "alerts do not wait behind summaries");
    broker.fate = () => "answer";
    broker.answerHeld();
    await half.clock.pass(1);
    assertAllThere(broker, committed);
    await half.close();
  });

  test("goes one at a time where the broker allows one", async () => {
    const { broker, committed, half } = await rig();
    broker.receiveMax = 1;
    await half.add("summaries", 20);
    await half.add("alerts", 20);
    for (let i = 0; i < 10; i++) await half.clock.pass(1);
    assertAllThere(broker, committed);
    assert.equal(broker.inFlightMost, 1);
    await half.close();
  });

  test("sends what was not answered again after a cut, and only that", async () => {
    const { broker, committed, half } = await rig();
    let count = 0;
    broker.fate = () => (++count === 8 ? "lose" : "answer");
    await half.add("alerts", 12);
    await half.clock.pass(limits.uplinkRetryMsMin);
    assertAllThere(broker, committed);
    const [again] = broker.taken.filter(({ connection }) => connection === 2);
    assert.equal(
      committed.alerts.indexOf(again?.text ?? ""),
      7,
      "answered ones are not sent again",
    );
    assert.equal(statusOf(half, "alerts").trouble, undefined);
    assert.equal(statusOf(half, "alerts").failures, 1);
    await half.close();
  });

  test("gives a broker up that owes answers and gives none", async () => {
    const { broker, committed, half } = await rig({ answerMs: 5_000 });
    broker.fate = () => "hold";
    await half.add("alerts", 3);
    await half.clock.pass(4_999);
    assert.equal(broker.connections, 1);
    broker.fate = () => "answer";
    await half.clock.pass(2_000);
    assert.equal(broker.connections, 2);
    assertAllThere(broker, committed);
    await half.close();
  });

  test("notices within seconds that an idle connection is gone, and opens it again", async () => {
    const { broker, half } = await rig();
    await half.clock.pass(1);
    broker.cut();
    await half.clock.pass(limits.bridgeLookMs + limits.uplinkRetryMsMin);
    assert.equal(broker.connections, 2);
    await half.close();
  });

  test("waits and tries again while the broker refuses a topic, and says which right is missing", async () => {
    const { broker, committed, half } = await rig();
    const refusal = { kind: "refused", code: 0x87, why: "Not authorized" } as const;
    broker.fate = ({ topic }) => (topic.includes("/alert/") ? refusal : "answer");
    await half.add("alerts", 2);
    await half.add("summaries", 2);
    await half.clock.pass(10_000);
    assert.match(
      statusOf(half, "alerts").trouble ?? "",
      /broker\.example refuses what is published on weir\/gw1\/alert\/states: Not authorized/,
    );
    assert.equal(statusOf(half, "summaries").behind, 0, "the other lane goes on");
    assert.equal(broker.connections, 1);
    broker.fate = () => "answer";
    await half.clock.pass(limits.uplinkRetryMsMax);
    assertAllThere(broker, committed);
    await half.close();
  });

  test("leaves out a record that is too large for the broker, and names it", async () => {
    const { broker, half } = await rig();
    broker.packetBytesMax = 10;
    await half.add("summaries", 2);
    await half.clock.pass(10_000);
    const { incidents, behind } = statusOf(half, "summaries");
    assert.equal(behind, 0);
    assert.equal(incidents.count, 2);
    assert.match(incidents.last?.what ?? "", /summaries 1 is left out: .* the 10 that mqtt:/);
    await half.close();
  });

  test("halts when another client has its client id, instead of putting each other out", async () => {
    const { broker, half } = await rig();
    broker.fate = () => ({ kind: "refused", code: 0x97, why: "Quota exceeded" });
    await half.add("summaries", 1); // its lane waits when it happens
    await half.clock.pass(1);
    broker.cut({ why: "taken over", takenOver: true });
    await half.add("alerts", 1);
    await half.clock.pass(120_000);
    for (const lane of outputQueues) assert.equal(statusOf(half, lane).state, "halted");
    assert.equal(broker.connections, 1);
    assert.equal(half.store.status.outbox.alerts.records, 1, "everything is kept");
    await half.close();
  });

  test("makes its window smaller on a slow link, and larger on a fast one", async () => {
    const { broker, half, committed } = await rig();
    broker.fate = () => "hold";
    await half.add("summaries", 3_000);
    await half.clock.pass(1);
    const before = Number(statusOf(half, "summaries").facts["windowBytes"]);
    broker.answerHeld(); // the first of it: what the way itself takes
    for (let i = 0; i < 12; i++) {
      await half.clock.pass(3 * limits.bridgeQueueMs);
      broker.answerHeld();
    }
    const slow = Number(statusOf(half, "summaries").facts["windowBytes"]);
    assert.ok(slow < before / 4, `${before} -> ${slow}`);
    broker.fate = () => "answer";
    broker.answerHeld();
    await half.clock.pass(1_000);
    assert.ok(Number(statusOf(half, "summaries").facts["windowBytes"]) > slow);
    assertAllThere(broker, committed);
    await half.close();
  });

  test("ends with what is answered by then: no more of it is repeated by the next start", async () => {
    const { broker, committed, half } = await rig();
    let count = 0;
    broker.fate = () => (++count > 4 ? "hold" : "answer");
    await half.add("alerts", 10);
    await half.clock.pass(1);
    await half.close();
    const { image, clock } = half.kill();
    broker.fate = () => "answer";
    const next = await openBridgeHalf({
      connect: broker.connect,
      committed,
      seed: 2,
      image,
      clock,
    });
    await clock.pass(1);
    assertAllThere(broker, committed);
    assert.equal(broker.taken.length, 16);
    await next.close();
  });

  test("says who it is: a retained status, renewed, offline as will and as last word", async () => {
    let state = "running";
    const status = {
      topic: "weir/gw1/status",
      everyMs: 60_000,
      payload: () => Buffer.from(state),
      offline: () => Buffer.from("offline"),
    };
    const { broker, half } = await rig({ status });
    await half.clock.pass(1);
    state = "degraded";
    await half.clock.pass(60_000);
    broker.cut();
    await half.clock.pass(10_000);
    await half.close();
    assert.deepEqual(
      broker.taken.map(({ topic, text, retain }) => [topic, text, retain]),
      ["running", "degraded", "degraded", "offline"].map((text) => ["weir/gw1/status", text, true]),
    );
    assert.deepEqual(
      broker.wills.map(({ text }) => text),
      ["offline"],
      "one connection was cut, the other said goodbye",
    );
  });

  test("a status that nobody acknowledges ends the connection instead of holding its place for ever", async () => {
    const bytes = Buffer.from("{}");
    const status = {
      topic: "weir/gw1/status",
      everyMs: 86_400_000,
      payload: () => bytes,
      offline: () => bytes,
    };
    const { broker, committed, half } = await rig({ status });
    broker.receiveMax = 1;
    broker.fate = ({ topic }) =>
      topic === status.topic && broker.connections === 1 ? "hold" : "answer";
    await half.clock.pass(1);
    await half.add("alerts", 1);
    await half.clock.pass(limits.bridgeAnswerMs - 10);
    assert.equal(broker.connections, 1);
    await half.clock.pass(20);
    const [uplink] = half.drain.status;
    assert.match(uplink?.lanes.alerts.trouble ?? "", /acknowledged nothing within 30000 ms/);
    await half.clock.pass(5_000);
    assert.equal(broker.connections, 2);
    assert.deepEqual(textsOf(broker, "alerts"), committed.alerts);
    await half.close();
  });

  test("a status that the broker refuses is counted, and records go on", async () => {
    const bytes = Buffer.from("{}");
    const status = {
      topic: "weir/gw1/status",
      everyMs: 60_000,
      payload: () => bytes,
      offline: () => bytes,
    };
    const { broker, committed, half } = await rig({ status });
    broker.fate = ({ topic }) =>
      topic === status.topic ? { kind: "refused", code: 0x87, why: "Not authorized" } : "answer";
    await half.add("alerts", 1);
    await half.clock.pass(60_001);
    assert.equal(statusOf(half, "alerts").facts["statusRefused"], 2);
    assert.deepEqual(textsOf(broker, "alerts"), committed.alerts);
    await half.close();
  });

  test("has an id of its own before the first record leaves", async () => {
    const { broker, half } = await rig();
    let stored: string | undefined;
    broker.fate = () => {
      stored ??= Buffer.from(half.store.get(uplinkKey("mqtt", "alerts")) ?? []).toString();
      return "answer";
    };
    await half.add("alerts", 1);
    await half.clock.pass(1);
    const [first] = broker.taken;
    const { outbox } = JSON.parse(stored ?? "{}") as { outbox: string };
    assert.match(outbox, /^[0-9a-f]{32}$/);
    assert.equal(first?.id, `${outbox}:alerts:0`);
    await half.close();
  });

  test("a broker that cannot be reached is a failure with its reason", async () => {
    const { broker, half } = await rig();
    await half.clock.pass(1);
    broker.isUp = false;
    broker.cut();
    await half.add("alerts", 1);
    await half.clock.pass(5_000);
    assert.match(statusOf(half, "alerts").trouble ?? "", /ECONNREFUSED/);
    await half.close();
  });

  test("whatever is cut and killed while records flow, each arrives, with one id and one text", async (t) => {
    let behind = 0;
    await eachSeed(t, seedCount, async (seed) => {
      const random = seededRandom(seed);
      // A record is of one second: in every other course a broker that is away leaves a backlog.
      const changes = { freshForMs: seed % 2 === 0 ? Infinity : 10_000 };
      const broker = new BridgeBrokerModel();
      broker.receiveMax = 1 + below(random, 40);
      const committed: Committed = { alerts: [], summaries: [] };
      const fates = ["answer", "answer", "answer", "answer", "hold", "cut", "lose"] as const;
      const oneIn = 1 + below(random, 60);
      broker.fate = () =>
        below(random, oneIn) === 0 ? fates[below(random, fates.length)]! : "answer";
      const { connect } = broker;
      let half = await openBridgeHalf({ connect, committed, seed, changes });
      for (let step = 0; step < 25; step++) {
        broker.isUp = below(random, 4) > 0;
        if (!broker.isUp) broker.cut();
        const lane = outputQueues[below(random, 2)]!;
        await half.add(lane, 1 + below(random, 40));
        await half.clock.pass(below(random, 2_000));
        const what = below(random, 6);
        if (what === 0) broker.cut();
        else if (what === 1) broker.answerHeld();
        else if (what === 2) {
          // The end, at the next commit of the store, before it takes effect or after.
          const at = below(random, 2) === 0 ? "before" : "after";
          half.kv.onCommit = (writes, when) => {
            if (when === at && writes.some(({ key }) => key.startsWith("uplink/"))) half.kv.die();
          };
          await half.clock.pass(below(random, 500));
          const { image, clock } = half.kill();
          broker.cut();
          const again = { image, clock, seed: seed + step };
          half = await openBridgeHalf({ connect, committed, changes, ...again });
        }
      }
      broker.isUp = true;
      broker.fate = () => "answer";
      broker.answerHeld();
      await half.clock.pass(5 * limits.uplinkRetryMsMax);
      assertAllThere(broker, committed);
      for (const lane of outputQueues) assert.equal(half.store.status.outbox[lane].records, 0);
      behind += arrivedIn(broker, "backfill").length;
      await half.close();
    });
    t.diagnostic(`${behind} records were behind`);
    if (reachesAll) assert.ok(behind > 0, "some were behind");
  });
});
