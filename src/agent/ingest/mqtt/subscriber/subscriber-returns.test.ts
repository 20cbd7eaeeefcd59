import assert from "node:assert/strict";
import { test } from "node:test";
import {
  openSubscriberRig,
  type SubscriberRig,
  wordsOf,
} from "../../../../../test/support/subscriber-rig.ts";

type Options = Parameters<typeof openSubscriberRig>[0];

async function running(options: Options = {}): Promise<SubscriberRig> {
  const rig = openSubscriberRig(options);
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  return rig;
}

/** What was said on the last connection. */
function said({ broker }: SubscriberRig): readonly string[] {
  return wordsOf(broker.end.packets);
}

async function cut(rig: SubscriberRig): Promise<void> {
  rig.broker.end.peer.vanish();
  await rig.settle();
}

test("a broker that went back to an older store gives a held id to another message, which is received", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 5 });
  rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 6 });
  rig.subscriber.seal();
  rig.subscriber.release();
  rig.broker.end.publish("plant/p1", "3", { qos: 2, id: 7 });
  await cut(rig); // killed: it knows neither that we have them nor to whom it gave these ids
  await rig.pass(1_000);
  rig.broker.end.publish("plant/p1", "4", { qos: 2, id: 5 });
  rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 6, dup: true });
  rig.broker.end.publish("plant/p1", "5", { qos: 2, id: 7, dup: true });
  assert.deepEqual(said(rig), ["connect"]);
  rig.commit();
  assert.deepEqual(rig.receiver.payloads, ["1", "2", "3", "4", "5"]);
  assert.deepEqual(said(rig), ["connect", "pubrec 5", "pubrec 6", "pubrec 7"]);
});

test("a link that breaks all the time but brings messages is tried again within seconds", async () => {
  const rig = await running();
  for (let id = 1; id <= 12; id++) {
    rig.broker.end.publish("plant/p1", `${id}`, { qos: 1, id });
    rig.commit();
    rig.broker.end.peer.vanish();
    const { length } = rig.broker.ends;
    const before = rig.clock.monotonic();
    while (rig.broker.ends.length === length) await rig.pass(500);
    await rig.settle();
    assert.ok(rig.clock.monotonic() - before <= 5_500, `${id}`);
  }
  assert.equal(rig.subscriber.status.shortLived, 12);
});
