import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { it } from "node:test";
import { Aedes } from "aedes";
import fc from "fast-check";
import {
  commit,
  connected,
  connectPacket,
  openRig,
  publishPacket,
  turns,
} from "../../../../../test/support/front-rig.ts";

type Message = {
  readonly topic: string;
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
};

const message: fc.Arbitrary<Message> = fc.record({
  topic: fc.constantFrom("plant/a", "plant/b/c", "plant/é", "plant//x"),
  payload: fc.string({ minLength: 1, maxLength: 300, unit: "grapheme" }),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  retain: fc.boolean(),
});

const cuts = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 8 });

/** What the broker alone publishes for these bytes. */
async function throughBroker(pieces: readonly Uint8Array[]): Promise<readonly string[]> {
  const broker = await Aedes.createBroker();
  const published: string[] = [];
  broker.on("publish", (packet, client) => {
    if (client !== null) published.push(`${packet.topic} ${packet.payload.toString()}`);
  });
  const [near, far] = duplexPair();
  far.resume();
  broker.handle(near);
  far.write(connectPacket());
  await turns();
  for (const piece of pieces) {
    far.write(piece);
    await turns(2);
  }
  await turns(40);
  await new Promise<void>((resolve) => broker.close(resolve));
  return published;
}

/** What the receiver gets for these bytes from the front. */
async function throughFront(pieces: readonly Uint8Array[]): Promise<readonly string[]> {
  await using rig = await openRig();
  const peer = await connected(rig);
  for (const piece of pieces) {
    peer.send(piece);
    await turns(2);
    commit(rig.front);
  }
  for (let i = 0; i < 20; i++) {
    await turns(2);
    commit(rig.front);
  }
  return rig.receiver.received.map(({ topic, payload }) => `${topic} ${payload}`);
}

it("the front receives exactly the messages that the broker alone would publish", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 12 }), cuts, async (messages, lengths) => {
      const bytes = Buffer.concat(
        messages.map(({ topic, payload, qos, retain }, i) =>
          publishPacket(topic, payload, { qos, retain, ...(qos === 0 ? {} : { id: i + 1 }) }),
        ),
      );
      const pieces: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = lengths[i % lengths.length]!;
        pieces.push(bytes.subarray(at, at + length));
        at += length;
      }
      const expected = messages.map(({ topic, payload }) => `${topic} ${payload}`).toSorted();
      assert.deepEqual((await throughBroker(pieces)).toSorted(), expected);
      assert.deepEqual((await throughFront(pieces)).toSorted(), expected);
    }),
    { numRuns: 60 },
  );
});
