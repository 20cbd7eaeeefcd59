import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import {
  connected5,
  publish5,
  publishesIn,
  subscribe5,
  subscribed5,
} from "../../../../../test/support/five-rig.ts";
import { commit, openRig, turns } from "../../../../../test/support/front-rig.ts";

const topics = ["plant/a", "plant/b/c", "plant/é", "other/x"] as const;

type Message = {
  readonly topic: (typeof topics)[number];
  readonly payload: string;
  readonly qos: 0 | 1 | 2;
  readonly contentType: string | undefined;
  readonly isAliased: boolean;
};

const message: fc.Arbitrary<Message> = fc.record({
  topic: fc.constantFrom(...topics),
  payload: fc.string({ minLength: 1, maxLength: 200, unit: "grapheme" }),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  contentType: fc.option(fc.stringMatching(/^[a-z]{1,9}$/), { nil: undefined }),
  isAliased: fc.boolean(),
});

const cuts = fc.array(fc.integer({ min: 1, max: 600 }), { minLength: 1, maxLength: 8 });

/** As another encoder writes them; an alias stands for its topic from the second time on. */
function bytesOf(messages: readonly Message[]): Buffer {
  const named = new Set<string>();
  return Buffer.concat(
    messages.map(({ topic, payload, qos, contentType, isAliased }, i) => {
      const isKnown = isAliased && named.has(topic);
      if (isAliased) named.add(topic);
      return publish5(isKnown ? "" : topic, payload, {
        qos,
        messageId: i + 1,
        properties: {
          ...(isAliased ? { topicAlias: 1 + topics.indexOf(topic) } : {}),
          ...(contentType === undefined ? {} : { contentType }),
        },
      });
    }),
  );
}

it("sources and subscribers get exactly what was published, however it was written and cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 12 }), cuts, async (messages, lengths) => {
      await using rig = await openRig();
      const reader = await subscribed5(await connected5(rig), subscribe5("#", { qos: 2 }));
      const peer = await connected5(rig);
      const bytes = bytesOf(messages);
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = lengths[i % lengths.length]!;
        peer.send(bytes.subarray(at, at + length));
        at += length;
        await turns(2);
        commit(rig.front);
      }
      for (let i = 0; i < 20; i++) {
        await turns(2);
        commit(rig.front);
      }
      assert.deepEqual(
        rig.receiver.received.map(({ topic, payload }) => `${topic} ${payload}`).toSorted(),
        messages
          .filter(({ topic }) => topic.startsWith("plant/"))
          .map(({ topic, payload }) => `${topic} ${payload}`)
          .toSorted(),
      );
      assert.deepEqual(
        publishesIn(reader)
          .map(({ topic, payload, qos, properties }) =>
            JSON.stringify([topic, payload.toString(), qos, properties?.contentType]),
          )
          .toSorted(),
        messages
          .map(({ topic, payload, qos, contentType }) =>
            JSON.stringify([topic, payload, qos, contentType]),
          )
          .toSorted(),
      );
    }),
    { numRuns: 60 },
  );
});
