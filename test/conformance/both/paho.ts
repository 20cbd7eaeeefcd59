/**
 * The cases of the Eclipse Paho interoperability suite that both versions have, by their names,
 * written anew: on real sockets.
 */

import assert from "node:assert/strict";
import { connectBytes, text } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { codeOf, connectPacketOf } from "../client.ts";

const over = "tcp" as const;

export const pahoCases: readonly Case[] = [
  claim(
    { v3: "paho:basic 4.2.0-1 7.0.0-2 7.1.1-1", v5: "paho:basic 4.2.0-1" },
    "connect, subscribe, publish at each QoS, receive, and connect again",
    async (site) => {
      const client = await site.connect("myclientid");
      await client.disconnect();
      const again = await site.connect("myclientid");
      await again.subscribe("TopicA", { qos: 2 });
      await again.publish("TopicA", "qos 0");
      await again.publish("TopicA", "qos 1", { qos: 1 });
      await again.publish("TopicA", "qos 2", { qos: 2 });
      assert.deepEqual(again.messages(), ["TopicA qos 0", "TopicA qos 1", "TopicA qos 2"]);
      await again.disconnect();
      const stranger = site.open();
      stranger.sendPacket(connectPacketOf(site.level, { clientId: "hello" }));
      stranger.sendPacket(connectPacketOf(site.level, { clientId: "hello" }));
      await site.settle();
      assert.ok(stranger.isClosed, "a second CONNECT is none");
    },
    { over },
  ),
  claim(
    { v3: "paho:retained_messages", v5: "paho:retained_message" },
    "retained messages of each QoS come to a new subscriber, and go when they are cleared",
    async (site) => {
      const pub = await site.connect();
      for (const qos of [0, 1, 2] as const) {
        await pub.publish(`fromb/qos ${qos}`, `qos ${qos}`, { qos, retain: true });
      }
      const sub = await site.connect();
      await sub.subscribe("fromb/+", { qos: 2 });
      const received = sub.publications();
      assert.equal(received.length, 3);
      assert.ok(received.every(({ retain }) => retain));
      for (const qos of [0, 1, 2] as const) {
        await pub.publish(`fromb/qos ${qos}`, "", { qos, retain: true });
      }
      const late = await site.connect();
      await late.subscribe("fromb/+", { qos: 2 });
      assert.deepEqual(late.messages(), []);
    },
    { over },
  ),
  claim(
    { v3: "paho:will_message", v5: "paho:will_message" },
    "the will comes to a subscriber when the connection breaks",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("TopicA/C", { qos: 2 });
      const client = await site.connect({
        will: { topic: "TopicA/C", payload: "client not disconnected", qos: 2, retain: true },
      });
      await client.vanish();
      assert.deepEqual(watcher.messages(), ["TopicA/C client not disconnected"]);
    },
    { over },
  ),
  claim(
    { v3: "paho:zero_length_clientid", v5: "paho:zero_length_clientid" },
    "no client identifier is refused without a clean session in 3.1.1, and taken otherwise",
    async (site) => {
      const kept = connectBytes(site.level, { flags: 0, payload: [text("")] });
      const connack = await site.open().connect(kept);
      assert.ok(connack, "there is a CONNACK");
      assert.equal(codeOf(connack), site.level === 4 ? 2 : 0);
      const clean = connectPacketOf(site.level, { clientId: "" });
      const accepted = await site.open().connect(clean);
      assert.ok(accepted, "there is a CONNACK");
      assert.equal(codeOf(accepted), 0);
    },
    { over },
  ),
  claim(
    { v3: "paho:offline_message_queueing", v5: "paho:offline_message_queueing" },
    "messages of QoS 1 and 2, and perhaps 0, wait for a client that is away",
    async (site) => {
      const sub = await site.connectKept("myclientid");
      await sub.subscribe("+/+", { qos: 2 });
      await sub.disconnect();
      const pub = await site.connect();
      for (const qos of [0, 1, 2] as const) await pub.publish("a/b", `qos ${qos}`, { qos });
      const back = await site.connectKept("myclientid");
      await site.settle();
      const received = back.messages().filter((message) => message !== "a/b qos 0");
      assert.deepEqual(received, ["a/b qos 1", "a/b qos 2"]);
    },
    { over },
  ),
  claim(
    { v3: "paho:overlapping_subscriptions", v5: "paho:overlapping_subscriptions" },
    "a message that two subscriptions match comes once at the larger QoS, or once for each",
    async (site) => {
      const client = await site.connect();
      await client.subscribe([
        { topic: "TopicA/#", qos: 2 },
        { topic: "TopicA/+", qos: 1 },
      ]);
      await client.publish("TopicA/C", "overlapping topic filters", { qos: 2 });
      const qos = client.publications().map((publication) => publication.qos);
      if (qos.length === 1) assert.deepEqual(qos, [2]);
      else
        assert.deepEqual(
          qos.toSorted((a, b) => a - b),
          [1, 2],
        );
    },
    { over },
  ),
  claim(
    { v3: "paho:keepalive", v5: "paho:keepalive" },
    "a client that pings no more is disconnected, and its will published",
    async (site) => {
      const watcher = await site.connect({ keepalive: 0 });
      await watcher.subscribe("TopicA/C", { qos: 2 });
      await site.connect({
        keepalive: 5,
        will: { topic: "TopicA/C", payload: "keepalive expiry", qos: 0, retain: false },
      });
      await site.pass(15);
      assert.deepEqual(watcher.messages(), ["TopicA/C keepalive expiry"]);
    },
    { over },
  ),
  claim(
    { v3: "paho:redelivery_on_reconnect", v5: "paho:redelivery_on_reconnect" },
    "what was delivered and not acknowledged comes again when the client returns",
    async (site) => {
      const sub = await site.connectKept("myclientid2");
      sub.answers = false;
      await sub.subscribe("+/+", { qos: 2 });
      const pub = await site.connect();
      await pub.publish("a/b", "one", { qos: 1 });
      await pub.publish("a/b", "two", { qos: 2 });
      await sub.vanish();
      const back = await site.connectKept("myclientid2");
      await site.settle();
      assert.deepEqual(back.messages(), ["a/b one", "a/b two"]);
    },
    { over },
  ),
  claim(
    { v3: "paho:subscribe_failure", v5: "paho:subscribe_failure" },
    "a subscription that is not allowed fails in its SUBACK",
    async (site) => {
      const client = await site.connect();
      const suback = await client.subscribe([
        { topic: "test/nosubscribe", qos: 2 },
        { topic: "test/subscribe", qos: 2 },
      ]);
      assert.deepEqual(suback.granted, [site.level === 4 ? 0x80 : 0x87, 2]);
    },
    { over, access: { anonymousRights: { subscribe: ["test/subscribe/#"] } } },
  ),
  claim(
    { v3: "paho:dollar_topics", v5: "paho:dollar_topics" },
    "topics with $ are not for filters that begin with a wildcard",
    async (site) => {
      const client = await site.connect();
      await client.subscribe("+/+", { qos: 2 });
      await client.publish("$TopicA/B", "for nobody", { qos: 1 });
      await client.publish("TopicA/B", "for all", { qos: 1 });
      assert.deepEqual(client.messages(), ["TopicA/B for all"]);
    },
    { over },
  ),
  claim(
    { v3: "paho:unsubscribe", v5: "paho:unsubscribe" },
    "a topic that was unsubscribed comes no more",
    async (site) => {
      const client = await site.connect();
      await client.subscribe([
        { topic: "TopicA", qos: 2 },
        { topic: "TopicA/B", qos: 2 },
        { topic: "Topic/C", qos: 2 },
      ]);
      await client.unsubscribe("TopicA");
      for (const topic of ["TopicA", "TopicA/B", "Topic/C"]) {
        await client.publish(topic, "x", { qos: 1 });
      }
      assert.deepEqual(client.messages(), ["TopicA/B x", "Topic/C x"]);
    },
    { over },
  ),
];
