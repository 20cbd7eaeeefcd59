/**
 * Messages on their way to one MQTT 5 client: the broker writes them in 3.1.1, here they get their
 * properties, and wait where the client takes no more.
 *
 *   broker --PUBLISH--> match -> fits? -> window open? --> client
 *             <--------- done <-no    no -> waiting -> (PUBACK, PUBCOMP)
 *
 * What is not sent (larger than the client takes, its own with No Local, past its expiry) is
 * settled with the broker as if the client had answered. What waits counts as what the client has
 * not read: it is bounded by the same bytes.
 *
 * Source: MQTT 5 (OASIS), 3.1.2.11.3 Receive Maximum, 3.1.2.11.4 Maximum Packet Size, 3.3.2.3
 * properties, 3.8.3.1 subscription options, 4.9 flow control.
 */

import { filterMatches } from "../broker/filter.ts";
import {
  MESSAGE_EXPIRY,
  SUBSCRIPTION_ID,
  variableBytes,
  writeVariable,
} from "../packet/properties.ts";
import type { BrokerPublish } from "./broker-reader.ts";
import type { PacketRun } from "./packet-run.ts";
import type { Peer } from "./protocol.ts";
import type { Session5 } from "./sessions-5.ts";

type WaitingDelivery = {
  readonly packetId: number;
  readonly packet: Buffer;
  readonly expiresAt: number;
  /** Where its seconds stand in `packet`; 0 where it has none. */
  readonly expiryAt: number;
};

/** What the client's subscriptions make of a topic. */
type Match = {
  /** Subscription ids as properties. */
  readonly ids: Uint8Array;
  readonly allNoLocal: boolean;
  readonly anyAsPublished: boolean;
};

const noMatch: Match = { ids: new Uint8Array(), allNoLocal: false, anyAsPublished: false };
const nothing = new Uint8Array();
/** Topics whose match is remembered. */
const MATCHES_MAX = 256;

export class Deliveries5 {
  readonly #peer: Peer;
  readonly #session: Session5;
  readonly #packetBytesMax: number;
  readonly #receiveMaximum: number;
  readonly #inFlight = new Set<number>();
  #waiting: WaitingDelivery[] = [];
  /** The first of them that still waits. */
  #first = 0;
  /** Of QoS 2, not sent: their PUBREL is ours to answer. */
  readonly #settling = new Set<number>();
  readonly #matches = new Map<string, Match>();
  #matchesVersion = -1;

  constructor(options: {
    readonly peer: Peer;
    readonly session: Session5;
    readonly packetBytesMax: number;
    readonly receiveMaximum: number;
  }) {
    this.#peer = options.peer;
    this.#session = options.session;
    this.#packetBytesMax = options.packetBytesMax;
    this.#receiveMaximum = options.receiveMaximum;
  }

  /** Writes the message to `run`, or keeps it until the client takes more. */
  deliver(publish: BrokerPublish, run: PacketRun): void {
    const { bytes, start, note, packetId } = publish;
    const match = this.#matchOf(publish);
    const now = note === undefined ? 0 : this.#peer.host.monotonic();
    if (note !== undefined && note.expiresAt <= now) return this.#settle(bytes[start]!, packetId);
    if (match.allNoLocal && note?.session === this.#session) {
      return this.#settle(bytes[start]!, packetId);
    }
    const size = sizeOf(publish, match);
    if (size.total > this.#packetBytesMax) {
      this.#peer.host.counters.packetsTooLargeForClient += 1;
      return this.#settle(bytes[start]!, packetId);
    }
    if (packetId === 0 || this.#isOpen) {
      if (packetId !== 0) this.#open(packetId);
      run.reserve(size.total);
      run.length = writePublish(publish, match, size, { target: run.bytes, at: run.length, now });
      return;
    }
    const packet = Buffer.allocUnsafeSlow(size.total);
    writePublish(publish, match, size, { target: packet, at: 0, now });
    const expiresAt = note?.expiresAt ?? Number.POSITIVE_INFINITY;
    const expiryAt = expiresAt === Number.POSITIVE_INFINITY ? 0 : size.expiryAt;
    this.#waiting.push({ packetId, packet, expiresAt, expiryAt });
    this.#peer.keep(packet.length);
  }

  /** The client has answered for good: there is room for the next that waits. */
  answered(packetId: number): void {
    if (!this.#inFlight.delete(packetId) || this.#waiting.length === 0) return;
    while (this.#isOpen && this.#first < this.#waiting.length) {
      const each = this.#waiting[this.#first++]!;
      this.#peer.keep(-each.packet.length);
      const now = this.#peer.host.monotonic();
      if (each.expiresAt <= now) {
        this.#settle(each.packet[0]!, each.packetId);
        continue;
      }
      if (each.expiryAt > 0) {
        each.packet.writeUInt32BE(secondsLeft(each.expiresAt, now), each.expiryAt);
      }
      this.#open(each.packetId);
      this.#peer.send(each.packet);
    }
    // What was sent is cut off now and then, so that a long queue costs no more for each answer.
    if (this.#first * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#first);
    this.#first = 0;
  }

  /** The client refused a QoS 2 message: to the broker it takes it. */
  refused(packetId: number): void {
    this.#settling.add(packetId);
    this.answered(packetId);
  }

  /** Whether the broker's PUBREL is for a message that the client knows nothing of; answers it then. */
  settles(packetId: number): boolean {
    if (!this.#settling.delete(packetId)) return false;
    this.#peer.push(Buffer.from([0x70, 2, packetId >> 8, packetId & 0xff]));
    return true;
  }

  get #isOpen(): boolean {
    return this.#receiveMaximum === 0xffff || this.#inFlight.size < this.#receiveMaximum;
  }

  #open(packetId: number): void {
    if (this.#receiveMaximum !== 0xffff) this.#inFlight.add(packetId);
  }

  /** To the broker the client has answered the message. */
  #settle(first: number, packetId: number): void {
    const qos = (first >> 1) & 3;
    if (qos === 0) return;
    if (qos === 2) this.#settling.add(packetId);
    this.#peer.push(Buffer.from([qos === 1 ? 0x40 : 0x50, 2, packetId >> 8, packetId & 0xff]));
  }

  #matchOf({ bytes, topicAt }: BrokerPublish): Match {
    const session = this.#session;
    if (!session.hasOptions) return noMatch;
    if (this.#matchesVersion !== session.version || this.#matches.size >= MATCHES_MAX) {
      this.#matches.clear();
      this.#matchesVersion = session.version;
    }
    const length = (bytes[topicAt]! << 8) | bytes[topicAt + 1]!;
    const topic = Buffer.from(bytes.buffer, bytes.byteOffset + topicAt + 2, length).toString();
    let match = this.#matches.get(topic);
    if (match === undefined) {
      match = matchOf(session, topic);
      this.#matches.set(topic, match);
    }
    return match;
  }
}

function matchOf(session: Session5, topic: string): Match {
  const found = [...session.subscriptions.values()].filter(({ filter }) =>
    filterMatches(filter, topic),
  );
  const ids = new Set(found.map(({ subscriptionId }) => subscriptionId).filter((id) => id > 0));
  const properties = [...ids].map((id) => {
    const property = new Uint8Array(1 + variableBytes(id));
    property[0] = SUBSCRIPTION_ID;
    writeVariable(property, 1, id);
    return property;
  });
  return {
    ids: Buffer.concat(properties),
    allNoLocal: found.length > 0 && found.every(({ noLocal }) => noLocal),
    anyAsPublished: found.some(({ retainAsPublished }) => retainAsPublished),
  };
}

type Size = {
  readonly total: number;
  readonly remaining: number;
  readonly properties: number;
  /** Where the seconds of an expiry are, from the packet's start. */
  readonly expiryAt: number;
};

function sizeOf({ topicAt, payloadStart, end, note }: BrokerPublish, { ids }: Match): Size {
  const expiry = note === undefined || note.expiresAt === Number.POSITIVE_INFINITY ? 0 : 5;
  const properties = expiry + (note?.properties.length ?? 0) + ids.length;
  const head = payloadStart - topicAt + variableBytes(properties);
  const remaining = head + properties + end - payloadStart;
  const total = 1 + variableBytes(remaining) + remaining;
  return { total, remaining, properties, expiryAt: total - remaining + head + 1 };
}

/** Writes the PUBLISH of MQTT 5; gives what is behind it. */
function writePublish(
  { bytes, start, topicAt, payloadStart, end, note }: BrokerPublish,
  { ids, anyAsPublished }: Match,
  size: Size,
  to: { readonly target: Uint8Array; readonly at: number; readonly now: number },
): number {
  const { target } = to;
  const retain = anyAsPublished && note?.retain === true ? 1 : 0;
  target[to.at] = bytes[start]! | retain;
  let at = writeVariable(target, to.at + 1, size.remaining);
  target.set(bytes.subarray(topicAt, payloadStart), at);
  at = writeVariable(target, at + payloadStart - topicAt, size.properties);
  if (note !== undefined && note.expiresAt !== Number.POSITIVE_INFINITY) {
    const seconds = secondsLeft(note.expiresAt, to.now);
    target[at] = MESSAGE_EXPIRY;
    target[at + 1] = seconds >>> 24;
    target[at + 2] = (seconds >>> 16) & 0xff;
    target[at + 3] = (seconds >>> 8) & 0xff;
    target[at + 4] = seconds & 0xff;
    at += 5;
  }
  const properties = note?.properties ?? nothing;
  target.set(properties, at);
  target.set(ids, at + properties.length);
  at += properties.length + ids.length;
  target.set(bytes.subarray(payloadStart, end), at);
  return at + end - payloadStart;
}

/** Rounded up: what is still good has a second at least. */
function secondsLeft(expiresAt: number, now: number): number {
  return Math.min(Math.ceil((expiresAt - now) / 1_000), 0xffff_ffff);
}
