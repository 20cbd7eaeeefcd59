/**
 * The broker behind the front: aedes, adapted to our terms. It does what a broker must (sessions,
 * subscriptions, retained messages, wills, QoS 2); readings reach it only when someone subscribes.
 *
 *   connection --whole packets--> Duplex --> aedes --asks--> BrokerOwner.asked
 *              <--pieces--------- Duplex <--
 *
 * When aedes asks: `authorizePublish` is called before anything else is done with a PUBLISH, so
 * holding its callback holds PUBACK and PUBREC. It is called again for a QoS 2 message sent again,
 * before aedes looks whether it has that packet id; so we look first. Wills are asked about when
 * their connection closes. Messages we publish ourselves are not asked about.
 */

import type { EventEmitter } from "node:events";
import type { Aedes, AuthenticateError, Client, PublishPacket } from "aedes";
import { assert } from "../../../../core/assert.ts";
import type { AskedMessage, BrokerLink, BrokerOwner, LinkOwner, Login } from "./broker-owner.ts";
import { createDuplex } from "./duplex.ts";
import { BROKERS_OWN } from "./filter.ts";
import { capDelivery, type DeliveringClient } from "./granted.ts";
import { Turns } from "../../../../core/turns.ts";
import { type Note, Notes, retainedNote } from "./notes.ts";
import { Outgoing } from "./outgoing.ts";
import { keepPublishOrder, type Publisher } from "./publish-order.ts";
import { RetainedHandling } from "./retained-handling.ts";
import { type NumberingClient, PacketIdsOfClients } from "./packet-ids.ts";
import {
  boundSessions,
  bytesOf,
  endSession,
  SESSION_MARK,
  type SessionLimits,
  type SessionStore,
} from "./sessions.ts";
import { Subscriptions } from "./subscriptions.ts";

/** Parts of aedes that its types leave out. */
type AedesParts = Publisher & {
  readonly mq: {
    on(filter: string, deliver: unknown, done: unknown): unknown;
    removeListener(filter: string, deliver: unknown, done: unknown): unknown;
  };
  readonly persistence: SessionStore;
  readonly clients: Readonly<Record<string, Client | undefined>>;
};

export type BrokerLimits = SessionLimits & {
  readonly openIdsPerClientMax: number;
  readonly backlogBytesMax: number;
  readonly unreadBytesMax: number;
  readonly subscriptionsMax: number;
  readonly subscriptionsPerClientMax: number;
  /** Clients that went, told in one turn of the event loop. */
  readonly leaversPerTurnMax: number;
};

/** A broker that serves once `serve` was called. */
export async function openBroker(options: {
  readonly limits: BrokerLimits;
  /** Topics whose "is anyone subscribed" is remembered: handles below this. */
  readonly topicsMax: number;
  /** In ms; never goes back. */
  readonly monotonic: () => number;
  /** Calls back in the next turn of the event loop. */
  readonly soon: (run: () => void) => void;
}): Promise<Broker> {
  const { Aedes: Constructor } = await import("aedes");
  // aedes writes with mqtt-packet, which keeps a Buffer for each of 65,536 packet ids unless told not to.
  const { default: mqttPacket } = await import("mqtt-packet");
  mqttPacket.writeToStream.cacheNumbers = false;
  const aedes = new Constructor();
  const broker = new Broker(aedes, options);
  await aedes.listen();
  broker.bound();
  return broker;
}

export class Broker {
  /** What messages say beyond 3.1.1. */
  readonly notes: Notes = new Notes();
  readonly #retainedHandling = new RetainedHandling();
  readonly #outgoing: Outgoing;
  readonly #monotonic: () => number;
  readonly #leavers: Turns;
  readonly #aedes: Aedes;
  readonly #limits: BrokerLimits;
  readonly #subscriptions = new Subscriptions();
  readonly #clientOf = new WeakMap<object, LinkOwner>();
  readonly #sessionOf = new WeakMap<Client, string>();
  /** Per topic handle: version of the subscriptions * 2 + whether one matches. */
  readonly #answers: Float64Array;
  #owner: BrokerOwner | undefined;
  readonly #packetIds: PacketIdsOfClients;
  #sessionCount = 0;
  /** QoS 2 messages asked about in this turn of the event loop. */
  readonly #askedNow = new Set<string>();
  #backlogBytes = 0;
  #easeWanted = false;
  #closed = false;

  constructor(
    aedes: Aedes,
    options: {
      readonly limits: BrokerLimits;
      readonly topicsMax: number;
      readonly monotonic: () => number;
      readonly soon: (run: () => void) => void;
    },
  ) {
    this.#aedes = aedes;
    this.#monotonic = options.monotonic;
    this.#leavers = new Turns({
      perTurnMax: options.limits.leaversPerTurnMax,
      soon: options.soon,
    });
    this.#limits = options.limits;
    const extraBytesOf = (payload: Uint8Array): number => this.notes.bytesOf(payload);
    this.#outgoing = new Outgoing({
      limits: options.limits,
      bytesOf: (message) => bytesOf(message, { extraBytesOf }),
      onDrop: () => this.#owner?.dropped("waiting"),
    });
    this.#packetIds = new PacketIdsOfClients({ openMax: options.limits.openIdsPerClientMax });
    this.#answers = new Float64Array(options.topicsMax);
    aedes.authenticate = (client, name, password, done) => {
      const taker = this.#clientOf.get(client.conn);
      assert(taker !== undefined, "every client of the broker came through connect");
      const will = willOf(client)?.topic;
      this.#login({ name, password, clientId: client.id, will, client: taker }, done);
    };
    aedes.authorizePublish = (client, packet, done) =>
      this.#ask(client ?? undefined, packet, (refusal) => {
        // Never within this call: with no subscriber aedes would then read on from inside its
        // parser, which would take the packet again and lose as many bytes of the next.
        queueMicrotask(() => done(refusal ?? null));
      });
    aedes.authorizeSubscribe = (client, subscription, done) =>
      done(null, this.#admits(client, subscription.topic) ? subscription : null);
    aedes.authorizeForward = (client, packet) => {
      const taker = this.#clientOf.get(client.conn);
      const { clientId: from } = packet as { readonly clientId?: string };
      const isOwn = from === client.id && taker?.session.hearsItself === false;
      const may = taker === undefined || this.#owner?.mayReceive(taker, packet.topic) !== false;
      if (!isOwn && may && this.#mayForward(packet)) return packet;
      if (!client.clean) this.#outgoing.refused(packet);
      return undefined;
    };
    aedes.preConnect = (client, _packet, done) => {
      capDelivery(client as unknown as DeliveringClient);
      this.#packetIds.attach(client as unknown as NumberingClient);
      done(null, true);
    };
    aedes.on("subscribe", (subscriptions, client) => this.#subscribed(subscriptions, client));
    const emitter: EventEmitter = aedes;
    emitter.on("error", () => this.#owner?.erred());
    countOnline(partsOf(aedes), this.#subscriptions);
    keepPublishOrder(partsOf(aedes));
  }

  /** Puts bounds on what the broker's store keeps; called once it has one. */
  bound(): void {
    boundSessions(partsOf(this.#aedes).persistence, {
      limits: this.#limits,
      subscriptions: this.#subscriptions,
      outgoing: this.#outgoing,
      packetIds: this.#packetIds,
      extraBytesOf: (payload) => this.notes.bytesOf(payload),
      onDrop: (what) => this.#owner?.dropped(what),
    });
    this.#retainedHandling.attach(partsOf(this.#aedes).persistence);
  }

  /** Called once, before the first client. */
  serve(owner: BrokerOwner): void {
    assert(this.#owner === undefined, "a broker has one owner");
    this.#owner = owner;
  }

  get subscriptionCount(): number {
    return this.#subscriptions.size;
  }

  /** Bytes of messages of our own, and of what the front passed on, that are being delivered. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** So much waits to be delivered that publishers should wait; then `BrokerOwner.eased` follows. */
  get backlogged(): boolean {
    const full = this.#backlogBytes > this.#limits.backlogBytesMax;
    this.#easeWanted ||= full;
    return full;
  }

  /** Whether anyone, online or away, subscribed to the topic `bytes[start, end)` with this handle. */
  isSubscribed(topic: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#subscriptions.size === 0) return false;
    const version = this.#subscriptions.version;
    const known = this.#answers[topic];
    if (known !== undefined && Math.floor(known / 2) === version) return known % 2 === 1;
    const answer = this.#subscriptions.matches(textOf(bytes, start, end));
    if (topic < this.#answers.length) this.#answers[topic] = version * 2 + (answer ? 1 : 0);
    return answer;
  }

  /** The same for a topic that has no handle. */
  hasSubscriber(topic: string): boolean {
    return this.#subscriptions.matches(topic);
  }

  /** Delivers a message to subscribers; `payload` is the broker's from now on. Not received, not asked about. */
  publish(
    topic: string,
    payload: Uint8Array,
    options: {
      readonly retain: boolean;
      readonly qos: 0 | 1;
      readonly note?: Note | undefined;
      /** The client id of who published it. */
      readonly from?: string | undefined;
    },
  ): void {
    if (this.#closed) return;
    const body = bufferOf(payload);
    const note = options.note ?? (options.retain ? retainedNote : undefined);
    if (note !== undefined) this.notes.set(body, note);
    const bytes = topic.length + payload.length + this.notes.bytesOf(body) + 64;
    this.#backlogBytes += bytes;
    const packet: PublishPacket & { clientId?: string } = {
      ...(options.from === undefined ? {} : { clientId: options.from }),
      cmd: "publish",
      topic,
      payload: body,
      qos: options.qos,
      retain: options.retain,
      dup: false,
    };
    this.#aedes.publish(packet, () => {
      this.#backlogBytes -= bytes;
      if (!this.#easeWanted || this.#backlogBytes > this.#limits.backlogBytesMax / 2) return;
      this.#easeWanted = false;
      this.#owner?.eased();
    });
  }

  /** Brings what is published on the topic, which has no wildcards, for as long as the broker lives. */
  subscribe(topic: string, onMessage: (payload: Uint8Array) => void): void {
    this.#aedes.subscribe(
      topic,
      ({ payload }, done) => {
        onMessage(bufferOf(payload));
        done();
      },
      () => undefined,
    );
  }

  /** A new client, whose first packet is a CONNECT with keep alive 0. */
  connect(owner: LinkOwner): BrokerLink {
    const stream = createDuplex({
      readBytesMax: this.#limits.unreadBytesMax,
      handlers: {
        onWrite: (pieces) => owner.brokerWrote(pieces),
        onRead: () => owner.goOn(),
        onDestroy: () => owner.brokerClosed(),
      },
    });
    let isFinished = false;
    const link: BrokerLink = {
      get unreadBytes() {
        return stream.readableLength;
      },
      push: (packet) => {
        if (!isFinished && !stream.destroyed && !stream.readableEnded) stream.push(packet);
      },
      finish: () => {
        if (isFinished || stream.destroyed) return;
        isFinished = true;
        this.#leavers.take(() => {
          if (!stream.destroyed) stream.push(null);
        });
      },
      cancelWill: () => {
        Object.assign(client, { will: null });
      },
    };
    this.#clientOf.set(stream, owner);
    const client = this.#aedes.handle(stream);
    return link;
  }

  /** Ends the session of this id, and the client that has it. */
  async endSession(id: string): Promise<void> {
    const { clients, persistence } = partsOf(this.#aedes);
    const client = clients[id];
    if (client !== undefined) await new Promise<void>((resolve) => client.close(resolve));
    await endSession(persistence, this.#outgoing, id);
  }

  /**
   * Whether a message is still good; called for each client before it is given one. A message from
   * the queue of a session was retained for others, not for it (MQTT 5, 3.3.1.3).
   */
  #mayForward(packet: {
    payload: Uint8Array | string;
    retain: boolean;
    brokerId?: string;
  }): boolean {
    if (packet.retain && typeof packet.brokerId === "string") packet.retain = false;
    if (!this.notes.isUsed || typeof packet.payload === "string") return true;
    const note = this.notes.of(packet.payload);
    if (note === undefined || note.expiresAt > this.#monotonic()) return true;
    this.#owner?.dropped("expired");
    return false;
  }

  close(): Promise<void> {
    this.#closed = true;
    return new Promise((resolve) => this.#aedes.close(() => resolve()));
  }

  #login(
    login: Login,
    done: (error: AuthenticateError | null, success: boolean | null) => void,
  ): void {
    assert(this.#owner !== undefined, "a broker serves before it has clients");
    // A login that throws is a bug, not an answer: it ends the process.
    void this.#owner.login(login).then(async (answer) => {
      if (answer !== "ok") return done(refusedLogin(answer), false);
      await login.client.arrive(login.clientId);
      done(null, true);
    });
  }

  /** The broker has answered a SUBSCRIBE, and is about to ask for retained messages. */
  #subscribed(subscriptions: readonly { topic: string; qos: number }[], client: Client): void {
    const taker = this.#clientOf.get(client.conn);
    const filters = subscriptions.map(({ topic }) => topic);
    this.#retainedHandling.subscribed(
      filters.filter((each) => taker?.session.wantsRetained(each) === false),
    );
    // It stored the whole packet for a session it keeps, with what was refused in it.
    const refused = subscriptions.filter(({ qos }) => qos > 2).map(({ topic }) => topic);
    if (client.clean || refused.length === 0) return;
    void partsOf(this.#aedes).persistence.removeSubscriptions(client, refused);
  }

  #admits(client: Client | null, filter: string): boolean {
    if (filter === SESSION_MARK) return true;
    const taker = client === null ? undefined : this.#clientOf.get(client.conn);
    if (taker !== undefined && this.#owner?.maySubscribe(taker, filter) === false) return false;
    const own = client === null ? {} : ownSubscriptions(client);
    const isMore = !Object.hasOwn(own, filter);
    if (isMore && Object.keys(own).length >= this.#limits.subscriptionsPerClientMax) {
      this.#owner?.dropped("subscription");
      return false;
    }
    if (this.#subscriptions.size < this.#limits.subscriptionsMax) return true;
    this.#owner?.dropped("subscription");
    return false;
  }

  /** What aedes asks before it publishes for a client. */
  #ask(client: Client | undefined, packet: PublishPacket, done: (refusal?: Error) => void): void {
    const owner = this.#owner;
    if (this.#closed || owner === undefined) return done(new Error("the broker is closing"));
    const isWill = client !== undefined && packet === willOf(client);
    if (packet.topic.startsWith(BROKERS_OWN)) {
      if (isWill) owner.dropped("passedOver");
      return done(new Error("$SYS topics are the broker's"));
    }
    const taker = client === undefined ? undefined : this.#clientOf.get(client.conn);
    if (client === undefined || taker === undefined) return done();
    // aedes sets it only once the message is in the queues of sessions, which keep a copy.
    Object.assign(packet, { clientId: client.id });
    if (!owner.mayPublish(taker, { topic: packet.topic, isWill })) {
      return done(new Error("its user is gone"));
    }
    const payload = bufferOf(packet.payload);
    const note =
      taker.session.takeNote(packet.messageId ?? 0) ??
      this.notes.of(payload) ??
      (packet.retain ? retainedNote : undefined);
    // An empty retained message takes the kept one back.
    if (packet.retain && payload.length === 0) return done();
    if (note !== undefined) this.notes.set(payload, note);
    const message: AskedMessage = {
      topic: packet.topic,
      payload,
      bytes: payload.length + this.notes.bytesOf(payload),
      packetId: packet.messageId ?? 0,
      session:
        taker.session.sessionName ??
        (client.clean ? this.#onceSessionOf(client) : `kept ${client.id}`),
      persistent: !client.clean,
      client: taker,
      done,
    };
    if (packet.qos !== 2 || message.packetId === 0) return owner.asked(message);
    const key = `${message.packetId} ${message.session}`;
    if (this.#askedNow.has(key)) {
      // The same message twice in one piece: the first is not in the store yet.
      setImmediate(() => this.#ask(client, packet, done));
      return;
    }
    if (this.#askedNow.size === 0) setImmediate(() => this.#askedNow.clear());
    this.#askedNow.add(key);
    // Known to the broker: it was durable before, and only its PUBREC was lost.
    partsOf(this.#aedes)
      .persistence.incomingGetPacket(client, { messageId: message.packetId })
      .then(
        () => done(),
        () => owner.asked(message),
      );
  }

  /** The name of a session that ends with its connection. */
  #onceSessionOf(client: Client): string {
    let session = this.#sessionOf.get(client);
    if (session === undefined) {
      session = `once ${this.#sessionCount++}`;
      this.#sessionOf.set(client, session);
    }
    return session;
  }
}

/** Counts the filters of clients that are online; the broker's own are left out. */
function countOnline({ mq }: AedesParts, subscriptions: Subscriptions): void {
  const on = mq.on.bind(mq);
  const removeListener = mq.removeListener.bind(mq);
  Object.assign(mq, {
    on: (filter: string, deliver: unknown, done: unknown) => {
      if (!filter.startsWith(BROKERS_OWN)) subscriptions.add(filter);
      return on(filter, deliver, done);
    },
    removeListener: (filter: string, deliver: unknown, done: unknown) => {
      if (!filter.startsWith(BROKERS_OWN)) subscriptions.remove(filter);
      return removeListener(filter, deliver, done);
    },
  });
}

function ownSubscriptions(client: Client): Readonly<Record<string, unknown>> {
  return (client as unknown as { readonly subscriptions: Record<string, unknown> }).subscriptions;
}

/** Not where the types have it: there it is only once the login is answered. */
function willOf(client: Client): { readonly topic: string } | undefined {
  return (client as { readonly _will?: { readonly topic: string } })._will;
}

function partsOf(aedes: Aedes): AedesParts {
  return aedes as unknown as AedesParts;
}

function refusedLogin(returnCode: 3 | 4 | 5): AuthenticateError {
  const why = { 3: "server unavailable", 4: "bad user name or password", 5: "not authorised" }[
    returnCode
  ];
  return Object.assign(new Error(why), { returnCode });
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
}

/** The same object where it is a Buffer already: a note knows it by that. */
function bufferOf(payload: string | Uint8Array): Buffer {
  if (typeof payload === "string") return Buffer.from(payload);
  if (Buffer.isBuffer(payload)) return payload;
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}
