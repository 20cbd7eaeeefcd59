/**
 * The MQTT 5 part of the front's fuzzer: what such a client sends, and what must hold of what it is
 * sent. Every packet to it is read by a parser that is not ours; nothing follows a DISCONNECT; each
 * PUBACK and PUBREC is for a message that was sent, at most one each time it was.
 */

import assert from "node:assert/strict";
import { type Packet, parser } from "mqtt-packet";
import type { Random } from "../../src/core/doors.ts";
import { connect5Packet, packet5, publish5, subscribe5 } from "../support/five-rig.ts";
import { pingPacket } from "../support/front-rig.ts";
import { below } from "../support/seeded-random.ts";

/** A CONNECT with properties drawn. */
export function hello5(
  random: Random,
  options: { readonly clientId: string; readonly clean: boolean; readonly keepalive: number },
): Buffer {
  const will = {
    topic: "plant/dead",
    payload: Buffer.from("gone"),
    qos: 1 as const,
    retain: false,
  };
  return connect5Packet({
    ...options,
    properties: {
      sessionExpiryInterval: below(random, 3) * 2,
      ...(below(random, 2) === 0 ? { receiveMaximum: 1 + below(random, 4) } : {}),
      ...(below(random, 3) === 0 ? { maximumPacketSize: 20 + below(random, 200) } : {}),
    },
    ...(below(random, 3) === 0
      ? { will: { ...will, properties: { willDelayInterval: below(random, 3) } } }
      : {}),
  });
}

const idOf = (random: Random): number => 1 + below(random, 300);

function topicOf(random: Random): string {
  return ["plant/a", "plant/é", "other/x", "", "$SYS/x"][below(random, 24) % 5]!;
}

/** A PUBLISH with properties drawn; without a topic it has an alias, which may be unknown. */
function message(random: Random, qos: 0 | 1 | 2): Buffer {
  const topic = topicOf(random);
  const hasAlias = topic === "" || below(random, 3) === 0;
  return publish5(topic, "x".repeat(below(random, 30)), {
    qos,
    messageId: idOf(random),
    retain: below(random, 6) === 0,
    properties: {
      ...(hasAlias ? { topicAlias: 1 + below(random, below(random, 40) === 0 ? 80 : 3) } : {}),
      ...(below(random, 4) === 0 ? { messageExpiryInterval: below(random, 3) } : {}),
      ...(below(random, 4) === 0 ? { contentType: "t", userProperties: { a: "b" } } : {}),
    },
  });
}

function answer(random: Random, cmd: "puback" | "pubrec" | "pubrel" | "pubcomp"): Buffer {
  const reasonCode = below(random, 3) === 0 ? 0x97 : 0;
  return packet5({ cmd, messageId: 1 + below(random, 8), reasonCode });
}

/** The last kind is rare. */
export const kinds5: readonly ((random: Random) => Buffer)[] = [
  (random) => message(random, 0),
  (random) => message(random, 1),
  (random) => message(random, 1),
  (random) => message(random, 2),
  () => pingPacket,
  (random) =>
    subscribe5(["plant/+", "#", "other/x", "$share/g/a", "a#"][below(random, 5)]!, {
      id: idOf(random),
      qos: below(random, 3) === 0 ? 0 : 2,
      rap: below(random, 2) === 0,
      rh: below(random, 3),
      ...(below(random, 2) === 0 ? { subscriptionId: 1 + below(random, 300) } : {}),
    }),
  (random) => subscribe5("plant/a", { id: idOf(random), nl: true }),
  (random) => answer(random, "puback"),
  (random) => answer(random, "pubrec"),
  (random) => answer(random, "pubrel"),
  (random) => answer(random, "pubcomp"),
  (random) =>
    packet5({ cmd: "unsubscribe", messageId: idOf(random), unsubscriptions: ["plant/+", "#"] }),
  (random) => packet5({ cmd: "disconnect", reasonCode: below(random, 2) * 4 }),
];

/** Checks what an MQTT 5 client was sent against what it sent; gives the PUBACKs where it is final. */
export function checkFive(received: Buffer, sent: Buffer, final: boolean): number {
  const packets: Packet[] = [];
  const stream = parser({ protocolVersion: 5 });
  stream.on("packet", (packet) => packets.push(packet));
  stream.on("error", (error) => {
    throw error;
  });
  assert.equal(stream.parse(received), 0, "only whole packets are sent");
  const last = packets.findIndex(({ cmd }) => cmd === "disconnect");
  assert.ok(last === -1 || last === packets.length - 1, "nothing is sent behind a DISCONNECT");
  const owed = sentMessages(sent);
  for (const packet of packets) {
    if (packet.cmd !== "puback" && packet.cmd !== "pubrec") continue;
    const key = `${packet.cmd} ${packet.messageId}`;
    const count = owed.get(key) ?? 0;
    assert.ok(count > 0, `${key} is for a message that was sent`);
    owed.set(key, count - 1);
  }
  return final ? packets.filter(({ cmd }) => cmd === "puback").length : 0;
}

/** How often each packet id was sent with QoS 1 and 2, in whole packets as far as lengths can be read. */
function sentMessages(bytes: Buffer): Map<string, number> {
  const counts = new Map<string, number>();
  let at = 0;
  while (at < bytes.length) {
    let length = 0;
    let header = 1;
    for (; ; header++) {
      const byte = bytes[at + header];
      if (byte === undefined || header > 4) return counts;
      length += (byte & 0x7f) * 128 ** (header - 1);
      if (byte < 0x80) break;
    }
    const body = at + header + 1;
    if (body + length > bytes.length) return counts;
    const qos = (bytes[at]! >> 1) & 3;
    if (bytes[at]! >> 4 === 3 && (qos === 1 || qos === 2) && length > 2) {
      const idAt = body + 2 + bytes.readUInt16BE(body);
      if (idAt + 2 <= body + length) {
        const key = `${qos === 1 ? "puback" : "pubrec"} ${bytes.readUInt16BE(idAt)}`;
        counts.set(key, (counts.get(key) ?? 0) + 1);
      }
    }
    at = body + length;
  }
  return counts;
}
