/**
 * A simulated device: it measures, publishes over MQTT 3.1.1, and sends again what was not
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
  encode,
  packet,
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
  #rest: Uint8Array = new Uint8Array(0);
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
      const topic = `plant/a/${plan.name}/state`;
      if (!publishAtSite({ topic, payload, qos: plan.qos, isRetained, reading })) return;
      this.#buffer.shift();
    }
  }

  // ---- sending ----

  #pump(): void {
    const { plan } = this.#options;
    while (this.#isReady && this.#buffer.length > 0) {
      if (plan.qos > 0 && this.#inFlight.length >= plan.inFlight) return;
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
    const topic = text(`plant/a/${plan.name}/state`);
    const id = plan.qos > 0 ? u16(message.packetId) : [];
    this.#connection?.send(packet(0x30 | flags, [...topic, ...id], message.payload));
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
    this.#rest = new Uint8Array(0);
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
    const hello = [...text("MQTT"), 4, 2, ...u16(plan.keepAliveS), ...text(plan.name)];
    connection.send(packet(0x10, hello, new Uint8Array(0)));
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
    const all = Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (all.length - at >= 2 && all.length - at >= 2 + all[at + 1]!) {
      const length = all[at + 1]!;
      this.#answer(all[at]! >> 4, all.subarray(at + 2, at + 2 + length));
      at += 2 + length;
    }
    this.#rest = all.subarray(at);
    this.#pump();
  }

  #answer(type: number, body: Uint8Array): void {
    if (type === CONNACK) return this.#accepted(body[1] === 0);
    if (type === PINGRESP && this.#options.plan.keepAliveS > 0) return;
    const { plan, onProtocolFault } = this.#options;
    const expected = plan.qos === 1 ? [PUBACK] : plan.qos === 2 ? [PUBREC, PUBCOMP] : [];
    if (!expected.includes(type) || body.length !== 2) {
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

  #accepted(isOk: boolean): void {
    if (!isOk) return this.#options.onProtocolFault("a login that was refused");
    this.#isReady = true;
    if (this.#options.plan.keepAliveS > 0) this.#keepAlive(this.#connection);
    // The session is a new one: what was received is no affair of it.
    this.#inFlight = this.#inFlight.filter(({ isReceived }) => !isReceived);
    for (const message of this.#inFlight) this.#send(message);
  }
}
