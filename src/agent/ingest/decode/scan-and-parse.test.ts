/**
 * Every decoder has two ways, and they must agree: a topic that has seen a payload's fields before
 * is scanned, a new one is parsed.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "cbor-x";
import fc from "fast-check";
import { give, openBench, source, take } from "../../../../test/support/intake.ts";

type Outcome = { readonly readings: readonly unknown[]; readonly refused: readonly unknown[] };

/** What a payload gives on a topic that has had `before`, and whether it was scanned. */
function outcomeAfter(
  before: readonly Uint8Array[],
  payload: Uint8Array,
): { readonly outcome: Outcome; readonly isScanned: boolean } {
  const bench = openBench([source({ ignore: ["skip"], timezone: "utc" })], { batchRowsMax: 1_024 });
  for (const payloadBefore of before) give(bench, "plant/a", payloadBefore);
  const { scanned } = bench.intake.counters;
  take(bench);
  assert.equal(give(bench, "plant/a", payload), true);
  const { readings, deadLetters, counts } = take(bench);
  const refused = deadLetters.map(({ reason, offset }) => ({ reason, offset }));
  const outcome = {
    readings: readings.toSorted((a, b) => (a.series < b.series ? -1 : 1)),
    refused: [...refused, counts],
  };
  return { outcome, isScanned: bench.intake.counters.scanned > scanned };
}

const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.integer().map(String),
  fc.maxSafeInteger().map(String),
  fc.tuple(fc.integer(), fc.nat(999_999)).map(([whole, part]) => `${whole}.${part}`),
  fc.tuple(fc.integer(), fc.integer({ min: -30, max: 30 })).map(([m, e]) => `${m}E${e}`),
  fc.constantFrom("-0", "0.0", "-0.000", "1e400", "123456789012345", "1234567890123456", "0.1"),
);
const leaf = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 2, arbitrary: fc.constantFrom("true", "false", "null", '"on"', '"off"', '"°C"', '""') },
  { weight: 1, arbitrary: fc.string({ maxLength: 6 }).map((text) => JSON.stringify(text)) },
);
const time = fc.oneof(
  fc.integer({ min: 1_500_000_000, max: 1_800_000_000 }).map(String),
  fc.integer({ min: 1.5e12, max: 1.8e12 }).map(String),
  fc.constantFrom("1788945292.88", '"2024-02-29T12:00:00.5Z"', '"2024-02-29 12:00"', "null"),
);
const key = fc.oneof(
  fc.constantFrom("temp", "hum", "a", "b", "skip", "état", "x y"),
  fc.string({ maxLength: 3 }),
);
const space = fc.constantFrom("", "", "", " ", "\n\t", " \r ");

function members(value: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const member = fc
    .tuple(space, key, space, space, value, space)
    .map(([a, name, b, c, text, d]) => `${a}${JSON.stringify(name)}${b}:${c}${text}${d}`);
  return fc.array(member, { maxLength: 6 }).map((all) => `{${all.join(",")}}`);
}

const object = fc
  .tuple(members(fc.oneof({ weight: 4, arbitrary: leaf }, members(leaf))), fc.option(time))
  .map(([text, ts]) =>
    ts === null || text === "{}" ? text : text.replace("{", `{"ts":${ts},"seq":7,`),
  );
const payloadText = fc.oneof(
  { weight: 5, arbitrary: object },
  { weight: 1, arbitrary: fc.array(object, { maxLength: 3 }).map((all) => `[${all.join(", ")}]`) },
);

test("a JSON payload gives the same readings scanned and parsed", () => {
  let scanned = 0;
  fc.assert(
    fc.property(payloadText, (text) => {
      const payload = Buffer.from(text);
      const { outcome, isScanned } = outcomeAfter([payload], payload);
      if (isScanned) scanned++;
      assert.deepEqual(outcome, outcomeAfter([], payload).outcome);
    }),
    { numRuns: 1_000 },
  );
  assert.ok(scanned > 300, `the scanner takes part: ${scanned} of 1000`);
});

test("JSON that JSON.parse refuses is not scanned, and what it accepts means the same", () => {
  fc.assert(
    fc.property(payloadText, fc.nat(), fc.nat(255), fc.nat(3), (text, at, byte, change) => {
      const payload = Buffer.from(text);
      const mutated = mutate(payload, at, byte, change);
      const { outcome } = outcomeAfter([payload], mutated);
      assert.deepEqual(outcome, outcomeAfter([], mutated).outcome);
    }),
    { numRuns: 3_000 },
  );
});

test("a symbol's control character is not taken raw, for JSON has it only escaped", () => {
  const before = ['{"a":"x\\u0001y","skip":"z"}'].map((text) => Buffer.from(text));
  for (const text of ['{"a":"x\u0001y"}', '{"skip":"\n"}', '{"a":"x\\u0001y"}']) {
    const payload = Buffer.from(text);
    const { outcome, isScanned } = outcomeAfter(before, payload);
    assert.deepEqual(outcome, outcomeAfter([], payload).outcome);
    assert.equal(isScanned, false);
  }
});

test("bare bytes with NUL are no text, even where a JSON string made a symbol of it", () => {
  const before = ['{"a":"\\u0000"}', "on"].map((text) => Buffer.from(text));
  const { outcome } = outcomeAfter(before, Uint8Array.of(0));
  assert.deepEqual(outcome, outcomeAfter([], Uint8Array.of(0)).outcome);
});

test("a path that comes twice is the time where it comes first, either way", () => {
  const bench = openBench([source({ time: ["a.ts"] })]);
  const payload = '{"a.ts":1700000001,"a":{"ts":1700000002},"v":1}';
  give(bench, "plant/p", payload);
  give(bench, "plant/p", payload);
  assert.equal(bench.intake.counters.scanned, 1);
  assert.deepEqual(
    take(bench).readings.map(({ time }) => time),
    [1_700_000_001_000, 1_700_000_001_000],
  );
});

test("__proto__ is a name like any other", () => {
  const bench = openBench([source({ topics: ["#"] })]);
  const cbor = Buffer.concat([
    Uint8Array.of(0xa1, 0x69),
    Buffer.from("__proto__"),
    Uint8Array.of(7),
  ]);
  for (const payload of ['{"__proto__":7}', '{"__proto__":7}', cbor, cbor])
    give(bench, "t", payload);
  give(bench, "another", cbor);
  assert.deepEqual(
    take(bench).readings.map(({ series, value }) => [series, value]),
    Array.from({ length: 5 }, () => ["__proto__{}", 7]),
  );
});

test("a CBOR payload gives the same readings scanned and parsed, whole or damaged", () => {
  let scanned = 0;
  const value = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.constantFrom("on", null, 1e300),
  );
  const record = fc.dictionary(fc.constantFrom("temp", "hum", "ts", "seq", "skip", "é"), value);
  const nested = fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(value, record));
  const timed = fc.oneof(record, nested).map((content) => ({ ...content, ts: 1.7e9 }));
  const any = fc.oneof(timed, fc.array(record, { maxLength: 3 }));
  fc.assert(
    fc.property(any, fc.nat(), fc.nat(255), fc.nat(7), (content, at, byte, change) => {
      const payload = encode(content);
      const given = change > 3 ? payload : mutate(payload, at, byte, change);
      const { outcome, isScanned } = outcomeAfter([payload], given);
      if (isScanned) scanned++;
      assert.deepEqual(outcome, outcomeAfter([], given).outcome);
    }),
    { numRuns: 3_000 },
  );
  assert.ok(scanned > 300, `the scanner takes part: ${scanned} of 3000`);
});

test("a bare value gives the same reading scanned and parsed", () => {
  const bare = fc.oneof(
    number,
    fc.constantFrom("ON", "online", "true", "false", "null", " 21.5\n", "+3", ".5", "5.", "°C"),
    fc.string({ maxLength: 8 }),
  );
  fc.assert(
    fc.property(bare, (text) => {
      const payload = Buffer.from(text);
      const { outcome } = outcomeAfter([payload], payload);
      assert.deepEqual(outcome, outcomeAfter([], payload).outcome);
    }),
    { numRuns: 1_000 },
  );
});

function mutate(bytes: Uint8Array, at: number, byte: number, change: number): Uint8Array {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const before = bytes.subarray(0, place);
  if (change === 0) return before;
  if (change === 1) return Buffer.concat([before, bytes.subarray(place + 1)]);
  const rest = bytes.subarray(change === 2 ? place + 1 : place);
  return Buffer.concat([before, Uint8Array.of(byte), rest]);
}
