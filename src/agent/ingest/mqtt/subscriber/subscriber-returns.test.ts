import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addressOf,
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

test("an id that went to another message is not answered for the commit of the first", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 7 });
  rig.subscriber.seal();
  await cut(rig); // killed, and back with an older store
  await rig.pass(1_000);
  rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 7 });
  rig.subscriber.release(); // of the first message
  await cut(rig);
  await rig.pass(1_000);
  rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 7, dup: true });
  assert.deepEqual(said(rig), ["connect"]);
  rig.commit();
  assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
  assert.deepEqual(said(rig), ["connect", "pubrec 7"]);
});

test("another address of the broker is asked for the subscriptions, whatever session it has", async () => {
  const rig = await running({ config: { addresses: [addressOf("one"), addressOf("two")] } });
  await rig.pass(20_000);
  rig.broker.deaf.add("one");
  await cut(rig);
  await rig.pass(5_000);
  assert.equal(rig.broker.tried.at(-1), "two");
  assert.equal(rig.subscriber.status.sessionPresent, true);
  assert.deepEqual(
    said(rig)
      .slice(0, 2)
      .map((words) => words.split(" ")[0]),
    ["connect", "subscribe"],
  );
});

test("what the broker does not send again after a reconnect is not under way any more", async () => {
  const rig = await running();
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 1 });
  rig.commit();
  rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 2 });
  rig.broker.end.publish("plant/p1", "3", { qos: 2, id: 3 });
  rig.subscriber.seal();
  assert.equal(rig.subscriber.status.inFlight, 3);
  await cut(rig); // killed: it has none of them any more, but for the last
  await rig.pass(1_000);
  assert.equal(rig.subscriber.status.inFlight, 0);
  rig.broker.end.publish("plant/p1", "3", { qos: 2, id: 3, dup: true });
  assert.equal(rig.subscriber.status.inFlight, 1);
  rig.subscriber.release();
  assert.deepEqual(said(rig), ["connect", "pubrec 3"]);
  assert.equal(rig.subscriber.status.inFlight, 1);
  rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 1, dup: true });
  assert.equal(rig.subscriber.status.inFlight, 2);
  rig.broker.end.pubrel(3);
  rig.broker.end.pubrel(1);
  rig.broker.end.pubrel(2);
  assert.equal(rig.subscriber.status.inFlight, 0);
  assert.deepEqual(rig.receiver.payloads, ["1", "2", "3"]);
});

test("a broker that claims a session which we did not ask for is subscribed to as any new one", async () => {
  const rig = await running({ config: { sessionMs: undefined } });
  rig.broker.answers = false;
  await cut(rig);
  await rig.pass(1_000);
  rig.broker.end.welcome({ sessionPresent: true });
  assert.deepEqual(said(rig).slice(0, 2), ["connect", "subscribe plant/+ plant/+/+"]);
  assert.equal(rig.subscriber.status.sessionPresent, false);
});
