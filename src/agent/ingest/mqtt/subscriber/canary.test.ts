import assert from "node:assert/strict";
import { test } from "node:test";
import {
  openSubscriberRig,
  type SubscriberRig,
  wordsOf,
} from "../../../../../test/support/subscriber-rig.ts";

const topic = "weir/gw/canary/site";

async function running(level: 4 | 5 = 5): Promise<SubscriberRig> {
  const rig = openSubscriberRig({
    config: { level, canary: { topic, everyMs: 30_000 }, answerMs: 5_000, keepAliveMs: 600_000 },
  });
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  return rig;
}

function said({ broker }: SubscriberRig): readonly string[] {
  return wordsOf(broker.end.packets);
}

for (const level of [4, 5] as const) {
  test(`level ${level}: a canary goes out and comes back, and is nobody's reading`, async () => {
    const rig = await running(level);
    await rig.pass(61_000);
    const { canary, counters } = rig.subscriber.status;
    assert.deepEqual(
      { ...canary, latencyMs: 0 },
      { sent: 3, returned: 3, missed: 0, latencyMs: 0, isMute: false },
    );
    assert.ok(said(rig).includes(`publish ${topic} 1`));
    assert.deepEqual([counters.received, counters.unwanted], [0, 0]);
  });
}

test("the first that does not come back asks for the subscriptions again", async () => {
  const rig = await running();
  await rig.pass(1_000);
  rig.broker.echoes = false;
  await rig.pass(35_000);
  rig.broker.echoes = true;
  assert.equal(rig.subscriber.status.canary?.missed, 1);
  const subscribes = said(rig).filter((word) => word.startsWith("subscribe plant"));
  assert.equal(subscribes.length, 2);
  await rig.pass(60_000);
  assert.equal(rig.broker.ends.length, 1);
});

test("the second in a row asks for another connection, on which is subscribed anew", async () => {
  const rig = await running();
  await rig.pass(1_000);
  rig.broker.echoes = false;
  await rig.pass(70_000);
  rig.broker.echoes = true;
  await rig.pass(3_000);
  assert.equal(rig.broker.ends.length, 2);
  assert.equal(rig.subscriber.state, "running");
  assert.match(rig.subscriber.status.trouble?.message ?? "", /two canaries in a row/);
  assert.ok(said(rig).some((word) => word.startsWith("subscribe plant")));
});

test("where none has ever come back the connection stays, and that is told", async () => {
  const rig = openSubscriberRig({
    config: { canary: { topic, everyMs: 30_000 }, answerMs: 5_000 },
    prepare: (broker) => {
      broker.echoes = false;
    },
  });
  await rig.settle();
  await rig.pass(200_000);
  assert.equal(rig.broker.ends.length, 1);
  assert.equal(rig.subscriber.status.canary?.isMute, true);
});

test("a canary that comes back while we do not read is not missed", async () => {
  const rig = await running();
  await rig.pass(1_000);
  rig.receiver.capacity = 0;
  rig.broker.end.publish("plant/p1", "1");
  await rig.pass(120_000);
  assert.equal(rig.subscriber.status.canary?.missed, 0);
  assert.equal(rig.broker.ends.length, 1);
});

test("an old canary is not taken for a new one", async () => {
  const rig = await running();
  await rig.pass(1_000);
  rig.broker.echoes = false;
  await rig.pass(30_000);
  rig.broker.end.publish(topic, "1");
  assert.equal(rig.subscriber.status.canary?.returned, 1);
});
