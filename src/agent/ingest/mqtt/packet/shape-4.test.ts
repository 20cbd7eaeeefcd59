import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { generate, type Packet } from "mqtt-packet";
import { bodyAt } from "./parser.ts";
import { isConnectSound4, isTopicFilter, shapeFault4 } from "./shape-4.ts";

const text = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 40 })
  .filter((value) => !value.includes("\0"));
const level = fc.oneof(
  text.map((value) => value.replaceAll(/[+#/]/g, "x")),
  fc.constant("+"),
);
const filter = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, all]) => [...levels, ...(all ? ["#"] : [])].join("/"));
const id = fc.integer({ min: 1, max: 65_535 });
const qos = fc.constantFrom(0 as const, 1 as const, 2 as const);

const packet: fc.Arbitrary<Packet> = fc.oneof(
  fc.record({
    cmd: fc.constantFrom(
      "puback" as const,
      "pubrec" as const,
      "pubrel" as const,
      "pubcomp" as const,
    ),
    messageId: id,
  }),
  fc.record({
    cmd: fc.constant("subscribe" as const),
    messageId: id,
    subscriptions: fc.array(fc.record({ topic: filter, qos }), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    cmd: fc.constant("unsubscribe" as const),
    messageId: id,
    unsubscriptions: fc.array(filter, { minLength: 1, maxLength: 4 }),
  }),
  fc.constant({ cmd: "disconnect" as const }),
);

const connect: fc.Arbitrary<Packet> = fc
  .record({
    clientId: text,
    will: fc.option(fc.record({ topic: text, payload: text, qos, retain: fc.boolean() })),
    login: fc.option(fc.record({ username: text, password: fc.option(text) })),
  })
  .map(({ clientId, will, login }) => ({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    keepalive: 10,
    clientId,
    ...(will === null ? {} : { will: { ...will, topic: will.topic.replaceAll(/[+#]/g, "x") } }),
    ...(login === null ? {} : { username: login.username }),
    ...(login === null || login.password === null ? {} : { password: Buffer.from(login.password) }),
  }));

function faultOf(bytes: Buffer, end: number): string | undefined {
  return shapeFault4(bytes[0]! >> 4, bytes, bodyAt(bytes, 0), end);
}

describe("shapeFault4", () => {
  it("finds nothing wrong with what an encoder makes", () => {
    fc.assert(
      fc.property(packet, (some) => {
        const bytes = generate(some);
        assert.equal(faultOf(bytes, bytes.length), undefined);
      }),
    );
  });

  it("refuses acknowledgements and DISCONNECTs that are shorter or longer", () => {
    assert.equal(faultOf(Buffer.from([0x40, 1, 0]), 3), "packet_truncated");
    assert.equal(faultOf(Buffer.from([0x40, 3, 0, 1, 0]), 5), "packet_too_long");
    assert.equal(faultOf(Buffer.from([0xe0, 1, 0]), 3), "packet_too_long");
    assert.equal(faultOf(Buffer.from([0x62, 2, 0, 0]), 4), "packet_id_zero");
  });

  it("refuses a SUBSCRIBE that ends anywhere but behind a filter and its QoS", () => {
    fc.assert(
      fc.property(filter, qos, (topic, wanted) => {
        const bytes = generate({
          cmd: "subscribe",
          messageId: 7,
          subscriptions: [{ topic, qos: wanted }],
        });
        const body = bodyAt(bytes, 0);
        for (let end = body; end < bytes.length; end++) {
          assert.notEqual(faultOf(bytes, end), undefined, `cut at ${end}`);
        }
      }),
    );
  });
});

describe("isConnectSound4", () => {
  it("takes what an encoder makes, and nothing shorter or longer", () => {
    fc.assert(
      fc.property(connect, (some) => {
        const bytes = Buffer.concat([generate(some), Buffer.from([0])]);
        const flagsAt = bodyAt(bytes, 0) + 7;
        for (let end = flagsAt + 1; end <= bytes.length; end++) {
          assert.equal(isConnectSound4(bytes, flagsAt, end), end === bytes.length - 1, `${end}`);
        }
      }),
    );
  });
});

describe("isTopicFilter", () => {
  for (const bad of ["", "a#", "#/a", "a+", "+a", "a/b+/c", "##", "++", "a/#/b"]) {
    it(`${JSON.stringify(bad)} is none`, () => {
      const bytes = Buffer.from(bad);
      assert.equal(isTopicFilter(bytes, 0, bytes.length), false);
    });
  }
});
