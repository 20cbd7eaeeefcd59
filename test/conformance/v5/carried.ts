/** What a message carries from its publisher to its subscribers. */

import assert from "node:assert/strict";
import type { IPublishPacket } from "mqtt-packet";
import { byte, frame, illFormed, properties, text, word } from "../bytes.ts";
import { type Case, claim } from "../case.ts";
import { assertRefused, type Site } from "../site.ts";

type Carried = NonNullable<IPublishPacket["properties"]>;

const qualities = [0, 1, 2] as const;

/** What of `properties` a subscriber gets, at each QoS: live, retained, and waiting in a session. */
async function carriedThrough(
  site: Site,
  given: Carried,
): Promise<readonly (Carried | undefined)[]> {
  const [pub, live] = [await site.connect(), await site.connect()];
  const away = await site.connectKept("away");
  await live.subscribe("a", { qos: 2 });
  await away.subscribe("a", { qos: 2 });
  await away.disconnect();
  for (const qos of qualities) {
    await pub.publish("a", "x", { qos, retain: qos === 2, properties: given });
  }
  const late = await site.connect();
  await late.subscribe("a", { qos: 2 });
  const back = await site.connectKept("away");
  await site.settle();
  const [of0, of1, of2] = live.publications().map((publication) => publication.properties);
  const [kept] = late.publications().map((publication) => publication.properties);
  const waited = back.publications().map((publication) => publication.properties);
  return [of0, of1, of2, kept, ...waited.slice(-2)];
}

function all(value: Carried): readonly Carried[] {
  return Array.from({ length: 6 }, () => value);
}

export const carriedCases: readonly Case[] = [
  claim({ v5: "3.3.2-4" }, "the payload format is passed on as it was", async (site) => {
    const carried = await carriedThrough(site, { payloadFormatIndicator: true });
    assert.deepEqual(
      carried.map((of) => of?.payloadFormatIndicator),
      [true, true, true, true, true, true],
    );
  }),
  claim({ v5: "3.3.2-20 3.3.2-19" }, "the content type is passed on as it was", async (site) => {
    const given = { contentType: "application/json; ü" };
    assert.deepEqual((await carriedThrough(site, given)).map(plain), all(given));
  }),
  claim(
    { v5: "3.3.2-15 3.3.2-16" },
    "response topic and correlation data are passed on as they were",
    async (site) => {
      const given = {
        responseTopic: "answers/ü",
        correlationData: Buffer.from([0, 1, 0xff, 0xc0]),
      };
      assert.deepEqual((await carriedThrough(site, given)).map(plain), all(given));
    },
  ),
  claim({ v5: "3.3.2-17" }, "all user properties are passed on as they were", async (site) => {
    const given = { userProperties: { unit: "°C", site: ["a", "b", "a"], "": "" } };
    assert.deepEqual((await carriedThrough(site, given)).map(plain), all(given));
  }),
  claim({ v5: "3.3.2-18" }, "user properties keep their order", async (site) => {
    const [pub, sub] = [await site.connect(), await site.connect()];
    await sub.subscribe("a");
    const pairs = ["b", "a", "c", "a", "b"].map((name, i) =>
      Buffer.concat([byte(0x26), text(name), text(`${i}`)]),
    );
    const packet = frame(0x30, text("a"), properties(...pairs), byte(0x78));
    sub.take();
    await pub.exchange(packet);
    assert.deepEqual(sub.takeBytes(), packet);
  }),
  claim(
    { v5: "3.1.3-10" },
    "a will carries its properties, user properties in their order",
    async (site) => {
      const watcher = await site.connect();
      await watcher.subscribe("will");
      const client = await site.connect({
        will: {
          topic: "will",
          payload: "gone",
          properties: {
            contentType: "text/plain",
            responseTopic: "answers",
            correlationData: Buffer.from("7"),
            payloadFormatIndicator: true,
            userProperties: { b: "1", a: ["2", "3"] },
          },
        },
      });
      await client.vanish();
      const [publication] = watcher.publications();
      assert.deepEqual(plain(publication?.properties), {
        contentType: "text/plain",
        responseTopic: "answers",
        correlationData: Buffer.from("7"),
        payloadFormatIndicator: true,
        userProperties: { b: "1", a: ["2", "3"] },
      });
    },
  ),
  claim(
    { v5: "§3.3.2.3" },
    "a message without properties is delivered without any",
    async (site) => {
      const carried = await carriedThrough(site, {});
      assert.deepEqual(
        carried.map((of) => plain(of) ?? {}),
        all({}),
      );
    },
  ),
  claim(
    { v5: "3.3.2-13 3.3.2-14" },
    "a response topic that is not UTF-8, or has a wildcard, is refused",
    async (site) => {
      for (const bad of [...illFormed, "a\0", "a/#", "+"]) {
        const client = await site.connect();
        client.send(frame(0x32, text("a"), word(1), properties(byte(0x08), text(bad)), byte(0x78)));
        await site.settle();
        assertRefused(client, 0x81, 0x82, 0x90);
      }
    },
  ),
  claim({ v5: "3.3.2-19" }, "a content type that is not UTF-8 is refused", async (site) => {
    for (const bad of illFormed) {
      const client = await site.connect();
      client.send(frame(0x30, text("a"), properties(byte(0x03), text(bad)), byte(0x78)));
      await site.settle();
      assertRefused(client, 0x81);
    }
  }),
  claim(
    { v5: "3.3.4-6" },
    "a PUBLISH from a client with a subscription identifier is refused",
    async (site) => {
      const client = await site.connect();
      client.send(frame(0x30, text("a"), properties(byte(0x0b, 1)), byte(0x78)));
      await site.settle();
      assertRefused(client, 0x82, 0x81);
    },
  ),
  claim(
    { v5: "§3.3.2.3.3" },
    "properties reach a 3.1.1 client as what they are not: left out",
    async (site) => {
      const old = site.open(4);
      await old.connect({
        cmd: "connect",
        protocolId: "MQTT",
        protocolVersion: 4,
        clientId: "old",
        clean: true,
        keepalive: 0,
      });
      await old.subscribe("a", { qos: 1 });
      const pub = await site.connect();
      await pub.publish("a", "x", { qos: 1, properties: { contentType: "text/plain" } });
      assert.deepEqual(old.messages(), ["a x"]);
      await old.publish("b", "from the old", { qos: 1 });
    },
  ),
];

/** Without what mqtt-packet adds of its own. */
function plain(of: Carried | undefined): Carried | undefined {
  if (of === undefined) return undefined;
  const { userProperties, ...rest } = of;
  return userProperties === undefined ? rest : { ...rest, userProperties: { ...userProperties } };
}
