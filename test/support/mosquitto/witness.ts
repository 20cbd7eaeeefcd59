/**
 * What a client of a broker was given and what it acknowledged, told by the bytes that pass a proxy
 * between them. It parses with mqtt-packet, which shares nothing with the client that is watched.
 */

import { type Packet, type Parser, parser } from "mqtt-packet";
import type { LinkWatcher } from "./proxy.ts";

type WitnessOptions = {
  readonly protocolVersion: 4 | 5;
  /** Names a message; undefined for one that is none of the test's. */
  readonly keyOf: (topic: string, payload: Buffer) => string | undefined;
};

export class Witness {
  readonly #options: WitnessOptions;
  /** Keys of messages for which a PUBACK or PUBREC came from the client. */
  readonly acknowledged: Set<string> = new Set();
  /** Messages the client was given, with QoS 1 and 2, resends included. */
  delivered = 0;
  redelivered = 0;
  /** Messages with QoS 2 among them. */
  exactlyOnce = 0;
  /** The session present flag of every CONNACK. */
  readonly sessionsPresent: boolean[] = [];
  /** SUBACKs that let the client have its subscriptions. */
  subscribed = 0;
  pings = 0;
  /** Most messages that the client had and had not acknowledged. */
  inFlightMost = 0;
  /** PUBACKs (or PUBRECs) that did not come in the order of their messages: MQTT-4.6.0-2, -3. */
  outOfOrder = 0;
  /** Acknowledgements of what the client was not given on this connection. */
  strayAcks = 0;
  /** What neither side should send. */
  readonly faults: string[] = [];

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /** For one more connection. */
  link(): LinkWatcher {
    const waiting = { 1: new Map<number, string>(), 2: new Map<number, string>() };
    const ours = this.#parser("client", (packet) => this.#sent(packet, waiting));
    const theirs = this.#parser("broker", (packet) => this.#given(packet, waiting));
    return {
      fromClient: (bytes) => void ours.parse(bytes),
      toClient: (bytes) => void theirs.parse(bytes),
    };
  }

  #parser(who: string, take: (packet: Packet) => void): Parser {
    const packets = parser({ protocolVersion: this.#options.protocolVersion });
    packets.on("packet", take);
    packets.on("error", (error: Error) => this.faults.push(`${who}: ${error.message}`));
    return packets;
  }

  #given(packet: Packet, waiting: Waiting): void {
    if (packet.cmd === "connack") this.sessionsPresent.push(packet.sessionPresent);
    if (packet.cmd === "suback" && packet.granted.every((code) => Number(code) < 0x80)) {
      this.subscribed += 1;
    }
    if (packet.cmd !== "publish" || packet.qos === 0) return;
    const key = this.#options.keyOf(packet.topic, Buffer.from(packet.payload));
    waiting[packet.qos].set(packet.messageId ?? 0, key ?? "");
    this.inFlightMost = Math.max(this.inFlightMost, waiting[1].size + waiting[2].size);
    if (key === undefined) return;
    this.delivered += 1;
    if (packet.dup) this.redelivered += 1;
    if (packet.qos === 2) this.exactlyOnce += 1;
  }

  #sent(packet: Packet, waiting: Waiting): void {
    if (packet.cmd === "pingreq") this.pings += 1;
    if (packet.cmd !== "puback" && packet.cmd !== "pubrec") return;
    const messages = waiting[packet.cmd === "puback" ? 1 : 2];
    const id = packet.messageId ?? 0;
    const key = messages.get(id);
    if (key === undefined) {
      this.strayAcks += 1;
      return;
    }
    if (messages.keys().next().value !== id) this.outOfOrder += 1;
    messages.delete(id);
    if (key !== "") this.acknowledged.add(key);
  }
}

/** Keys of unacknowledged messages by packet id, in order of arrival, for each QoS. */
type Waiting = { readonly 1: Map<number, string>; readonly 2: Map<number, string> };
