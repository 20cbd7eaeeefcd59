/** In which order messages and acknowledgements go. */

import assert from "node:assert/strict";
import { type Case, claim } from "../case.ts";
import { kindOf } from "../client.ts";

const numbers = Array.from({ length: 40 }, (_, i) => `${i}`);

export const orderCases: readonly Case[] = [
  claim(
    { v3: "4.6.0-5 4.6.0-6", v5: "4.6.0-5 4.6.0-6" },
    "messages of one client to a topic reach a subscriber in their order, at each QoS",
    async (site) => {
      for (const qos of [0, 1, 2] as const) {
        const [pub, sub] = [await site.connect(), await site.connect()];
        await sub.subscribe("a", { qos });
        await pub.exchange(...numbers.map((n, i) => pub.publishPacket("a", n, { qos, id: i + 1 })));
        if (qos === 2) {
          const releases = numbers.map((_, i) => ({ cmd: "pubrel", messageId: i + 1 }) as const);
          await pub.exchange(...releases);
        }
        assert.deepEqual(
          sub.messages(),
          numbers.map((n) => `a ${n}`),
        );
        await sub.disconnect();
      }
    },
  ),
  claim(
    { v3: "4.6.0-6", v5: "4.6.0-5" },
    "messages that wait for a client come in their order",
    async (site) => {
      const sub = await site.connectKept("sub");
      await sub.subscribe("a", { qos: 1 });
      await sub.disconnect();
      const pub = await site.connect();
      for (const n of numbers) await pub.publish("a", n, { qos: 1 });
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(
        back.messages(),
        numbers.map((n) => `a ${n}`),
      );
    },
  ),
  claim(
    { v3: "§4.6", v5: "§4.6" },
    "what is sent again is sent in the order in which it was sent first",
    async (site) => {
      const sub = await site.connectKept("sub");
      sub.answers = false;
      await sub.subscribe("a", { qos: 2 });
      const pub = await site.connect();
      for (const [i, n] of numbers.entries())
        await pub.publish("a", n, { qos: i % 2 === 0 ? 1 : 2 });
      const first = sub.messages();
      assert.equal(first.length, numbers.length);
      await sub.vanish();
      const back = await site.connectKept("sub");
      await site.settle();
      assert.deepEqual(back.messages(), first);
    },
  ),
  claim(
    { v3: "§4.6", v5: "§4.6" },
    "PUBACKs are sent in the order of the PUBLISH packets",
    async (site) => {
      const client = await site.connect();
      const received = await client.exchange(
        ...numbers.map((n, i) => client.publishPacket(`a/${i % 7}`, n, { qos: 1, id: 1_000 - i })),
      );
      assert.deepEqual(
        received.map(kindOf),
        numbers.map((_, i) => `puback ${1_000 - i}`),
      );
    },
  ),
  claim(
    { v3: "§4.6", v5: "§4.6" },
    "PUBRECs are sent in the order of the PUBLISH packets",
    async (site) => {
      const client = await site.connect();
      const received = await client.exchange(
        ...numbers.map((n, i) => client.publishPacket("a", n, { qos: 2, id: i + 1 })),
      );
      assert.deepEqual(
        received.map(kindOf),
        numbers.map((_, i) => `pubrec ${i + 1}`),
      );
    },
  ),
];
