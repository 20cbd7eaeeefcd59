/** PUBLISH and how it is acknowledged. */

import assert from "node:assert/strict";
import { byte, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { kindOf } from "../client.ts";
import { assertRefused } from "../site.ts";

export const publishCases: readonly Case[] = [
  claim(
    { v3: "3.3.4-1 2.3.1-6", v5: "3.3.4-1 2.2.1-5" },
    "QoS 0 is not answered, QoS 1 by a PUBACK, QoS 2 by a PUBREC, with the packet identifier",
    async (site) => {
      const client = await site.connect();
      assert.deepEqual(await client.exchange(client.publishPacket("a", "0")), []);
      for (const id of [1, 2, 255, 256, 65_535]) {
        const one = await client.exchange(client.publishPacket("a", "1", { qos: 1, id }));
        assert.deepEqual(one.map(kindOf), [`puback ${id}`]);
        const two = await client.exchange(client.publishPacket("a", "2", { qos: 2, id }));
        assert.deepEqual(two.map(kindOf), [`pubrec ${id}`]);
        const three = await client.exchange({ cmd: "pubrel", messageId: id });
        assert.deepEqual(three.map(kindOf), [`pubcomp ${id}`]);
      }
      assert.equal(client.isClosed, false);
    },
  ),
  claim(
    { v3: "3.3.1-2", v5: "3.3.1-2 4.3.1-1" },
    "a QoS 0 message is delivered with DUP 0",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      await pub.publish("a", "x");
      assert.deepEqual(
        sub.publications().map(({ dup, qos }) => [dup, qos]),
        [[false, 0]],
      );
    },
  ),
  claim(
    { v3: "3.3.1-3", v5: "3.3.1-3" },
    "DUP of an incoming PUBLISH is not passed on",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      await pub.publish("a", "1", { qos: 1, dup: true });
      await pub.publish("a", "2", { qos: 2, dup: true });
      assert.deepEqual(
        sub.publications().map(({ dup }) => dup),
        [false, false],
      );
    },
  ),
  claim(
    { v3: "2.3.1-5", v5: "2.2.1-2" },
    "a QoS 0 message has no packet identifier, coming or going",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a");
      const props = site.level === 5 ? properties() : byte();
      await pub.exchange(frame(0x30, text("a"), props, byte(0, 1, 0x78)));
      const [publication] = sub.publications();
      assert.deepEqual(publication?.payload, Buffer.from([0, 1, 0x78]));
      assert.equal(publication?.messageId, undefined);
    },
  ),
  claim(
    { v3: "3.3.2-1", v5: "3.3.2-1" },
    "a PUBLISH without a topic name closes the connection",
    async (site) => {
      const props = site.level === 5 ? properties() : byte();
      for (const packet of [frame(0x30, text(""), props, byte(1)), frame(0x30, byte(0))]) {
        const client = await site.connect();
        client.send(packet);
        await site.settle();
        assertRefused(client, 0x81, 0x82, 0x90);
      }
    },
  ),
  claim(
    { v3: "3.3.2-2", v5: "3.3.2-2 4.7.0-1" },
    "a PUBLISH to a topic with a wildcard closes the connection",
    async (site) => {
      for (const topic of ["#", "+", "a/#", "a/+/b", "a+", "a#b"]) {
        const client = await site.connect();
        const props = site.level === 5 ? properties() : byte();
        client.send(frame(0x32, text(topic), word(1), props, byte(0x78)));
        await site.settle();
        assertRefused(client, 0x90, 0x81);
      }
      assert.deepEqual(site.received, []);
    },
  ),
  claim(
    { v3: "3.3.2-3", v5: "3.3.2-3" },
    "a message is delivered under the very topic it was published to",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("#");
      const topics = ["a", "a/b/c", "/", "//", "a/", "/a", "a b", "é/😀", "a\u{1}b"];
      for (const topic of topics) await pub.publish(topic, "x");
      assert.deepEqual(
        sub.publications().map(({ topic }) => topic),
        topics,
      );
    },
  ),
  claim(
    { v3: "§3.3.3", v5: "§3.3.3" },
    "a payload is passed on byte by byte, and may be empty",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
      for (const qos of [0, 1, 2] as const) {
        for (const payload of [all, Buffer.alloc(0)]) {
          await pub.publish("a", payload, { qos });
          assert.deepEqual(
            sub.publications().map((publication) => publication.payload),
            [payload],
          );
        }
      }
    },
  ),
  claim(
    { v3: "3.3.5-2" },
    "a message that may not be published closes the connection, unacknowledged, and goes nowhere",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("#");
      for (const qos of [0, 1, 2] as const) {
        const client = await site.connect();
        const received = await client.exchange(
          client.publishPacket("forbidden", "x", { qos, id: 7 }),
        );
        assert.deepEqual(received, []);
        assert.ok(client.isClosed, "the network connection is closed");
      }
      await (await site.connect()).publish("allowed/a", "y", { qos: 2 });
      assert.deepEqual(watcher.messages(), ["allowed/a y"]);
      assert.ok(site.received.every((message) => message === "allowed/a y"));
    },
    { access: { anonymousRights: { publish: ["allowed/#"] } } },
  ),
  claim(
    { v3: "3.3.5-2", v5: "§3.4.2.1" },
    "a message to the server's own topics is acknowledged or closes the connection, and goes nowhere",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("$SYS/mine");
      const client = await site.connect();
      const received = await client.exchange(
        client.publishPacket("$SYS/mine", "x", { qos: 1, id: 7 }),
      );
      const answered = received.some((packet) => kindOf(packet) === "puback 7");
      assert.ok(answered || client.isClosed, "a PUBACK, or a closed connection");
      assert.deepEqual(watcher.messages(), []);
    },
  ),
];
