/**
 * A broker that stands at the site already: devices publish to it, and the gateway is its client. It
 * keeps the gateway's session, owes what was published until the gateway acknowledges it, and sends
 * it again after every connection. It speaks MQTT 3.1.1 and 5 in bytes of its own.
 *
 *   devices --publish--> waiting --window--> sent --PUBACK, PUBREC--> settled
 *                                             ^ |
 *                                             +-+ connection lost: again, in order, with DUP
 *
 * What a gateway does that no sound client does is a protocol fault.
 */

import type { Random } from "../../../src/core/doors.ts";
import { below } from "../../support/seeded-random.ts";
import type { Reading } from "../oracle/evidence.ts";
import type { SitePlan } from "../plan.ts";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  Fields,
  type Packet,
  packet,
  PacketStream,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  text,
  u16,
  UNSUBACK,
  UNSUBSCRIBE,
} from "./mqtt-bytes.ts";
import type { Connection, DeviceEnd } from "./network.ts";
import type { Timeline } from "./timeline.ts";

/** A client that does not say hello for so long is sent away. */
const helloWaitMs = 10_000;
const SESSION_EXPIRY = 0x11;
const RECEIVE_MAXIMUM = 0x21;

export type SiteMessage = {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly isRetained: boolean;
  /** Undefined for a message that is no JSON, or not of a device. */
  readonly reading: Reading | undefined;
};

/** One message that the gateway's session is owed. */
type Owed = {
  readonly message: SiteMessage;
  readonly qos: 0 | 1 | 2;
  /** Sent because a subscription began, not because a device published. */
  readonly isOld: boolean;
  packetId: number;
  sent: number;
  /** With QoS 2: PUBREC has come. */
  isReceived: boolean;
};

type Session = {
  readonly filters: Map<string, 0 | 1 | 2>;
  waiting: Owed[];
  inFlight: Owed[];
  /** QoS 2 packet ids of the gateway's own messages before their PUBREL. */
  readonly ids: Set<number>;
  isKept: boolean;
};

export type SiteBrokerOptions = {
  readonly plan: SitePlan;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly onBroken: (event: "sent" | "acknowledged") => void;
  readonly onProtocolFault: (what: string) => void;
  readonly tell: (what: string) => void;
};

export class SiteBroker {
  readonly #options: SiteBrokerOptions;
  readonly #sessions = new Map<string, Session>();
  readonly #retained = new Map<string, SiteMessage>();
  /** The gateway's newest connection; there is one gateway. */
  #client: GatewayClient | undefined;
  #isUp = true;

  constructor(options: SiteBrokerOptions) {
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Whether the gateway's session is owed what this device publishes. */
  isSubscribed(topic: string): boolean {
    return [...this.#sessions.values()].some(({ filters }) =>
      [...filters.keys()].some((filter) => matches(filter, topic)),
    );
  }

  /** Messages that the gateway has not acknowledged. */
  get owedCount(): number {
    let count = 0;
    for (const { waiting, inFlight } of this.#sessions.values()) {
      count += waiting.length + inFlight.filter(({ isReceived }) => !isReceived).length;
    }
    return count;
  }

  /** A device publishes; the broker has it from now on. */
  publish(message: SiteMessage): void {
    if (message.isRetained) this.#retained.set(message.topic, message);
    for (const [id, session] of this.#sessions) {
      const qos = qosOf(session, message);
      if (qos === undefined) continue;
      const isHere = this.#client?.id === id;
      if (qos === 0 && !isHere) continue;
      session.waiting.push(owedOf(message, qos));
      if (isHere) this.#client?.pump();
    }
  }

  /** It stops with its memory on disk, or without; the connection goes. */
  stop({ forgets }: { readonly forgets: boolean }): void {
    this.#isUp = false;
    if (forgets) {
      this.#sessions.clear();
      this.#retained.clear();
    }
    this.#client?.drop();
  }

  start(): void {
    this.#isUp = true;
  }

  /** The gateway's end is a connection; gives ours. */
  accept(connection: Connection): DeviceEnd {
    const { plan, random, timeline, onBroken, onProtocolFault } = this.#options;
    const client = new GatewayClient({
      connection,
      plan,
      random,
      now: () => timeline.now,
      onBroken,
      onProtocolFault,
      sessionOf: (hello) => this.#admit(hello, client),
      retained: () => [...this.#retained.values()],
      publish: (message) => this.publish(message),
      onGone: () => this.#gone(client),
    });
    timeline.after(helloWaitMs, () => client.closeUnlessGreeted());
    return { onBytes: (bytes) => client.receive(bytes), onClose: () => client.closed() };
  }

  /** The session of a client that says hello; whoever had its name before is sent away. */
  #admit({ id, isClean, isKept }: Hello, client: GatewayClient): Admission {
    const before = this.#client;
    this.#client = client;
    before?.drop();
    const known = isClean ? undefined : this.#sessions.get(id);
    const session = known ?? {
      filters: new Map(),
      waiting: [],
      inFlight: [],
      ids: new Set(),
      isKept,
    };
    session.isKept = isKept;
    this.#sessions.set(id, session);
    this.#options.tell(
      `the gateway connects, ${known === undefined ? "a new session" : "its session is present"}`,
    );
    return { session, isPresent: known !== undefined };
  }

  #gone(client: GatewayClient): void {
    if (this.#client !== client) return;
    this.#client = undefined;
    const session = this.#sessions.get(client.id);
    if (session === undefined) return;
    if (!session.isKept) this.#sessions.delete(client.id);
    // Nobody owes a message that promised nothing.
    session.waiting = session.waiting.filter(({ qos }) => qos > 0);
  }
}

type Hello = { readonly id: string; readonly isClean: boolean; readonly isKept: boolean };
type Admission = { readonly session: Session; readonly isPresent: boolean };

type ClientOptions = {
  readonly connection: Connection;
  readonly plan: SitePlan;
  readonly random: Random;
  readonly now: () => number;
  readonly onBroken: (event: "sent" | "acknowledged") => void;
  readonly onProtocolFault: (what: string) => void;
  readonly sessionOf: (hello: Hello) => Admission;
  readonly retained: () => readonly SiteMessage[];
  readonly publish: (message: SiteMessage) => void;
  readonly onGone: () => void;
};

/** One connection of the gateway. */
class GatewayClient {
  readonly #options: ClientOptions;
  readonly #stream = new PacketStream();
  #session: Session | undefined;
  #id = "";
  #level = 4;
  #window = 0;
  #nextPacketId = 1;
  /** Packet ids of QoS 1 messages sent on this connection, in order. */
  #unacknowledged: number[] = [];
  #isClosed = false;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#id;
  }

  receive(bytes: Uint8Array): void {
    for (const each of this.#stream.push(bytes)) {
      if (this.#isClosed) return;
      this.#answer(each);
    }
  }

  closed(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#options.onGone();
  }

  drop(): void {
    if (this.#isClosed) return;
    this.closed();
    this.#options.connection.destroy();
  }

  closeUnlessGreeted(): void {
    if (this.#session === undefined) this.drop();
  }

  /** Sends what the window allows. */
  pump(): void {
    const session = this.#session;
    if (session === undefined || this.#isClosed) return;
    while (session.waiting.length > 0) {
      const [next] = session.waiting;
      if (next!.qos > 0 && session.inFlight.length >= this.#window) return;
      session.waiting.shift();
      if (next!.qos > 0) {
        next!.packetId = this.#freePacketId(session);
        session.inFlight.push(next!);
      }
      this.#send(next!);
    }
  }

  #freePacketId({ inFlight }: Session): number {
    do this.#nextPacketId = (this.#nextPacketId % 65_535) + 1;
    while (inFlight.some(({ packetId }) => packetId === this.#nextPacketId));
    return this.#nextPacketId;
  }

  #send(owed: Owed): void {
    const { random, now, onBroken, connection } = this.#options;
    const { message, qos, isOld } = owed;
    const isOfDevice = message.topic.startsWith("plant/");
    if (!isOld && isOfDevice) {
      message.reading?.transmissions.push(now());
      if (message.reading === undefined) onBroken("sent");
    }
    const flags = (owed.sent > 0 && qos > 0 ? 8 : 0) | (qos << 1) | (isOld ? 1 : 0);
    owed.sent += 1;
    const id = qos > 0 ? u16(owed.packetId) : [];
    if (qos === 1) this.#unacknowledged.push(owed.packetId);
    // Properties that a receiver need not know: it steps over them.
    const extra = below(random, 3) === 0 ? [0x26, ...text("from"), ...text("site")] : [];
    const properties = this.#level === 5 ? [extra.length, ...extra] : [];
    connection.send(
      packet(0x30 | flags, [...text(message.topic), ...id, ...properties], message.payload),
    );
  }

  // ---- what the gateway says ----

  #answer({ type, flags, body }: Packet): void {
    const { onProtocolFault } = this.#options;
    const fields = new Fields(body);
    if (this.#session === undefined) {
      if (type === CONNECT) return this.#greet(fields);
      return onProtocolFault(`a packet of type ${type} before CONNECT`);
    }
    switch (type) {
      case SUBSCRIBE:
        return this.#subscribe(fields);
      case UNSUBSCRIBE:
        return this.#unsubscribe(fields);
      case PUBLISH:
        return this.#published(flags, fields);
      case PUBREL:
        this.#session.ids.delete(fields.u16());
        return this.#reply(PUBCOMP, new Fields(body).u16());
      case PUBACK:
        return this.#acknowledged(fields.u16());
      case PUBREC:
        return this.#recorded(fields.u16());
      case PUBCOMP:
        return this.#completed(fields.u16());
      case PINGREQ:
        return this.#options.connection.send(packet(PINGRESP << 4, []));
      case DISCONNECT:
        return this.drop();
      default:
        return onProtocolFault(`a packet of type ${type} that no client sends`);
    }
  }

  #greet(fields: Fields): void {
    const { plan, sessionOf, connection, onProtocolFault } = this.#options;
    const name = fields.text();
    this.#level = fields.u8();
    const flags = fields.u8();
    fields.u16();
    if (name !== "MQTT" || this.#level !== plan.version) {
      onProtocolFault(`a hello of ${name} ${this.#level}`);
    }
    const properties = this.#level === 5 ? fields.properties() : new Map<number, number>();
    this.#id = fields.text();
    const isClean = (flags & 2) !== 0;
    const isKept = this.#level === 5 ? (properties.get(SESSION_EXPIRY) ?? 0) > 0 : !isClean;
    this.#window = Math.min(plan.inFlightMax, properties.get(RECEIVE_MAXIMUM) ?? 65_535);
    const { session, isPresent } = sessionOf({ id: this.#id, isClean, isKept });
    this.#session = session;
    const tail = this.#level === 5 ? [0] : [];
    connection.send(packet(CONNACK << 4, [isPresent ? 1 : 0, 0, ...tail]));
    for (const owed of session.inFlight) {
      if (owed.isReceived) this.#release(owed.packetId);
      else this.#send(owed);
    }
    this.pump();
  }

  #subscribe(fields: Fields): void {
    const session = this.#session!;
    const packetId = fields.u16();
    if (this.#level === 5) fields.properties();
    const granted: number[] = [];
    while (!fields.isAtEnd) {
      const filter = fields.text();
      const options = fields.u8();
      const qos = asQos(options & 3);
      const isNew = !session.filters.has(filter);
      session.filters.set(filter, qos);
      granted.push(qos);
      const handling = this.#level === 5 ? (options >> 4) & 3 : 0;
      if (handling === 2 || (handling === 1 && !isNew)) continue;
      for (const message of this.#options.retained()) {
        if (!matches(filter, message.topic)) continue;
        session.waiting.push({
          ...owedOf(message, asQos(Math.min(qos, message.qos))),
          isOld: true,
        });
      }
    }
    const tail = this.#level === 5 ? [0] : [];
    this.#options.connection.send(packet(SUBACK << 4, [...u16(packetId), ...tail, ...granted]));
    this.pump();
  }

  #unsubscribe(fields: Fields): void {
    const packetId = fields.u16();
    if (this.#level === 5) fields.properties();
    const codes: number[] = [];
    while (!fields.isAtEnd) {
      codes.push(this.#session!.filters.delete(fields.text()) ? 0 : 0x11);
    }
    const tail = this.#level === 5 ? [0, ...codes] : [];
    this.#options.connection.send(packet(UNSUBACK << 4, [...u16(packetId), ...tail]));
  }

  /** What the gateway publishes itself. */
  #published(flags: number, fields: Fields): void {
    const topic = fields.text();
    const qos = asQos((flags >> 1) & 3);
    const packetId = qos > 0 ? fields.u16() : 0;
    if (this.#level === 5) fields.properties();
    const message = {
      topic,
      payload: fields.rest,
      qos,
      isRetained: (flags & 1) !== 0,
      reading: undefined,
    };
    const isAgain = qos === 2 && this.#session!.ids.has(packetId);
    if (qos === 2) this.#session!.ids.add(packetId);
    if (qos === 1) this.#reply(PUBACK, packetId);
    if (qos === 2) this.#reply(PUBREC, packetId);
    if (!isAgain) this.#options.publish(message);
  }

  #acknowledged(packetId: number): void {
    const { onProtocolFault } = this.#options;
    const expected = this.#unacknowledged.shift();
    if (packetId !== expected) onProtocolFault("a PUBACK out of its turn, or of nothing in flight");
    this.#settle(packetId);
    this.#drop(packetId);
  }

  #recorded(packetId: number): void {
    const owed = this.#session!.inFlight.find((each) => each.packetId === packetId);
    if (owed === undefined || owed.qos !== 2) {
      return this.#options.onProtocolFault("a PUBREC of nothing in flight");
    }
    if (!owed.isReceived) this.#settle(packetId);
    owed.isReceived = true;
    this.#release(packetId);
  }

  #completed(packetId: number): void {
    const owed = this.#session!.inFlight.find((each) => each.packetId === packetId);
    if (owed?.isReceived !== true) this.#options.onProtocolFault("a PUBCOMP before its PUBREC");
    this.#drop(packetId);
  }

  /** The gateway has it. */
  #settle(packetId: number): void {
    const owed = this.#session!.inFlight.find((each) => each.packetId === packetId);
    if (owed === undefined || owed.isOld || !owed.message.topic.startsWith("plant/")) return;
    const { reading } = owed.message;
    if (reading === undefined) this.#options.onBroken("acknowledged");
    else reading.acknowledgedAt ??= this.#options.now();
  }

  #drop(packetId: number): void {
    const session = this.#session!;
    session.inFlight = session.inFlight.filter((each) => each.packetId !== packetId);
    this.pump();
  }

  #release(packetId: number): void {
    this.#options.connection.send(packet((PUBREL << 4) | 2, u16(packetId)));
  }

  #reply(type: number, packetId: number): void {
    this.#options.connection.send(packet(type << 4, u16(packetId)));
  }
}

function owedOf(message: SiteMessage, qos: 0 | 1 | 2): Owed {
  return { message, qos, isOld: false, packetId: 0, sent: 0, isReceived: false };
}

/** With which QoS the session gets it; undefined where it wants none of it. */
function qosOf({ filters }: Session, { topic, qos }: SiteMessage): 0 | 1 | 2 | undefined {
  let highest: number | undefined;
  for (const [filter, granted] of filters) {
    if (matches(filter, topic)) highest = Math.max(highest ?? 0, Math.min(granted, qos));
  }
  return highest === undefined ? undefined : asQos(highest);
}

function asQos(value: number): 0 | 1 | 2 {
  return value === 0 || value === 1 ? value : 2;
}

function matches(filter: string, topic: string): boolean {
  const words = topic.split("/");
  const levels = filter.split("/");
  if (levels[0] === "$share") levels.splice(0, 2);
  for (const [index, level] of levels.entries()) {
    if (level === "#") return true;
    if (words[index] === undefined || (level !== "+" && level !== words[index])) return false;
  }
  return levels.length === words.length;
}
