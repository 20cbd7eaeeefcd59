/** Topic names and filters, and which match. */

import assert from "node:assert/strict";
import { byte, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { assertRefused, type Site } from "../site.ts";

/** Of these topics, those that a subscription to `filter` receives. */
async function matching(
  site: Site,
  filter: string,
  topics: readonly string[],
): Promise<readonly string[]> {
  const [pub, sub] = [await site.connect(), await site.connect()];
  await sub.subscribe(filter);
  for (const topic of topics) await pub.publish(topic, "x");
  const received = sub.publications().map(({ topic }) => topic);
  await sub.disconnect();
  return received;
}

/** A SUBSCRIBE to a filter that is none: its connection is closed, or in 5 the SUBACK says so. */
async function refusesFilter(site: Site, filter: string): Promise<void> {
  const client = await site.connect();
  const props = site.level === 5 ? properties() : byte();
  const [answer, ...more] = await client.exchange(
    frame(0x82, word(1), props, text(filter), byte(0)),
  );
  if (answer?.cmd === "suback") {
    assert.deepEqual([answer.granted, more], [[site.level === 4 ? 0x80 : 0x8f], []]);
    return;
  }
  assert.ok(client.isClosed, `the SUBSCRIBE to ${JSON.stringify(filter)} is refused`);
  if (site.level === 5) assert.equal(answer?.cmd, "disconnect");
}

export const topicCases: readonly Case[] = [
  claim(
    { v3: "4.7.1-1 3.8.3-2", v5: "4.7.1-1" },
    "# stands for a level, all below it, and its parent",
    async (site) => {
      const topics = ["a", "a/b", "a/b/c", "a/", "ab", "b/a", "/a"];
      assert.deepEqual(await matching(site, "a/#", topics), ["a", "a/b", "a/b/c", "a/"]);
      assert.deepEqual(await matching(site, "#", topics), topics);
    },
  ),
  claim(
    { v3: "4.7.1-2", v5: "4.7.1-1" },
    "# that is not a last level of its own makes a filter that is none",
    async (site) => {
      for (const filter of ["a#", "a/b#", "#/a", "a/#/b", "##", "#+"]) {
        await refusesFilter(site, filter);
      }
    },
  ),
  claim(
    { v3: "4.7.1-3", v5: "4.7.1-2" },
    "+ stands for exactly one level, also an empty one",
    async (site) => {
      const topics = ["a", "a/b", "a/b/c", "a/", "/a", "/", "b"];
      assert.deepEqual(await matching(site, "+", topics), ["a", "b"]);
      assert.deepEqual(await matching(site, "a/+", topics), ["a/b", "a/"]);
      assert.deepEqual(await matching(site, "+/+", topics), ["a/b", "a/", "/a", "/"]);
      assert.deepEqual(await matching(site, "/+", topics), ["/a", "/"]);
      assert.deepEqual(await matching(site, "+/b/#", topics), ["a/b", "a/b/c"]);
    },
  ),
  claim(
    { v3: "4.7.1-3", v5: "4.7.1-2" },
    "+ that is not a whole level makes a filter that is none",
    async (site) => {
      for (const filter of ["a+", "+a", "a/b+", "a/+b/c", "++"]) await refusesFilter(site, filter);
    },
  ),
  claim(
    { v3: "4.7.2-1", v5: "4.7.2-1" },
    "filters that begin with a wildcard do not match topics that begin with $",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe([
        { topic: "#", qos: 0 },
        { topic: "+/a", qos: 0 },
        { topic: "+/+/+", qos: 0 },
      ]);
      await pub.publish("$other/a", "x");
      assert.deepEqual(sub.messages(), []);
      await sub.subscribe([
        { topic: "$other/#", qos: 0 },
        { topic: "$SYS/#", qos: 0 },
      ]);
      await pub.publish("$other/a", "x");
      assert.ok(sub.messages().includes("$other/a x"), "which a filter with $ does");
    },
  ),
  claim({ v3: "4.7.2-1", v5: "4.7.2-1" }, "nor do they with retained messages", async (site) => {
    const pub = await site.connect();
    await pub.publish("$other/a", "x", { qos: 1, retain: true });
    const sub = await site.connect();
    await sub.subscribe([
      { topic: "#", qos: 0 },
      { topic: "+/a", qos: 0 },
    ]);
    assert.deepEqual(sub.messages(), []);
    await sub.subscribe("$other/+");
    assert.deepEqual(sub.messages(), ["$other/a x"]);
  }),
  claim({ v3: "4.7.2-1", v5: "4.7.2-1" }, "nor for a session that is away", async (site) => {
    const sub = await site.connectKept("sub");
    await sub.subscribe("#", { qos: 1 });
    await sub.disconnect();
    const pub = await site.connect();
    await pub.publish("$other/a", "x", { qos: 1 });
    await pub.publish("other/a", "y", { qos: 1 });
    assert.deepEqual((await site.connectKept("sub")).messages(), ["other/a y"]);
  }),
  claim({ v3: "4.7.3-1", v5: "4.7.3-1" }, "an empty topic filter is none", async (site) => {
    await refusesFilter(site, "");
  }),
  claim(
    { v3: "4.7.3-2", v5: "4.7.3-2" },
    "U+0000 in a topic filter closes the connection",
    async (site) => {
      const client = await site.connect();
      const props = site.level === 5 ? properties() : byte();
      client.send(frame(0x82, word(1), props, text("a\0b"), byte(0)));
      await site.settle();
      assertRefused(client, 0x81, 0x8f);
    },
  ),
  claim(
    { v3: "4.7.3-3", v5: "4.7.3-3" },
    "a topic of thousands of bytes is delivered",
    async (site) => {
      const topic = `long/${"x".repeat(8_000)}`;
      assert.deepEqual(await matching(site, "long/+", [topic]), [topic]);
    },
  ),
  claim({ v3: "4.7.3-3", v5: "4.7.3-3" }, "a topic of 65,535 bytes is delivered", async (site) => {
    const topic = "x".repeat(65_535);
    const [pub, sub] = [await site.connect(), await site.connect()];
    await sub.subscribe("+");
    await pub.publish(topic, "m");
    assert.equal(sub.publications()[0]?.topic.length, topic.length, "length of the topic");
  }),
  claim(
    { v3: "§4.7.3", v5: "§4.7.3" },
    "a topic of a hundred levels is delivered",
    async (site) => {
      const topic = Array.from({ length: 100 }, (_, i) => `${i}`).join("/");
      assert.deepEqual(await matching(site, "0/#", [topic]), [topic]);
      assert.deepEqual(await matching(site, topic, [topic]), [topic]);
    },
  ),
  claim(
    { v3: "§4.7.3", v5: "§4.7.3" },
    "a topic may have as many levels as its length allows",
    async (site) => {
      const topic = Array.from({ length: 200 }, (_, i) => `${i}`).join("/");
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("0/#");
      await pub.exchange(pub.publishPacket(topic, "x"));
      assert.deepEqual(sub.messages(), [`${topic} x`], "delivered");
    },
  ),
  claim(
    { v3: "4.7.3-4", v5: "4.7.3-4" },
    "topics are compared byte by byte: no case, no blanks, no Unicode forms, no slashes are levelled",
    async (site) => {
      const topics = ["A", "a", "a ", " a", "a/", "/a", "\u{e9}", "e\u{301}", "a//b", "a/b"];
      for (const topic of topics) {
        assert.deepEqual(await matching(site, topic, topics), [topic]);
      }
    },
  ),
];
