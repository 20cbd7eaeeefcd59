/** The handshakes of QoS 1 and 2, in both directions. */

import assert from "node:assert/strict";
import { type Case, claim } from "../case.ts";
import { connectPacketOf, kindOf } from "../client.ts";

export const deliveryCases: readonly Case[] = [
  claim(
    { v3: "4.3.1-1", v5: "4.3.1-1" },
    "QoS 0 reaches a subscriber at most once, at QoS 0",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      await pub.publish("a", "x");
      await site.settle();
      assert.deepEqual(
        sub.publications().map(({ qos, payload }) => [qos, payload.toString()]),
        [[0, "x"]],
      );
    },
  ),
  claim(
    { v3: "4.3.2-1", v5: "4.3.2-1 4.3.2-2 2.2.1-4" },
    "a QoS 1 delivery has DUP 0 and a packet identifier that is in use for nothing else",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      sub.answers = false;
      await sub.subscribe("a", { qos: 1 });
      for (let i = 0; i < 20; i++) await pub.publish("a", `${i}`, { qos: 1 });
      const received = sub.publications();
      assert.equal(received.length, 20);
      assert.ok(received.every(({ dup, qos }) => !dup && qos === 1));
      const ids = new Set(received.map(({ messageId }) => messageId));
      assert.equal(ids.size, 20);
      assert.equal(ids.has(0), false);
    },
  ),
  claim(
    { v3: "2.3.1-4", v5: "2.2.1-4" },
    "identifiers that are in flight are not given again, over 65,535 deliveries",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      sub.answers = false;
      await sub.subscribe("a", { qos: 1 });
      await pub.publish("a", "first", { qos: 1 });
      const first = sub.publications()[0]?.messageId ?? 0;
      const seen = new Set<number>();
      for (let round = 0; round < 330; round++) {
        const packets = Array.from({ length: 200 }, (_, i) =>
          pub.publishPacket("a", "x", { qos: 1, id: i + 1 }),
        );
        await pub.exchange(...packets);
        // What a client may send in a second is bounded.
        await site.pass(1);
        for (const { messageId = 0 } of sub.publications()) {
          assert.notEqual(messageId, first, "the identifier that was never acknowledged");
          assert.notEqual(messageId, 0);
          seen.add(messageId);
          sub.sendPacket({ cmd: "puback", messageId });
        }
      }
      assert.ok(seen.size > 65_000, "all others were given");
    },
    { ways: ["broker"] },
  ),
  claim(
    { v3: "4.3.2-2", v5: "4.3.2-5" },
    "after its PUBACK the same packet identifier is a new message, DUP or not",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 1 });
      await pub.publish("a", "1", { qos: 1, id: 7 });
      await pub.publish("a", "2", { qos: 1, id: 7 });
      await pub.publish("a", "2", { qos: 1, id: 7, dup: true });
      assert.deepEqual(sub.messages(), ["a 1", "a 2", "a 2"]);
    },
  ),
  claim(
    { v3: "4.3.2-1", v5: "4.3.2-3" },
    "a QoS 1 delivery counts as unacknowledged until its PUBACK comes, and not after it",
    async (site) => {
      const sub = await site.connectKept("sub");
      sub.answers = false;
      await sub.subscribe("a", { qos: 1 });
      const pub = await site.connect();
      for (const n of ["1", "2", "3"]) await pub.publish("a", n, { qos: 1 });
      const [, second] = sub.publications();
      await sub.exchange({ cmd: "puback", messageId: second?.messageId ?? 0 });
      await sub.vanish();
      const back = await site.connectKept("sub");
      assert.deepEqual(back.messages(), ["a 1", "a 3"]);
    },
  ),
  claim(
    { v3: "4.3.2-2", v5: "4.3.2-4" },
    "a PUBACK answers a PUBLISH, one for one, in order",
    async (site) => {
      const client = await site.connect();
      const ids = [5, 3, 9, 1];
      const received = await client.exchange(
        ...ids.map((id) => client.publishPacket("a", "x", { qos: 1, id })),
      );
      assert.deepEqual(
        received.map(kindOf),
        ids.map((id) => `puback ${id}`),
      );
    },
  ),
  claim(
    { v3: "4.3.3-1", v5: "4.3.3-1 4.3.3-2 4.3.3-4" },
    "a QoS 2 delivery is released by a PUBREL after the PUBREC, with one identifier",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      await pub.publish("a", "x", { qos: 2 });
      const [publication, ...more] = sub.publications();
      assert.ok(publication, "it is delivered");
      assert.deepEqual([publication.qos, publication.dup, more.length], [2, false, 0]);
      const messageId = publication.messageId ?? 0;
      assert.notEqual(messageId, 0);
      const released = await sub.exchange({ cmd: "pubrec", messageId });
      assert.deepEqual(released.map(kindOf), [`pubrel ${messageId}`]);
      assert.deepEqual(await sub.exchange({ cmd: "pubcomp", messageId }), []);
    },
  ),
  claim(
    { v3: "4.3.3-1", v5: "4.3.3-3 4.3.3-5" },
    "a QoS 2 delivery that was completed does not come again, one that was not does",
    async (site) => {
      const sub = await site.connectKept("sub");
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      for (const n of ["done", "released", "open"]) await pub.publish("a", n, { qos: 2 });
      const ids = sub.publications().map(({ messageId = 0 }) => messageId);
      const [done = 0, released = 0, open = 0] = ids;
      await sub.exchange({ cmd: "pubrec", messageId: done });
      await sub.exchange({ cmd: "pubcomp", messageId: done });
      await sub.exchange({ cmd: "pubrec", messageId: released });
      await sub.vanish();
      const back = site.open();
      back.answers = false;
      const received = await back.exchange(connectPacketOf(site.level, site.kept("sub")));
      assert.deepEqual(received.map(kindOf).toSorted(), [
        "connack",
        `publish ${open}`,
        `pubrel ${released}`,
      ]);
    },
  ),
  claim(
    { v3: "4.3.3-2", v5: "4.3.3-8 4.3.3-10" },
    "a QoS 2 PUBLISH that is sent again before its PUBREL is answered and delivered once",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      const packet = pub.publishPacket("a", "x", { qos: 2, id: 9 });
      const again = { ...packet, dup: true };
      assert.deepEqual((await pub.exchange(packet)).map(kindOf), ["pubrec 9"]);
      assert.deepEqual((await pub.exchange(again)).map(kindOf), ["pubrec 9"]);
      const rest = await pub.exchange({ cmd: "pubrel", messageId: 9 });
      assert.deepEqual(rest.map(kindOf), ["pubcomp 9"]);
      assert.deepEqual(sub.messages(), ["a x"]);
      assert.ok(site.received.length <= 1, "and received once");
    },
  ),
  claim(
    { v3: "4.3.3-2", v5: "4.3.3-10" },
    "a QoS 2 PUBLISH sent twice in one piece is delivered once",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      const packet = pub.publishPacket("a", "x", { qos: 2, id: 9 });
      const received = await pub.exchange(packet, { ...packet, dup: true });
      assert.ok(received.every((answer) => kindOf(answer) === "pubrec 9"));
      await pub.exchange({ cmd: "pubrel", messageId: 9 });
      assert.deepEqual(sub.messages(), ["a x"], "delivered once");
    },
  ),
  claim(
    { v3: "4.3.3-2", v5: "4.3.3-10" },
    "so it is when the client was away between the PUBLISH and its copy",
    async (site) => {
      const sub = await site.connect();
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connectKept("pub");
      const packet = pub.publishPacket("a", "x", { qos: 2, id: 9 });
      await pub.exchange(packet);
      await pub.vanish();
      const back = await site.connectKept("pub");
      const again = await back.exchange({ ...packet, dup: true });
      assert.deepEqual(again.map(kindOf), ["pubrec 9"]);
      const end = await back.exchange({ cmd: "pubrel", messageId: 9 });
      assert.deepEqual(end.map(kindOf), ["pubcomp 9"]);
      assert.deepEqual(sub.messages(), ["a x"]);
      assert.ok(site.received.length <= 1, "and received once");
    },
  ),
  claim(
    { v3: "4.3.3-2", v5: "4.3.3-12" },
    "after the PUBCOMP the same packet identifier is a new message",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      await pub.publish("a", "1", { qos: 2, id: 9 });
      await pub.publish("a", "2", { qos: 2, id: 9 });
      assert.deepEqual(sub.messages(), ["a 1", "a 2"]);
    },
  ),
  claim(
    { v3: "4.3.3-2", v5: "4.3.3-11" },
    "a PUBREL is answered by a PUBCOMP with its identifier, known or not",
    async (site) => {
      const client = await site.connect();
      for (const messageId of [1, 77, 65_535]) {
        const received = await client.exchange({ cmd: "pubrel", messageId });
        assert.deepEqual(received.map(kindOf), [`pubcomp ${messageId}`]);
      }
      const twice = [
        ...(await client.exchange(client.publishPacket("a", "x", { qos: 2, id: 3 }))),
        ...(await client.exchange({ cmd: "pubrel", messageId: 3 })),
        ...(await client.exchange({ cmd: "pubrel", messageId: 3 })),
      ];
      assert.deepEqual(twice.map(kindOf), ["pubrec 3", "pubcomp 3", "pubcomp 3"]);
    },
  ),
  claim(
    { v3: "3.8.4-6", v5: "3.8.4-8" },
    "a message is delivered with the smaller of the QoS published and granted",
    async (site) => {
      const pub = await site.connect();
      for (const filter of ["a/b", "a/+", "a/#"]) {
        const sub = await site.connect();
        for (const granted of [0, 1, 2] as const) {
          await sub.subscribe(filter, { qos: granted });
          for (const qos of [0, 1, 2] as const) {
            await pub.publish("a/b", "x", { qos });
            assert.deepEqual(
              sub.publications().map((publication) => publication.qos),
              [Math.min(qos, granted)],
              `QoS by ${filter}, published ${qos}, granted ${granted}`,
            );
          }
        }
        await sub.disconnect();
      }
    },
  ),
  claim(
    { v3: "3.8.4-6", v5: "3.8.4-8" },
    "so is a message that waited in a session",
    async (site) => {
      const sub = await site.connectKept("sub");
      await sub.subscribe([
        { topic: "a/+", qos: 1 },
        { topic: "b", qos: 1 },
      ]);
      await sub.disconnect();
      const pub = await site.connect();
      await pub.publish("a/b", "x", { qos: 2 });
      await pub.publish("b", "x", { qos: 2 });
      const back = await site.connectKept("sub");
      assert.deepEqual(
        back.publications().map(({ topic, qos }) => [topic, qos]),
        [
          ["a/b", 1],
          ["b", 1],
        ],
        "QoS of what waited",
      );
    },
  ),
  claim(
    { v3: "3.3.5-1", v5: "3.3.4-2" },
    "a message that several subscriptions match is delivered with the largest QoS they grant",
    async (site) => {
      const pub = await site.connect();
      for (const filters of [
        ["a/b", "a/#"],
        ["a/#", "a/b"],
        ["a/+", "#"],
      ] as const) {
        for (const [first, second] of [
          [0, 2],
          [2, 0],
          [1, 2],
        ] as const) {
          const sub = await site.connect();
          await sub.subscribe([
            { topic: filters[0], qos: first },
            { topic: filters[1], qos: second },
          ]);
          await pub.publish("a/b", "x", { qos: 2 });
          const qos = sub.publications().map((publication) => publication.qos);
          const largest = Math.max(first, second);
          assert.equal(Math.max(...qos), largest, `QoS by ${filters.join()} ${first} ${second}`);
          await sub.disconnect();
        }
      }
    },
  ),
  claim(
    { v3: "4.5.0-1", v5: "4.5.0-1" },
    "a message reaches every client that subscribed, here and away",
    async (site) => {
      const away = await site.connectKept("away");
      await away.subscribe("a", { qos: 1 });
      await away.disconnect();
      const subs = [];
      for (let i = 0; i < 5; i++) {
        const sub = await site.connect();
        await sub.subscribe(i % 2 === 0 ? "a" : "#", { qos: 1 });
        subs.push(sub);
      }
      const pub = await site.connect();
      await pub.subscribe("+", { qos: 1 });
      await pub.publish("a", "x", { qos: 1 });
      for (const sub of [...subs, pub, await site.connectKept("away")]) {
        assert.deepEqual(sub.messages(), ["a x"]);
      }
    },
  ),
  claim(
    { v3: "4.8.0-2" },
    "a QoS 2 message beyond what the server can hold open closes the connection, unacknowledged",
    async (site) => {
      const client = await site.connect();
      await client.exchange(client.publishPacket("a", "1", { qos: 2, id: 1 }));
      const received = await client.exchange(client.publishPacket("a", "2", { qos: 2, id: 2 }));
      assert.deepEqual(received, []);
      assert.ok(client.isClosed, "the network connection is closed");
    },
    { limits: { qos2OpenMax: 1 } },
  ),
  claim(
    { v3: "§4.3.3", v5: "§4.3.3" },
    "acknowledgements for what was never sent do no harm",
    async (site) => {
      const client = await site.connect();
      await client.exchange({ cmd: "puback", messageId: 77 }, { cmd: "pubcomp", messageId: 78 });
      assert.equal(client.isClosed, false);
      await client.subscribe("a", { qos: 1 });
      await client.publish("a", "x", { qos: 1 });
      assert.deepEqual(client.messages(), ["a x"]);
    },
  ),
];
