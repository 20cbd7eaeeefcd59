import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeadLetter } from "../../core/frame.ts";
import { millis, sourceId } from "../../core/units.ts";
import { openCheckedKv } from "./checked-kv.ts";
import { deadLetterWrites, eraseDeadLetters, readDeadLetters } from "./dead-letters.ts";
import { deadLetterKey } from "./kv-key.ts";
import { KvMemory } from "./kv-memory.ts";

const letterOf = (device: string): DeadLetter => ({
  source: sourceId(0),
  topic: `plant/${device}`,
  arrived: millis(1_000),
  reason: "json_invalid",
  offset: 3,
  payload: new TextEncoder().encode(`{"v":${device}`),
  payloadBytes: 8,
});

test("of letters that are erased the reason is left, and damaged ones go", async () => {
  const raw = new KvMemory();
  const kv = await openCheckedKv(raw);
  const letters = ["p1", "p2", "p1"].map(letterOf);
  await kv.commit(deadLetterWrites({ first: 0, next: 0 }, letters).writes);
  await raw.commit([{ key: deadLetterKey(2), value: new Uint8Array(40) }]);
  assert.equal(await eraseDeadLetters(kv, ({ topic }) => topic.endsWith("p1")), 2);
  assert.equal(raw.get(deadLetterKey(2)), undefined);
  assert.equal(await eraseDeadLetters(kv, () => true), 1, "what is erased is not erased again");
  const left = readDeadLetters(kv, { limit: 10 });
  assert.deepEqual(
    left.map(({ topic, reason, payload }) => [topic, reason, payload.length]),
    [
      ["(erased)", "json_invalid", 0],
      ["(erased)", "json_invalid", 0],
    ],
  );
});
