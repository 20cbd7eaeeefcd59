import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  connack5Of,
  connect5Packet,
  connected5,
  packet5,
  packets5In,
  publish5,
  publishesIn,
  subscribe5,
  subscribed5,
  wordsOf,
} from "../../../../../test/support/five-rig.ts";
import {
  commit,
  connected,
  openRig,
  packetsIn,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";
import type { SimulatedPeer } from "../../../../../test/support/simulated-net.ts";

describe("CONNECT 5", () => {
  it("is answered with what the server takes, and the id it gave [MQTT-3.2.2-16]", async () => {
    await using rig = await openRig();
    const { connack } = await connack5Of(rig, { clientId: "" });
    assert.equal(connack.reasonCode, 0);
    assert.equal(connack.sessionPresent, false);
    const properties = connack.properties;
    assert.match(properties?.assignedClientIdentifier ?? "", /^weir-[0-9a-f]{32}$/);
    assert.equal(properties?.receiveMaximum, 4_096);
    assert.equal(properties?.maximumPacketSize, 262_144);
    assert.equal(properties?.topicAliasMaximum, 64);
    assert.equal(properties?.sharedSubscriptionAvailable, false);
    assert.equal(properties?.sessionExpiryInterval, undefined);
  });

  it("with an authentication method is refused as such", async () => {
    await using rig = await openRig();
    const { peer, connack } = await connack5Of(rig, {
      properties: { authenticationMethod: "SCRAM" },
    });
    assert.equal(connack.reasonCode, 0x8c);
    assert.equal(peer.isClosed, true);
  });

  it("with a wrong password, or none, is refused in words of 5", async () => {
    await using rig = await openRig({ users: [{ name: "sensor", password: "right" }] });
    const wrong = await connack5Of(rig, { username: "sensor", password: Buffer.from("wrong") });
    assert.equal(wrong.connack.reasonCode, 0x86);
    assert.equal((await connack5Of(rig)).connack.reasonCode, 0x87);
    assert.deepEqual(packets5In(wrong.peer), []);
    assert.equal(wrong.peer.isClosed, true);
    assert.equal(rig.front.status.loginsRefused, 2);
    const right = await connack5Of(rig, { username: "sensor", password: Buffer.from("right") });
    assert.equal(right.connack.reasonCode, 0);
  });

  const broken: readonly (readonly [string, (packet: Buffer) => void, number])[] = [
    ["the reserved flag [MQTT-3.1.2-3]", (packet) => (packet[9]! |= 1), 0x81],
    ["a will QoS without a will [MQTT-3.1.2-11]", (packet) => (packet[9]! |= 8), 0x81],
    ["a property that is none", (packet) => (packet[13] = 0x7f), 0x81],
    ["a property of another packet", (packet) => (packet[13] = 0x13), 0x82],
  ];
  for (const [what, damage, reason] of broken) {
    it(`with ${what} is refused`, async () => {
      await using rig = await openRig();
      const packet = connect5Packet({ properties: { receiveMaximum: 5 } });
      damage(packet);
      const peer = rig.net.arrive();
      peer.send(packet);
      await turns();
      assert.deepEqual([...peer.received], [0x20, 3, 0, reason, 0]);
      assert.equal(peer.isClosed, true);
    });
  }
});

describe("a message of MQTT 5", () => {
  it("is received and acknowledged after the release", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(publish5("plant/a", "1", { qos: 1, messageId: 7, properties: { contentType: "x" } }));
    peer.send(publish5("plant/a", "2", { qos: 2, messageId: 8, properties: { contentType: "x" } }));
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1", "2"]);
    assert.deepEqual(packets5In(peer), []);
    commit(rig.front);
    await turns();
    assert.deepEqual(wordsOf(peer), ["puback 7", "pubrec 8"]);
    peer.send(packet5({ cmd: "pubrel", messageId: 8, reasonCode: 0 }));
    await turns();
    assert.deepEqual(wordsOf(peer).slice(2), ["pubcomp 8"]);
  });

  it("reaches subscribers of both versions, with its properties where they have them", async () => {
    await using rig = await openRig();
    const old = await connected(rig);
    old.send(subscribePacket("#"));
    const young = await subscribed5(await connected5(rig), subscribe5("#", { subscriptionId: 9 }));
    old.clear();
    const peer = await connected5(rig);
    const properties = {
      contentType: "text",
      messageExpiryInterval: 60,
      userProperties: { a: "b" },
      responseTopic: "back",
      correlationData: Buffer.from([1, 2]),
      payloadFormatIndicator: true,
    };
    let messageId = 0;
    for (const topic of ["plant/a", "other/a"]) {
      for (const qos of [0, 1, 2] as const) {
        messageId += 1;
        peer.send(publish5(topic, `${qos}`, { qos, messageId, properties }));
        await turns();
        commit(rig.front);
      }
    }
    await turns();
    const seen = publishesIn(young);
    assert.equal(seen.length, 6);
    for (const packet of seen) {
      const { userProperties, ...rest } = packet.properties ?? {};
      assert.deepEqual({ ...userProperties }, { a: "b" });
      const { userProperties: _, ...sent } = properties;
      assert.deepEqual(rest, { ...sent, subscriptionIdentifier: 9 });
    }
    assert.equal(packetsIn(old).length, 6);
  });

  it("with an alias for its topic is the same message, on every path", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(await connected5(rig), subscribe5("#"));
    const peer = await connected5(rig);
    const alias = (topicAlias: number): object => ({ properties: { topicAlias } });
    peer.send(
      publish5("plant/a", "1", alias(1)),
      publish5("", "2", alias(1)),
      publish5("other/b", "3", alias(2)),
      publish5("", "4", { qos: 1, messageId: 4, ...alias(2) }),
      publish5("", "5", { qos: 2, messageId: 5, ...alias(1) }),
      publish5("plant/c", "6", alias(1)),
      publish5("", "7", alias(1)),
    );
    await turns();
    commit(rig.front);
    await turns();
    assert.deepEqual(
      rig.receiver.received.map(({ topic, payload }) => `${topic} ${payload}`).toSorted(),
      ["plant/a 1", "plant/a 2", "plant/a 5", "plant/c 6", "plant/c 7"],
    );
    const seen = publishesIn(reader).map(({ topic, payload }) => `${topic} ${payload.toString()}`);
    assert.deepEqual(seen.toSorted(), [
      "other/b 3",
      "other/b 4",
      "plant/a 1",
      "plant/a 2",
      "plant/a 5",
      "plant/c 6",
      "plant/c 7",
    ]);
  });

  it("that waits for room finds its alias again", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    rig.receiver.capacity = 0;
    peer.send(
      publish5("plant/a", "1", { properties: { topicAlias: 3 } }),
      publish5("", "2", { properties: { topicAlias: 3 } }),
    );
    rig.receiver.capacity = 5;
    rig.front.room();
    assert.deepEqual(rig.receiver.received, [
      { topic: "plant/a", payload: "1" },
      { topic: "plant/a", payload: "2" },
    ]);
  });

  const faults: readonly (readonly [string, Buffer, number])[] = [
    ["an alias nobody named", publish5("", "x", { properties: { topicAlias: 5 } }), 0x94],
    ["an alias too high", publish5("plant/a", "x", { properties: { topicAlias: 65 } }), 0x94],
    ["a topic for a filter", Buffer.from([0x30, 4, 0, 1, 0x23, 0]), 0x90],
    ["no topic", Buffer.from([0x30, 3, 0, 0, 0]), 0x82],
    ["QoS 3", Buffer.from([0x36, 6, 0, 1, 97, 0, 1, 0]), 0x81],
    ["packet id 0", Buffer.from([0x32, 6, 0, 1, 97, 0, 0, 0]), 0x82],
    ["a property twice", Buffer.from([0x30, 8, 0, 1, 97, 4, 1, 0, 1, 0]), 0x82],
    ["AUTH", Buffer.from([0xf0, 0]), 0x82],
    ["CONNECT again", connect5Packet(), 0x82],
    ["SUBSCRIBE without filters", Buffer.from([0x82, 3, 0, 1, 0]), 0x82],
    ["SUBSCRIBE with wrong flags", Buffer.from([0x80, 7, 0, 1, 0, 0, 1, 97, 0]), 0x81],
    ["No Local on a share", subscribe5("$share/g/a", { nl: true }), 0x82],
    ["a packet too large", Buffer.from([0x30, 0xff, 0xff, 0x7f]), 0x95],
    ["a length of five bytes", Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 1]), 0x81],
  ];
  for (const [what, packet, reason] of faults) {
    it(`${what} is answered with DISCONNECT 0x${reason.toString(16)}`, async () => {
      await using rig = await openRig();
      const peer = await connected5(rig);
      peer.send(packet, publish5("plant/a", "behind"));
      await turns();
      assert.deepEqual([...peer.received], [0xe0, 1, reason]);
      assert.equal(peer.isClosed, true);
      assert.deepEqual(rig.receiver.received, []);
    });
  }

  it("of QoS 2 waits for the disk with all others of its read, not after them", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    const ids = Array.from({ length: 20 }, (_, i) => i + 1);
    peer.send(...ids.map((id) => publish5("plant/a", `${id}`, { qos: 2, messageId: id })));
    await turns();
    assert.equal(rig.receiver.received.length, ids.length);
  });

  it("more in flight than the server takes is answered with 0x93", async () => {
    await using rig = await openRig({ limits: { inFlightPerConnectionMax: 2 } });
    const { peer, connack } = await connack5Of(rig);
    assert.equal(connack.properties?.receiveMaximum, 2);
    for (const messageId of [1, 2]) peer.send(publish5("plant/a", "x", { qos: 1, messageId }));
    assert.deepEqual(packets5In(peer), []);
    peer.send(publish5("plant/a", "x", { qos: 1, messageId: 3 }));
    assert.deepEqual(wordsOf(peer), ["disconnect 147"]);
  });

  it("of a topic that is the broker's is refused, and the connection stays", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(publish5("$SYS/x", "1", { qos: 2, messageId: 1 }));
    peer.send(publish5(Array(102).fill("l").join("/"), "1", { qos: 2, messageId: 2 }));
    await turns();
    assert.deepEqual(wordsOf(peer), ["pubrec 1 144", "pubrec 2 144"]);
    assert.equal(peer.isClosed, false);
  });
});

describe("subscriptions of MQTT 5", () => {
  it("are answered with a reason for each filter, also those that come twice", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(subscribe5(["a/#", "$share/g/a", "a#", "b", "a/#"], { qos: 1 }));
    peer.send(subscribe5(["#/a"], { id: 2 }));
    peer.send(packet5({ cmd: "unsubscribe", messageId: 3, unsubscriptions: ["b", "never", "+x"] }));
    await turns(30);
    const answers = packets5In(peer).map((packet) => "granted" in packet && packet.granted);
    assert.deepEqual(answers, [[1, 0x9e, 0x8f, 1, 1], [0x8f], [0, 0x11, 0x8f]]);
    assert.equal(rig.front.status.subscriptions, 1);
  });

  it("beyond the limit are refused as over quota, and leave what was there", async () => {
    await using rig = await openRig({ limits: { subscriptionsMax: 1 } });
    const peer = await connected5(rig);
    peer.send(subscribe5("a"), subscribe5("b", { id: 2 }));
    await turns(20);
    assert.deepEqual(
      packets5In(peer).map((packet) => "granted" in packet && packet.granted),
      [[0], [0x97]],
    );
  });

  it("that overlap bring a message once, with both of their ids [MQTT-3.3.4-4]", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    await subscribed5(peer, subscribe5("a/#", { subscriptionId: 1 }));
    await subscribed5(peer, subscribe5("a/+", { id: 2, subscriptionId: 200 }));
    peer.send(publish5("a/b", "x"), publish5("a/b/c", "y"));
    await turns();
    const ids = publishesIn(peer).map((packet) => packet.properties?.subscriptionIdentifier);
    assert.deepEqual(ids, [[1, 200], 1]);
  });

  it("with No Local leave out what the client itself published [MQTT-3.8.3-3]", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    await subscribed5(peer, subscribe5(["plant/#", "other/#"], { nl: true, qos: 2 }));
    await subscribed5(peer, subscribe5("other/both", { id: 2, qos: 1 }));
    const other = await connected5(rig);
    const send = async (from: SimulatedPeer, topic: string, messageId: number): Promise<void> => {
      from.send(publish5(topic, "x", { qos: (messageId % 3) as 0 | 1 | 2, messageId }));
      await turns();
      commit(rig.front);
      await turns();
    };
    for (const id of [3, 4, 5]) await send(peer, "plant/a", id);
    for (const id of [6, 7, 8]) await send(peer, "other/a", id);
    assert.deepEqual(publishesIn(peer), []);
    await send(peer, "other/both", 9);
    await send(other, "plant/a", 10);
    assert.deepEqual(
      publishesIn(peer).map(({ topic }) => topic),
      ["other/both", "plant/a"],
    );
  });

  it("say whether RETAIN is passed on as published [MQTT-3.3.1-12, MQTT-3.3.1-13]", async () => {
    await using rig = await openRig();
    const as = await subscribed5(await connected5(rig), subscribe5("#", { rap: true }));
    const not = await subscribed5(await connected5(rig), subscribe5("#"));
    const old = await connected(rig);
    const peer = await connected5(rig);
    peer.send(publish5("plant/a", "1", { retain: true }), publish5("plant/a", "2"));
    peer.send(publish5("other/a", "1", { retain: true, qos: 2, messageId: 1 }));
    old.send(publishPacket("other/b", "1", { retain: true }));
    await turns();
    const flags = (reader: SimulatedPeer): readonly string[] =>
      publishesIn(reader)
        .map(({ topic, payload, retain }) => `${topic} ${payload.toString()} ${retain}`)
        .toSorted();
    assert.deepEqual(flags(as), [
      "other/a 1 true",
      "other/b 1 true",
      "plant/a 1 true",
      "plant/a 2 false",
    ]);
    assert.ok(flags(not).every((each) => each.endsWith("false")));
  });

  it("say whether retained messages are sent [MQTT-3.3.1-9 to 11]", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(publish5("plant/a", "kept", { retain: true, properties: { contentType: "t" } }));
    await turns();
    const reader = await connected5(rig);
    const kept = async (rh: number, filter = "plant/#"): Promise<readonly unknown[]> => {
      reader.clear();
      reader.send(subscribe5(filter, { rh }));
      await turns();
      return publishesIn(reader).map(({ retain, properties }) => [retain, properties?.contentType]);
    };
    assert.deepEqual(await kept(2), []);
    assert.deepEqual(await kept(1), []);
    assert.deepEqual(await kept(1, "plant/a"), [[true, "t"]]);
    assert.deepEqual(await kept(0), [[true, "t"]]);
  });
});

describe("the last word", () => {
  it("to a client whose id another takes is 0x8E [MQTT-3.1.4-3]", async () => {
    await using rig = await openRig();
    const older = await connected5(rig, { clientId: "same" });
    await connected5(rig, { clientId: "same" });
    assert.deepEqual(wordsOf(older), ["disconnect 142"]);
    assert.equal(older.isClosed, true);
    const five = await connected5(rig, { clientId: "other" });
    await connected(rig, { clientId: "other" });
    assert.deepEqual(wordsOf(five), ["disconnect 142"]);
  });

  it("after one and a half keep alives is 0x8D", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig, { keepalive: 2 });
    rig.clock.advance(2_900);
    assert.deepEqual(packets5In(peer), []);
    rig.clock.advance(1_100);
    assert.deepEqual(wordsOf(peer), ["disconnect 141"]);
    assert.equal(peer.isClosed, true);
  });

  it("when the server ends is 0x8B, behind what it owed", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(publish5("plant/a", "1", { qos: 1, messageId: 1 }));
    await rig.front.stopAccepting();
    commit(rig.front);
    await rig.front.close();
    assert.deepEqual(wordsOf(peer), ["puback 1", "disconnect 139"]);
  });

  it("is the client's when it leaves", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    peer.send(packet5({ cmd: "disconnect", reasonCode: 0 }));
    await turns();
    assert.equal(peer.isClosed, true);
    assert.deepEqual(packets5In(peer), []);
  });
});

describe("what a QoS 2 message says beyond its payload", () => {
  const properties = { userProperties: { k: "x".repeat(30_000) } };
  const twice = (topic: string, messageId: number): Buffer =>
    publish5(topic, `${messageId}`, { qos: 2, messageId, properties });

  it("counts against what waits for the disk, and what follows waits", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    for (let id = 1; id <= 9; id++) peer.send(twice("plant/a", id));
    await turns();
    assert.deepEqual(rig.receiver.payloads, ["1"]);
    const { messageBytes } = rig.front.status;
    assert.ok(messageBytes > 90_000 && messageBytes < 100_000, `${messageBytes}`);
    for (let i = 0; i < 9; i++) {
      commit(rig.front);
      await turns();
    }
    assert.deepEqual(
      wordsOf(peer),
      Array.from({ length: 9 }, (_, i) => `pubrec ${i + 1}`),
    );
    assert.equal(rig.front.status.messageBytes, 0);
  });

  it("is not kept until PUBREL, nor by a connection that is gone", async () => {
    await using rig = await openRig();
    const peer = await connected5(rig);
    for (let id = 1; id <= 9; id++) peer.send(twice("other/a", id));
    peer.send(publish5("other/a", "", { qos: 2, messageId: 10, retain: true, properties }));
    await turns(40);
    assert.equal(wordsOf(peer).length, 10);
    assert.equal(rig.front.status.messageBytes, 0);
    for (const id of [11, 12]) peer.send(twice("plant/a", id));
    await turns();
    assert.ok(rig.front.status.messageBytes > 60_000);
    peer.vanish();
    await turns();
    for (let i = 0; i < 2; i++) {
      commit(rig.front);
      await turns();
    }
    assert.equal(rig.front.status.messageBytes, 0);
  });
});
