import assert from "node:assert/strict";
import { test } from "node:test";
import { openSubscriberRig } from "../../../../../test/support/subscriber-rig.ts";

test("an answer to SUBSCRIBE that waits behind messages we do not read is not overdue", async () => {
  const rig = openSubscriberRig({
    config: { answerMs: 4_000 },
    limits: { heldBytesPerConnectionMax: 100 },
  });
  rig.broker.answers = false;
  await rig.settle();
  const { end } = rig.broker;
  end.welcome({ sessionPresent: true });
  rig.receiver.capacity = 0;
  for (let id = 1; id < 9; id++) end.publish("plant/p1", "x".repeat(50), { qos: 1, id });
  await rig.pass(20_000);
  rig.receiver.capacity = Number.POSITIVE_INFINITY;
  rig.commit();
  await rig.pass(1_000);
  assert.equal(rig.receiver.received.length, 8);
  for (const packet of end.packets) if (packet.cmd === "subscribe") end.suback(packet);
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  assert.equal(rig.broker.ends.length, 1);
});

test("a subscription that the broker gives less than we asked is said, until it gives it", async () => {
  let granted = 0;
  const rig = openSubscriberRig({
    config: { qos: 1 },
    prepare: (broker) => {
      broker.codeOf = (filter, qos) => (filter === "plant/+" ? granted : qos);
    },
  });
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  assert.deepEqual(rig.subscriber.status.subscriptionsLowered, ["plant/+: QoS 0"]);
  assert.deepEqual(rig.subscriber.status.subscriptionsRefused, []);
  granted = 1;
  rig.broker.hasSession = false;
  rig.broker.end.peer.vanish();
  await rig.pass(2_000);
  assert.deepEqual(rig.subscriber.status.subscriptionsLowered, []);
});
