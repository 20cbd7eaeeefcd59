/** Bridges of Mosquitto, with their default settings: they say that they are one, and how they are. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { connected5, publish5, wordsOf } from "../../../../../test/support/five-rig.ts";
import {
  commit,
  connected,
  connectPacket,
  namesOf,
  openRig,
  packetsIn,
  publishPacket,
  type Rig,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";
import type { SimulatedPeer } from "../../../../../test/support/simulated-net.ts";

const LEVEL_AT = 8;

/** A session that is kept, of MQTT 3.1.1; `level` is what it says of that. */
async function arrived(
  rig: Rig,
  level: number,
  options: Parameters<typeof connectPacket>[0] = {},
): Promise<SimulatedPeer> {
  const peer = rig.net.arrive();
  const connect = connectPacket({ clientId: "site.gw1", clean: false, ...options });
  connect[LEVEL_AT] = level;
  peer.send(connect);
  await turns();
  return peer;
}

const BRIDGE = 0x84;
const CLIENT = 4;

function publishes(of: SimulatedPeer): string[] {
  return namesOf(packetsIn(of)).filter((name) => name.startsWith("publish"));
}

const topics = ["plant/a", "elsewhere"];

/** What comes to a client that subscribed to all, of what it published itself; and again when it is back. */
async function heardItself(level: number): Promise<readonly (readonly string[])[]> {
  await using rig = await openRig();
  const other = await connected(rig);
  other.send(subscribePacket("#"));
  const peer = await arrived(rig, level);
  assert.deepEqual(namesOf(packetsIn(peer)), ["connack"]);
  peer.send(subscribePacket("#", 1, 1));
  await turns();
  other.clear();
  peer.clear();
  for (const [at, topic] of topics.entries()) {
    peer.send(publishPacket(topic, "0"));
    peer.send(publishPacket(topic, "1", { qos: 1, id: 10 + at }));
    peer.send(publishPacket(topic, "2", { qos: 2, id: 20 + at }));
  }
  await turns();
  commit(rig.front);
  await turns(30);
  assert.equal(publishes(other).length, 6, "others hear it");
  const heard = publishes(peer);
  peer.clear();
  other.send(publishPacket("elsewhere", "of another", { qos: 1, id: 1 }));
  await turns();
  assert.deepEqual(publishes(peer), ["publish elsewhere of another"]);
  peer.vanish();
  await turns();
  const again = await arrived(rig, level);
  return [heard.toSorted(), publishes(again).toSorted()];
}

const all = topics.flatMap((topic) => [0, 1, 2].map((n) => `publish ${topic} ${n}`)).toSorted();

describe("what a bridge brings", () => {
  it("does not come back to it, neither at once nor with its session", async () => {
    assert.deepEqual(await heardItself(BRIDGE), [[], ["publish elsewhere of another"]]);
  });

  it("comes back to a client that does not say that it is one", async () => {
    const [heard] = await heardItself(CLIENT);
    assert.deepEqual(heard, all);
  });

  it("does not come back to it where it went before the message was durable, nor does its will", async () => {
    for (const [level, expected] of [
      [BRIDGE, []],
      [CLIENT, ["publish elsewhere will", "publish plant/a last"]],
    ] as const) {
      await using rig = await openRig();
      const will = { topic: "elsewhere", payload: "will", qos: 1 } as const;
      const peer = await arrived(rig, level, { will });
      peer.send(subscribePacket("#", 1, 1));
      await turns();
      peer.send(publishPacket("plant/a", "last", { qos: 2, id: 1 }));
      peer.vanish();
      await turns();
      commit(rig.front);
      await turns(30);
      const again = await arrived(rig, level);
      assert.deepEqual(publishes(again).toSorted(), expected, `level ${level}`);
    }
  });

  it("comes to it where it is retained, when it subscribes", async () => {
    await using rig = await openRig();
    const peer = await arrived(rig, BRIDGE);
    for (const [at, topic] of topics.entries()) {
      peer.send(publishPacket(topic, "kept", { qos: 1, id: 10 + at, retain: true }));
      commit(rig.front);
      await turns();
    }
    peer.clear();
    peer.send(subscribePacket("#", 1, 1));
    await turns();
    assert.deepEqual(publishes(peer).toSorted(), [
      "publish elsewhere kept",
      "publish plant/a kept",
    ]);
    peer.clear();
    peer.send(publishPacket("elsewhere", "newer", { qos: 1, id: 12, retain: true }));
    await turns();
    assert.deepEqual(publishes(peer), []);
  });
});

describe("what a bridge of Mosquitto says of itself", () => {
  const users = [
    { name: "pump", password: "p", publish: ["plant/#"], subscribe: ["plant/#"] },
    { name: "all", password: "a" },
  ];
  const pump = { username: "pump", password: "p" };
  const everyone = { username: "all", password: "a" };
  const topic = "$SYS/broker/connection/site.gw1/state";

  it("is passed over in both versions, whatever the rights are", async () => {
    await using rig = await openRig({ access: { users } });
    const reader = await connected(rig, everyone);
    reader.send(subscribePacket(topic));
    await turns();
    reader.clear();
    const bridge = await connected(rig, pump);
    bridge.send(publishPacket(topic, "1", { qos: 1, id: 7, retain: true }));
    bridge.send(publishPacket(topic, "1"));
    const bridge5 = await connected5(rig, { ...pump, password: Buffer.from(pump.password) });
    bridge5.send(
      publish5(topic, "1", { qos: 1, messageId: 7, retain: true }),
      publish5(topic, "1"),
    );
    await turns();
    assert.deepEqual(namesOf(packetsIn(bridge)), ["puback 7"]);
    assert.deepEqual(wordsOf(bridge5), ["puback 7"]);
    assert.deepEqual([bridge.isClosed, bridge5.isClosed], [false, false]);
    reader.send(subscribePacket(topic));
    await turns();
    assert.deepEqual(
      packetsIn(reader).map(({ cmd }) => cmd),
      ["suback"],
    );
    assert.equal(rig.front.status.messagesPassedOver, 4);
    assert.equal(rig.access.counters.publishesDenied, 0);
  });

  it("is acknowledged behind what was sent before it", async () => {
    await using rig = await openRig();
    const bridge = await connected(rig);
    bridge.send(publishPacket("plant/a", "1", { qos: 1, id: 6 }));
    bridge.send(publishPacket(topic, "1", { qos: 1, id: 7 }));
    bridge.send(publishPacket("plant/a", "2", { qos: 1, id: 8 }));
    await turns();
    assert.deepEqual(namesOf(packetsIn(bridge)), []);
    commit(rig.front);
    await turns();
    assert.deepEqual(namesOf(packetsIn(bridge)), ["puback 6", "puback 7"]);
    commit(rig.front);
    assert.deepEqual(namesOf(packetsIn(bridge)).at(-1), "puback 8");
    assert.equal(rig.front.status.messagesPassedOver, 1);
  });

  it("is refused at QoS 2, and for want of a right if there is none", async () => {
    await using rig = await openRig({ access: { users } });
    for (const [user, denied, reason] of [
      [everyone, 0, 0x90],
      [pump, 2, 0x87],
    ] as const) {
      const bridge = await connected(rig, user);
      const bridge5 = await connected5(rig, { ...user, password: Buffer.from(user.password) });
      bridge.send(publishPacket(topic, "1", { qos: 2, id: 8 }));
      bridge5.send(publish5(topic, "1", { qos: 2, messageId: 8 }));
      await turns();
      assert.deepEqual([packetsIn(bridge), bridge.isClosed], [[], true]);
      assert.deepEqual(wordsOf(bridge5), [`pubrec 8 ${reason}`]);
      assert.equal(rig.access.counters.publishesDenied, denied);
    }
    assert.equal(rig.front.status.messagesPassedOver, 0);
  });

  it("is no will that refuses a login", async () => {
    await using rig = await openRig({ access: { users } });
    const reader = await connected(rig, everyone);
    reader.send(subscribePacket(topic));
    await turns();
    reader.clear();
    const will = { topic, payload: "0", qos: 1 } as const;
    const bridge = await connected(rig, { ...pump, will });
    bridge.vanish();
    await turns();
    assert.deepEqual(namesOf(packetsIn(reader)), []);
    assert.equal(rig.front.status.messagesPassedOver, 1);
    assert.equal(rig.access.counters.publishesDenied, 0);
  });
});
