import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  connect5Packet,
  connected5,
  packet5,
  packets5In,
  publish5,
  publishesIn,
  puback5,
  subscribe5,
  subscribed5,
} from "../../../../../test/support/five-rig.ts";
import {
  connected,
  namesOf,
  openRig,
  packetsIn,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";

describe("what a client takes", () => {
  it("is never more in flight than its Receive Maximum; the rest follows its answers", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, { properties: { receiveMaximum: 2 } }),
      subscribe5("#", { qos: 2 }),
    );
    const peer = await connected5(rig);
    for (const messageId of [1, 2, 3, 4, 5]) {
      peer.send(publish5("other/a", `${messageId}`, { qos: 1, messageId }));
    }
    peer.send(publish5("other/a", "QoS 0 does not wait"));
    await turns(20);
    const seen = (): readonly string[] =>
      publishesIn(reader).map(({ payload }) => payload.toString());
    assert.deepEqual(seen(), ["1", "2", "QoS 0 does not wait"]);
    assert.ok(rig.front.status.outboundBytes > 0);
    for (let i = 0; i < 5; i++) {
      const ids = publishesIn(reader).filter(({ qos }) => qos > 0);
      reader.send(puback5(ids[i]!.messageId!));
      await turns();
      assert.equal(seen().length, Math.min(6, 4 + i));
    }
    assert.equal(rig.front.status.outboundBytes, 0);
  });

  it("is never a packet larger than it says: those count as delivered [MQTT-3.1.2-25]", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, {
        clean: false,
        clientId: "r",
        properties: { maximumPacketSize: 60, sessionExpiryInterval: 60 },
      }),
      subscribe5("#", { qos: 2 }),
    );
    const peer = await connected5(rig);
    for (const qos of [0, 1, 2] as const) {
      peer.send(publish5("other/a", "x".repeat(100), { qos, messageId: 9 }));
      peer.send(publish5("other/a", `small ${qos}`, { qos, messageId: 10 }));
    }
    await turns(30);
    assert.deepEqual(
      publishesIn(reader).map(({ payload }) => payload.toString()),
      ["small 0", "small 1", "small 2"],
    );
    assert.ok(packets5In(reader).every(({ cmd }) => cmd === "publish"));
    assert.equal(rig.front.status.packetsTooLargeForClient, 3);
    reader.vanish();
    await turns();
    const again = await connected5(rig, {
      clean: false,
      clientId: "r",
      properties: { sessionExpiryInterval: 60 },
    });
    await turns();
    assert.ok(publishesIn(again).every(({ payload }) => payload.toString().startsWith("small")));
  });

  it("may be refused by it: a PUBREC above 0x80 ends the message", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, { properties: { receiveMaximum: 1 } }),
      subscribe5("#", { qos: 2 }),
    );
    const peer = await connected5(rig);
    for (const id of [1, 2]) peer.send(publish5("other/a", `${id}`, { qos: 2, messageId: id }));
    await turns(20);
    const [first] = publishesIn(reader);
    reader.send(packet5({ cmd: "pubrec", messageId: first!.messageId!, reasonCode: 0x97 }));
    await turns(20);
    assert.deepEqual(
      packets5In(reader).map((packet) => packet.cmd === "publish" && packet.payload.toString()),
      ["1", "2"],
    );
  });
});

describe("a message past its expiry", () => {
  it("is given to nobody: not from a session's queue, not as retained", async () => {
    await using rig = await openRig();
    const away = { clientId: "away", clean: false, properties: { sessionExpiryInterval: 600 } };
    const reader = await subscribed5(await connected5(rig, away), subscribe5("#", { qos: 1 }));
    reader.vanish();
    await turns();
    const peer = await connected5(rig);
    const lives = (messageExpiryInterval: number): object => ({
      properties: { messageExpiryInterval },
    });
    peer.send(
      publish5("other/a", "short", { qos: 1, messageId: 1, ...lives(10) }),
      publish5("other/a", "long", { qos: 1, messageId: 2, ...lives(100) }),
      publish5("plant/kept", "short", { retain: true, ...lives(10) }),
    );
    await turns();
    rig.clock.advance(30_000);
    const back = rig.net.arrive();
    back.send(connect5Packet(away));
    await turns(30);
    const seen = publishesIn(back);
    assert.deepEqual(
      seen.map(({ payload }) => payload.toString()),
      ["long"],
    );
    assert.equal(seen[0]!.properties?.messageExpiryInterval, 70);
    const later = await connected(rig);
    later.send(subscribePacket("plant/#"));
    await turns();
    assert.deepEqual(namesOf(packetsIn(later)), ["suback 1"]);
    assert.equal(rig.front.status.messagesExpired, 2);
  });

  it("also not while it waits for the client's answers", async () => {
    await using rig = await openRig();
    const reader = await subscribed5(
      await connected5(rig, { properties: { receiveMaximum: 1 } }),
      subscribe5("#", { qos: 1 }),
    );
    const peer = await connected5(rig);
    for (const [i, seconds] of [100, 10, 100].entries()) {
      peer.send(
        publish5("other/a", `${i}`, {
          qos: 1,
          messageId: i + 1,
          properties: { messageExpiryInterval: seconds },
        }),
      );
    }
    await turns(20);
    rig.clock.advance(30_000);
    reader.send(puback5(publishesIn(reader)[0]!.messageId!));
    await turns();
    assert.deepEqual(
      publishesIn(reader).map(({ payload, properties }) => [
        payload.toString(),
        properties?.messageExpiryInterval,
      ]),
      [
        ["0", 100],
        ["2", 70],
      ],
    );
  });
});
