/**
 * MQTT 5 on one connection, and 3.1.1 to the broker.
 *
 *   client                 here                               broker
 *   CONNECT     ->  session, will's delay, limits      ->     CONNECT, clean or not
 *   PUBLISH     ->  alias resolved, note of properties ->     QoS 2: PUBLISH; else published as a message
 *   SUBSCRIBE   ->  options kept, filters judged       ->     SUBSCRIBE; one at a time
 *   PUBREC etc. ->  reason code taken off              ->     the same
 *   PUBLISH     <-  properties, window (Deliveries5)   <-     PUBLISH
 *   SUBACK etc. <-  reason codes                       <-     SUBACK
 *
 * Invariants: a QoS 2 packet id has at most one note. The broker is asked about one SUBSCRIBE or
 * UNSUBSCRIBE at a time, so its answer is the one to that. Nothing larger than the client takes is
 * sent. Nothing is sent behind a DISCONNECT.
 *
 * Source: MQTT 5 (OASIS), chapters 3 and 4.
 */

import { copyOf } from "../broker/broker-feed.ts";
import { bytesOfNote, type Note } from "../broker/notes.ts";
import {
  answer5,
  carriedOf,
  type Connect5,
  connack5,
  connectFor4,
  disconnect5,
} from "../packet/connect-5.ts";
import { CONNACK, DISCONNECT, bodyAt, type ProtocolFault } from "../packet/parser.ts";
import {
  ASSIGNED_CLIENT_ID,
  MAXIMUM_PACKET_SIZE,
  propertySection,
  RECEIVE_MAXIMUM,
  SESSION_EXPIRY,
  SHARED_AVAILABLE,
  TOPIC_ALIAS_MAXIMUM,
} from "../packet/properties.ts";
import { publishFromClient, type Publish5Offsets, readPublish5 } from "../packet/publish-5.ts";
import {
  KEEP_ALIVE_TIMEOUT,
  NOT_AUTHORIZED,
  PACKET_ID_NOT_FOUND,
  PACKET_TOO_LARGE,
  REFUSED_FROM,
  reasonOfFault,
  reasonOfReturnCode,
  SERVER_SHUTTING_DOWN,
  SESSION_TAKEN_OVER,
  TOPIC_NAME_INVALID,
  UNSPECIFIED_ERROR,
} from "../packet/reason-codes.ts";
import { LEVELS_MAX, readAnswer5, readDisconnect5 } from "../packet/subscribe-5.ts";
import { packetOf, prefixed, twoBytes } from "../packet/write-packet.ts";
import { Aliases } from "./aliases.ts";
import { type BrokerPublish, BrokerReader, type BrokerVisitor } from "./broker-reader.ts";
import { Deliveries5 } from "./deliveries-5.ts";
import { PacketRun } from "./packet-run.ts";
import {
  DOLLAR,
  type EndReason,
  isBrokersOwn,
  type Peer,
  type Protocol,
  topicOf,
} from "./protocol.ts";
import type { Session5, SessionHolder } from "./sessions-5.ts";
import { Subscribing5 } from "./subscribing-5.ts";

const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBSCRIBE = 8;
const SUBACK = 9;
const UNSUBSCRIBE = 10;
const UNSUBACK = 11;
const SLASH = 0x2f;
const DUP = 0x08;

const disconnect4 = Buffer.from([0xe0, 0]);
const nothing = new Uint8Array();
const nothingWritten = new PacketRun(0);

const reasonOfEnd: Readonly<Record<EndReason, number>> = {
  "broker-closed": UNSPECIFIED_ERROR,
  "taken-over": SESSION_TAKEN_OVER,
  silent: KEEP_ALIVE_TIMEOUT,
  revoked: NOT_AUTHORIZED,
  shutdown: SERVER_SHUTTING_DOWN,
};

export class Protocol5 implements Protocol, SessionHolder, BrokerVisitor {
  readonly #peer: Peer;
  readonly #connect: Connect5;
  readonly #clientId: Uint8Array;
  readonly #aliases: Aliases;
  #session: Session5 | undefined;
  #subscribing: Subscribing5 | undefined;
  #deliveries: Deliveries5 | undefined;
  #isPresent = false;
  /** CONNACK 0 is being sent; was sent. */
  #isAdmitting = false;
  #isAdmitted = false;
  /** The client, or we, said the last word. */
  #isOver = false;
  #isGone = false;
  /** The connection ends behind what is being written. */
  #endsNow = false;
  #hasWill: boolean;
  /** Of QoS 2 messages the broker has not asked about yet, by packet id. */
  readonly #notes = new Map<number, Note>();
  #noteBytes = 0;
  readonly #reader: BrokerReader;
  /** What the client is being sent of what is read from the broker. */
  #run = nothingWritten;

  /** `assignedId`: the client's id where it leaves that to us. */
  constructor(peer: Peer, connect: Connect5, assignedId: () => string) {
    this.#peer = peer;
    this.#connect = connect;
    this.#clientId = connect.clientId.length > 0 ? connect.clientId : Buffer.from(assignedId());
    this.#hasWill = connect.will !== undefined;
    this.#reader = new BrokerReader(peer.host.broker.notes);
    this.#aliases = new Aliases({
      countMax: peer.host.limits.topicAliasesMax,
      bytesMax: peer.host.limits.topicAliasBytesMax,
    });
  }

  /** Its CONNECT in 3.1.1. The broker keeps the session where it may be there, or is to stay. */
  get connect4(): Buffer {
    const { cleanStart, sessionExpirySeconds } = this.#connect;
    const clean = cleanStart && sessionExpirySeconds === 0;
    return connectFor4(this.#connect, { clientId: this.#clientId, clean });
  }

  // --- the session ----------------------------------------------------------------------------------

  async arrive(clientId: string): Promise<void> {
    const { cleanStart, sessionExpirySeconds, will, packetBytesMax, receiveMaximum } =
      this.#connect;
    const { session, isPresent } = await this.#peer.host.sessions.open({
      clientId,
      cleanStart,
      expirySeconds: sessionExpirySeconds,
      willDelaySeconds: will?.delaySeconds ?? 0,
      holder: this,
    });
    const peer = this.#peer;
    this.#session = session;
    this.#isPresent = isPresent;
    this.#subscribing = new Subscribing5(peer, session);
    this.#deliveries = new Deliveries5({ peer, session, packetBytesMax, receiveMaximum });
    // It left meanwhile, and was never told that it was let in: no will is due.
    if (this.#isGone) peer.host.sessions.leave(session, this, false);
  }

  get sessionName(): string | undefined {
    return this.#session?.name;
  }

  /** No Local is of each subscription: its deliveries see to that. */
  readonly hearsItself = true;

  get isSessionOver(): boolean {
    return this.#session?.isOver ?? false;
  }

  get inFlight(): number {
    return this.#peer.inFlight;
  }

  wantsRetained(filter: string): boolean {
    return this.#subscribing?.wantsRetained(filter) ?? true;
  }

  takeNote(packetId: number): Note | undefined {
    if (packetId !== 0) {
      const note = this.#notes.get(packetId);
      this.#replaceNote(packetId, undefined);
      return note;
    }
    const { will } = this.#connect;
    return will === undefined ? undefined : this.#noteWith(will.carried, will);
  }

  gone(): void {
    this.#peer.weigh(-this.#noteBytes);
    this.#isGone = true;
    const session = this.#session;
    if (session === undefined) this.#peer.letGo();
    else this.#peer.host.sessions.leave(session, this, this.#hasWill);
  }

  release(): void {
    this.#peer.letGo();
  }

  cancelWill(): void {
    this.#peer.cancelWill();
  }

  // --- from the client ------------------------------------------------------------------------------

  readPublish(
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
    out: Publish5Offsets,
  ): ProtocolFault | undefined {
    const fault = readPublish5(bytes, start, body, end, out, publishFromClient);
    if (fault !== undefined) return fault;
    const { host, inFlight } = this.#peer;
    const { inFlightPerConnectionMax } = host.limits;
    const isNew = out.qos === 2 && !this.#session!.openIds.has(out.packetId);
    if (out.qos !== 0 && inFlight >= inFlightPerConnectionMax) return "receive_maximum_exceeded";
    if (isNew && this.#session!.openIds.size >= inFlightPerConnectionMax)
      return "receive_maximum_exceeded";
    return out.topicAlias === 0 ? undefined : this.#aliases.resolve(out);
  }

  forward(bytes: Uint8Array, offsets: Publish5Offsets, payload: Uint8Array): void {
    const { retain, qos } = offsets;
    const note = this.#noteOf(bytes, offsets);
    this.#peer.host.broker.publish(topicOf(offsets), payload, {
      retain,
      qos: qos === 1 ? 1 : 0,
      note,
    });
  }

  publish(bytes: Uint8Array, start: number, end: number, offsets: Publish5Offsets): boolean {
    const { broker, counters, receiver } = this.#peer.host;
    const { qos, names, topicStart, topicEnd, packetId, payloadStart } = offsets;
    if (!isPublic(offsets)) return this.#refuseTopic(offsets);
    if (qos === 2) return this.#publishTwice(bytes, start, end, offsets);
    if (broker.backlogged) return this.#peer.refuse("backlog");
    counters.packetsBroker += 1;
    // The broker asks about nothing that is published like this.
    if (names[topicStart] !== DOLLAR) receiver.decline(names, topicStart, topicEnd);
    this.forward(bytes, offsets, copyOf(bytes, payloadStart, end));
    if (qos === 1) this.#peer.send(answer5(PUBACK, packetId, 0));
    return true;
  }

  /** A QoS 2 message: its handshake is the broker's. */
  #publishTwice(bytes: Uint8Array, start: number, end: number, offsets: Publish5Offsets): boolean {
    const { names, topicStart, topicEnd, packetId, payloadStart } = offsets;
    // DUP is of this hop: the broker would pass it on [MQTT-3.3.1-3].
    const packet = packetOf(
      bytes[start]! & ~DUP,
      prefixed(names.subarray(topicStart, topicEnd)),
      twoBytes(packetId),
      bytes.subarray(payloadStart, end),
    );
    if (!this.#toBroker(packet)) return false;
    this.#session!.openIds.add(packetId);
    this.#replaceNote(packetId, this.#noteOf(bytes, offsets));
    return true;
  }

  /** What is kept here counts as what the broker holds, until the connection is closed. */
  #replaceNote(packetId: number, note: Note | undefined): void {
    const known = this.#notes.get(packetId);
    if (known === note) return;
    const change = (note ? bytesOfNote(note) : 0) - (known ? bytesOfNote(known) : 0);
    if (note === undefined) this.#notes.delete(packetId);
    else this.#notes.set(packetId, note);
    this.#noteBytes += change;
    if (!this.#isGone) this.#peer.weigh(change);
  }

  packet(type: number, bytes: Uint8Array, start: number, body: number, end: number): boolean {
    if ((bytes[start]! & 0x08) !== 0) return this.#peer.fail("flags_invalid");
    if (type === DISCONNECT) return this.#disconnect(bytes, body, end);
    if (type >= SUBSCRIBE) {
      return type === SUBSCRIBE
        ? this.#subscribing!.subscribe(bytes, body, end)
        : type === UNSUBSCRIBE
          ? this.#subscribing!.unsubscribe(bytes, body, end)
          : this.#peer.fail("packet_unexpected");
    }
    const answer = readAnswer5(bytes, body, end);
    if (typeof answer === "string") return this.#peer.fail(answer);
    const { packetId, reason } = answer;
    if (type === PUBREL && !this.#session!.openIds.has(packetId)) {
      this.#peer.send(answer5(PUBCOMP, packetId, PACKET_ID_NOT_FOUND));
      return true;
    }
    if (!this.#toBroker(answer5(type, packetId, 0))) return false;
    if (type === PUBREL) {
      this.#session!.openIds.delete(packetId);
    } else if (type === PUBREC && reason >= REFUSED_FROM) this.#deliveries!.refused(packetId);
    else if (type === PUBACK || type === PUBCOMP) this.#deliveries!.answered(packetId);
    return true;
  }

  /** With what else came in this read: the broker looks at one piece after another. */
  #toBroker(packet: Uint8Array): boolean {
    return this.#peer.give(packet, 0, packet.length);
  }

  /** QoS 0 has no answer: what is not the client's to publish is ignored (3.3.5). */
  deny(offsets: Publish5Offsets): true {
    if (offsets.qos !== 0) this.#refuse(offsets, NOT_AUTHORIZED);
    return true;
  }

  #refuseTopic(offsets: Publish5Offsets): boolean {
    if (offsets.qos === 0) return this.#peer.fail("topic_invalid");
    this.#refuse(offsets, TOPIC_NAME_INVALID);
    return true;
  }

  #refuse({ qos, packetId }: Publish5Offsets, reason: number): void {
    this.#peer.send(answer5(qos === 1 ? PUBACK : PUBREC, packetId, reason));
  }

  #noteOf(bytes: Uint8Array, offsets: Publish5Offsets): Note | undefined {
    const { expirySeconds, hasCarried, propertiesStart, payloadStart } = offsets;
    if (expirySeconds < 0 && !hasCarried && this.#session?.hasNoLocal !== true) return undefined;
    const properties = hasCarried ? carriedOf(bytes, propertiesStart, payloadStart) : nothing;
    return this.#noteWith(properties, offsets);
  }

  #noteWith(
    properties: Uint8Array,
    message: { readonly expirySeconds: number; readonly retain: boolean },
  ): Note {
    const { expirySeconds, retain } = message;
    const expiresAt =
      expirySeconds < 0
        ? Number.POSITIVE_INFINITY
        : this.#peer.host.monotonic() + Math.max(1, 1_000 * expirySeconds);
    return { properties, expiresAt, retain, session: this.#session };
  }

  #disconnect(bytes: Uint8Array, body: number, end: number): boolean {
    const fault = this.#takeLeave(bytes, body, end);
    if (fault !== undefined) return this.#peer.fail(fault);
    this.#peer.end();
    return true;
  }

  leave(bytes: Uint8Array, _start: number, body: number, end: number): void {
    this.#takeLeave(bytes, body, end);
  }

  #takeLeave(bytes: Uint8Array, body: number, end: number): ProtocolFault | undefined {
    const read = readDisconnect5(bytes, body, end);
    if (typeof read === "string") return read;
    const { reason, sessionExpirySeconds: expiry } = read;
    const session = this.#session;
    if (expiry !== undefined && session !== undefined) {
      // [MQTT-3.1.2-23], 3.14.2.2.2
      if (this.#connect.sessionExpirySeconds === 0 && expiry > 0) return "property_invalid";
      const { sessionExpirySecondsMax } = this.#peer.host.limits;
      if (session.expirySeconds > 0)
        session.expirySeconds = Math.min(expiry, sessionExpirySecondsMax);
    }
    this.#isOver = true;
    if (reason !== 0) return undefined;
    this.#hasWill = false;
    this.#peer.push(disconnect4);
    return undefined;
  }

  // --- to the client --------------------------------------------------------------------------------

  fromBroker(pieces: readonly Uint8Array[]): void {
    this.#run = new PacketRun(64 + pieces.reduce((sum, { length }) => sum + length, 0));
    this.#reader.read(pieces, this);
    if (this.#run.length > 0) this.#peer.send(this.#run.written);
    this.#run = nothingWritten;
    if (this.#endsNow) return this.#peer.end();
    if (!this.#isAdmitted && this.#isAdmitting) {
      this.#isAdmitted = true;
      this.#peer.admitted();
    }
  }

  deliver(publish: BrokerPublish): void {
    this.#deliveries?.deliver(publish, this.#run);
  }

  answer(bytes: Uint8Array, start: number, end: number): void {
    const run = this.#run;
    const type = bytes[start]! >> 4;
    const packetId = (bytes[start + 2]! << 8) | bytes[start + 3]!;
    switch (type) {
      case CONNACK:
        return this.#add(run, this.#connack(bytes[start + 2]! === 1, bytes[start + 3]!));
      case SUBACK:
        return this.#add(
          run,
          this.#subscribing!.granted(bytes.subarray(bodyAt(bytes, start), end)),
        );
      case UNSUBACK:
        return this.#add(run, this.#subscribing!.removed());
      case PUBREL:
        if (this.#deliveries?.settles(packetId) === true) return;
        return run.add(bytes.subarray(start, end));
      default:
        // PUBACK, PUBREC and PUBCOMP of two bytes mean success in 5 as well.
        return run.add(bytes.subarray(start, end));
    }
  }

  #add(run: PacketRun, packet: Uint8Array | undefined): void {
    if (packet === undefined) return;
    if (packet.length <= this.#connect.packetBytesMax) return run.add(packet);
    run.add(disconnect5(PACKET_TOO_LARGE));
    this.#isOver = true;
    this.#endsNow = true;
  }

  #connack(brokerHasSession: boolean, returnCode: number): Uint8Array {
    const reason = reasonOfReturnCode(returnCode);
    if (reason !== 0) {
      this.#peer.turnedAway();
      this.#isOver = true;
      return connack5(reason, { sessionPresent: false, properties: propertySection([]) });
    }
    this.#isAdmitting = true;
    const { cleanStart, sessionExpirySeconds, clientId } = this.#connect;
    const { limits } = this.#peer.host;
    const expiry = this.#session?.expirySeconds ?? 0;
    const properties: (readonly [number, number | Uint8Array])[] = [
      [RECEIVE_MAXIMUM, Math.min(limits.inFlightPerConnectionMax, 0xffff)],
      [MAXIMUM_PACKET_SIZE, limits.packetBytesMax],
      [TOPIC_ALIAS_MAXIMUM, limits.topicAliasesMax],
      [SHARED_AVAILABLE, 0],
    ];
    if (expiry !== sessionExpirySeconds) properties.push([SESSION_EXPIRY, expiry]);
    if (clientId.length === 0) properties.push([ASSIGNED_CLIENT_ID, this.#clientId]);
    const sessionPresent = this.#isPresent || (brokerHasSession && !cleanStart);
    return connack5(0, { sessionPresent, properties: propertySection(properties) });
  }

  // --- the end --------------------------------------------------------------------------------------

  fail(fault: ProtocolFault): void {
    this.#lastWord(reasonOfFault[fault]);
    this.#peer.end();
  }

  farewell(reason: EndReason): void {
    if (this.#isAdmitted) this.#lastWord(reasonOfEnd[reason]);
  }

  #lastWord(reason: number): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const refusal = { sessionPresent: false, properties: propertySection([]) };
    this.#peer.send(this.#isAdmitted ? disconnect5(reason) : connack5(reason, refusal));
  }
}

/** Not the broker's own (`$SYS/`), and of no more levels than the broker takes. */
function isPublic(offsets: Publish5Offsets): boolean {
  if (isBrokersOwn(offsets)) return false;
  const { names, topicStart, topicEnd } = offsets;
  let levels = 1;
  for (let i = topicStart; i < topicEnd; i++) if (names[i] === SLASH) levels += 1;
  return levels <= LEVELS_MAX;
}
