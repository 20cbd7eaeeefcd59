/** How much may be under way: receive maximum, packet size, topic aliases. */

import assert from "node:assert/strict";
import { byte, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import type { Client } from "../client.ts";
import { assertRefused } from "../site.ts";

/** A PUBLISH with a topic alias, by its topic or without. */
function aliased(
  topic: string,
  alias: number,
  payload: string,
  options: { readonly qos?: 0 | 1; readonly id?: number } = {},
): Buffer {
  const { qos = 0, id = 1 } = options;
  return frame(
    0x30 | (qos << 1),
    text(topic),
    qos === 0 ? byte() : word(id),
    properties(byte(0x23), word(alias)),
    Buffer.from(payload),
  );
}

function aliasMaximum(client: Client): number {
  return client.connack?.properties?.topicAliasMaximum ?? 0;
}

export const flowCases: readonly Case[] = [
  claim(
    { v5: "3.3.4-9 4.9.0-1 4.9.0-2" },
    "a client never has more QoS 1 and 2 deliveries open than its receive maximum",
    async (site) => {
      const sub = await site.connect({ properties: { receiveMaximum: 2 } });
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      for (let i = 0; i < 6; i++) await pub.publish("a", `${i}`, { qos: i % 2 === 0 ? 1 : 2 });
      const open = sub.publications();
      assert.deepEqual(
        open.map(({ payload }) => payload.toString()),
        ["0", "1"],
      );
      const ids = open.map(({ messageId = 0 }) => messageId);
      const [next] = await sub.exchange({ cmd: "puback", messageId: ids[0] ?? 0 });
      assert.ok(next?.cmd === "publish" && next.payload.toString() === "2", "after a PUBACK");
      const released = await sub.exchange({ cmd: "pubrec", messageId: ids[1] ?? 0 });
      assert.deepEqual(
        released.map(({ cmd }) => cmd),
        ["pubrel"],
        "a PUBREC gives nothing back",
      );
      const [third] = await sub.exchange({ cmd: "pubcomp", messageId: ids[1] ?? 0 });
      assert.ok(third?.cmd === "publish" && third.payload.toString() === "3", "after a PUBCOMP");
    },
  ),
  claim({ v5: "3.3.4-9" }, "nothing is lost and the order is kept while it waits", async (site) => {
    const sub = await site.connect({ properties: { receiveMaximum: 1 } });
    await sub.subscribe("a", { qos: 1 });
    const pub = await site.connect();
    const numbers = Array.from({ length: 50 }, (_, i) => `${i}`);
    await pub.exchange(...numbers.map((n, i) => pub.publishPacket("a", n, { qos: 1, id: i + 1 })));
    assert.deepEqual(
      sub.messages(),
      numbers.map((n) => `a ${n}`),
    );
  }),
  claim(
    { v5: "3.3.4-10 4.9.0-3" },
    "a client that is at its receive maximum gets everything else",
    async (site) => {
      const sub = await site.connect({ properties: { receiveMaximum: 1 } });
      sub.answers = false;
      await sub.subscribe("a", { qos: 1 });
      const pub = await site.connect();
      for (const n of ["1", "2"]) await pub.publish("a", n, { qos: 1 });
      assert.deepEqual(sub.messages(), ["a 1"]);
      const received = await sub.exchange(
        { cmd: "pingreq" },
        { cmd: "subscribe", messageId: 9, subscriptions: [{ topic: "b", qos: 0 }] },
        { cmd: "unsubscribe", messageId: 10, unsubscriptions: ["c"] },
        sub.publishPacket("d", "x", { qos: 1, id: 11 }),
      );
      assert.deepEqual(received.map(({ cmd }) => cmd).toSorted(), [
        "pingresp",
        "puback",
        "suback",
        "unsuback",
      ]);
    },
  ),
  claim(
    { v5: "4.4.0-2" },
    "a PUBACK or PUBREC with a refusal ends the delivery: it does not come again, and its place is free",
    async (site) => {
      const options = site.kept("sub", { properties: { receiveMaximum: 1 } });
      const sub = await site.connect(options);
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      await pub.publish("a", "1", { qos: 1 });
      await pub.publish("a", "2", { qos: 2 });
      await pub.publish("a", "3", { qos: 1 });
      const [first] = sub.publications();
      const [second] = await sub.exchange({
        cmd: "puback",
        messageId: first?.messageId ?? 0,
        reasonCode: 0x97,
      });
      assert.ok(second?.cmd === "publish" && second.payload.toString() === "2");
      const next = await sub.exchange({
        cmd: "pubrec",
        messageId: second.messageId ?? 0,
        reasonCode: 0x97,
      });
      const third = next.find((packet) => packet.cmd === "publish");
      assert.ok(third?.cmd === "publish" && third.payload.toString() === "3", "its place is free");
      assert.equal(
        next.some(({ cmd }) => cmd === "pubrel"),
        false,
        "no PUBREL follows a refusal",
      );
      await sub.vanish();
      const back = await site.connect(options);
      await site.settle();
      assert.deepEqual(back.messages(), ["a 3"]);
    },
  ),
  claim(
    { v5: "§3.3.4" },
    "who sends more QoS 1 and 2 messages than the server's receive maximum is disconnected",
    async (site) => {
      const client = await site.connect();
      const most = client.connack?.properties?.receiveMaximum ?? 65_535;
      const packets = Array.from({ length: most + 1 }, (_, i) =>
        client.encode(client.publishPacket("a", "x", { qos: 2, id: i + 1 })),
      );
      client.send(...packets.slice(0, most));
      await site.settle();
      assert.equal(client.isClosed, false, "not as many as it is");
      client.take();
      client.send(packets[most]!);
      await site.settle();
      assertRefused(client, 0x93);
    },
    { limits: { inFlightPerConnectionMax: 8 } },
  ),
  claim(
    { v5: "3.1.2-24 3.1.2-25" },
    "a message that is too large for a client is left out, at each QoS, and the next one comes",
    async (site) => {
      const sub = await site.connect(site.kept("sub", { properties: { maximumPacketSize: 100 } }));
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      for (const qos of [0, 1, 2] as const) {
        await pub.publish("a", "x".repeat(200), { qos });
        await pub.publish("a", `small ${qos}`, { qos });
      }
      assert.deepEqual(sub.messages(), ["a small 0", "a small 1", "a small 2"]);
      await sub.vanish();
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(back.messages(), [], "as if it had been delivered");
    },
  ),
  claim(
    { v5: "3.1.2-24" },
    "a retained message that is too large for a client is left out",
    async (site) => {
      const pub = await site.connect();
      await pub.publish("a/large", "x".repeat(200), { qos: 1, retain: true });
      await pub.publish("a/small", "x", { qos: 1, retain: true });
      const sub = await site.connect({ properties: { maximumPacketSize: 100 } });
      await sub.subscribe("a/+", { qos: 1 });
      assert.deepEqual(sub.messages(), ["a/small x"]);
    },
  ),
  claim(
    { v5: "3.3.2-12 3.2.2-18" },
    "every topic alias up to the server's maximum is accepted, and stands for its topic",
    async (site) => {
      const [client, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("#");
      const most = aliasMaximum(client);
      assert.ok(most > 0, "aliases are offered");
      for (let alias = 1; alias <= most; alias++) {
        client.send(aliased(`topic/${alias}`, alias, "named"));
      }
      client.send(aliased("", 1, "first"), aliased("", most, "last"));
      await site.settle();
      assert.equal(client.isClosed, false);
      const received = sub.messages();
      assert.equal(received.length, most + 2);
      assert.deepEqual(received.slice(-2), ["topic/1 first", `topic/${most} last`]);
    },
  ),
  claim(
    { v5: "§3.3.2.3.4" },
    "an alias can be given another topic, and is used at each QoS",
    async (site) => {
      const [client, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("#", { qos: 1 });
      const received = await client.exchange(
        aliased("a", 1, "1"),
        aliased("", 1, "2", { qos: 1, id: 7 }),
        aliased("b", 1, "3"),
        aliased("", 1, "4"),
      );
      assert.deepEqual(
        received.map((packet) => [packet.cmd, packet.messageId]),
        [["puback", 7]],
      );
      const messages = sub.messages();
      assert.deepEqual(messages.toSorted(), ["a 1", "a 2", "b 3", "b 4"]);
    },
  ),
  claim(
    { v5: "3.3.2-8 3.3.2-9" },
    "alias 0, one beyond the maximum, and one that is not known are refused",
    async (site) => {
      const most = aliasMaximum(await site.connect());
      const bad: readonly (readonly [Buffer, readonly number[]])[] = [
        [aliased("a", 0, "x"), [0x94]],
        [aliased("a", most + 1, "x"), [0x94]],
        [aliased("a", 65_535, "x"), [0x94]],
        [aliased("", 1, "x"), [0x82, 0x94]],
        [frame(0x30, text(""), properties(), byte(0x78)), [0x82]],
      ];
      for (const [packet, reasons] of bad) {
        const client = await site.connect();
        client.send(packet);
        await site.settle();
        assertRefused(client, ...reasons);
      }
    },
  ),
  claim(
    { v5: "3.3.2-7" },
    "aliases end with their connection, also where the session does not",
    async (site) => {
      const client = await site.connectKept("dev");
      await client.exchange(aliased("a", 1, "x"));
      await client.vanish();
      const back = await site.connectKept("dev");
      back.send(aliased("", 1, "y"));
      await site.settle();
      assertRefused(back, 0x82, 0x94);
    },
  ),
  claim(
    { v5: "3.1.2-26 3.1.2-27 3.3.2-11" },
    "a client gets no alias beyond what it offered, and none where it offered none",
    async (site) => {
      const none = await site.connect();
      const two = await site.connect({ properties: { topicAliasMaximum: 2 } });
      for (const sub of [none, two]) await sub.subscribe("#", { qos: 1 });
      const pub = await site.connect();
      for (let i = 0; i < 20; i++) await pub.publish(`topic/${i % 5}`, "x", { qos: 1 });
      for (const [sub, most] of [
        [none, 0],
        [two, 2],
      ] as const) {
        const aliases = sub.publications().map(({ properties: of }) => of?.topicAlias);
        assert.equal(aliases.length, 20);
        assert.ok(aliases.every((alias) => alias === undefined || (alias > 0 && alias <= most)));
      }
    },
  ),
];
