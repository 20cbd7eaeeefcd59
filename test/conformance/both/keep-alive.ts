/** Keep alive and PINGREQ. */

import assert from "node:assert/strict";
import type { Packet } from "mqtt-packet";
import { type Case, claim } from "../case.ts";

export const keepAliveCases: readonly Case[] = [
  claim(
    { v3: "3.1.2-24", v5: "3.1.2-22" },
    "a client silent for one and a half keep alives is disconnected",
    async (site) => {
      const client = await site.connect({ keepalive: 10 });
      await site.pass(14);
      assert.equal(client.isClosed, false, "not before");
      await site.pass(6);
      assert.ok(client.isClosed, "the network connection is closed");
    },
  ),
  claim({ v3: "3.1.2-24", v5: "3.1.2-22" }, "any packet keeps a client alive", async (site) => {
    const client = await site.connect({ keepalive: 10 });
    const packets: readonly (() => Packet)[] = [
      () => client.publishPacket("a", "0"),
      () => client.publishPacket("a", "1", { qos: 1 }),
      () => client.publishPacket("a", "2", { qos: 2, id: 900 }),
      () => ({ cmd: "pubrel", messageId: 900 }),
      () => ({ cmd: "subscribe", messageId: 901, subscriptions: [{ topic: "b", qos: 0 }] }),
      () => ({ cmd: "unsubscribe", messageId: 902, unsubscriptions: ["b"] }),
      () => ({ cmd: "pingreq" }),
    ];
    for (const packet of packets) {
      await client.exchange(packet());
      await site.pass(12);
      assert.equal(client.isClosed, false, `after a ${packet().cmd}`);
    }
  }),
  claim({ v3: "§3.1.2.10", v5: "§3.1.2.10" }, "keep alive 0 turns it off", async (site) => {
    const client = await site.connect({ keepalive: 0 });
    await site.pass(100_000);
    assert.equal(client.isClosed, false);
  }),
  claim(
    { v3: "3.1.2-24", v5: "3.1.2-22" },
    "what the server sends does not keep a client alive",
    async (site) => {
      const client = await site.connect({ keepalive: 10 });
      await client.subscribe("a");
      client.answers = false;
      const pub = await site.connect();
      for (let i = 0; i < 5; i++) {
        await site.pass(4);
        await pub.publish("a", `${i}`);
      }
      assert.ok(client.isClosed, "the network connection is closed");
    },
  ),
  claim(
    { v3: "3.12.4-1", v5: "3.12.4-1" },
    "each PINGREQ is answered by a PINGRESP",
    async (site) => {
      const client = await site.connect();
      const pings: readonly Packet[] = [{ cmd: "pingreq" }, { cmd: "pingreq" }, { cmd: "pingreq" }];
      const received = await client.exchange(...pings);
      assert.deepEqual(
        received.map(({ cmd }) => cmd),
        ["pingresp", "pingresp", "pingresp"],
      );
    },
  ),
];
