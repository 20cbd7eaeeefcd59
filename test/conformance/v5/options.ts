/** Subscription options, identifiers, shared subscriptions, and the reasons of SUBACK and UNSUBACK. */

import assert from "node:assert/strict";
import { byte, frame, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { assertRefused } from "../site.ts";

/** Reason codes of a SUBACK, MQTT 5 table 3-8. */
const subackReasons = new Set([0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]);

function idsOf(given: number | number[] | undefined): readonly number[] {
  if (given === undefined) return [];
  return (typeof given === "number" ? [given] : given).toSorted((a, b) => a - b);
}

export const optionCases: readonly Case[] = [
  claim(
    { v5: "3.8.3-3" },
    "with No Local a client does not get its own messages, and gets those of others",
    async (site) => {
      const [own, other] = [await site.connect(), await site.connect()];
      await own.subscribe({ topic: "a", qos: 1, nl: true });
      await other.subscribe({ topic: "a", qos: 1, nl: false });
      for (const qos of [0, 1, 2] as const) await own.publish("a", `own ${qos}`, { qos });
      await other.publish("a", "other's", { qos: 1 });
      assert.deepEqual(own.messages(), ["a other's"]);
      assert.equal(other.messages().length, 4);
    },
  ),
  claim(
    { v5: "3.8.3-3" },
    "No Local holds for a message that waited, and for its own will",
    async (site) => {
      const client = await site.connect(site.kept("dev"));
      await client.subscribe({ topic: "a", qos: 1, nl: true });
      await client.vanish();
      await (await site.connect()).publish("a", "other's", { qos: 1 });
      const back = await site.connectKept("dev");
      await back.publish("a", "own", { qos: 1 });
      assert.deepEqual(back.messages(), ["a other's"]);
    },
  ),
  claim(
    { v5: "3.8.3-4" },
    "No Local on a shared subscription is a protocol error",
    async (site) => {
      const client = await site.connect();
      client.send(frame(0x82, word(1), properties(), text("$share/g/a"), byte(0x05)));
      await site.settle();
      assertRefused(client, 0x82);
    },
  ),
  claim({ v5: "§3.8.3.1" }, "Retain Handling 3 is a protocol error", async (site) => {
    const client = await site.connect();
    client.send(frame(0x82, word(1), properties(), text("a"), byte(0x30)));
    await site.settle();
    assertRefused(client, 0x82, 0x81);
  }),
  claim(
    { v5: "3.3.1-13 3.3.1-12" },
    "with Retain As Published a message keeps its RETAIN flag, without it has none",
    async (site) => {
      const [as, not] = [await site.connect(), await site.connect()];
      await as.subscribe({ topic: "a", qos: 2, rap: true });
      await not.subscribe({ topic: "a", qos: 2, rap: false });
      const pub = await site.connect();
      for (const qos of [0, 1, 2] as const) {
        await pub.publish("a", "kept", { qos, retain: true });
        await pub.publish("a", "passing", { qos, retain: false });
      }
      const flags = [true, false, true, false, true, false];
      assert.deepEqual(
        as.publications().map(({ retain }) => retain),
        flags,
      );
      assert.deepEqual(
        not.publications().map(({ retain }) => retain),
        flags.map(() => false),
      );
    },
  ),
  claim(
    { v5: "3.3.1-9 3.8.4-4" },
    "Retain Handling 0 sends retained messages with every SUBSCRIBE",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await pub.publish("a", "kept", { qos: 1, retain: true });
      for (let i = 0; i < 2; i++) {
        await sub.subscribe({ topic: "a", qos: 1, rh: 0 });
        assert.deepEqual(sub.messages(), ["a kept"]);
      }
    },
  ),
  claim(
    { v5: "3.3.1-10" },
    "Retain Handling 1 sends them only where the subscription is new",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connectKept("sub")];
      await pub.publish("a", "kept", { qos: 1, retain: true });
      await sub.subscribe({ topic: "a", qos: 1, rh: 1 });
      assert.deepEqual(sub.messages(), ["a kept"]);
      await sub.subscribe({ topic: "a", qos: 1, rh: 1 });
      assert.deepEqual(sub.messages(), []);
      await sub.disconnect();
      const back = await site.connectKept("sub");
      await back.subscribe({ topic: "a", qos: 1, rh: 1 });
      assert.deepEqual(back.messages(), [], "nor in a session that was taken up again");
      await back.unsubscribe("a");
      await back.subscribe({ topic: "a", qos: 1, rh: 1 });
      assert.deepEqual(back.messages(), ["a kept"], "but after an UNSUBSCRIBE");
    },
  ),
  claim({ v5: "3.3.1-11" }, "Retain Handling 2 sends none", async (site) => {
    const [pub, sub] = [await site.connect(), await site.connect()];
    await pub.publish("a", "kept", { qos: 1, retain: true });
    await sub.subscribe([
      { topic: "a", qos: 1, rh: 2 },
      { topic: "+", qos: 1, rh: 2 },
    ]);
    assert.deepEqual(sub.messages(), []);
    await pub.publish("a", "new", { qos: 1, retain: true });
    assert.ok(sub.messages().length > 0, "what is published then comes");
  }),
  claim({ v5: "3.3.4-3" }, "a delivery names the identifier of its subscription", async (site) => {
    const [pub, sub] = [await site.connect(), await site.connect()];
    await sub.subscribe("a", { qos: 2, properties: { subscriptionIdentifier: 7 } });
    await sub.subscribe("b", { qos: 2, properties: { subscriptionIdentifier: 268_435_455 } });
    await sub.subscribe("c", { qos: 2 });
    for (const topic of ["a", "b", "c"]) await pub.publish(topic, "x", { qos: 1 });
    assert.deepEqual(
      sub.publications().map(({ properties: of }) => idsOf(of?.subscriptionIdentifier)),
      [[7], [268_435_455], []],
    );
  }),
  claim(
    { v5: "3.3.4-3 3.3.4-4 3.3.4-5" },
    "one that several subscriptions match names all their identifiers, in one copy or in each its own",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await sub.subscribe("a/b", { qos: 1, properties: { subscriptionIdentifier: 1 } });
      await sub.subscribe("a/+", { qos: 1, properties: { subscriptionIdentifier: 2 } });
      await sub.subscribe("#", { qos: 1 });
      await pub.publish("a/b", "x", { qos: 1 });
      const ids = sub
        .publications()
        .flatMap(({ properties: of }) => idsOf(of?.subscriptionIdentifier));
      assert.deepEqual(
        ids.toSorted((a, b) => a - b),
        [1, 2],
      );
    },
  ),
  claim(
    { v5: "3.8.4-3" },
    "a new SUBSCRIBE replaces the identifier, or takes it away",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      const ids: (readonly number[])[] = [];
      for (const subscriptionIdentifier of [7, 8, undefined]) {
        await sub.subscribe("a", {
          qos: 1,
          ...(subscriptionIdentifier === undefined
            ? {}
            : { properties: { subscriptionIdentifier } }),
        });
        await pub.publish("a", "x", { qos: 1 });
        for (const { properties: of } of sub.publications()) {
          ids.push(idsOf(of?.subscriptionIdentifier));
        }
      }
      assert.deepEqual(ids, [[7], [8], []]);
    },
  ),
  claim({ v5: "§3.8.4" }, "identifiers and options are part of the session", async (site) => {
    const sub = await site.connectKept("sub");
    await sub.subscribe(
      { topic: "a", qos: 1, rap: true },
      {
        properties: { subscriptionIdentifier: 7 },
      },
    );
    await sub.disconnect();
    const pub = await site.connect();
    await pub.publish("a", "waits", { qos: 1, retain: true });
    const back = await site.connectKept("sub");
    await pub.publish("a", "new", { qos: 1, retain: true });
    assert.deepEqual(
      back
        .publications()
        .map(({ payload, retain, properties: of }) => [
          payload.toString(),
          retain,
          idsOf(of?.subscriptionIdentifier),
        ]),
      [
        ["waits", true, [7]],
        ["new", true, [7]],
      ],
    );
  }),
  claim(
    { v5: "§3.3.4" },
    "a retained message names the identifier of the subscription it answers",
    async (site) => {
      const [pub, sub] = [await site.connect(), await site.connect()];
      await pub.publish("a", "kept", { qos: 1, retain: true });
      await sub.subscribe("a", { qos: 1, properties: { subscriptionIdentifier: 7 } });
      assert.deepEqual(
        sub.publications().map(({ properties: of }) => idsOf(of?.subscriptionIdentifier)),
        [[7]],
      );
    },
  ),
  claim(
    { v5: "3.9.3-2" },
    "every reason of a SUBACK is one of its table, also for filters that are none",
    async (site) => {
      const client = await site.connect();
      const suback = await client.subscribe([
        { topic: "a", qos: 2 },
        { topic: "$share/group/a", qos: 1 },
        { topic: "$share//a", qos: 1 },
        { topic: "$share/group/", qos: 1 },
        { topic: "a/#/b", qos: 0 },
        { topic: "a+", qos: 0 },
        { topic: "b", qos: 1 },
      ]);
      const granted = suback.granted.map(Number);
      assert.equal(granted.length, 7);
      assert.ok(granted.every((reason) => subackReasons.has(reason)));
      assert.deepEqual([granted[0], granted[6]], [2, 1]);
      assert.ok(granted.slice(4, 6).every((reason) => reason === 0x8f));
    },
  ),
  claim(
    { v5: "§4.8.2" },
    "where shared subscriptions are not offered, CONNACK says so and they are refused with 0x9E",
    async (site) => {
      const client = await site.connect();
      assert.equal(client.connack?.properties?.sharedSubscriptionAvailable, false);
      const suback = await client.subscribe("$share/group/a", { qos: 1 });
      assert.deepEqual(suback.granted, [0x9e]);
      assert.equal(client.isClosed, false);
    },
  ),
  claim(
    { v5: "3.11.3-1 3.11.3-2" },
    "an UNSUBACK says for each filter whether there was a subscription",
    async (site) => {
      const client = await site.connect();
      await client.subscribe([
        { topic: "a", qos: 0 },
        { topic: "b", qos: 0 },
      ]);
      const unsuback = await client.unsubscribe("none", "a", "b", "a");
      assert.deepEqual(unsuback.granted, [0x11, 0, 0, 0x11]);
    },
  ),
];
