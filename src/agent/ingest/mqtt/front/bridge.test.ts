/** Bridges of Mosquitto, with their default settings: they say that they are one, and how they are. */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
async function arrived(rig: Rig, level: number): Promise<SimulatedPeer> {
  const peer = rig.net.arrive();
  const connect = connectPacket({ clientId: "site.gw1", clean: false });
  connect[LEVEL_AT] = level;
  peer.send(connect);
  await turns();
  return peer;
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
  const publishes = (of: SimulatedPeer): string[] =>
    namesOf(packetsIn(of)).filter((name) => name.startsWith("publish"));
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
    assert.deepEqual(await heardItself(0x84), [[], ["publish elsewhere of another"]]);
  });

  it("comes back to a client that does not say that it is one", async () => {
    const [heard] = await heardItself(4);
    assert.deepEqual(heard, all);
  });
});

describe("what a bridge of Mosquitto says of itself", () => {
  const users = [
    { name: "pump", password: "p", publish: ["plant/#"], subscribe: ["plant/#"] },
    { name: "all", password: "a" },
  ];
  const topic = "$SYS/broker/connection/site.gw1/state";

  it("is acknowledged and goes nowhere, whatever the rights are", async () => {
    await using rig = await openRig({ access: { users } });
    const all = await connected(rig, { username: "all", password: "a" });
    all.send(subscribePacket(topic));
    await turns();
    all.clear();
    const bridge = await connected(rig, { username: "pump", password: "p" });
    bridge.send(publishPacket(topic, "1", { qos: 1, id: 7, retain: true }));
    bridge.send(publishPacket(topic, "1"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(bridge)), ["puback 7"]);
    assert.equal(bridge.isClosed, false);
    bridge.send(publishPacket(topic, "1", { qos: 2, id: 8 }));
    await turns();
    assert.ok(bridge.isClosed, "of QoS 2 it is refused as before");
    all.send(subscribePacket(topic));
    await turns();
    assert.deepEqual(
      packetsIn(all).map(({ cmd }) => cmd),
      ["suback"],
    );
    assert.equal(rig.access.counters.publishesDenied, 0);
  });

  it("is no will that refuses a login", async () => {
    await using rig = await openRig({ access: { users } });
    const all = await connected(rig, { username: "all", password: "a" });
    all.send(subscribePacket(topic));
    await turns();
    all.clear();
    const will = { topic, payload: "0", qos: 1 } as const;
    const bridge = await connected(rig, { username: "pump", password: "p", will });
    bridge.vanish();
    await turns();
    assert.deepEqual(namesOf(packetsIn(all)), []);
  });
});
