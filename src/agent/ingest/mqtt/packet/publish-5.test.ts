import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { bodyAt, type ProtocolFault } from "./parser.ts";
import {
  createPublish5Offsets,
  type Publish5Offsets,
  publishFromClient,
  publishFromServer,
  readPublish5,
} from "./publish-5.ts";

function read(
  bytes: Uint8Array,
  allowed = publishFromClient,
): { readonly fault: ProtocolFault | undefined; readonly out: Publish5Offsets } {
  const out = createPublish5Offsets();
  const fault = readPublish5(bytes, 0, bodyAt(bytes, 0), bytes.length, out, allowed);
  return { fault, out };
}

const text = fc.string({ maxLength: 20 }).filter((value) => !value.includes("\0"));
const optional = <Value>(value: fc.Arbitrary<Value>): fc.Arbitrary<Value | undefined> =>
  fc.option(value, { nil: undefined });

const publish = fc.record({
  topic: fc.stringMatching(/^[a-zé/]{1,40}$/),
  payload: fc.uint8Array({ maxLength: 300 }),
  qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
  messageId: fc.integer({ min: 1, max: 65_535 }),
  retain: fc.boolean(),
  alias: optional(fc.integer({ min: 1, max: 65_535 })),
  expiry: optional(fc.integer({ min: 0, max: 0xffff_ffff })),
  contentType: optional(text),
  correlation: optional(fc.uint8Array({ maxLength: 20 })),
  user: optional(
    fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), text, { minKeys: 1, maxKeys: 5 }),
  ),
});

it("finds what another encoder wrote", () => {
  fc.assert(
    fc.property(publish, (fields) => {
      const { alias, expiry, contentType, correlation, user } = fields;
      const bytes = generate(
        {
          cmd: "publish",
          topic: fields.topic,
          payload: Buffer.from(fields.payload),
          qos: fields.qos,
          messageId: fields.messageId,
          retain: fields.retain,
          dup: false,
          properties: {
            ...(alias === undefined ? {} : { topicAlias: alias }),
            ...(expiry === undefined ? {} : { messageExpiryInterval: expiry }),
            ...(contentType === undefined ? {} : { contentType }),
            ...(correlation === undefined ? {} : { correlationData: Buffer.from(correlation) }),
            ...(user === undefined ? {} : { userProperties: { ...user } }),
          },
        },
        { protocolVersion: 5 },
      );
      const { fault, out } = read(bytes);
      assert.equal(fault, undefined);
      assert.equal(bytes.toString("utf8", out.topicStart, out.topicEnd), fields.topic);
      assert.deepEqual(bytes.subarray(out.payloadStart), Buffer.from(fields.payload));
      assert.equal(out.qos, fields.qos);
      assert.equal(out.retain, fields.retain);
      assert.equal(out.packetId, fields.qos === 0 ? 0 : fields.messageId);
      assert.equal(out.topicAlias, alias ?? 0);
      assert.equal(out.expirySeconds, expiry ?? -1);
      const users = Object.keys(user ?? {}).length;
      const isCarried = contentType !== undefined || correlation !== undefined || users > 0;
      assert.equal(out.hasCarried, isCarried);
    }),
  );
});

it("takes any bytes, and what it finds lies within them", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(0x30, 0x32), (body, first) => {
      const bytes = Buffer.from([first, body.length, ...body]);
      const { fault, out } = read(bytes);
      if (fault !== undefined) return;
      assert.ok(out.topicEnd <= out.propertiesStart);
      assert.ok(out.propertiesStart <= out.payloadStart && out.payloadStart <= bytes.length);
    }),
    { numRuns: 2_000 },
  );
});

const broken: readonly (readonly [string, readonly number[], ProtocolFault])[] = [
  ["QoS 3 [MQTT-3.3.1-4]", [0x36, 6, 0, 1, 97, 0, 1, 0], "qos_invalid"],
  ["DUP at QoS 0 [MQTT-3.3.1-2]", [0x38, 4, 0, 1, 97, 0], "flags_invalid"],
  ["packet id 0 [MQTT-2.2.1-3]", [0x32, 6, 0, 1, 97, 0, 0, 0], "packet_id_zero"],
  ["a wildcard [MQTT-3.3.2-2]", [0x30, 4, 0, 1, 0x23, 0], "topic_invalid"],
  ["neither topic nor alias [3.3.2.1]", [0x30, 3, 0, 0, 0], "topic_missing"],
  ["no properties at all", [0x30, 3, 0, 1, 97], "packet_truncated"],
  ["alias 0 [MQTT-3.3.2-8]", [0x30, 6, 0, 0, 3, 0x23, 0, 0], "alias_invalid"],
  ["an alias twice", [0x30, 9, 0, 0, 6, 0x23, 0, 1, 0x23, 0, 1], "property_invalid"],
  ["properties longer than the packet", [0x30, 5, 0, 1, 97, 9, 1], "property_malformed"],
  ["an unknown property", [0x30, 6, 0, 1, 97, 2, 0x7f, 0], "property_malformed"],
  ["one of another packet", [0x30, 7, 0, 1, 97, 3, 0x21, 0, 1], "property_invalid"],
  ["a subscription id [MQTT-3.3.4-6]", [0x30, 6, 0, 1, 97, 2, 0x0b, 1], "property_invalid"],
  ["payload format 2", [0x30, 6, 0, 1, 97, 2, 0x01, 2], "property_invalid"],
  ["a NUL in a text [MQTT-1.5.4-2]", [0x30, 8, 0, 1, 97, 4, 0x03, 0, 1, 0], "property_malformed"],
  ["a length of needless bytes [MQTT-1.5.5-1]", [0x30, 5, 0, 1, 97, 0x80, 0], "property_malformed"],
];
for (const [what, bytes, fault] of broken) {
  it(`refuses ${what}`, () => assert.equal(read(Buffer.from(bytes)).fault, fault));
}

it("subscription ids are allowed from a server, as many as there are", () => {
  const bytes = Buffer.from([0x30, 8, 0, 1, 97, 4, 0x0b, 1, 0x0b, 2]);
  assert.equal(read(bytes, publishFromServer).fault, undefined);
});
