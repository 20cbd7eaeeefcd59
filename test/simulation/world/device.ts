/**
 * A simulated device: it measures, publishes over MQTT 3.1.1 or 5, and sends again what was not
 * acknowledged. It speaks in bytes it makes itself, and shares no code with the agent. What it did
 * is written down in its readings: the oracle's evidence.
 *
 *   measure --> buffer (bounded) --> in flight (bounded) --PUBACK, PUBREC--> acknowledged
 *                                      |  ^
 *                                      +--+ connection lost: again, in order, with DUP
 *
 * Values name their readings: reading n of a device has the value 2^(n mod 40), so the sum over a
 * window of fewer than 40 readings tells which of them are in it, and how often.
 */

import type { Random } from "../../../src/core/doors.ts";
import { below } from "../../support/seeded-random.ts";
import type { Reading } from "../oracle/evidence.ts";
import type { DevicePlan } from "../plan.ts";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  encode,
  Fields,
  packet,
  PacketStream,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBREC,
  text,
  u16,
} from "./mqtt-bytes.ts";
import type { Connection } from "./network.ts";
import type { SiteMessage } from "./site-broker.ts";
import type { Timeline } from "./timeline.ts";

/** Values repeat after so many readings. */
const valueCycle = 40;

const answerWaitMs = 8_000;
const retryMsMax = 3_000;
const siteVisitMs = 20;
/** Properties of MQTT 5.0, section 2.2.2. */
const RECEIVE_MAXIMUM = 0x21;
const TOPIC_ALIAS_MAXIMUM = 0x22;
const TOPIC_ALIAS = 0x23;
/** Why a gateway may dismiss a client that did nothing wrong: it shuts down, heard nothing, or heard it anew. */
const partings = new Set([0x8b, 0x8d, 0x8e]);

type Message = {
  readonly payload: Uint8Array;
  readonly reading: Reading | undefined;
  readonly isRetained: boolean;
  packetId: number;
  sent: number;
  /** With QoS 2: PUBREC has come. */
  isReceived: boolean;
};

export type DeviceOptions = {
  readonly plan: DevicePlan;
  readonly timeline: Timeline;
  readonly random: Random;
  /** Milliseconds since 1970, the true ones. */
  readonly trueTime: () => number;
  readonly connect: (end: {
    readonly onBytes: (bytes: Uint8Array) => void;
    readonly onClose: () => void;
  }) => Connection;
  /** Gives a message to the site's broker; false while that is down. */
  readonly publishAtSite: (message: SiteMessage) => boolean;
  /** A new reading: it goes into the evidence. */
  readonly onReading: (reading: Reading) => void;
  /** A message that is no JSON was sent, or acknowledged. */
  readonly onBroken: (event: "sent" | "acknowledged") => void;
  /** What no sound broker does. */
  readonly onProtocolFault: (what: string) => void;
};

/** Where a device publishes. */
export function stateTopic(device: string): string {
  return `plant/a/${device}/state`;
}

export class Device {
  readonly #options: DeviceOptions;
  #connection: Connection | undefined;
  #isReady = false;
  #isMeasuring = true;
  #readings = 0;
  #sequence = 0;
  /** Measured, and nobody to send to. */
  #buffer: Message[] = [];
  #inFlight: Message[] = [];
  #nextPacketId = 1;
  #stream = new PacketStream();
  /** Of this connection: what the gateway takes without an answer, and whether it knows our topic by number. */
  #receiveMax = 65_535;
  #alias: "none" | "new" | "known" = "none";
  #heardAt = 0;
  /** Messages held back: others overtake them. */
  #heldBack = 0;

  constructor(options: DeviceOptions) {
    this.#options = options;
    const { plan, timeline, random } = options;
    timeline.after(plan.startMs + below(random, plan.everyMs), () => this.#measure());
    timeline.after(plan.startMs, () => (plan.via === "site" ? this.#visit() : this.#connect()));
    if (plan.rebootEveryMs > 0) this.#planReboot();
  }

  /** It measures no more; what it has is still sent. */
  stop(): void {
    this.#isMeasuring = false;
  }

  get isDone(): boolean {
    return (
      !this.#isMeasuring &&
      this.#heldBack + this.#buffer.length === 0 &&
      (this.#inFlight.length === 0 || this.#options.plan.qos === 0)
    );
  }

  // ---- measuring ----

  #measure(): void {
    if (!this.#isMeasuring) return;
    const { plan, timeline, random, trueTime, onReading } = this.#options;
    timeline.after(plan.everyMs, () => this.#measure());
    const number = this.#readings++;
    const time = Math.floor(trueTime() + plan.aheadMs);
    const value = 2 ** (number % valueCycle);
    const sequence = plan.hasSequence ? { seq: this.#sequence++ } : {};
    const wobble = 20 + (number % 7) / 10 + (below(random, 60) === 0 ? 30 : 0);
    const timed = plan.hasTime ? { ts: time, v: value } : { n: value };
    const payload = encode(JSON.stringify({ ...timed, ...sequence, t: wobble }));
    const reading: Reading = {
      device: plan.name,
      number,
      time: plan.hasTime ? time : undefined,
      value,
      wobble,
      isRecognisable: plan.hasTime || plan.hasSequence,
      acknowledgedAt: undefined,
      transmissions: [],
    };
    onReading(reading);
    if (below(random, 100) < plan.brokenPercent) this.#offer(encode(`{"ts":${time},"v":`));
    const overtaken = below(random, 2) === 0 ? below(random, plan.disorderMs + 1) : 0;
    this.#later(overtaken, payload, reading);
    // So late that others come in between, but no more than a gateway remembers.
    const repeatMs = below(random, 40 * plan.everyMs);
    if (below(random, 100) < plan.repeatPercent) this.#later(repeatMs, payload, reading);
  }

  #later(delayMs: number, payload: Uint8Array, reading: Reading): void {
    if (delayMs === 0) return this.#offer(payload, reading);
    this.#heldBack += 1;
    this.#options.timeline.after(delayMs, () => {
      this.#heldBack -= 1;
      this.#offer(payload, reading);
    });
  }

  #offer(payload: Uint8Array, reading?: Reading): void {
    const { plan, random } = this.#options;
    const isRetained = below(random, 100) < plan.retainPercent;
    this.#buffer.push({ payload, reading, isRetained, packetId: 0, sent: 0, isReceived: false });
    if (this.#buffer.length > plan.bufferMax) this.#buffer.shift();
    this.#pump();
  }

  #planReboot(): void {
    const { plan, timeline, random } = this.#options;
    timeline.after(plan.rebootEveryMs * (0.5 + below(random, 100) / 100), () => {
      if (!this.#isMeasuring) return;
      this.#buffer = [];
      this.#inFlight = [];
      this.#sequence = 0;
      this.#connection?.destroy();
      this.#planReboot();
    });
  }

  // ---- to the site's broker: it is near, and takes what it is given ----

  #visit(): void {
    const { plan, timeline, random, publishAtSite } = this.#options;
    timeline.after(siteVisitMs + below(random, siteVisitMs), () => this.#visit());
    for (;;) {
      const [next] = this.#buffer;
      if (next === undefined) return;
      const { payload, reading, isRetained } = next;
      const topic = stateTopic(plan.name);
      if (!publishAtSite({ topic, payload, qos: plan.qos, isRetained, reading })) return;
      this.#buffer.shift();
    }
  }

  // ---- sending ----

  #pump(): void {
    const { plan } = this.#options;
    while (this.#isReady && this.#buffer.length > 0) {
      const window = Math.min(plan.inFlight, this.#receiveMax);
      if (plan.qos > 0 && this.#inFlight.length >= window) return;
      const message = this.#buffer.shift()!;
      if (plan.qos > 0) {
        message.packetId = this.#freePacketId();
        this.#inFlight.push(message);
      }
      this.#send(message);
    }
  }

  #send(message: Message): void {
    const { plan, timeline, onBroken } = this.#options;
    message.reading?.transmissions.push(timeline.now);
    if (message.reading === undefined) onBroken("sent");
    const flags = (message.sent > 0 ? 8 : 0) | (plan.qos << 1) | (message.isRetained ? 1 : 0);
    message.sent += 1;
    const id = plan.qos > 0 ? u16(message.packetId) : [];
    const { topic, properties } = this.#addressed();
    const head = [...text(topic), ...id, ...properties];
    this.#connection?.send(packet(0x30 | flags, head, message.payload));
  }

  /** With MQTT 5 the topic goes by number once the gateway has learnt it. */
  #addressed(): { readonly topic: string; readonly properties: readonly number[] } {
    const { plan } = this.#options;
    const topic = stateTopic(plan.name);
    if (plan.version === 4) return { topic, properties: [] };
    if (this.#alias === "none") return { topic, properties: [0] };
    const properties = [3, TOPIC_ALIAS, ...u16(1)];
    const isKnown = this.#alias === "known";
    this.#alias = "known";
    return { topic: isKnown ? "" : topic, properties };
  }

  #freePacketId(): number {
    do this.#nextPacketId = (this.#nextPacketId % 65_535) + 1;
    while (this.#inFlight.some(({ packetId }) => packetId === this.#nextPacketId));
    return this.#nextPacketId;
  }

  /** Whoever hears nothing for so long, and is owed something, tries another connection. */
  #watch(connection: Connection): void {
    const { timeline } = this.#options;
    timeline.after(answerWaitMs, () => {
      if (this.#connection !== connection) return;
      const isOwed = !this.#isReady || (this.#inFlight.length > 0 && this.#options.plan.qos > 0);
      if (isOwed && timeline.now - this.#heardAt >= answerWaitMs) connection.destroy();
      else this.#watch(connection);
    });
  }

  // ---- the connection ----

  #connect(): void {
    const { plan, timeline, connect } = this.#options;
    this.#stream = new PacketStream();
    const connection = connect({
      onBytes: (bytes) => {
        if (this.#connection === connection) this.#receive(bytes);
      },
      onClose: () => {
        if (this.#connection === connection) this.#lost();
      },
    });
    this.#connection = connection;
    // Flags: clean session.
    const properties = plan.version === 5 ? [0] : [];
    const hello = [...text("MQTT"), plan.version, 2, ...u16(plan.keepAliveS), ...properties];
    connection.send(packet(CONNECT << 4, [...hello, ...text(plan.name)]));
    this.#heardAt = timeline.now;
    this.#watch(connection);
  }

  /** Well within the time it promised: a gateway that closes it has not read what was there. */
  #keepAlive(connection: Connection | undefined): void {
    const { plan, timeline } = this.#options;
    timeline.after(plan.keepAliveS * 500, () => {
      if (this.#connection !== connection || !this.#isReady) return;
      connection?.send(Uint8Array.from([0xc0, 0]));
      this.#keepAlive(connection);
    });
  }

  #lost(): void {
    const { timeline, random } = this.#options;
    this.#connection = undefined;
    this.#isReady = false;
    timeline.after(50 + below(random, retryMsMax), () => this.#connect());
  }

  #receive(bytes: Uint8Array): void {
    this.#heardAt = this.#options.timeline.now;
    for (const { type, body } of this.#stream.push(bytes)) this.#answer(type, body);
    this.#pump();
  }

  #answer(type: number, body: Uint8Array): void {
    if (type === CONNACK) return this.#accepted(body);
    if (type === PINGRESP && this.#options.plan.keepAliveS > 0) return;
    const { plan, onProtocolFault } = this.#options;
    if (type === DISCONNECT && plan.version === 5) return this.#dismissed(body[0] ?? 0);
    const expected = plan.qos === 1 ? [PUBACK] : plan.qos === 2 ? [PUBREC, PUBCOMP] : [];
    // A reason code may follow in MQTT 5: one that is no failure.
    const isWell = body.length === 2 || (plan.version === 5 && body[2]! < 0x80);
    if (!expected.includes(type) || !isWell) {
      return onProtocolFault(`a packet of type ${type} that was not asked for`);
    }
    const packetId = (body[0]! << 8) | body[1]!;
    const found = this.#inFlight.findIndex((message) => message.packetId === packetId);
    const message = this.#inFlight[found];
    if (message === undefined) return onProtocolFault("an acknowledgement of nothing in flight");
    if (type === PUBACK && found > 0) onProtocolFault("a PUBACK out of its turn");
    if (type !== PUBREC) this.#inFlight.splice(found, 1);
    if (type === PUBCOMP) {
      if (!message.isReceived) onProtocolFault("a PUBCOMP before its PUBREC");
      return;
    }
    message.isReceived = true;
    if (message.reading === undefined) this.#options.onBroken("acknowledged");
    else message.reading.acknowledgedAt ??= this.#options.timeline.now;
    if (type === PUBREC) this.#connection?.send(Uint8Array.from([0x62, 2, ...u16(packetId)]));
  }

  #dismissed(reason: number): void {
    const { onProtocolFault } = this.#options;
    if (!partings.has(reason)) onProtocolFault(`dismissed for 0x${reason.toString(16)}`);
    this.#connection?.destroy();
  }

  #accepted(connack: Uint8Array): void {
    if (connack[1] !== 0) return this.#options.onProtocolFault("a login that was refused");
    const isFive = this.#options.plan.version === 5;
    const properties = isFive ? new Fields(connack.subarray(2)).properties() : new Map();
    this.#receiveMax = properties.get(RECEIVE_MAXIMUM) ?? 65_535;
    this.#alias = (properties.get(TOPIC_ALIAS_MAXIMUM) ?? 0) > 0 ? "new" : "none";
    this.#isReady = true;
    if (this.#options.plan.keepAliveS > 0) this.#keepAlive(this.#connection);
    // The session is a new one: what was received is no affair of it.
    this.#inFlight = this.#inFlight.filter(({ isReceived }) => !isReceived);
    for (const message of this.#inFlight) this.#send(message);
  }
}
