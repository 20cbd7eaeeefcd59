import assert from "node:assert/strict";
import { test } from "node:test";
import {
  openSubscriberRig,
  type SubscriberRig,
} from "../../../../../test/support/subscriber-rig.ts";
import { limits } from "../../../../core/limits.ts";

type Options = Parameters<typeof openSubscriberRig>[0];

async function running(options: Options = {}): Promise<SubscriberRig> {
  const rig = openSubscriberRig(options);
  await rig.settle();
  assert.equal(rig.subscriber.state, "running");
  return rig;
}

test("a broker that reads nothing is left, before answers to it fill the memory", async () => {
  const rig = await running({ limits: { outboundBytesPerConnectionMax: 40 } });
  const { peer } = rig.broker.end;
  peer.fallAsleep();
  for (let id = 1; id <= 11; id++) rig.broker.end.publish("plant/p1", `${id}`, { qos: 1, id });
  rig.commit();
  assert.ok(peer.isClosed);
  assert.match(rig.subscriber.status.trouble?.message ?? "", /mqtt:\/\/one: .*reads nothing/);
  assert.equal(rig.subscriber.status.counters.halfOpen, 1);
});

test("a broker that broke the protocol and reads nothing does not keep the connection open", async () => {
  const rig = await running();
  const { peer } = rig.broker.end;
  peer.fallAsleep();
  peer.send(Buffer.from([0xf0, 0]));
  assert.equal(rig.subscriber.status.counters.protocolErrors, 1);
  assert.ok(!peer.isClosed, "it may still read why");
  await rig.pass(limits.closeWaitMs);
  assert.ok(peer.isClosed);
});
