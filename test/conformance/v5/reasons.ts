/** Reason codes of acknowledgements and DISCONNECT, and what a connection ends with. */

import assert from "node:assert/strict";
import type { Packet } from "mqtt-packet";
import { byte, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { connectPacketOf } from "../client.ts";
import { assertRefused } from "../site.ts";

/** MQTT 5 tables 3-4 to 3-7 and 3-10. */
const reasonsOf: Readonly<Partial<Record<Packet["cmd"], ReadonlySet<number>>>> = {
  puback: new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  pubrec: new Set([0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99]),
  pubrel: new Set([0, 0x92]),
  pubcomp: new Set([0, 0x92]),
};

export const reasonCases: readonly Case[] = [
  claim(
    { v5: "3.4.2-1 3.5.2-1 3.7.2-1" },
    "PUBACK, PUBREC and PUBCOMP have reasons of their tables, with subscribers and without",
    async (site) => {
      const client = await site.connect();
      const answers: Packet[] = [];
      for (const subscribed of [false, true]) {
        if (subscribed) await (await site.connect()).subscribe("#");
        answers.push(
          ...(await client.exchange(client.publishPacket("a", "x", { qos: 1, id: 1 }))),
          ...(await client.exchange(client.publishPacket("a", "x", { qos: 2, id: 2 }))),
          ...(await client.exchange({ cmd: "pubrel", messageId: 2 })),
        );
      }
      assert.deepEqual(
        answers.map(({ cmd }) => cmd),
        ["puback", "pubrec", "pubcomp", "puback", "pubrec", "pubcomp"],
      );
      for (const answer of answers) {
        const reason = "reasonCode" in answer ? (answer.reasonCode ?? 0) : 0;
        assert.ok(reasonsOf[answer.cmd]?.has(reason), `${answer.cmd} ${reason}`);
        assert.ok(reason < 0x80, "and no refusal");
      }
    },
  ),
  claim({ v5: "3.6.2-1" }, "a PUBREL has a reason of its table", async (site) => {
    const [pub, sub] = [await site.connect(), await site.connect()];
    sub.answers = false;
    await sub.subscribe("a", { qos: 2 });
    await pub.publish("a", "x", { qos: 2 });
    const [publication] = sub.publications();
    const [release] = await sub.exchange({
      cmd: "pubrec",
      messageId: publication?.messageId ?? 0,
    });
    assert.ok(release?.cmd === "pubrel");
    assert.ok(reasonsOf.pubrel?.has(release.reasonCode ?? 0));
  }),
  claim({ v5: "§3.7.2.1" }, "a PUBREL for what is not known is answered 0x92", async (site) => {
    const client = await site.connect();
    const [answer] = await client.exchange({ cmd: "pubrel", messageId: 4_711 });
    assert.ok(answer?.cmd === "pubcomp");
    assert.equal(answer.reasonCode, 0x92, "reason of the PUBCOMP");
  }),
  claim(
    { v5: "§3.6.2.1" },
    "a PUBREC for what is not known is answered by a PUBREL 0x92",
    async (site) => {
      const client = await site.connect();
      const [answer] = await client.exchange({ cmd: "pubrec", messageId: 4_711 });
      assert.ok(answer?.cmd === "pubrel");
      assert.equal(answer.reasonCode, 0x92, "reason of the PUBREL");
    },
  ),
  claim(
    { v5: "§3.4.2.1" },
    "a message that may not be published is refused in its PUBACK or PUBREC, and goes nowhere",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("#");
      const client = await site.connect();
      for (const [qos, cmd] of [
        [1, "puback"],
        [2, "pubrec"],
      ] as const) {
        const [answer] = await client.exchange(
          client.publishPacket("forbidden", "x", { qos, id: qos }),
        );
        const reason = answer !== undefined && "reasonCode" in answer ? answer.reasonCode : 0;
        assert.deepEqual([answer?.cmd, reason], [cmd, 0x87]);
      }
      assert.equal(client.isClosed, false);
      await client.publish("allowed/a", "y", { qos: 1 });
      assert.deepEqual(watcher.messages(), ["allowed/a y"]);
      assert.ok(site.received.every((message) => message === "allowed/a y"));
    },
    { access: { anonymousRights: { publish: ["allowed/#"] } } },
  ),
  claim(
    { v5: "4.3.3-9" },
    "after a PUBREC that refuses, the packet identifier is free for a new message",
    async (site) => {
      const client = await site.connect();
      const [refused] = await client.exchange(
        client.publishPacket("forbidden", "x", { qos: 2, id: 9 }),
      );
      assert.ok(refused?.cmd === "pubrec" && (refused.reasonCode ?? 0) >= 0x80);
      const sub = await site.connect();
      await sub.subscribe("#");
      await client.publish("allowed/a", "y", { qos: 2, id: 9 });
      assert.deepEqual(sub.messages(), ["allowed/a y"]);
    },
    { access: { anonymousRights: { publish: ["allowed/#"] } } },
  ),
  claim(
    { v5: "3.14.2-1 3.14.4-1 3.14.4-2 4.13.2-1" },
    "a DISCONNECT from the server is its last packet, and the connection is closed",
    async (site) => {
      const bad: readonly (readonly [Uint8Array, number])[] = [
        [frame(0x36, text("a"), word(1), properties()), 0x81],
        [frame(0x10, text("MQTT")), 0x82],
        [frame(0x30, text("#"), properties()), 0x90],
        [frame(0x30, text("a"), properties(byte(0x23, 0, 0))), 0x94],
      ];
      for (const [packet, reason] of bad) {
        const client = await site.connect();
        await client.subscribe("b");
        const received = await client.exchange(packet, { cmd: "pingreq" });
        assert.deepEqual(
          received.map(({ cmd }) => cmd),
          ["disconnect"],
        );
        const [last] = received;
        assert.equal(last?.cmd === "disconnect" ? last.reasonCode : undefined, reason);
        assert.ok(client.isClosed, "the network connection is closed");
        await (await site.connect()).publish("b", "x");
        assert.deepEqual(client.take(), []);
      }
    },
  ),
  claim(
    { v5: "3.14.2-2 3.14.2-3 3.14.2-4" },
    "a DISCONNECT from the server has no session expiry, and fits what the client takes",
    async (site) => {
      const client = await site.connect(site.kept("a", { properties: { maximumPacketSize: 64 } }));
      client.take();
      client.send(frame(0x00));
      await site.settle();
      const bytes = client.takeBytes();
      assert.equal(bytes[0], 0xe0);
      assert.ok(bytes.length <= 64);
      const again = await site.connect("b");
      const [last] = await again.exchange(frame(0x00));
      assert.ok(last?.cmd === "disconnect");
      assert.equal(last.properties?.sessionExpiryInterval, undefined);
    },
  ),
  claim(
    { v5: "3.4.2-2 3.4.2-3 3.5.2-2 3.5.2-3 3.7.2-2 3.7.2-3 3.9.2-1 3.9.2-2 3.11.2-1 3.11.2-2" },
    "acknowledgements fit what the client takes",
    async (site) => {
      const client = await site.connect({ properties: { maximumPacketSize: 64 } });
      client.send(
        client.encode(client.publishPacket("a", "x", { qos: 1, id: 1 })),
        client.encode(client.publishPacket("a", "x", { qos: 2, id: 2 })),
        client.encode({ cmd: "pubrel", messageId: 3 }),
        client.encode({ cmd: "subscribe", messageId: 4, subscriptions: [{ topic: "b", qos: 0 }] }),
        client.encode({ cmd: "unsubscribe", messageId: 5, unsubscriptions: ["c"] }),
      );
      await site.settle();
      const sizes = client.take().map((packet) => client.encode(packet).length);
      assert.equal(sizes.length, 5);
      assert.ok(sizes.every((size) => size <= 64));
    },
  ),
  claim({ v5: "3.6.2-2 3.6.2-3" }, "a PUBREL fits what the client takes", async (site) => {
    const [pub, sub] = [
      await site.connect(),
      await site.connect({ properties: { maximumPacketSize: 64 } }),
    ];
    await sub.subscribe("a", { qos: 2 });
    await pub.publish("a", "x", { qos: 2 });
    const release = sub.take().find(({ cmd }) => cmd === "pubrel");
    assert.ok(release);
    assert.ok(sub.encode(release).length <= 64);
  }),
  claim({ v5: "3.14.0-1" }, "no DISCONNECT is sent before the CONNACK", async (site) => {
    for (const packet of [frame(0x00), frame(0x30, text("a"), properties()), frame(0xe0)]) {
      const client = site.open();
      const received = await client.exchange(packet);
      assert.ok(client.isClosed, "the network connection is closed");
      assert.equal(
        received.some(({ cmd }) => cmd === "disconnect"),
        false,
      );
    }
  }),
  claim({ v5: "§4.13" }, "a client that is silent for too long is told so", async (site) => {
    const client = await site.connect({ keepalive: 10 });
    await site.pass(20);
    const [last] = client.take();
    assert.ok(last?.cmd === "disconnect", "a DISCONNECT says why");
    assert.equal(last.reasonCode, 0x8d);
  }),
  claim(
    { v5: "3.14.1-1" },
    "a DISCONNECT may end behind nothing, its reason, or its properties",
    async (site) => {
      for (const packet of [
        frame(0xe0),
        frame(0xe0, byte(0)),
        frame(0xe0, byte(0), properties()),
        frame(0xe0, byte(0x04), properties(byte(0x1f), text("off"))),
      ]) {
        const client = await site.connect();
        const received = await client.exchange(packet);
        assert.deepEqual(received, []);
        assert.ok(client.isClosed, "the network connection is closed");
      }
    },
  ),
  claim({ v5: "§3.14.4" }, "a session survives a DISCONNECT by the server", async (site) => {
    const client = await site.connectKept("sub");
    await client.subscribe("a", { qos: 1 });
    client.send(frame(0x00));
    await site.settle();
    assertRefused(client, 0x81, 0x82);
    const back = site.open();
    const connack = await back.connect(connectPacketOf(5, site.kept("sub")));
    assert.equal(connack?.sessionPresent, true);
  }),
];
