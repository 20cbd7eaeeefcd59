import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { generate } from "mqtt-packet";
import { readConnect } from "./connect-packet.ts";

function connect(version: 3 | 4, keepalive: number): Buffer {
  return generate({
    cmd: "connect",
    protocolId: version === 3 ? "MQIsdp" : "MQTT",
    protocolVersion: version,
    clientId: "c",
    clean: true,
    keepalive,
  });
}

function read(bytes: Uint8Array): ReturnType<typeof readConnect> {
  return readConnect(bytes, { start: 0, body: 2, end: bytes.length });
}

it("the keep alive is where it says, in 3.1 and 3.1.1", () => {
  for (const version of [3, 4] as const) {
    const bytes = connect(version, 0x1234);
    const packet = read(bytes);
    assert.ok(packet.kind === "accepted");
    assert.equal(packet.keepAliveSeconds, 0x1234);
    assert.equal(bytes.readUInt16BE(packet.keepAliveAt), 0x1234);
  }
});

it("another level is answered in the words of its version", () => {
  const six = connect(4, 0);
  six[8] = 6;
  const answer = read(six);
  assert.ok(answer.kind === "unsupported");
  assert.deepEqual([...answer.answer], [0x20, 3, 0, 0x84, 0]);
  const two = connect(4, 0);
  two[8] = 2;
  const older = read(two);
  assert.ok(older.kind === "unsupported");
  assert.deepEqual([...older.answer], [0x20, 2, 0, 1]);
});

it("a bridge of Mosquitto is one of 3.1 or 3.1.1", () => {
  for (const version of [3, 4] as const) {
    const bytes = connect(version, 0);
    const levelAt = version === 3 ? 10 : 8;
    bytes[levelAt] = 0x80 | version;
    const packet = read(bytes);
    assert.ok(packet.kind === "accepted");
    assert.deepEqual([packet.isBridge, packet.levelAt], [true, levelAt]);
    bytes[levelAt] = version;
    const plain = read(bytes);
    assert.ok(plain.kind === "accepted" && !plain.isBridge);
  }
  const five = connect(4, 0);
  five[8] = 0x85;
  assert.equal(read(five).kind, "unsupported");
});

it("any other bytes are invalid, never an exception", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), (body) => {
      const packet = read(Buffer.from([0x10, body.length, ...body]));
      assert.ok(["invalid", "unsupported", "five", "accepted"].includes(packet.kind));
    }),
  );
  assert.equal(read(connect(4, 0).subarray(0, 11)).kind, "invalid");
});
