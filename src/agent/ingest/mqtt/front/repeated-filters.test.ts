import assert from "node:assert/strict";
import { it } from "node:test";
import { generate } from "mqtt-packet";
import { bodyAt } from "../packet/parser.ts";
import { RepeatedFilters } from "./repeated-filters.ts";

function subscribeTo(filters: RepeatedFilters, id: number, wanted: readonly string[]): void {
  const subscriptions = wanted.map((topic, i) => ({ topic, qos: ([1, 0, 2] as const)[i % 3]! }));
  const bytes = generate({ cmd: "subscribe", messageId: id, subscriptions });
  filters.subscribe(bytes, bodyAt(bytes, 0), bytes.length);
}

const ping = generate({ cmd: "pingresp" });

it("a SUBACK has a code for each filter that was sent, none above what it asked for", () => {
  const filters = new RepeatedFilters();
  subscribeTo(filters, 7, ["a", "b", "a"]);
  const answer = generate({ cmd: "suback", messageId: 7, granted: [2, 0] });
  const answered = filters.answer(Buffer.concat([ping, answer, ping]));
  const expected = generate({ cmd: "suback", messageId: 7, granted: [1, 0, 2] });
  assert.deepEqual(answered, Buffer.concat([ping, expected, ping]));
  assert.equal(filters.answer(answer), answer, "once");
});

it("a refusal is one for each time the filter was sent", () => {
  const filters = new RepeatedFilters();
  subscribeTo(filters, 7, ["a", "a"]);
  const answer = generate({ cmd: "suback", messageId: 7, granted: [0x80] });
  const expected = generate({ cmd: "suback", messageId: 7, granted: [0x80, 0x80] });
  assert.deepEqual(filters.answer(answer), expected);
});

it("answers to others pass as they are", () => {
  const filters = new RepeatedFilters();
  subscribeTo(filters, 1, ["a"]);
  subscribeTo(filters, 2, ["a", "b"]);
  subscribeTo(filters, 3, ["a", "a"]);
  const answer = generate({ cmd: "suback", messageId: 2, granted: [1, 0] });
  assert.deepEqual(filters.answer(answer), answer);
});
