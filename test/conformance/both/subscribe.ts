/** SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK. */

import assert from "node:assert/strict";
import { byte, frame, illFormed, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { kindOf } from "../client.ts";
import { type Site, assertEachRefused } from "../site.ts";

function none(site: Site): Buffer {
  return site.level === 5 ? properties() : byte();
}

function subscribe(site: Site, ...filters: readonly (string | Uint8Array)[]): Buffer {
  const parts = filters.map((filter) => Buffer.concat([text(filter), byte(0)]));
  return frame(0x82, word(1), none(site), ...parts);
}

export const subscribeCases: readonly Case[] = [
  claim(
    { v3: "3.8.3-1", v5: "3.8.3-1" },
    "a topic filter that is not UTF-8, or has U+0000, closes the connection",
    (site) =>
      assertEachRefused(
        site,
        [...illFormed, "a\0b"].map((bad) => subscribe(site, bad)),
        0x81,
        0x8f,
      ),
  ),
  claim(
    { v3: "3.8.3-3", v5: "3.8.3-2" },
    "a SUBSCRIBE without a filter closes the connection",
    (site) => assertEachRefused(site, [subscribe(site)], 0x81, 0x82),
  ),
  claim(
    { v3: "3.8.3-4", v5: "3.8.3-5" },
    "reserved bits of a subscription, or QoS 3, close the connection",
    (site) =>
      assertEachRefused(
        site,
        (site.level === 4 ? [0x03, 0x04, 0x08, 0x80] : [0x03, 0x40, 0x80, 0xc1]).map((bits) =>
          frame(0x82, word(1), none(site), text("a"), byte(bits)),
        ),
        0x81,
        0x82,
      ),
  ),
  claim(
    { v3: "3.8.4-1 3.8.4-2 2.3.1-7", v5: "3.8.4-1 3.8.4-2 2.2.1-6" },
    "a SUBACK answers with the packet identifier",
    async (site) => {
      const client = await site.connect();
      for (const messageId of [1, 256, 65_535]) {
        const received = await client.exchange({
          cmd: "subscribe",
          messageId,
          subscriptions: [{ topic: "a", qos: 0 }],
        });
        assert.deepEqual(received.map(kindOf), [`suback ${messageId}`]);
      }
    },
  ),
  claim(
    { v3: "3.8.4-5 3.9.3-1 3.9.3-2", v5: "3.8.4-6 3.8.4-7 3.9.3-1 3.9.3-2" },
    "it says for each filter, in their order, the QoS that was granted",
    async (site) => {
      const client = await site.connect();
      const suback = await client.subscribe([
        { topic: "a", qos: 2 },
        { topic: "b", qos: 0 },
        { topic: "c/#", qos: 1 },
        { topic: "d/+", qos: 2 },
      ]);
      assert.deepEqual(suback.granted, [2, 0, 1, 2]);
    },
  ),
  claim(
    { v3: "3.8.4-5", v5: "3.8.4-6" },
    "a filter that stands twice in a SUBSCRIBE has two return codes",
    async (site) => {
      const client = await site.connect();
      const suback = await client.subscribe([
        { topic: "a", qos: 1 },
        { topic: "b", qos: 0 },
        { topic: "a", qos: 2 },
      ]);
      assert.equal(suback.granted.length, 3, "return codes");
    },
  ),
  claim(
    { v3: "3.8.4-4", v5: "3.8.4-5" },
    "many filters in one SUBSCRIBE are as many subscriptions",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe([
        { topic: "a", qos: 0 },
        { topic: "b/+", qos: 1 },
      ]);
      await pub.publish("a", "1");
      await pub.publish("b/c", "2", { qos: 1 });
      await pub.publish("c", "3");
      assert.deepEqual(sub.messages(), ["a 1", "b/c 2"]);
    },
  ),
  claim(
    { v3: "3.8.4-3", v5: "3.8.4-3" },
    "the same filter again replaces the subscription",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      await sub.subscribe("a", { qos: 0 });
      await pub.publish("a", "x", { qos: 2 });
      assert.deepEqual(
        sub.publications().map(({ qos }) => qos),
        [0],
      );
    },
  ),
  claim(
    { v3: "3.8.4-3", v5: "3.8.4-4" },
    "it has the retained messages sent again",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await pub.publish("a", "kept", { qos: 1, retain: true });
      await sub.subscribe("a", { qos: 1 });
      assert.deepEqual(sub.messages(), ["a kept"]);
      await sub.subscribe("a", { qos: 1 });
      assert.deepEqual(sub.messages(), ["a kept"]);
    },
  ),
  claim(
    { v3: "3.8.4-3", v5: "3.8.4-4" },
    "no message is lost while a subscription is replaced",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 1 });
      for (let i = 0; i < 10; i++) {
        pub.sendPacket(pub.publishPacket("a", `${i}`, { qos: 1, id: i + 1 }));
        sub.sendPacket({
          cmd: "subscribe",
          messageId: 100 + i,
          subscriptions: [{ topic: "a", qos: i % 2 === 0 ? 2 : 1 }],
        });
      }
      await site.settle();
      assert.deepEqual(
        sub.messages(),
        Array.from({ length: 10 }, (_, i) => `a ${i}`),
      );
    },
  ),
  claim(
    { v3: "3.10.3-1", v5: "3.10.3-1" },
    "an UNSUBSCRIBE with a filter that is not UTF-8 closes the connection",
    (site) =>
      assertEachRefused(
        site,
        illFormed.map((bad) => frame(0xa2, word(1), none(site), text(bad))),
        0x81,
        0x8f,
      ),
  ),
  claim(
    { v3: "3.10.3-2", v5: "3.10.3-2" },
    "an UNSUBSCRIBE without a filter closes the connection",
    (site) => assertEachRefused(site, [frame(0xa2, word(1), none(site))], 0x81, 0x82),
  ),
  claim(
    { v3: "3.10.4-1", v5: "3.10.4-1" },
    "an UNSUBSCRIBE ends the subscription with exactly that filter, and no other",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe([
        { topic: "a/b", qos: 0 },
        { topic: "a/+", qos: 0 },
        { topic: "c", qos: 0 },
      ]);
      await sub.unsubscribe("a/b", "A/+", "+");
      await pub.publish("a/b", "1");
      await pub.publish("c", "2");
      assert.deepEqual(sub.messages(), ["a/b 1", "c 2"]);
      await sub.unsubscribe("a/+");
      await pub.publish("a/b", "3");
      assert.deepEqual(sub.messages(), []);
    },
  ),
  claim(
    { v3: "3.10.4-2", v5: "3.10.4-2" },
    "after an UNSUBSCRIBE nothing new is delivered, also not once the client was away",
    async (site) => {
      const sub = await site.connectKept("sub");
      await sub.subscribe("a", { qos: 1 });
      await sub.unsubscribe("a");
      const pub = await site.connect();
      await pub.publish("a", "1", { qos: 1 });
      await sub.vanish();
      await pub.publish("a", "2", { qos: 1 });
      const back = await site.connectKept("sub");
      await pub.publish("a", "3", { qos: 1 });
      assert.deepEqual([...sub.messages(), ...back.messages()], []);
    },
  ),
  claim(
    { v3: "3.10.4-3", v5: "3.10.4-3" },
    "a delivery that was begun is completed after an UNSUBSCRIBE",
    async (site) => {
      const sub = await site.connectKept("sub");
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      await (await site.connect()).publish("a", "x", { qos: 2 });
      const [publication] = sub.publications();
      assert.ok(publication, "it is delivered");
      await sub.unsubscribe("a");
      const messageId = publication.messageId ?? 0;
      const released = await sub.exchange({ cmd: "pubrec", messageId });
      assert.deepEqual(released.map(kindOf), [`pubrel ${messageId}`]);
      await sub.exchange({ cmd: "pubcomp", messageId });
      assert.equal(sub.isClosed, false);
    },
  ),
  claim(
    { v3: "3.10.4-4 3.10.4-5 2.3.1-7", v5: "3.10.4-4 3.10.4-5" },
    "an UNSUBACK answers with the packet identifier, also where there was no subscription",
    async (site) => {
      const client = await site.connect();
      for (const messageId of [1, 256, 65_535]) {
        const received = await client.exchange({
          cmd: "unsubscribe",
          messageId,
          unsubscriptions: ["never/subscribed"],
        });
        assert.deepEqual(received.map(kindOf), [`unsuback ${messageId}`]);
      }
    },
  ),
  claim(
    { v3: "3.10.4-6", v5: "3.10.4-6" },
    "many filters in one UNSUBSCRIBE are as many ends, and one UNSUBACK",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe([
        { topic: "a", qos: 0 },
        { topic: "b", qos: 0 },
        { topic: "c", qos: 0 },
      ]);
      const received = await sub.exchange({
        cmd: "unsubscribe",
        messageId: 9,
        unsubscriptions: ["a", "none", "b"],
      });
      assert.deepEqual(received.map(kindOf), ["unsuback 9"]);
      for (const topic of ["a", "b", "c"]) await pub.publish(topic, "x");
      assert.deepEqual(sub.messages(), ["c x"]);
    },
  ),
  claim(
    { v3: "3.8.4-5 3.9.3-2", v5: "3.8.4-7 3.9.3-2" },
    "a subscription that is not allowed fails, also by a wildcard that would hold more, and gets nothing",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connectKept("sub")];
      const suback = await sub.subscribe([
        { topic: "secret", qos: 1 },
        { topic: "#", qos: 1 },
        { topic: "open/+", qos: 1 },
      ]);
      const refused = site.level === 4 ? 0x80 : 0x87;
      assert.deepEqual(suback.granted, [refused, refused, 1]);
      await sub.disconnect();
      await pub.publish("secret", "x", { qos: 1 });
      await pub.publish("open/a", "y", { qos: 1 });
      const back = await site.connectKept("sub");
      await pub.publish("secret", "z", { qos: 1 });
      assert.deepEqual(back.messages(), ["open/a y"]);
    },
    { access: { anonymousRights: { subscribe: ["open/#"] } } },
  ),
  claim(
    { v3: "§3.8.4", v5: "§3.8.4" },
    "a subscription beyond what the server holds is refused, and the connection stays",
    async (site) => {
      const client = await site.connect();
      await client.subscribe("a");
      const suback = await client.subscribe("b");
      assert.deepEqual(suback.granted, [site.level === 4 ? 0x80 : 0x97]);
      assert.equal(client.isClosed, false);
    },
    { limits: { subscriptionsMax: 1 } },
  ),
];
