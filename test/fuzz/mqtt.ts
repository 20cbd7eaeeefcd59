/**
 * Fuzzes the MQTT front: packets that are damaged, cut anywhere, and mixed with good ones, while
 * the batch is sometimes full and commits come when they like.
 *
 * Half of the connections speak MQTT 5 (mqtt-5.ts).
 *
 * Checked against a reading of the same bytes that is not incremental and not ours to run: nothing
 * throws; PUBACKs are for messages that were sent, in their order, at most one each, and never
 * before the release of the batch that took them; what is kept stays within its bound; and a second
 * client, whose packets are all good, is always served.
 */

import assert from "node:assert/strict";
import type { Random } from "../../src/core/doors.ts";
import {
  commit,
  connected,
  connectPacket,
  disconnectPacket,
  openRig,
  pingPacket,
  publishPacket,
  type Rig,
  subscribePacket,
  turns,
} from "../support/front-rig.ts";
import { below, seededRandom } from "../support/seeded-random.ts";
import { checkFive, hello5, kinds5 } from "./mqtt-5.ts";
import { READ_BYTES, type SimulatedPeer } from "../support/simulated-net.ts";

const limits = {
  packetBytesMax: 2_048,
  heldBytesPerConnectionMax: 1_024,
  inFlightPerConnectionMax: 16,
  retainedMessagesMax: 200,
  subscriptionsMax: 200,
};
/** One client keeps at most a split packet, or what is held and the read that filled it, twice for growth. */
const keptBytesMax = 2 * (limits.packetBytesMax + limits.heldBytesPerConnectionMax + READ_BYTES);
const casesPerWitness = 64;

export type MqttFuzzSummary = {
  readonly cases: number;
  readonly connections: number;
  readonly received: number;
  readonly pubacks: number;
  readonly bytes: number;
};

export const target: {
  readonly name: string;
  readonly run: (options: {
    readonly cases: number;
    readonly seed: number;
  }) => Promise<MqttFuzzSummary>;
} = { name: "mqtt", run };

/** A client under test and all it sent. */
type Subject = {
  readonly peer: SimulatedPeer;
  readonly sent: Buffer[];
  readonly isFive: boolean;
};

async function run(options: {
  readonly cases: number;
  readonly seed: number;
}): Promise<MqttFuzzSummary> {
  const random = seededRandom(options.seed);
  await using rig = await openRig({ limits });
  const witness = await connected(rig, { clientId: "witness" });
  const total = { connections: 0, pubacks: 0, bytes: 0 };
  let subject = await newSubject(rig, random);
  for (let done = 0; done < options.cases; done++) {
    if (subject.peer.isClosed || below(random, 200) === 0) {
      await turns(4);
      total.pubacks += checkSubject(subject, true);
      subject.peer.vanish();
      await turns(4);
      subject = await newSubject(rig, random);
      total.connections += 1;
    }
    rig.receiver.capacity = below(random, 4) === 0 ? below(random, 3) : Number.POSITIVE_INFINITY;
    const bytes = casePackets(random, subject.isFive ? kinds5 : kinds);
    total.bytes += bytes.length;
    sendInPieces(subject, bytes, random);
    checkBounds(rig);
    if (below(random, 3) === 0) stepCommit(rig, subject);
    if (below(random, 8) === 0) await turns(3);
    if (below(random, 40) === 0) rig.clock.advance(below(random, 1_500));
    if (done % casesPerWitness === 0) await checkWitness(rig, witness, 1 + (done % 65_000));
  }
  await turns();
  total.pubacks += checkSubject(subject, true);
  const status = rig.front.status;
  return { cases: options.cases, received: status.packetsFast, ...total };
}

async function newSubject(rig: Rig, random: Random): Promise<Subject> {
  const peer = rig.net.arrive();
  const isFive = below(random, 2) === 0;
  const subject: Subject = { peer, sent: [], isFive };
  const options = {
    clientId: `fuzz-${below(random, 4)}`,
    clean: below(random, 3) > 0,
    keepalive: below(random, 3),
  };
  const hello = isFive ? hello5(random, options) : connectPacket(options);
  sendInPieces(subject, below(random, 20) === 0 ? damaged(hello, random) : hello, random);
  if (below(random, 2) === 0) await turns(10);
  return subject;
}

function stepCommit(rig: Rig, subject: Subject): void {
  const before = subject.peer.writeCount;
  rig.front.seal();
  assert.equal(subject.peer.writeCount, before, "sealing acknowledges nothing");
  rig.front.release();
  rig.front.room();
  checkSubject(subject, false);
}

/** PUBACKs are a part of what was sent, in order: those of sources by us, the others by the broker. */
function checkSubject(subject: Subject, final: boolean): number {
  if (subject.isFive) return checkFive(subject.peer.received, Buffer.concat(subject.sent), final);
  const ids = ackIdsOf(subject.peer.received);
  const { wanted, others } = sentIds(Buffer.concat(subject.sent));
  let next = 0;
  for (const id of ids) {
    const found = wanted.indexOf(id, next);
    const other = others.get(id) ?? 0;
    if (found === next) next += 1;
    else if (other > 0) others.set(id, other - 1);
    else assert.fail(`PUBACK ${id} is not the next (${wanted[next]}) and not the broker's`);
  }
  return final ? ids.length : 0;
}

function checkBounds(rig: Rig): void {
  const { heldBytes, splitBytes } = rig.front.status;
  assert.ok(heldBytes >= 0 && splitBytes >= 0, "what is counted is given back once");
  assert.ok(heldBytes + splitBytes <= keptBytesMax, `${heldBytes} + ${splitBytes} bytes are kept`);
}

/** A good client next door: its message is taken, and acknowledged after the commit. */
async function checkWitness(rig: Rig, witness: SimulatedPeer, id: number): Promise<void> {
  rig.receiver.capacity = Number.POSITIVE_INFINITY;
  commit(rig.front);
  witness.clear();
  witness.send(publishPacket("plant/witness", "here", { qos: 1, id }));
  assert.deepEqual(ackIdsOf(witness.received), [], "nothing is acknowledged before a commit");
  commit(rig.front);
  assert.deepEqual(ackIdsOf(witness.received), [id]);
  const taken = rig.receiver.received.filter(({ topic }) => topic === "plant/witness");
  assert.deepEqual(
    taken.map(({ payload }) => payload),
    ["here"],
  );
  rig.receiver.received.length = 0;
  rig.receiver.shedTopics.length = 0;
  await turns(1);
}

// ---- what is sent ----

const kinds: readonly ((random: Random) => Buffer)[] = [
  (random) => publishPacket(topicOf(random), payloadOf(random)),
  (random) => publishPacket(topicOf(random), payloadOf(random), { qos: 1, id: idOf(random) }),
  (random) => publishPacket(topicOf(random), payloadOf(random), { qos: 1, id: idOf(random) }),
  (random) => publishPacket(topicOf(random), payloadOf(random), { qos: 2, id: idOf(random) }),
  (random) =>
    publishPacket(topicOf(random), payloadOf(random), { qos: 1, id: idOf(random), retain: true }),
  () => pingPacket,
  (random) => subscribePacket(["plant/+", "#", "other/x", "plant/a/#"][below(random, 4)]!),
  (random) => Buffer.from([0x62, 2, 0, below(random, 8)]),
  (random) => Buffer.from([0x40, 2, 0, below(random, 8)]),
  (random) => Buffer.from([0xa2, 12, 0, 9, 0, 7, ...Buffer.from("plant/+"), below(random, 2)]),
  () => disconnectPacket,
];

function casePackets(random: Random, of: readonly ((random: Random) => Buffer)[]): Buffer {
  const packets: Buffer[] = [];
  for (let i = below(random, 5); i >= 0; i--) {
    // DISCONNECT, the last kind, is rare: it ends the connection.
    const kind = below(random, below(random, 30) === 0 ? of.length : of.length - 1);
    packets.push(of[kind]!(random));
  }
  const bytes = Buffer.concat(packets);
  return below(random, 4) === 0 ? damaged(bytes, random) : bytes;
}

function damaged(bytes: Buffer, random: Random): Buffer {
  const copy = Buffer.from(bytes);
  const at = below(random, copy.length);
  switch (below(random, 6)) {
    case 0:
      copy[at] = copy[at]! ^ (1 << below(random, 8));
      return copy;
    case 1:
      copy[at] = below(random, 256);
      return copy;
    case 2:
      return copy.subarray(0, at);
    case 3:
      return Buffer.concat([copy.subarray(0, at), Buffer.from([0xff]), copy.subarray(at)]);
    case 4:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(below(random, copy.length))]);
    default:
      return Buffer.concat([copy, randomBytes(random, below(random, 12))]);
  }
}

function sendInPieces(subject: Subject, bytes: Buffer, random: Random): void {
  if (bytes.length === 0) return;
  subject.sent.push(bytes);
  let at = 0;
  while (at < bytes.length) {
    const length = below(random, 2) === 0 ? bytes.length : 1 + below(random, 40);
    subject.peer.send(bytes.subarray(at, at + length));
    at += length;
  }
}

function topicOf(random: Random): string {
  return ["plant/a", "plant/b/c", "plant/é", "other/x"][below(random, 4)]!;
}

function payloadOf(random: Random): string {
  return "x".repeat(below(random, 8) === 0 ? below(random, 1_500) : below(random, 30));
}

function idOf(random: Random): number {
  return 1 + below(random, 300);
}

function randomBytes(random: Random, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => below(random, 256)));
}

// ---- an independent reading ----

/** Packet ids of the PUBACKs in whole packets. */
function ackIdsOf(bytes: Buffer): readonly number[] {
  const ids: number[] = [];
  for (const { type, body } of packetsOf(bytes)) if (type === 4) ids.push(body.readUInt16BE(0));
  return ids;
}

/** Packet ids of QoS 1 messages: those a source wants, in order, and how many of each the broker answers. */
function sentIds(bytes: Buffer): {
  readonly wanted: readonly number[];
  readonly others: Map<number, number>;
} {
  const wanted: number[] = [];
  const others = new Map<number, number>();
  for (const { type, flags, body } of packetsOf(bytes)) {
    if (type !== 3 || (flags & 6) !== 2 || body.length < 2) continue;
    const topicEnd = 2 + body.readUInt16BE(0);
    if (topicEnd + 2 > body.length) continue;
    const id = body.readUInt16BE(topicEnd);
    const clears = (flags & 1) === 1 && topicEnd + 2 === body.length;
    const isWanted = body.toString("utf8", 2, topicEnd).startsWith("plant/") && !clears;
    if (isWanted) wanted.push(id);
    else others.set(id, (others.get(id) ?? 0) + 1);
  }
  return { wanted, others };
}

type RawPacket = { readonly type: number; readonly flags: number; readonly body: Buffer };

/** Every whole packet from the start of the bytes, as far as lengths can be read. */
function* packetsOf(bytes: Buffer): Generator<RawPacket> {
  let at = 0;
  while (at < bytes.length) {
    let length = 0;
    let header = 1;
    for (; ; header++) {
      const byte = bytes[at + header];
      if (byte === undefined || header > 4) return;
      length += (byte & 0x7f) * 128 ** (header - 1);
      if (byte < 0x80) break;
    }
    const body = at + header + 1;
    if (body + length > bytes.length) return;
    yield {
      type: bytes[at]! >> 4,
      flags: bytes[at]! & 0x0f,
      body: bytes.subarray(body, body + length),
    };
    at = body + length;
  }
}
