/** What is kept for a client that is away. */

import assert from "node:assert/strict";
import { type Case, claim } from "../case.ts";
import { connectPacketOf, kindOf } from "../client.ts";

export const sessionCases: readonly Case[] = [
  claim(
    { v3: "3.1.2-4", v5: "3.1.2-5 3.1.2-23" },
    "a kept session has its subscriptions when the client returns",
    async (site) => {
      const client = await site.connectKept("sub");
      await client.subscribe("a/+", { qos: 1 });
      await client.vanish();
      const back = await site.connectKept("sub");
      await (await site.connect()).publish("a/b", "later", { qos: 1 });
      assert.deepEqual(back.messages(), ["a/b later"]);
    },
  ),
  claim(
    { v3: "3.1.2-4", v5: "3.1.2-6" },
    "where there is no session a new one is made",
    async (site) => {
      const client = await site.connectKept("new");
      assert.equal(client.connack?.sessionPresent, false);
      await client.subscribe("a", { qos: 1 });
      await (await site.connect()).publish("a", "x", { qos: 1 });
      assert.deepEqual(client.messages(), ["a x"]);
    },
  ),
  claim(
    { v3: "3.1.2-5", v5: "4.5.0-1" },
    "QoS 1 and 2 messages wait for a client that is away",
    async (site) => {
      const client = await site.connectKept("sub");
      await client.subscribe([
        { topic: "one", qos: 1 },
        { topic: "two", qos: 2 },
      ]);
      await client.disconnect();
      const pub = await site.connect();
      await pub.publish("one", "1", { qos: 1 });
      await pub.publish("two", "2", { qos: 2 });
      await pub.publish("one", "3", { qos: 2 });
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(back.messages().toSorted(), ["one 1", "one 3", "two 2"]);
    },
  ),
  claim(
    { v3: "3.1.2-5", v5: "4.5.0-1" },
    "they wait too for a client whose connection broke",
    async (site) => {
      const client = await site.connectKept("sub");
      await client.subscribe("#", { qos: 2 });
      await client.vanish();
      const pub = await site.connect();
      for (const n of [1, 2, 3]) await pub.publish("a", `${n}`, { qos: 1 });
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(back.messages(), ["a 1", "a 2", "a 3"]);
      await back.vanish();
      const third = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(third.messages(), [], "what was acknowledged does not come again");
    },
  ),
  claim(
    { v3: "3.1.2-6", v5: "3.1.2-4" },
    "a clean start discards the session: subscriptions and waiting messages",
    async (site) => {
      const client = await site.connectKept("sub");
      await client.subscribe("a", { qos: 1 });
      await client.disconnect();
      const pub = await site.connect();
      await pub.publish("a", "waits", { qos: 1 });
      const clean = await site.connect({ clientId: "sub", clean: true });
      await pub.publish("a", "now", { qos: 1 });
      assert.deepEqual(clean.messages(), []);
      await clean.disconnect();
      const back = await site.connectKept("sub");
      await site.settle();
      assert.equal(back.connack?.sessionPresent, false, "nor is there a session after it");
      assert.deepEqual(back.messages(), []);
    },
  ),
  claim(
    { v3: "3.1.2-6 4.1.0-2", v5: "4.1.0-2" },
    "a session that is not kept ends with its connection",
    async (site) => {
      const client = await site.connect({ clientId: "sub", clean: true });
      await client.subscribe("a", { qos: 1 });
      await client.vanish();
      await (await site.connect()).publish("a", "x", { qos: 1 });
      const back = await site.connectKept("sub");
      await site.settle();
      assert.equal(back.connack?.sessionPresent, false);
      assert.deepEqual(back.messages(), []);
    },
  ),
  claim(
    { v3: "3.1.4-3", v5: "3.1.4-4" },
    "a clean start takes over and discards the session of a client that is still connected",
    async (site) => {
      const client = await site.connectKept("sub");
      await client.subscribe("a", { qos: 1 });
      const clean = await site.connect({ clientId: "sub", clean: true });
      assert.equal(clean.connack?.sessionPresent, false);
      await (await site.connect()).publish("a", "x", { qos: 1 });
      assert.deepEqual(clean.messages(), []);
    },
  ),
  claim(
    { v3: "3.1.4-2", v5: "3.1.4-3" },
    "a session is taken over with its subscriptions and what is not acknowledged",
    async (site) => {
      const first = await site.connectKept("sub");
      first.answers = false;
      await first.subscribe("a", { qos: 1 });
      const pub = await site.connect();
      await pub.publish("a", "1", { qos: 1 });
      const second = await site.connectKept("sub");
      assert.equal(second.connack?.sessionPresent, true);
      await pub.publish("a", "2", { qos: 1 });
      assert.deepEqual(second.messages(), ["a 1", "a 2"]);
    },
  ),
  claim(
    { v3: "4.1.0-1", v5: "4.1.0-1" },
    "a session lives as long as its connection, however long that is idle",
    async (site) => {
      const client = await site.connect({ clientId: "sub", clean: true });
      await client.subscribe("a", { qos: 1 });
      await site.pass(86_400);
      await (await site.connect()).publish("a", "x", { qos: 1 });
      assert.deepEqual(client.messages(), ["a x"]);
    },
  ),
  claim(
    { v3: "3.1.2-7", v5: "§4.1.0" },
    "retained messages stay when the session of their publisher ends",
    async (site) => {
      const pub = await site.connect({ clientId: "pub", clean: true });
      await pub.publish("a", "kept", { qos: 1, retain: true });
      await pub.disconnect();
      await (await site.connect({ clientId: "pub", clean: true })).disconnect();
      const sub = await site.connect();
      await sub.subscribe("a");
      assert.deepEqual(sub.messages(), ["a kept"]);
    },
  ),
  claim(
    { v3: "4.4.0-1", v5: "4.4.0-1" },
    "an unacknowledged QoS 1 PUBLISH comes again with its packet identifier",
    async (site) => {
      const client = await site.connectKept("sub");
      client.answers = false;
      await client.subscribe("a", { qos: 1 });
      await (await site.connect()).publish("a", "x", { qos: 1 });
      const [first] = client.publications();
      assert.ok(first, "it is delivered");
      await client.vanish();
      const back = await site.connectKept("sub");
      const again = back.publications();
      assert.deepEqual(
        again.map(({ messageId, payload }) => [messageId, payload.toString()]),
        [[first.messageId, "x"]],
      );
    },
  ),
  claim(
    { v3: "4.4.0-1", v5: "4.4.0-1 4.3.3-6" },
    "after a PUBREC it is the PUBREL that comes again, not the PUBLISH",
    async (site) => {
      const client = await site.connectKept("sub");
      client.answers = false;
      await client.subscribe("a", { qos: 2 });
      await (await site.connect()).publish("a", "x", { qos: 2 });
      const [first] = client.publications();
      assert.ok(first, "it is delivered");
      const answer = await client.exchange({ cmd: "pubrec", messageId: first.messageId ?? 0 });
      assert.deepEqual(answer.map(kindOf), [`pubrel ${first.messageId}`]);
      await client.vanish();
      const back = site.open();
      back.answers = false;
      const received = await back.exchange(connectPacketOf(site.level, site.kept("sub")));
      assert.deepEqual(received.map(kindOf), ["connack", `pubrel ${first.messageId}`]);
    },
  ),
  claim(
    { v3: "4.4.0-1", v5: "4.4.0-1" },
    "nothing is sent again while the connection stands",
    async (site) => {
      const client = await site.connectKept("sub");
      client.answers = false;
      await client.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      await pub.publish("a", "1", { qos: 1 });
      await pub.publish("a", "2", { qos: 2 });
      assert.equal(client.take().length, 2);
      await site.pass(3_600);
      assert.deepEqual(client.take(), []);
    },
  ),
  claim(
    { v3: "3.3.1-1", v5: "3.3.1-1" },
    "a PUBLISH that is sent again has DUP set",
    async (site) => {
      const client = await site.connectKept("sub");
      client.answers = false;
      await client.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      await pub.publish("a", "1", { qos: 1 });
      await pub.publish("a", "2", { qos: 2 });
      assert.deepEqual(
        client.publications().map(({ dup }) => dup),
        [false, false],
      );
      await client.vanish();
      const back = await site.connectKept("sub");
      back.answers = false;
      assert.deepEqual(
        back.publications().map(({ dup }) => dup),
        [true, true],
        "DUP of what is sent again",
      );
    },
  ),
  claim(
    { v3: "3.3.1-3", v5: "3.3.1-3" },
    "a message that waited and was never sent has DUP 0",
    async (site) => {
      const client = await site.connectKept("sub");
      await client.subscribe("a", { qos: 1 });
      await client.disconnect();
      await (await site.connect()).publish("a", "x", { qos: 1 });
      const back = await site.connectKept("sub");
      assert.deepEqual(
        back.publications().map(({ dup }) => dup),
        [false],
      );
    },
  ),
];
