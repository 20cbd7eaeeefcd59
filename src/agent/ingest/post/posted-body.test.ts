import assert from "node:assert/strict";
import { test } from "node:test";
import { encode } from "cbor-x";
import fc from "fast-check";
import { limits } from "../../../core/limits.ts";
import { type BodyType, messagesOf, topicFault } from "./posted-body.ts";

type Walked = {
  readonly messages: readonly (readonly [topic: string, payload: string])[];
  readonly fault: string | undefined;
};

function walk(type: BodyType, body: string | Uint8Array, topic?: string): Walked {
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  const walked = messagesOf({ bytes, type, topic });
  const messages: [string, string][] = [];
  const encoding = type === "application/cbor" ? "hex" : "utf8";
  while (walked.next()) {
    const { topicBytes, topicStart, topicEnd, payloadStart, payloadEnd } = walked;
    messages.push([
      Buffer.from(topicBytes.subarray(topicStart, topicEnd)).toString(),
      Buffer.from(bytes.subarray(payloadStart, payloadEnd)).toString(encoding),
    ]);
  }
  assert.equal(walked.next(), false, "behind the end comes nothing");
  return { messages, fault: walked.fault };
}

const json = "application/json";
const lines = "application/x-ndjson";
const cbor = "application/cbor";

test("with a topic the body is one payload, and of NDJSON each line that is not blank", () => {
  assert.deepEqual(walk(json, '[{"a":1}, {"a":2}]', "t").messages, [["t", '[{"a":1}, {"a":2}]']]);
  assert.deepEqual(walk("text/plain", "21.5\n", "t").messages, [["t", "21.5\n"]]);
  assert.deepEqual(walk(cbor, Uint8Array.of(0xa1, 0x61, 0x61, 0x01), "é").messages, [
    ["é", "a1616101"],
  ]);
  const some = walk(lines, '{"a":1}\r\n\n  \r\n{"a":2}', "t");
  assert.deepEqual(some.messages, [
    ["t", '{"a":1}'],
    ["t", '{"a":2}'],
  ]);
  for (const type of [json, lines, cbor, "text/plain"] as const) {
    assert.deepEqual(walk(type, "", "t").messages, []);
  }
});

test("without one the messages name theirs, in any order and with any blanks", () => {
  const messages = [
    ["a/b", '{"x":[1,{"y":"}]\\""}]}'],
    ["c", " 21.5".trim()],
    ['q"é/', "null"],
  ] as const;
  const text = ` [ {"topic":"a/b","payload":{"x":[1,{"y":"}]\\""}]}} ,
    { "payload" : 21.5 , "topic" : "c" },{"topic":"q\\"\\u00e9\\/","payload":null}\t] `;
  assert.deepEqual(walk(json, text), { messages, fault: undefined });
  const single = '{"topic":"c","payload":"x"}';
  assert.deepEqual(walk(json, single).messages, [["c", '"x"']]);
  assert.deepEqual(walk(lines, `${single}\n\n${single}\r\n`).messages, [
    ["c", '"x"'],
    ["c", '"x"'],
  ]);
  assert.deepEqual(walk(json, "[]"), { messages: [], fault: undefined });
});

test("what is malformed around payloads is named by its place", () => {
  const cases: readonly (readonly [BodyType, string, RegExp])[] = [
    [json, "21.5", /^byte 0: a message is/],
    [json, "[1]", /^byte 1: a message is/],
    [
      json,
      '[{"topic":"a","payload":1}',
      /^byte 26: the body ends in the middle: after a message comes , or \]/,
    ],
    [json, '[{"topic":"a","payl', /^byte 19: the body ends in the middle: a name does not end/],
    [
      json,
      '[{"topic":"a","payload":{"x":[1,',
      /^byte 32: the body ends .*: what begins at byte 24 does not end/,
    ],
    [json, '{"topic":"a","payload":', /^byte 23: the body ends in the middle/],
    [json, '{"topic":"a","payload":1', /^byte 24: the body ends in the middle: after a value/],
    [json, "[", /^byte 1: the body ends in the middle: a message is/],
    [json, '[{"topic":"a","payload":1},]', /^byte 27: a message is/],
    [json, '{"topic":"a","payload":1}{}', /^byte 25: the body goes on/],
    [json, '[{"topic":"a","payload":1}] x', /^byte 28: the body goes on/],
    [json, '{"topic":"a"}', /one of the two is missing/],
    [json, '{"topic":"a","payload":1,"qos":1}', /^byte 25: .*nothing else/],
    [json, '{"topic":"a","topic":"b","payload":1}', /one topic/],
    [json, '{"topic":7,"payload":1}', /^byte 9: a topic is a text/],
    [json, '{"topic":"\\q","payload":1}', /escape/],
    [json, '{"topic":"a","payload":{"b":[1}}', /^byte 23: brackets do not pair/],
    [json, '{"topic":"a","payload":"x}', /^byte 26: the body ends .* at byte 23 does not end/],
    [json, '{"topic":"a","payload":}', /^byte 23: here should be a value/],
    [json, `{"topic":"a","payload":${"[".repeat(65)}${"]".repeat(65)}}`, /more than 64/],
    [lines, '{"topic":"a","payload":1}\n{"topic":"a",\n"payload":1}', /^line 2: the line ends in/],
    [lines, '{"topic":"a","payload":1}\n{"topic":7,"payload":1}\n', /^line 2: a topic is a text/],
    [lines, '{"topic":"a","payload":1} {}', /^line 1: there is something behind/],
    ["text/plain", "21.5", /names no topic: add \?topic=/],
  ];
  for (const [type, body, fault] of cases) assert.match(walk(type, body).fault ?? "", fault, body);
});

test("CBOR: an array of maps, or one; lengths that are not given are refused", () => {
  const body = encode([
    { topic: "a/b", payload: { x: [1, "é", 2.5] } },
    { topic: "c", payload: 7 },
  ]);
  const { messages, fault } = walk(cbor, body);
  assert.equal(fault, undefined);
  assert.deepEqual(
    messages.map(([topic]) => topic),
    ["a/b", "c"],
  );
  assert.equal(messages[1]![1], "07");
  assert.deepEqual(walk(cbor, encode({ topic: "c", payload: 7 })).messages, [["c", "07"]]);
  const described = Buffer.concat([Uint8Array.of(0xd9, 0xd9, 0xf7), body]);
  assert.deepEqual(walk(cbor, described).messages, messages);
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [Uint8Array.of(0x9f, 0xff), /^byte 0: no CBOR, or a length is not given/],
    [body.subarray(0, 20), /^byte 20: the body ends in the middle/],
    [body.subarray(0, body.length - 1), /the body ends in the middle: an item does not end/],
    [body.subarray(0, 4), /^byte 4: the body ends in the middle/],
    [Uint8Array.of(0x99, 0x01), /^byte 2: the body ends in the middle/],
    [Buffer.concat([body, Uint8Array.of(0)]), /the body goes on/],
    [encode([{ topic: "a" }]), /of nothing else/],
    [encode([{ topic: "a", payload: 1, more: 2 }]), /of nothing else/],
    [encode([{ topic: 1, payload: 1 }]), /a topic is a text/],
    [encode([7]), /is a map/],
    [Uint8Array.of(0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), /is a map/],
  ];
  for (const [bytes, why] of cases) assert.match(walk(cbor, bytes).fault ?? "", why);
});

const payload = fc.jsonValue({ maxDepth: 5 });
const message = fc.record({ topic: fc.string({ unit: "grapheme" }), payload });

test("whatever is put into envelopes comes out of them; half of it, or any bytes, never throw", () => {
  fc.assert(
    fc.property(
      fc.array(message),
      fc.nat({ max: 3 }),
      fc.double({ min: 0, max: 1 }),
      (some, space, cut) => {
        const wanted = some.map((one) => [one.topic, JSON.stringify(one.payload)] as const);
        const text = JSON.stringify(some, undefined, space);
        const walked = walk(json, text);
        assert.equal(walked.fault, undefined);
        const compact = walked.messages.map(([topic, raw]) => [
          topic,
          JSON.stringify(JSON.parse(raw)),
        ]);
        assert.deepEqual(compact, wanted);
        const ndjson = some.map((one) => JSON.stringify(one)).join("\n");
        assert.deepEqual(walk(lines, ndjson), { messages: wanted, fault: undefined });
        const bytes = encode(some);
        const fromCbor = walk(cbor, bytes);
        assert.equal(fromCbor.fault, undefined);
        assert.deepEqual(
          fromCbor.messages.map(([topic]) => topic),
          some.map(({ topic }) => topic),
        );
        if (some.length === 0) return;
        const part = Buffer.from(text).subarray(0, Math.floor(cut * (text.length - 1)));
        if (part.toString().trim() !== "") assert.ok(walk(json, part).fault, part.toString());
        const half = bytes.subarray(0, Math.floor(cut * (bytes.length - 1)));
        if (half.length > 0) assert.ok(walk(cbor, half).fault);
      },
    ),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const type of [json, lines, cbor] as const) walk(type, bytes);
    }),
  );
});

test("a topic to publish on has no wildcard, and some length", () => {
  const faultOf = (topic: string | Uint8Array): string | undefined => {
    const bytes = Buffer.from(topic);
    return topicFault(bytes, 0, bytes.length);
  };
  for (const topic of ["a", "a/ü/💧", "$x", " "]) assert.equal(faultOf(topic), undefined);
  for (const topic of ["", "a/+", "#", "a\0", "x".repeat(limits.topicBytesMax + 1)]) {
    assert.ok(faultOf(topic), topic);
  }
  assert.match(faultOf(Uint8Array.of(0x61, 0xff)) ?? "", /UTF-8/);
});
