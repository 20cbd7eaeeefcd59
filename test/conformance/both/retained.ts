/** Retained messages. */

import assert from "node:assert/strict";
import { type Case, claim } from "../case.ts";

export const retainedCases: readonly Case[] = [
  claim(
    { v3: "3.3.1-5 3.3.1-6 3.3.1-8", v5: "3.3.1-5 3.3.1-9" },
    "a new subscription gets the retained messages that match, with RETAIN 1",
    async (site) => {
      const pub = await site.connect();
      for (const [i, topic] of ["a", "a/b", "a/c", "d"].entries()) {
        const qos = ([0, 1, 2, 1] as const)[i] ?? 0;
        await pub.publish(topic, `of ${topic}`, { qos, retain: true });
      }
      const sub = await site.connect();
      await sub.subscribe("a/+", { qos: 2 });
      const received = sub.publications();
      assert.deepEqual(
        received.map(({ topic, payload }) => `${topic} ${payload.toString()}`).toSorted(),
        ["a/b of a/b", "a/c of a/c"],
      );
      assert.ok(received.every(({ retain }) => retain));
    },
  ),
  claim(
    { v3: "3.3.1-5", v5: "3.3.1-5" },
    "a retained message replaces the one before, and keeps its QoS",
    async (site) => {
      const pub = await site.connect();
      await pub.publish("a", "old", { qos: 2, retain: true });
      await pub.publish("a", "new", { qos: 1, retain: true });
      const sub = await site.connect();
      await sub.subscribe("a", { qos: 2 });
      assert.deepEqual(
        sub.publications().map(({ payload, qos }) => [payload.toString(), qos]),
        [["new", 1]],
      );
    },
  ),
  claim(
    { v3: "3.3.1-7", v5: "3.3.1-5" },
    "a QoS 0 message with RETAIN takes the place of the one before",
    async (site) => {
      const pub = await site.connect();
      await pub.publish("a", "old", { qos: 1, retain: true });
      await pub.publish("a", "new", { qos: 0, retain: true });
      const sub = await site.connect();
      await sub.subscribe("a", { qos: 2 });
      assert.deepEqual(sub.messages(), ["a new"]);
    },
  ),
  claim(
    { v3: "3.3.1-9", v5: "3.3.1-12" },
    "a message reaches a subscription that stands with RETAIN 0, whatever it was published with",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      for (const qos of [0, 1, 2] as const) await pub.publish("a", `${qos}`, { qos, retain: true });
      assert.deepEqual(
        sub.publications().map(({ retain }) => retain),
        [false, false, false],
      );
    },
  ),
  claim(
    { v3: "3.3.1-10 3.3.1-11", v5: "3.3.1-6 3.3.1-7" },
    "an empty retained message takes the kept one back and is not kept itself",
    async (site) => {
      const pub = await site.connect();
      for (const qos of [0, 1, 2] as const) {
        await pub.publish("a", "kept", { qos: 1, retain: true });
        await pub.publish("a", "", { qos, retain: true });
        const sub = await site.connect();
        await sub.subscribe("a");
        assert.deepEqual(sub.messages(), []);
      }
    },
  ),
  claim(
    { v3: "3.3.1-10", v5: "3.3.1-6" },
    "an empty retained message is passed on to who is subscribed, as any other",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a", { qos: 2 });
      for (const qos of [0, 1, 2] as const) {
        await pub.publish("a", "", { qos, retain: true });
        assert.deepEqual(
          sub.publications().map(({ payload, retain }) => [payload.length, retain]),
          [[0, false]],
        );
      }
    },
  ),
  claim(
    { v3: "3.3.1-12", v5: "3.3.1-8" },
    "a message without RETAIN is not kept and changes nothing that is",
    async (site) => {
      const pub = await site.connect();
      await pub.publish("a", "kept", { qos: 1, retain: true });
      await pub.publish("a", "passing", { qos: 1 });
      await pub.publish("a", "", { qos: 1 });
      await pub.publish("b", "passing", { qos: 2 });
      const sub = await site.connect();
      await sub.subscribe("#");
      assert.deepEqual(sub.messages(), ["a kept"]);
    },
  ),
  claim(
    { v3: "3.3.1-6", v5: "§3.3.1.3" },
    "a session that is taken up again gets no retained messages",
    async (site) => {
      const sub = await site.connectKept("sub");
      await sub.subscribe("a", { qos: 1 });
      await sub.disconnect();
      await (await site.connect()).publish("b", "kept", { qos: 1, retain: true });
      const pub = await site.connect();
      await pub.publish("a", "kept", { qos: 0, retain: true });
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(back.messages(), []);
    },
  ),
  claim(
    { v3: "3.8.4-6", v5: "3.8.4-8" },
    "a retained message comes with at most the QoS that was granted, also through a wildcard",
    async (site) => {
      const pub = await site.connect();
      await pub.publish("a/b", "two", { qos: 2, retain: true });
      for (const filter of ["a/b", "a/+", "#"]) {
        for (const qos of [0, 1, 2] as const) {
          const sub = await site.connect();
          await sub.subscribe(filter, { qos });
          assert.deepEqual(
            sub.publications().map((publication) => publication.qos),
            [qos],
            `QoS by ${filter}, granted ${qos}`,
          );
        }
      }
    },
  ),
];
