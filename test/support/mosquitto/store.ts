/**
 * Reads the file in which Mosquitto 2.0 keeps its messages (version 6 of its format), to know what it
 * owes to a client after it was killed. A message stands there once; what is owed to whom stands in
 * chunks of their own, so a message that its publisher has not released yet (QoS 2) is owed to nobody.
 *
 *   header   15 bytes of magic, 4 of checksum, 4 of version
 *   chunk    type (4 bytes, big endian), length (4), then as many bytes:
 *     2 message         id (8), expiry (8), payload length (4), packet id (2), lengths of source id,
 *                       source user and topic (2 each), port (2), qos, retain; source id, source
 *                       user, topic, payload, properties
 *     3 client message  id of the message (8), packet id (2), length of the client id (2), qos, state,
 *                       flags, direction (1: to the client); client id, properties
 *
 * Source: mosquitto 2.0, src/persist.h, src/persist_write_v5.c.
 */

import assert from "node:assert/strict";

const HEADER_BYTES = 23;
const VERSION_AT = 19;
const VERSION = 6;
const CHUNK_MESSAGE = 2;
const CHUNK_CLIENT_MESSAGE = 3;
const TO_CLIENT = 1;

type StoredMessage = { readonly topic: string; readonly payload: Buffer };

/** What the file owes to any of the clients. An empty file owes nothing. */
export function messagesOwed(file: Buffer, clientIds: readonly string[]): readonly StoredMessage[] {
  if (file.length === 0) return [];
  assert.equal(file.readUInt32BE(VERSION_AT), VERSION, "the format of Mosquitto 2.0");
  const messages = new Map<bigint, StoredMessage>();
  const owed = new Set<bigint>();
  let at = HEADER_BYTES;
  while (at + 8 <= file.length) {
    const type = file.readUInt32BE(at);
    const body = file.subarray(at + 8, at + 8 + file.readUInt32BE(at + 4));
    if (type === CHUNK_MESSAGE) messages.set(body.readBigUInt64LE(0), messageOf(body));
    if (type === CHUNK_CLIENT_MESSAGE && body[15] === TO_CLIENT) {
      const clientId = body.toString("utf8", 16, 16 + body.readUInt16BE(10));
      if (clientIds.includes(clientId)) owed.add(body.readBigUInt64LE(0));
    }
    at += 8 + body.length;
  }
  return [...owed].map((id) => {
    const message = messages.get(id);
    assert(message !== undefined, "a message that is owed is stored");
    return message;
  });
}

function messageOf(body: Buffer): StoredMessage {
  const topicAt = 32 + body.readUInt16BE(22) + body.readUInt16BE(24);
  const payloadAt = topicAt + body.readUInt16BE(26);
  return {
    topic: body.toString("utf8", topicAt, payloadAt),
    payload: body.subarray(payloadAt, payloadAt + body.readUInt32BE(16)),
  };
}
