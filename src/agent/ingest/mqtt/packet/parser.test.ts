import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import {
  createPublishOffsets,
  PacketParser,
  type PacketVisitor,
  type ParserState,
  PINGREQ,
  PUBLISH,
  readPublish,
} from "./parser.ts";

const packetBytesMax = 1_000;

/** What a visitor saw, as text; it refuses the packets whose number is in `refuseAt`, once each. */
function recorder(refuseAt: ReadonlySet<number> = new Set()): PacketVisitor & {
  readonly seen: string[];
} {
  const seen: string[] = [];
  const refused = new Set<number>();
  return {
    seen,
    packet: (bytes, start, body, end) => {
      if (refuseAt.has(seen.length) && !refused.has(seen.length)) {
        refused.add(seen.length);
        return false;
      }
      const header = Buffer.from(bytes.subarray(start, body)).toString("hex");
      seen.push(`${header} ${Buffer.from(bytes.subarray(body, end)).toString("hex")}`);
      return true;
    },
  };
}

/** Pushes the bytes in pieces of the given lengths through one buffer that is overwritten each time. */
function feed(
  bytes: Uint8Array,
  cuts: readonly number[],
  visitor: PacketVisitor,
): { readonly state: ParserState; readonly keptBytesMax: number } {
  const parser = new PacketParser({ packetBytesMax });
  const shared = Buffer.alloc(bytes.length + 1);
  let keptBytesMax = 0;
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const length = Math.min(
      cuts.length === 0 ? bytes.length : cuts[i % cuts.length]!,
      bytes.length - at,
    );
    shared.set(bytes.subarray(at, at + length));
    parser.push(shared, length, visitor);
    shared.fill(0xee);
    at += length;
    if (parser.state === "stopped" && i % 3 === 2) parser.resume(visitor);
    if (parser.state === "open") keptBytesMax = Math.max(keptBytesMax, parser.keptBytes);
  }
  while (parser.state === "stopped") parser.resume(visitor);
  return { state: parser.state, keptBytesMax };
}

const publish = fc
  .record({
    topic: fc.stringMatching(/^[a-zé/]{1,40}$/),
    payload: fc.uint8Array({ maxLength: 300 }),
    qos: fc.constantFrom(0 as const, 1 as const, 2 as const),
    messageId: fc.integer({ min: 1, max: 65_535 }),
    retain: fc.boolean(),
    dup: fc.boolean(),
  })
  .map((fields) => ({ ...fields, payload: Buffer.from(fields.payload) }));

const packet = fc.oneof(
  publish.map((fields) => generate({ cmd: "publish", ...fields })),
  fc.constant(generate({ cmd: "pingreq" })),
  fc.uint8Array({ maxLength: 140 }).map((body) => Buffer.from([0xf0, ...lengthOf(body), ...body])),
);

function lengthOf(body: Uint8Array): readonly number[] {
  return body.length < 128 ? [body.length] : [(body.length & 0x7f) | 0x80, body.length >> 7];
}

const cuts = fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 20 });

describe("the packet parser", () => {
  it("gives the same calls however the bytes were split", () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 12 }), cuts, (packets, lengths) => {
        const bytes = Buffer.concat(packets);
        const [whole, split] = [recorder(), recorder()];
        feed(bytes, [], whole);
        feed(bytes, lengths, split);
        assert.equal(whole.seen.length, packets.length);
        assert.deepEqual(split.seen, whole.seen);
      }),
    );
  });

  it("gives the same calls to a visitor that refuses now and then", () => {
    const refusals = fc.uniqueArray(fc.integer({ min: 0, max: 12 }));
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 12 }), cuts, refusals, (packets, lengths, at) => {
        const bytes = Buffer.concat(packets);
        const [whole, moody] = [recorder(), recorder(new Set(at))];
        feed(bytes, [], whole);
        feed(bytes, lengths, moody);
        assert.deepEqual(moody.seen, whole.seen);
      }),
    );
  });

  it("takes any bytes, keeps less than a packet, and ends in a state that says why", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), cuts, (bytes, lengths) => {
        const { state, keptBytesMax } = feed(bytes, lengths, recorder());
        assert.ok(["open", "length_malformed", "packet_too_large"].includes(state));
        assert.ok(keptBytesMax <= packetBytesMax);
      }),
    );
  });

  it("refuses a remaining length of five bytes, whole or split", () => {
    const bytes = Buffer.from([0x30, 0xff, 0xff, 0xff, 0xff, 0x01]);
    assert.equal(feed(bytes, [], recorder()).state, "length_malformed");
    assert.equal(feed(bytes, [1], recorder()).state, "length_malformed");
  });

  it("refuses a packet beyond the limit as soon as its length is known", () => {
    assert.equal(feed(Buffer.from([0x30, 0xff, 0x7f]), [1], recorder()).state, "packet_too_large");
  });

  it("keeps no buffer between whole packets", () => {
    const parser = new PacketParser({ packetBytesMax });
    const ping = generate({ cmd: "pingreq" });
    parser.push(ping.subarray(0, 1), 1, recorder());
    assert.ok(parser.memoryBytes > 0);
    parser.push(ping.subarray(1), 1, recorder());
    assert.equal(parser.memoryBytes, 0);
  });

  it("counts packets behind a refused one, each once", () => {
    const parser = new PacketParser({ packetBytesMax });
    const never: PacketVisitor = { packet: () => false };
    const bytes = Buffer.concat([
      generate({ cmd: "publish", topic: "a", payload: "x", qos: 0, dup: false, retain: false }),
      generate({ cmd: "pingreq" }),
      generate({ cmd: "pingreq" }).subarray(0, 1),
    ]);
    parser.push(bytes, bytes.length, never);
    assert.equal(parser.countHeld(PINGREQ), 1);
    parser.push(Buffer.from([0]), 1, never);
    assert.equal(parser.countHeld(PINGREQ), 1);
    assert.equal(parser.countHeld(PINGREQ), 0);
  });
});

describe("a packet beyond the limit", () => {
  const large = fc.record({ size: fc.integer({ min: 1, max: 5_000 }), isLarge: fc.boolean() });

  it("is passed over behind its beginning, wherever the stream is cut, and what follows is read", () => {
    fc.assert(
      fc.property(
        fc.array(large, { maxLength: 8 }),
        cuts,
        fc.uniqueArray(fc.nat(7)),
        (sizes, at, refusals) => {
          const packets = sizes.map(({ size, isLarge }, index) =>
            generate({
              cmd: "publish",
              topic: `t${index}`,
              payload: Buffer.alloc(isLarge ? size + packetBytesMax : size % 900, 65 + index),
              qos: 0,
              dup: false,
              retain: false,
            }),
          );
          const visitor = recorder(new Set(refusals));
          const heads: string[] = [];
          const { state, keptBytesMax } = feed(Buffer.concat(packets), at, {
            packet: (...packetAt) => visitor.packet(...packetAt),
            packetHead: (bytes, start, _body, end) => {
              heads.push(Buffer.from(bytes.subarray(start, end)).toString("hex"));
            },
          });
          assert.equal(state, "open");
          assert.ok(keptBytesMax <= packetBytesMax);
          const [over, within] = [true, false].map((isOver) =>
            packets.filter(({ length }) => length > packetBytesMax === isOver),
          );
          assert.deepEqual(
            heads,
            over!.map((packet) => packet.subarray(0, packetBytesMax).toString("hex")),
          );
          assert.deepEqual(
            visitor.seen.map((words) => words.replace(" ", "")),
            within!.map((packet) => packet.toString("hex")),
          );
        },
      ),
    );
  });
});

describe("readPublish", () => {
  it("finds what was encoded", () => {
    fc.assert(
      fc.property(publish, (fields) => {
        const bytes = generate({ cmd: "publish", ...fields });
        const out = createPublishOffsets();
        const body = bytes.length - 1 < 128 + 1 ? 2 : 3;
        assert.equal(readPublish(bytes, 0, body, bytes.length, out), undefined);
        assert.equal(bytes.toString("utf8", out.topicStart, out.topicEnd), fields.topic);
        assert.deepEqual(bytes.subarray(out.payloadStart), fields.payload);
        assert.equal(out.qos, fields.qos);
        assert.equal(out.retain, fields.retain);
        assert.equal(out.packetId, fields.qos === 0 ? 0 : fields.messageId);
      }),
    );
  });

  const broken: readonly (readonly [string, readonly number[], string])[] = [
    ["QoS 3", [0x36, 5, 0, 1, 97, 0, 1], "qos_invalid"],
    ["packet id 0", [0x32, 5, 0, 1, 97, 0, 0], "packet_id_zero"],
    ["an empty topic", [0x30, 2, 0, 0], "topic_invalid"],
    ["a wildcard", [0x30, 3, 0, 1, 0x2b], "topic_invalid"],
    ["a NUL", [0x30, 3, 0, 1, 0], "topic_invalid"],
    ["a topic that is not UTF-8", [0x30, 3, 0, 1, 0xff], "topic_invalid"],
    ["a topic longer than the packet", [0x30, 3, 0, 9, 97], "packet_truncated"],
    ["no room for the packet id", [0x32, 4, 0, 1, 97, 0], "packet_truncated"],
    ["no topic at all", [0x30, 1, 0], "packet_truncated"],
  ];
  for (const [what, bytes, fault] of broken) {
    it(`refuses ${what}`, () => {
      const packet = Buffer.from(bytes);
      assert.equal(packet[0]! >> 4, PUBLISH);
      assert.equal(readPublish(packet, 0, 2, packet.length, createPublishOffsets()), fault);
    });
  }
});
