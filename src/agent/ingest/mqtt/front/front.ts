/**
 * The MQTT front: listens, and is the Gate of everything MQTT: what the loop made durable is
 * acknowledged here, in one write per connection and commit.
 *
 *            bytes                     receive
 *   clients -------> connections ------------------> receiver
 *      ^                |    ^ asked (QoS 2, wills)     |
 *      |                v    |                          v
 *      |              broker (aedes)                 the loop
 *      +-- PUBACKs ------ front <-- seal, release, room, abandon
 *
 * Invariant: nothing a source wants is acknowledged (PUBACK, PUBREC) before the `release` of the
 * batch that was open when it was received.
 */

import type { Clock, ListenAddress, Net, Random } from "../../../../core/doors.ts";
import { limits as defaults } from "../../../../core/limits.ts";
import { type Gate, NO_SOURCE, type Receiver } from "../../receiver.ts";
import { Acks } from "./acks.ts";
import { type Broker, type BrokerLimits, openBroker } from "../broker/broker.ts";
import type {
  AskedMessage,
  BrokerOwner,
  LinkOwner,
  Login,
  LoginAnswer,
} from "../broker/broker-owner.ts";
import { BROKERS_OWN } from "../broker/filter.ts";
import { Clients, type ClientsLimits } from "./clients.ts";
import {
  createFaultCounts,
  createFrontCounters,
  type FaultCounts,
  type FrontCounters,
  type FrontStatus,
} from "./front-counters.ts";
import { HeldMessages } from "./held.ts";
import { Listeners, type ListenerStatus } from "./listeners.ts";
import { DOLLAR } from "./protocol.ts";
import { type SessionLimits5, Sessions5 } from "./sessions-5.ts";
import { type Access, assertSecured } from "../access/access.ts";
import { hostOf } from "../../../../core/addresses.ts";

/** Topics that begin with `$` are the broker's own. */

export type FrontLimits = ClientsLimits &
  SessionLimits5 & {
    /** QoS 1 messages of one batch over all connections. */
    readonly inFlightMax: number;
    readonly topicsMax: number;
    readonly brokerBacklogBytesMax: number;
    readonly subscriptionsMax: number;
    readonly subscriptionsPerClientMax: number;
    readonly leaversPerTurnMax: number;
    readonly keptSessionsMax: number;
    readonly openIdsPerClientMax: number;
    readonly waitingPerSessionMax: number;
    readonly waitingBytesMax: number;
    readonly retainedMessagesMax: number;
    readonly retainedBytesMax: number;
    readonly qos2OpenMax: number;
  };

type FrontOptions = {
  readonly net: Net;
  readonly clock: Clock;
  readonly random: Random;
  readonly receiver: Receiver;
  /** Port 0 takes a free one. */
  readonly listeners: readonly ListenAddress[];
  /** Who may come in, and what for. */
  readonly access: Access;
  /** Bounds that differ from those in core/limits. */
  readonly limits?: Partial<FrontLimits>;
};

/**
 * Listens for MQTT clients; register the result as a gate before the first turn of the loop.
 * Rejects with a Fault: LISTENER_NOT_SECURED, PORT_IN_USE, ADDRESS_UNAVAILABLE,
 * TLS_FILE_UNUSABLE.
 */
export async function openFront(options: FrontOptions): Promise<Front> {
  const { listeners, access } = options;
  const { anonymous, hasUsers } = access;
  for (const { host, tls } of listeners) {
    const certificateRequired = tls?.clientCertificate === "required";
    assertSecured({ host, anonymous, hasUsers, certificateRequired });
  }
  const limits: FrontLimits = { ...defaults, ...options.limits };
  const broker = await openBroker({
    limits: brokerLimitsOf(limits),
    topicsMax: limits.topicsMax,
    monotonic: () => options.clock.monotonic(),
    soon: (run) => options.clock.soon(run),
  });
  const front = new Front(options, limits, broker);
  try {
    await front.listen();
  } catch (error) {
    await broker.close();
    throw error;
  }
  return front;
}

export class Front implements Gate, BrokerOwner {
  readonly #options: FrontOptions;
  readonly #broker: Broker;
  readonly #acks: Acks;
  readonly #held: HeldMessages;
  readonly #sessions: Sessions5;
  readonly #clients: Clients;
  readonly #counters: FrontCounters = createFrontCounters();
  readonly #faults: FaultCounts = createFaultCounts();
  readonly #listeners = new Listeners();
  #stopping = false;

  /** Use `openFront`. */
  constructor(options: FrontOptions, limits: FrontLimits, broker: Broker) {
    const { clock, receiver } = options;
    this.#options = options;
    this.#broker = broker;
    this.#acks = new Acks({ slotsMax: limits.connectionsMax, countMax: limits.inFlightMax });
    this.#held = new HeldMessages({
      receiver,
      bytesMax: limits.heldBytesMax,
      soon: (run) => clock.soon(run),
    });
    this.#sessions = new Sessions5({ clock, broker, limits });
    this.#clients = new Clients({
      access: options.access,
      clock,
      random: options.random,
      sessions: this.#sessions,
      receiver,
      broker,
      acks: this.#acks,
      limits,
      counters: this.#counters,
      faults: this.#faults,
    });
    broker.serve(this);
    options.access.onRevoked(() => this.#clients.revoke());
  }

  async listen(): Promise<void> {
    const { net, listeners } = this.#options;
    await this.#listeners.open(net, listeners, (socket) => {
      if (this.#stopping) socket.destroy();
      else this.#clients.accept(socket);
    });
  }

  /** Of the first listener; 0 where there is none. */
  get port(): number {
    return this.#listeners.port;
  }

  get listeners(): readonly ListenerStatus[] {
    return this.#listeners.status;
  }

  /** A copy of the counters. */
  get status(): FrontStatus {
    return {
      ...this.#counters,
      ...this.#options.access.counters,
      acceptErrors: this.#listeners.acceptErrors,
      subscriptions: this.#broker.subscriptionCount,
      sessions: this.#sessions.count,
      messagesHeld: this.#held.count,
      protocolErrors: { ...this.#faults },
    };
  }

  // --- the agent's own messages ---------------------------------------------------------------------

  get subscriptionCount(): number {
    return this.#broker.subscriptionCount;
  }

  isSubscribed(topic: string): boolean {
    return this.#broker.hasSubscriber(topic);
  }

  /** Published by the agent itself: it goes to subscribers, and never to the receiver. */
  publish(
    topic: string,
    payload: Uint8Array,
    options: { readonly retain: boolean; readonly qos: 0 | 1 },
  ): void {
    this.#broker.publish(topic, payload, options);
  }

  /** For the agent itself: what clients publish on the topic, which has no wildcards. */
  subscribe(topic: string, onMessage: (payload: Uint8Array) => void): void {
    this.#broker.subscribe(topic, onMessage);
  }

  get backlogBytes(): number {
    return this.#broker.backlogBytes;
  }

  get backlogged(): boolean {
    return this.#broker.backlogged;
  }

  get unreadBytes(): number {
    return this.#counters.outboundBytes;
  }

  // --- the gate -------------------------------------------------------------------------------------

  seal(): void {
    this.#acks.seal();
    this.#held.seal();
    this.#clients.nextBatch();
  }

  release(): void {
    this.#acks.release((slot, pubacks, count) => {
      this.#clients.at(slot)?.acknowledge(pubacks, count);
    });
    this.#held.release();
    this.#clients.resume("acks");
  }

  room(): void {
    if (this.#stopping) return;
    this.#held.room();
    this.#clients.resume("room");
    this.#clients.resume("acks");
  }

  abandon(): void {
    this.#clients.abandon();
    this.#acks.drop((slot, count) => this.#clients.at(slot)?.abandoned(count));
    this.#held.abandon();
  }

  // --- what the broker asks -------------------------------------------------------------------------

  async login({ client, will: said, ...login }: Login): Promise<LoginAnswer> {
    const { access } = this.#options;
    const { remote, certificateName: certificate } = client;
    const isGone = (): boolean => client.isClosed;
    // One to the broker's own topics is passed over, as all that is published there: no right is asked for.
    const will = said?.startsWith(BROKERS_OWN) === true ? undefined : said;
    const request = { ...login, will, address: hostOf(remote), certificate, isGone };
    const admission = await access.login(request);
    if (admission.kind === "refused") return admission.code;
    // Who left while its password was hashed takes neither a place nor anybody's client id.
    const presence = client.isClosed ? undefined : access.entered(admission.credential);
    if (presence === undefined) return 3;
    client.enters(admission.credential, presence);
    return "ok";
  }

  maySubscribe(client: LinkOwner, filter: string): boolean {
    if (client.credential?.rights?.maySubscribe(filter) !== false) return true;
    const user = client.credential?.name;
    const address = hostOf(client.remote);
    this.#options.access.note("subscribe_denied", { address, user, topic: filter });
    return false;
  }

  mayReceive({ credential }: LinkOwner, topic: string): boolean {
    return credential?.rights?.mayReceive(topic) !== false;
  }

  /** Its rights were looked at when it came; a will may be due long after. */
  mayPublish(
    { credential, remote }: LinkOwner,
    { topic, isWill }: { readonly topic: string; readonly isWill: boolean },
  ): boolean {
    const { access } = this.#options;
    if (credential === undefined || access.isCurrent(credential)) return true;
    const kind = isWill ? "will_denied" : "publish_denied";
    access.note(kind, { address: hostOf(remote), user: credential.name, topic });
    return false;
  }

  asked(message: AskedMessage): void {
    const { receiver } = this.#options;
    const { client, packetId } = message;
    const topic = Buffer.from(message.topic);
    if (topic[0] === DOLLAR) return message.done();
    if (receiver.topicOf(topic, 0, topic.length) === NO_SOURCE) {
      // Of 3.1.1 whatever comes is asked about; what never is, see Protocol5.
      receiver.decline(topic, 0, topic.length);
      return message.done();
    }
    client.messageHeld(message.bytes);
    this.#held.offer({
      topic,
      payload: message.payload,
      bytes: message.bytes,
      key: packetId === 0 ? undefined : `${packetId} ${message.session}`,
      done: (refusal) => {
        client.messageSettled(message.bytes);
        // Nobody will ask for the packet id of a session that ended: the broker must not keep it.
        const isKept = message.persistent && !client.session.isSessionOver;
        const over = packetId !== 0 && client.isClosed && !isKept;
        message.done(refusal ?? (over ? new Error("the session is over") : undefined));
      },
    });
  }

  eased(): void {
    this.#options.clock.soon(() => this.#clients.resume("backlog"));
  }

  dropped(what: "waiting" | "retained" | "qos2" | "subscription" | "expired" | "passedOver"): void {
    if (what === "waiting") this.#counters.waitingDropped += 1;
    else if (what === "retained") this.#counters.retainedDropped += 1;
    else if (what === "qos2") this.#counters.qos2Refused += 1;
    else if (what === "expired") this.#counters.messagesExpired += 1;
    else if (what === "passedOver") this.#counters.messagesPassedOver += 1;
    else this.#counters.subscriptionsRefused += 1;
  }

  erred(): void {
    this.#counters.brokerErrors += 1;
  }

  // --- end ------------------------------------------------------------------------------------------

  /**
   * Stops accepting and reading; what waits unreceived is given up. What was received can still be
   * made durable and is then acknowledged by `release`; call `close` after that.
   */
  async stopAccepting(): Promise<void> {
    this.#stopping = true;
    this.#clients.stopReading();
    await this.#listeners.close();
  }

  /** Stops, sends what is due, closes every connection. */
  async close(): Promise<void> {
    await this.stopAccepting();
    await Promise.all([this.#clients.close(), this.#broker.close()]);
    this.#sessions.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function brokerLimitsOf(limits: FrontLimits): BrokerLimits {
  return {
    backlogBytesMax: limits.brokerBacklogBytesMax,
    unreadBytesMax: limits.heldBytesPerConnectionMax,
    subscriptionsMax: limits.subscriptionsMax,
    subscriptionsPerClientMax: limits.subscriptionsPerClientMax,
    leaversPerTurnMax: limits.leaversPerTurnMax,
    keptSessionsMax: limits.keptSessionsMax,
    openIdsPerClientMax: limits.openIdsPerClientMax,
    waitingPerSessionMax: limits.waitingPerSessionMax,
    waitingBytesMax: limits.waitingBytesMax,
    retainedMax: limits.retainedMessagesMax,
    retainedBytesMax: limits.retainedBytesMax,
    qos2OpenMax: limits.qos2OpenMax,
  };
}
