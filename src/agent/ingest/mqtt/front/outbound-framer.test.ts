import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { OutboundFramer } from "./outbound-framer.ts";
import { packetBytesAt } from "../packet/parser.ts";

const packet = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((payload) =>
    generate({
      cmd: "publish",
      topic: "a/b",
      payload: Buffer.from(payload),
      qos: 0,
      dup: false,
      retain: false,
    }),
  ),
  fc.constant(generate({ cmd: "pingresp" })),
);

it("only whole packets pass, all of them, in order", () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(fc.array(packet), cuts, (packets, lengths) => {
      const bytes = Buffer.concat(packets);
      const framer = new OutboundFramer();
      const passed: Uint8Array[] = [];
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const length = lengths[i % lengths.length]!;
        const piece = bytes.subarray(at, at + length);
        const { bytes: whole } = framer.push([piece.subarray(0, 1), piece.subarray(1)]);
        at += length;
        if (whole === undefined) continue;
        let end = 0;
        while (end < whole.length) end += packetBytesAt(whole, end, whole.length);
        assert.equal(end, whole.length);
        passed.push(whole);
      }
      assert.ok(Buffer.concat(passed).equals(bytes));
    }),
  );
});

it("the return code of a CONNACK is told when it passes", () => {
  const framer = new OutboundFramer();
  const connack = generate({ cmd: "connack", returnCode: 4, sessionPresent: false });
  assert.equal(framer.push([connack.subarray(0, 3)]).connack, undefined);
  assert.equal(framer.push([connack.subarray(3)]).connack, 4);
});
