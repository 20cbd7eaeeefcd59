/**
 * One client. Its packets go two ways, in order; what answers them comes back on the same socket.
 *
 *              +-- QoS 0/1 of a source --> receiver --(seal, release)--> PUBACKs --+
 *   bytes -> parser                                                                +-> socket
 *              +-- everything else -----> broker ----> outbound framer ------------+
 *
 *   new --CONNECT--> connecting --CONNACK 0--> ready --> closing --> closed
 *
 * A packet that cannot be taken now (see Hold) stops the parser: it and all that follows waits in
 * the parser's bounded buffer; over the bound the socket is not read. PINGREQ is answered while
 * waiting, so a full disk does not cost the connection.
 *
 * Invariants: at most one PUBACK per received QoS 1 PUBLISH, in their order, none before its batch
 * was released, none on another connection. Nothing is taken before the client is authenticated.
 */

import type { NetSocket } from "../../../../core/doors.ts";
import { unreachable } from "../../../../core/assert.ts";
import { NO_SOURCE } from "../../receiver.ts";
import type { Credential, Presence } from "../access/access.ts";
import type { ClientRights } from "../access/client-rights.ts";
import type { LinkOwner, LinkSession } from "../broker/broker-owner.ts";
import { BrokerFeed, copyOf } from "../broker/broker-feed.ts";
import type { ConnectionHost, Hold } from "./connection-host.ts";
import { GivenUp } from "./given-up.ts";
import { InFlight } from "./in-flight.ts";
import { Outbound } from "./outbound.ts";
import {
  CONNECT,
  faultOfHeader,
  type PacketVisitor,
  PacketParser,
  PINGREQ,
  type ProtocolFault,
  PUBLISH,
} from "../packet/parser.ts";
import { createPublish5Offsets } from "../packet/publish-5.ts";
import { openProtocol } from "./open-protocol.ts";
import { Pace } from "./pace.ts";
import { Pings } from "./pings.ts";
import {
  DOLLAR,
  type EndReason,
  isBrokersOwn,
  type Peer,
  type Protocol,
  topicOf,
} from "./protocol.ts";
import { Protocol4 } from "./protocol-4.ts";
import { Silence, type SilenceWaits } from "./silence.ts";
import { Throttle } from "./throttle.ts";

type State = "new" | "connecting" | "ready" | "closing" | "closed";

const offsets = createPublish5Offsets();

export class Connection implements PacketVisitor, LinkOwner, Peer {
  /** Names this connection in the acknowledgements; not given again before they are gone. */
  readonly slot: number;
  #credential: Credential | undefined;
  /** Of its credential; undefined: everything. */
  #rights: ClientRights | undefined;
  /** Since its login. */
  clientId: string | undefined;
  readonly host: ConnectionHost;
  readonly #socket: NetSocket;
  readonly #parser: PacketParser;
  readonly #throttle: Throttle;
  readonly #pings = new Pings();
  readonly #pace: Pace;
  readonly #outbound: Outbound;
  /** Since its CONNECT. */
  #feed: BrokerFeed | undefined;
  /** Of the version that its CONNECT asks for. */
  #protocol: Protocol = new Protocol4(this);
  #state: State = "new";
  #hold: Hold = "nothing";
  #waits = false;
  readonly #inFlight: InFlight;
  readonly #silence: Silence;

  constructor(socket: NetSocket, slot: number, host: ConnectionHost) {
    this.slot = slot;
    this.host = host;
    this.#socket = socket;
    this.#parser = new PacketParser({ packetBytesMax: host.limits.packetBytesMax });
    this.#throttle = new Throttle(socket, this.#parser, host);
    this.#pace = new Pace(host);
    this.#outbound = new Outbound(socket, host, () => this.destroy());
    this.#silence = new Silence(host);
    this.#inFlight = new InFlight(host, () => host.settled(this));
  }

  get hold(): Hold {
    return this.#hold;
  }

  /** Messages taken and not yet acknowledged or given up. */
  get inFlight(): number {
    return this.#inFlight.count;
  }

  get credential(): Credential | undefined {
    return this.#credential;
  }

  get remote(): string {
    return this.#socket.remote;
  }

  get certificateName(): string | undefined {
    return this.#socket.certificateName;
  }

  get isClosed(): boolean {
    return this.#state === "closed";
  }

  /** Begins to read. */
  start(): void {
    this.#socket.start({
      onBytes: (bytes, length) => this.#onBytes(bytes, length),
      onDrain: () => this.#outbound.recount(),
      onClose: () => this.#onClose(),
    });
    this.steer();
  }

  // --- in -----------------------------------------------------------------------------------------

  #onBytes(bytes: Uint8Array, length: number): void {
    this.host.counters.bytesIn += length;
    if (this.#state === "closing" || this.#state === "closed") return;
    if (this.#state === "ready") this.#silence.end();
    if (this.#hold === "nothing") this.#pace.begin();
    this.#parser.push(bytes, length, this);
    this.#feed?.flush();
    if (length >= this.host.limits.turnBytesMax) this.#rest();
    this.#afterParsing();
  }

  /** There is a chance that what was refused is taken now. */
  resume(): void {
    if (this.#hold === "nothing" || this.#state === "closing" || this.#state === "closed") return;
    this.#hold = "nothing";
    this.#waits = false;
    this.#pace.begin();
    this.#parser.resume(this);
    this.#feed?.flush();
    this.#afterParsing();
  }

  packet(bytes: Uint8Array, start: number, body: number, end: number): boolean {
    const type = bytes[start]! >> 4;
    if (this.#state !== "ready") return this.#packetBeforeReady(type, bytes, { start, body, end });
    const hold = this.#pace.take(end - start);
    if (hold !== "nothing") return this.#wait(hold);
    if (type === PUBLISH) return this.#publish(bytes, start, body, end);
    const fault = faultOfHeader(bytes[start]!);
    if (fault !== undefined) return this.fail(fault);
    if (type === PINGREQ) return this.#pings.hear(end - start) || this.fail("flags_invalid");
    return this.#protocol.packet(type, bytes, start, body, end);
  }

  #packetBeforeReady(
    type: number,
    bytes: Uint8Array,
    range: { readonly start: number; readonly body: number; readonly end: number },
  ): boolean {
    if (this.#state === "connecting") return this.#wait("connack");
    if (this.#state !== "new") return false;
    if (type !== CONNECT) return this.fail("connect_expected");
    if (range.end - range.start > this.host.limits.connectBytesMax) {
      return this.fail("packet_too_large");
    }
    const opened = openProtocol(this, bytes, range);
    if (opened.kind === "refused") {
      if (opened.answer === undefined) return this.fail(opened.fault);
      this.host.faults[opened.fault] += 1;
      this.#outbound.send(opened.answer);
      this.end();
      return false;
    }
    this.#protocol = opened.protocol;
    this.#silence.keepAliveMs = opened.keepAliveSeconds * 1_500;
    this.#state = "connecting";
    this.#feed = new BrokerFeed(this.host.broker.connect(this));
    this.#feed.push(opened.packet);
    return true;
  }

  #publish(bytes: Uint8Array, start: number, body: number, end: number): boolean {
    const fault = this.#protocol.readPublish(bytes, start, body, end, offsets);
    if (fault !== undefined) return this.fail(fault);
    const { names, topicStart, topicEnd, payloadStart, packetId, qos, retain } = offsets;
    const { receiver, acks, broker, counters } = this.host;
    if (this.#inFlight.isFull(qos)) return this.refuse("acks");
    const rights = this.#rights;
    if (qos === 2 || names[topicStart] === DOLLAR) {
      if (qos !== 2 && isBrokersOwn(offsets)) return this.#passOver();
      if (rights?.mayPublishTo(-1, names, topicStart, topicEnd) === false) return this.#deny();
      return this.#protocol.publish(bytes, start, end, offsets);
    }
    const topic = receiver.topicOf(names, topicStart, topicEnd);
    if (rights?.mayPublishTo(topic, names, topicStart, topicEnd) === false) return this.#deny();
    if (topic === NO_SOURCE) return this.#protocol.publish(bytes, start, end, offsets);
    if (retain && payloadStart === end) return this.#clearRetained(bytes);
    if (qos === 1 && !acks.hasRoom) return this.refuse("acks");
    const forward = retain || broker.isSubscribed(topic, names, topicStart, topicEnd);
    if (forward && broker.backlogged) return this.refuse("backlog");
    if (this.#pace.isSated) return this.refuse("share");
    if (!receiver.receive(topic, bytes, payloadStart, end)) return this.refuse("room");
    this.#pace.received();
    counters.packetsFast += 1;
    if (qos === 1) {
      acks.add(this.slot, packetId);
      this.#inFlight.take();
    }
    if (forward) {
      counters.packetsForwarded += 1;
      this.#protocol.forward(bytes, offsets, copyOf(bytes, payloadStart, end));
    }
    return true;
  }

  /**
   * An empty retained message takes the kept one back. Nothing was measured, so nothing is received
   * and the answer need not wait; it goes the same way as those that set one, to stay in order.
   */
  #clearRetained(bytes: Uint8Array): true {
    const { packetId, qos } = offsets;
    this.#protocol.forward(bytes, offsets, new Uint8Array());
    if (qos === 1) this.#outbound.acknowledge(packetId);
    return true;
  }

  /** A bridge of Mosquitto says on the broker's own topics how it is, and comes back for ever if closed. */
  #passOver(): boolean {
    const { packetId, qos } = offsets;
    // PUBACKs that wait for the disk go out first.
    if (qos === 1 && this.inFlight > 0) return this.refuse("acks");
    if (qos === 1) this.#outbound.acknowledge(packetId);
    this.host.counters.messagesPassedOver += 1;
    return true;
  }

  give(bytes: Uint8Array, start: number, end: number): boolean {
    if (this.isBehind) return this.refuse("broker");
    this.host.counters.packetsBroker += 1;
    this.#feed!.add(bytes, start, end);
    return true;
  }

  get isBehind(): boolean {
    return this.#feed!.unreadBytes >= this.host.limits.heldBytesPerConnectionMax;
  }

  push(packet: Uint8Array): void {
    this.#feed?.push(packet);
  }

  /** The message in `offsets` is not this client's to publish. */
  #deny(): boolean {
    this.host.denied(this, topicOf(offsets));
    return this.#protocol.deny(offsets);
  }

  /** This packet, which was its turn, and what follows waits. */
  refuse(hold: Hold): false {
    this.#pace.giveBack();
    return this.#wait(hold);
  }

  #wait(hold: Hold): false {
    this.#hold = hold;
    return false;
  }

  /** Its read was full, and others wait. */
  #rest(): void {
    if (this.#throttle.isResting) return;
    this.#throttle.rest(true);
    this.host.rest(this);
  }

  /** The others had their turn. */
  readOn(): void {
    this.#throttle.rest(false);
    this.steer();
  }

  /** How long until its rate allows another packet. */
  get waitMs(): number {
    return this.#pace.waitMs;
  }

  /** Not MQTT, or not now. */
  fail(fault: ProtocolFault): false {
    this.host.faults[fault] += 1;
    this.#protocol.fail(fault);
    return false;
  }

  #afterParsing(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    const parsed = this.#parser.state;
    if (parsed === "length_malformed" || parsed === "packet_too_large") {
      this.fail(parsed);
      return;
    }
    if (parsed === "stopped") {
      if (this.#state === "ready") this.#pings.hearKept(this.#parser);
      if (!this.#waits) {
        this.#waits = true;
        this.host.wait(this, this.#hold);
      }
    }
    this.#pings.answer(this.#outbound, this.host.counters);
    if (!this.#throttle.account()) {
      this.host.counters.splitPacketCloses += 1;
      this.destroy();
    }
    this.steer();
  }

  /** The flood came or went. */
  steer(): void {
    if (this.#state === "closed" || this.#state === "closing") return;
    // While it was not read it was we who did not listen.
    if (this.#throttle.steer()) this.#silence.end();
  }

  // --- out ----------------------------------------------------------------------------------------

  /** PUBACKs of durable messages; `count` of them. The bytes may be shared with other connections'. */
  acknowledge(pubacks: Uint8Array, count: number): void {
    this.#inFlight.settle(count);
    if (this.#state !== "ready") {
      this.host.counters.pubacksDropped += count;
      return;
    }
    this.host.counters.pubacks += count;
    this.#outbound.sendShared(pubacks);
  }

  /** Its acknowledgements were given up: the messages are lost, the client sends them again. */
  abandoned(count: number): void {
    this.#inFlight.settle(count);
    this.host.counters.pubacksDropped += count;
  }

  messageHeld(bytes: number): void {
    this.#inFlight.take();
    this.weigh(bytes);
  }

  messageSettled(bytes: number): void {
    this.weigh(-bytes);
    this.#inFlight.settle(1);
  }

  weigh(change: number): void {
    this.#inFlight.hold(change);
    if (change < 0 && this.#hold === "acks") this.host.resumeSoon(this);
  }

  brokerWrote(pieces: readonly Uint8Array[]): void {
    if (this.#state === "closed" || this.#state === "closing") return;
    this.#protocol.fromBroker(pieces);
  }

  send(packets: Uint8Array): void {
    this.#outbound.send(packets);
  }

  enters(credential: Credential, { allowance }: Presence): void {
    this.#credential = credential;
    this.#rights = credential.rights;
    this.#pace.shareWith(allowance);
  }

  keep(change: number): void {
    this.#outbound.keep(change);
  }

  turnedAway(): void {
    if (this.#state === "connecting") this.host.counters.loginsRefused += 1;
  }

  admitted(): void {
    if (this.#state !== "connecting") return;
    this.#state = "ready";
    this.#silence.end();
    this.resume();
  }

  goOn(): void {
    if (this.#hold === "broker") this.host.resumeSoon(this);
  }

  // --- what the broker asks -------------------------------------------------------------------------

  arrive(clientId: string): Promise<void> | undefined {
    this.host.arrived(this, clientId);
    return this.#protocol.arrive(clientId);
  }

  get session(): LinkSession {
    return this.#protocol;
  }

  brokerClosed(): void {
    this.close("broker-closed");
  }

  // --- time and end -------------------------------------------------------------------------------

  /** Closes the connection if it has been silent for too long at `now`. */
  checkSilence(now: number, waits: SilenceWaits): void {
    switch (this.#state) {
      case "new":
      case "connecting":
        if (this.#silence.lengthMs(now) < waits[this.#state]) return;
        this.host.counters.connectTimeouts += 1;
        return this.destroy();
      case "ready":
        if (this.#throttle.isPaused || !this.#silence.isTooLong(now)) return;
        this.host.counters.keepAliveCloses += 1;
        return this.close("silent");
      case "closing":
        return this.#silence.lengthMs(now) < waits.closing ? undefined : this.destroy();
      case "closed":
        return;
      default:
        unreachable(this.#state);
    }
  }

  /** The process was not running for so long: nobody's silence. */
  forgive(ms: number): void {
    this.#silence.forgive(ms);
  }

  /** Stops reading for good and gives up what waits; acknowledgements still go out. */
  stopReading(): void {
    if (this.#state === "closed") return;
    this.#throttle.stop();
    this.#giveUpHeld();
  }

  /** Ends the connection with the word its version has for the reason. */
  close(reason: EndReason): void {
    if (this.#state !== "closing" && this.#state !== "closed") this.#protocol.farewell(reason);
    this.end();
  }

  end(): void {
    if (this.#state === "closing" || this.#state === "closed") return;
    this.#giveUpHeld();
    this.#state = "closing";
    this.#silence.end();
    this.#socket.end();
  }

  letGo(): void {
    this.#feed?.finish();
  }

  cancelWill(): void {
    this.#feed?.cancelWill();
  }

  destroy(): void {
    if (this.#state === "closed") return;
    this.#socket.destroy();
    this.#onClose();
  }

  #onClose(): void {
    if (this.#state === "closed") return;
    this.#giveUpHeld();
    this.#state = "closed";
    this.#hold = "nothing";
    this.#parser.close();
    this.#throttle.close();
    this.#outbound.close();
    this.#protocol.gone();
    this.host.closed(this);
    this.#inFlight.close();
  }

  /** What waited when the client left. */
  #giveUpHeld(): void {
    if (this.#state !== "ready" || this.#parser.state !== "stopped") return;
    const { host } = this;
    const given = { protocol: this.#protocol, receiver: host.receiver, rights: this.#rights };
    this.#parser.resume(new GivenUp(given));
  }
}
