import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import {
  connected,
  openRig,
  packetsIn,
  publishPacket,
  subscribePacket,
  turns,
} from "../../../../../test/support/front-rig.ts";

it("a subscriber is given every message once, those of a topic and QoS in order, whatever came between", async () => {
  const message = fc.record({
    topic: fc.constantFrom("plant/a", "other/a"),
    qos: fc.constantFrom(0 as const, 1 as const),
    retain: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 2, maxLength: 12 }), async (messages) => {
      await using rig = await openRig();
      const reader = await connected(rig, { clientId: "reader", clean: false });
      reader.send(subscribePacket("+/a", 1, 1), subscribePacket("#", 2, 1));
      await turns();
      reader.clear();
      const peer = await connected(rig);
      for (const [i, { topic, qos, retain }] of messages.entries()) {
        peer.send(publishPacket(topic, `${i}`, { qos, retain, id: i + 1 }));
      }
      await turns(30);
      const seen = packetsIn(reader).map((packet) =>
        packet.cmd === "publish"
          ? `${packet.topic} ${packet.qos} ${packet.payload.toString()}`
          : packet.cmd,
      );
      const sent = messages.map(({ topic, qos }, i) => `${topic} ${qos} ${i}`);
      for (const name of ["plant/a 0", "plant/a 1", "other/a 0", "other/a 1"]) {
        const ofName = (each: string): boolean => each.startsWith(name);
        assert.deepEqual(seen.filter(ofName), sent.filter(ofName));
      }
    }),
    { numRuns: 40 },
  );
});
