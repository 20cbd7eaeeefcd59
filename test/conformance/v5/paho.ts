/**
 * The cases of the Eclipse Paho interoperability suite for MQTT 5, by their names, written anew: on
 * real sockets.
 */

import assert from "node:assert/strict";
import { byte, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";

const over = "tcp" as const;

export const paho5Cases: readonly Case[] = [
  claim(
    { v5: "paho:session_expiry" },
    "a session is there while it has not expired, and not after",
    async (site) => {
      const options = { clientId: "sub", clean: false };
      const none = await site.connect({ ...options, clean: true });
      await none.disconnect();
      const short = await site.connect({ ...options, properties: { sessionExpiryInterval: 5 } });
      assert.equal(short.connack?.sessionPresent, false);
      await short.subscribe("TopicA", { qos: 2 });
      await short.disconnect();
      const back = await site.connect({ ...options, properties: { sessionExpiryInterval: 5 } });
      assert.equal(back.connack?.sessionPresent, true);
      await back.disconnect({ sessionExpiryInterval: 5 });
      await site.pass(7);
      const late = await site.connect({ ...options, properties: { sessionExpiryInterval: 1 } });
      assert.equal(late.connack?.sessionPresent, false);
    },
    { over },
  ),
  claim(
    { v5: "paho:user_properties" },
    "user properties arrive",
    async (site) => {
      const client = await site.connect();
      await client.subscribe("TopicA", { qos: 2 });
      const userProperties = { a: "2", c: "3" };
      for (const qos of [0, 1, 2] as const) {
        await client.publish("TopicA", "x", { qos, properties: { userProperties } });
      }
      const received = client
        .publications()
        .map(({ properties: of }) => ({ ...of?.userProperties }));
      assert.deepEqual(received, [userProperties, userProperties, userProperties]);
    },
    { over },
  ),
  claim(
    { v5: "paho:payload_format" },
    "payload format and content type arrive",
    async (site) => {
      const client = await site.connect();
      await client.subscribe("TopicA", { qos: 2 });
      const given = { payloadFormatIndicator: true, contentType: "My name" };
      for (const qos of [0, 1, 2] as const) {
        await client.publish("TopicA", "x", { qos, properties: given });
      }
      for (const { properties: of } of client.publications()) {
        assert.equal(of?.contentType, "My name");
        assert.equal(of?.payloadFormatIndicator, true);
      }
    },
    { over },
  ),
  claim(
    { v5: "paho:publication_expiry" },
    "messages that wait end with their expiry, and say what is left of it",
    async (site) => {
      const sub = await site.connectKept("sub");
      await sub.subscribe("TopicA", { qos: 2 });
      await sub.disconnect();
      const pub = await site.connect();
      const lasting = (seconds: number) => ({ messageExpiryInterval: seconds });
      await pub.publish("TopicA", "qos 1 - expire", { qos: 1, properties: lasting(1) });
      await pub.publish("TopicA", "qos 2 - expire", { qos: 2, properties: lasting(5) });
      await pub.publish("TopicA", "qos 1 - do not", { qos: 1, properties: lasting(6) });
      await pub.publish("TopicA", "qos 2 - do not", { qos: 2, properties: lasting(100) });
      await site.pass(5.5);
      const back = await site.connectKept("sub");
      await site.settle();
      const received = back.publications();
      assert.deepEqual(
        received.map(({ payload }) => payload.toString()),
        ["qos 1 - do not", "qos 2 - do not"],
      );
      for (const [i, most] of [6, 100].entries()) {
        const left = received[i]?.properties?.messageExpiryInterval ?? most;
        assert.ok(left < most, `${left} of ${most} s are left`);
      }
    },
    { over },
  ),
  claim(
    { v5: "paho:subscribe_options" },
    "No Local, Retain As Published and Retain Handling do what they say",
    async (site) => {
      const [a, b] = [await site.connect(), await site.connect()];
      await a.subscribe({ topic: "topics/+", qos: 2, nl: true });
      await b.subscribe({ topic: "topics/+", qos: 2 });
      await a.publish("topics/1", "noLocal test", { qos: 1 });
      assert.deepEqual([a.messages(), b.messages()], [[], ["topics/1 noLocal test"]]);
      const as = await site.connect();
      await as.subscribe({ topic: "topics/2", qos: 2, rap: true });
      await b.publish("topics/2", "retained", { qos: 1, retain: true });
      assert.deepEqual(
        [...as.publications(), ...b.publications()].map(({ retain }) => retain),
        [true, false],
      );
      const handling: (readonly number[])[] = [];
      for (const rh of [0, 1, 2]) {
        const client = await site.connect();
        const counts: number[] = [];
        for (let i = 0; i < 2; i++) {
          await client.subscribe({ topic: "topics/2", qos: 2, rh });
          counts.push(client.messages().length);
        }
        handling.push(counts);
      }
      assert.deepEqual(handling, [
        [1, 1],
        [1, 0],
        [0, 0],
      ]);
    },
    { over },
  ),
  claim(
    { v5: "paho:assigned_clientid" },
    "an identifier is assigned to a client without",
    async (site) => {
      const client = await site.connect({ clientId: "" });
      assert.ok(client.connack?.properties?.assignedClientIdentifier);
    },
    { over },
  ),
  claim(
    { v5: "paho:subscribe_identifiers" },
    "subscription identifiers come with what they matched",
    async (site) => {
      const [a, b] = [await site.connect(), await site.connect()];
      await a.subscribe("TopicA", { qos: 2, properties: { subscriptionIdentifier: 456_789 } });
      await b.subscribe("TopicA/#", { qos: 2, properties: { subscriptionIdentifier: 2 } });
      await b.subscribe("TopicA", { qos: 2, properties: { subscriptionIdentifier: 3 } });
      await b.publish("TopicA", "sub identifier test", { qos: 1 });
      assert.equal(a.publications()[0]?.properties?.subscriptionIdentifier, 456_789);
      const ids = b
        .publications()
        .flatMap(({ properties: of }) => of?.subscriptionIdentifier ?? []);
      assert.deepEqual(
        ids.toSorted((x, y) => x - y),
        [2, 3],
      );
    },
    { over },
  ),
  claim(
    { v5: "paho:request_response" },
    "a request finds its way back by response topic and correlation data",
    async (site) => {
      const [asker, answerer] = [await site.connect(), await site.connect()];
      await asker.subscribe("responses/asker", { qos: 2 });
      await answerer.subscribe("requests", { qos: 2 });
      const correlationData = Buffer.from("334");
      await asker.publish("requests", "request", {
        qos: 1,
        properties: { responseTopic: "responses/asker", correlationData },
      });
      const [request] = answerer.publications();
      const responseTopic = request?.properties?.responseTopic ?? "";
      assert.equal(responseTopic, "responses/asker");
      await answerer.publish(responseTopic, "response", {
        qos: 1,
        properties: { correlationData: request?.properties?.correlationData ?? Buffer.alloc(0) },
      });
      const [response] = asker.publications();
      assert.deepEqual(response?.properties?.correlationData, correlationData);
    },
    { over },
  ),
  claim(
    { v5: "paho:client_topic_alias" },
    "aliases stand for their topics on one connection, not on the next",
    async (site) => {
      const client = await site.connectKept("dev");
      await client.subscribe("TopicA", { qos: 2 });
      assert.ok((client.connack?.properties?.topicAliasMaximum ?? 0) > 0);
      const aliased = (topic: string): Buffer =>
        frame(0x32, text(topic), word(5), properties(byte(0x23, 0, 1)), Buffer.from("x"));
      await client.exchange(aliased("TopicA"));
      client.take();
      client.send(aliased(""));
      await site.settle();
      assert.deepEqual(client.messages(), ["TopicA x"]);
      await client.vanish();
      const back = await site.connectKept("dev");
      await back.exchange(aliased(""));
      assert.ok(back.isClosed, "the alias is gone");
    },
    { over },
  ),
  claim(
    { v5: "paho:server_topic_alias" },
    "a client that allows aliases gets its messages under their topics all the same",
    async (site) => {
      const client = await site.connect({ properties: { topicAliasMaximum: 1 } });
      await client.subscribe("TopicA", { qos: 2 });
      const known = new Map<number, string>();
      for (const qos of [0, 1, 2] as const) await client.publish("TopicA", "x", { qos });
      const topics = client.publications().map(({ topic, properties: of }) => {
        const alias = of?.topicAlias;
        if (alias === undefined) return topic;
        if (topic !== "") known.set(alias, topic);
        return known.get(alias);
      });
      assert.deepEqual(topics, ["TopicA", "TopicA", "TopicA"]);
    },
    { over },
  ),
  claim(
    { v5: "paho:maximum_packet_size" },
    "too large a packet ends the connection one way, and is left out the other way",
    async (site) => {
      const client = await site.connect();
      const most = client.connack?.properties?.maximumPacketSize ?? 0;
      assert.ok(most > 0, "CONNACK names a maximum packet size");
      const received = await client.exchange(
        client.publishPacket("TopicA", "x".repeat(most), { qos: 0 }),
      );
      assert.ok(client.isClosed, "the network connection is closed");
      const last = received.at(-1);
      assert.equal(last?.cmd === "disconnect" ? last.reasonCode : undefined, 0x95);
      const small = await site.connect({ properties: { maximumPacketSize: 64 } });
      await small.subscribe("TopicA", { qos: 2 });
      const pub = await site.connect();
      await pub.publish("TopicA", "fits", { qos: 1 });
      await pub.publish("TopicA", "x".repeat(64), { qos: 1 });
      assert.deepEqual(small.messages(), ["TopicA fits"]);
    },
    { over },
  ),
  claim(
    { v5: "paho:server_keep_alive" },
    "a keep alive beyond the server's is cut to it, or kept",
    async (site) => {
      const client = await site.connect({ keepalive: 120 });
      const agreed = client.connack?.properties?.serverKeepAlive ?? 120;
      await site.pass(agreed * 1.2);
      assert.equal(client.isClosed, false);
      await site.pass(agreed);
      assert.ok(client.isClosed);
    },
    { over },
  ),
  claim(
    { v5: "paho:flow_control1 paho:flow_control2" },
    "who sends beyond the server's receive maximum is disconnected with 0x93",
    async (site) => {
      const client = await site.connect();
      const most = client.connack?.properties?.receiveMaximum ?? 65_535;
      const received = await client.exchange(
        ...Array.from({ length: most + 2 }, (_, i) =>
          client.publishPacket("TopicA", "x", { qos: 2, id: i + 1 }),
        ),
      );
      assert.ok(client.isClosed, "the network connection is closed");
      const last = received.at(-1);
      assert.equal(last?.cmd === "disconnect" ? last.reasonCode : undefined, 0x93);
    },
    { over, limits: { inFlightPerConnectionMax: 20 } },
  ),
  claim(
    { v5: "paho:will_delay" },
    "a will waits for its delay",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("TopicA/C", { qos: 2 });
      const client = await site.connect({
        clientId: "dev",
        properties: { sessionExpiryInterval: 5 },
        will: {
          topic: "TopicA/C",
          payload: "test_will_delay will message",
          properties: { willDelayInterval: 3 },
        },
      });
      await client.vanish();
      await site.pass(2);
      assert.deepEqual(watcher.messages(), []);
      await site.pass(2);
      assert.deepEqual(watcher.messages(), ["TopicA/C test_will_delay will message"]);
    },
    { over },
  ),
  claim(
    { v5: "paho:shared_subscriptions" },
    "a message to a shared subscription goes to one of its group",
    async (site) => {
      const group = [await site.connect(), await site.connect()];
      for (const client of group) {
        const suback = await client.subscribe("$share/sharename/topic-a", { qos: 2 });
        assert.deepEqual(suback.granted, [2], "granted");
      }
      const pub = await site.connect();
      for (let i = 0; i < 10; i++) await pub.publish("topic-a", `${i}`, { qos: 1 });
      const received = group.flatMap((client) => client.messages());
      assert.equal(received.length, 10);
    },
    { over },
  ),
];
