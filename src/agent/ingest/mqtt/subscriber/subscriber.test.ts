import assert from "node:assert/strict";
import { test } from "node:test";
import {
  openSubscriberRig,
  type SubscriberRig,
  wordsOf,
} from "../../../../../test/support/subscriber-rig.ts";

async function running(
  options: Parameters<typeof openSubscriberRig>[0] = {},
): Promise<SubscriberRig> {
  const rig = openSubscriberRig(options);
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  rig.broker.end.peer.clear();
  rig.broker.end.fresh();
  return rig;
}

/** What the subscriber said since it was running. */
function said({ broker }: SubscriberRig): readonly string[] {
  return wordsOf(broker.end.packets);
}

for (const level of [4, 5] as const) {
  const of = (more: object = {}) => ({ config: { level, ...more } });

  test(`level ${level}: it connects, subscribes to the filters of its sources, and runs`, async () => {
    const rig = openSubscriberRig(of({ user: "u", password: "secret" }));
    await rig.settle();
    const [connect, ...rest] = rig.broker.end.packets;
    assert.ok(connect?.cmd === "connect");
    const { clientId, clean, protocolVersion, username, password, keepalive } = connect;
    assert.deepEqual(
      { clientId, clean, protocolVersion, username, password: password?.toString(), keepalive },
      {
        clientId: "weir-test-site",
        clean: false,
        protocolVersion: level,
        username: "u",
        password: "secret",
        keepalive: 30,
      },
    );
    if (level === 5) {
      assert.deepEqual(
        { ...connect.properties },
        {
          sessionExpiryInterval: 604_800,
          receiveMaximum: 1_000,
          maximumPacketSize: 262_144,
        },
      );
    }
    assert.deepEqual(wordsOf(rest), [
      "subscribe plant/+ plant/+/+",
      "subscribe $SYS/broker/publish/messages/dropped",
    ]);
    assert.equal(rig.subscriber.state, "running");
    assert.equal(rig.subscriber.status.subscriptions, 2);
  });

  test(`level ${level}: a message of QoS 1 is acknowledged when its batch is durable, not before`, async () => {
    const rig = await running(of());
    rig.broker.end.publish("plant/p1", "1", { qos: 1, id: 7 });
    rig.broker.end.publish("plant/p1", "2", { qos: 1, id: 8 });
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
    assert.deepEqual(said(rig), []);
    rig.subscriber.seal();
    rig.broker.end.publish("plant/p1", "3", { qos: 1, id: 9 });
    assert.deepEqual(said(rig), []);
    rig.subscriber.release();
    assert.deepEqual(said(rig), ["puback 7", "puback 8"]);
    assert.equal(rig.broker.end.peer.writeCount, 1);
    rig.commit();
    assert.deepEqual(said(rig), ["puback 7", "puback 8", "puback 9"]);
  });

  test(`level ${level}: QoS 2 is answered when durable, and released at once`, async () => {
    const rig = await running(of());
    rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 7 });
    assert.deepEqual(said(rig), []);
    rig.commit();
    assert.deepEqual(said(rig), ["pubrec 7"]);
    rig.broker.end.publish("plant/p1", "1", { qos: 2, id: 7, dup: true });
    assert.deepEqual(said(rig), ["pubrec 7", "pubrec 7"]);
    rig.broker.end.pubrel(7);
    rig.broker.end.pubrel(7);
    assert.deepEqual(said(rig).slice(2), ["pubcomp 7", "pubcomp 7"]);
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    // The id is free: the next message of it is another.
    rig.broker.end.publish("plant/p1", "2", { qos: 2, id: 7 });
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
  });
}

test("a broker that sends many messages one by one is left alone for some milliseconds between reads", async () => {
  const rig = await running();
  const { broker, receiver } = rig;
  const ids = Array.from({ length: 400 }, (_, index) => index + 1);
  for (const id of ids.slice(0, 200)) broker.end.publish("plant/p1", `${id}`, { qos: 1, id });
  assert.ok(broker.end.peer.isPaused, "more will come");
  const read = receiver.payloads.length;
  assert.ok(read < 200);
  rig.commit(); // acknowledges what was read
  assert.ok(broker.end.peer.isPaused);
  for (const id of ids.slice(200)) broker.end.publish("plant/p1", `${id}`, { qos: 1, id });
  assert.equal(receiver.payloads.length, read);
  await rig.pass(5);
  assert.deepEqual(receiver.payloads, ids.map(String));
  rig.commit();
  assert.deepEqual(
    said(rig).slice(-400),
    ids.map((id) => `puback ${id}`),
  );
  await rig.pass(50);
  assert.ok(!broker.end.peer.isPaused, "nothing more came");
  broker.end.publish("plant/p1", "last", { qos: 1, id: 401 });
  assert.equal(receiver.payloads.at(-1), "last");
});
