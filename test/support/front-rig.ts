/**
 * An MQTT front on simulated doors, a receiver that writes down what it gets, and MQTT packets to
 * talk to it. The broker behind the front is the real one, on the real event loop: `turns` lets it
 * work.
 */

import { generate, type Packet, parser } from "mqtt-packet";
import {
  type Front,
  type FrontLimits,
  openFront,
} from "../../src/agent/ingest/mqtt/front/front.ts";
import { systemHashing } from "../../src/agent/doors/hashing.ts";
import {
  type Access,
  type AccessOptions,
  openAccess,
} from "../../src/agent/ingest/mqtt/access/access.ts";
import type { Hashing, Net, WebSocketListen } from "../../src/core/doors.ts";
import { NO_SOURCE, type Receiver } from "../../src/agent/ingest/receiver.ts";
import { seededRandom } from "./seeded-random.ts";
import { ManualClock, SimulatedNet, type SimulatedPeer } from "./simulated-net.ts";

/** Topics below `plant/`, or those said, are of a source. Remembers everything; full after `capacity` messages until it is told otherwise. */
export class RecordingReceiver implements Receiver {
  readonly #wants: (topic: string) => boolean;
  readonly received: { readonly topic: string; readonly payload: string }[] = [];
  readonly shedTopics: string[] = [];
  readonly declined: string[] = [];
  readonly #topics: string[] = [];
  readonly #handles = new Map<string, number>();
  /** Messages it still takes. */
  capacity: number = Number.POSITIVE_INFINITY;
  /** How often it was asked and said no. */
  refusals = 0;

  constructor(wants: (topic: string) => boolean = (topic) => topic.startsWith("plant/")) {
    this.#wants = wants;
  }

  topicOf(bytes: Uint8Array, start: number, end: number): number {
    const topic = textOf(bytes, start, end);
    if (!this.#wants(topic)) return NO_SOURCE;
    const known = this.#handles.get(topic);
    if (known !== undefined) return known;
    this.#handles.set(topic, this.#topics.length);
    return this.#topics.push(topic) - 1;
  }

  receive(topic: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.capacity <= 0) {
      this.refusals += 1;
      return false;
    }
    this.capacity -= 1;
    this.received.push({ topic: this.#topics[topic]!, payload: textOf(bytes, start, end) });
    return true;
  }

  decline(bytes: Uint8Array, start: number, end: number): void {
    this.declined.push(textOf(bytes, start, end));
  }

  shed(topic: number): void {
    this.shedTopics.push(this.#topics[topic]!);
  }

  get payloads(): readonly string[] {
    return this.received.map(({ payload }) => payload);
  }
}

export type Rig = {
  readonly front: Front;
  readonly access: Access;
  readonly net: SimulatedNet;
  readonly clock: ManualClock;
  readonly receiver: RecordingReceiver;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
};

export type RigOptions = {
  readonly limits?: Partial<FrontLimits>;
  readonly users?: readonly { readonly name: string; readonly password: string }[];
  readonly anonymous?: boolean;
  /** Whatever else decides who may what. */
  readonly access?: Partial<AccessOptions["config"]>;
  readonly accessLimits?: AccessOptions["limits"];
  readonly usersFile?: AccessOptions["usersFile"];
  readonly hashing?: Hashing;
  /** Topics that a source takes; without it those below `plant/`. */
  readonly wants?: (topic: string) => boolean;
  /** Listens here, on a free port, instead of on the simulated network. */
  readonly listensOn?: Net;
  readonly webSocket?: WebSocketListen;
};

export async function openRig(options: RigOptions = {}): Promise<Rig> {
  const net = new SimulatedNet();
  const clock = new ManualClock();
  const receiver = new RecordingReceiver(options.wants);
  const { users = [], anonymous = false, usersFile } = options;
  const access = await openAccess({
    config: { anonymous, users, ...options.access },
    clock,
    hashing: options.hashing ?? systemHashing,
    random: seededRandom(1),
    usersFile,
    limits: options.accessLimits ?? {},
  });
  const front = await openFront({
    net: options.listensOn ?? net,
    clock,
    random: seededRandom(1),
    receiver,
    listeners: [
      {
        host: "127.0.0.1",
        port: options.listensOn === undefined ? 1883 : 0,
        ...(options.webSocket === undefined ? {} : { webSocket: options.webSocket }),
      },
    ],
    access,
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  return { front, access, net, clock, receiver, [Symbol.asyncDispose]: () => front.close() };
}

/** Lets the broker and its streams work for so many turns of the event loop. */
export async function turns(count = 12): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** One whole commit: seal, release, room. */
export function commit(front: Front): void {
  front.seal();
  front.release();
  front.room();
}

export type ConnectOptions = {
  readonly clientId?: string;
  readonly clean?: boolean;
  readonly keepalive?: number;
  readonly username?: string;
  readonly password?: string;
  readonly will?: { readonly topic: string; readonly payload: string; readonly qos?: 0 | 1 | 2 };
};

let clients = 0;

export function connectPacket(options: ConnectOptions = {}): Buffer {
  return generate({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clientId: options.clientId ?? `client-${clients++}`,
    clean: options.clean ?? true,
    keepalive: options.keepalive ?? 0,
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: Buffer.from(options.password) }),
    ...(options.will === undefined
      ? {}
      : {
          will: {
            topic: options.will.topic,
            payload: Buffer.from(options.will.payload),
            qos: options.will.qos ?? 0,
            retain: false,
          },
        }),
  });
}

export function publishPacket(
  topic: string,
  payload: string,
  options: {
    readonly qos?: 0 | 1 | 2;
    readonly id?: number;
    readonly retain?: boolean;
    readonly dup?: boolean;
  } = {},
): Buffer {
  return generate({
    cmd: "publish",
    topic,
    payload,
    qos: options.qos ?? 0,
    retain: options.retain ?? false,
    dup: options.dup ?? false,
    ...(options.id === undefined ? {} : { messageId: options.id }),
  });
}

export function subscribePacket(topic: string, id = 1, qos: 0 | 1 | 2 = 0): Buffer {
  return generate({ cmd: "subscribe", messageId: id, subscriptions: [{ topic, qos }] });
}

export const pingPacket: Buffer = generate({ cmd: "pingreq" });
export const disconnectPacket: Buffer = generate({ cmd: "disconnect" });

/** A client that is connected and authenticated, with nothing received yet. */
export async function connected(rig: Rig, options: ConnectOptions = {}): Promise<SimulatedPeer> {
  const peer = rig.net.arrive();
  peer.send(connectPacket(options));
  await turns();
  const [answer] = packetsIn(peer);
  if (answer?.cmd !== "connack" || answer.returnCode !== 0) throw new Error("not connected");
  peer.clear();
  return peer;
}

/** The packets a client received, parsed by a parser that is not ours. */
export function packetsIn(peer: SimulatedPeer): readonly Packet[] {
  return parsePackets(peer.received);
}

function parsePackets(bytes: Buffer): readonly Packet[] {
  const packets: Packet[] = [];
  const stream = parser();
  stream.on("packet", (packet) => packets.push(packet));
  stream.on("error", (error) => {
    throw error;
  });
  const rest = stream.parse(bytes);
  if (rest > 0) throw new Error(`${rest} bytes of a packet that never ended`);
  return packets;
}

/** `puback 7`, `pingresp`, `publish plant/a hello`: what matters of each packet. */
export function namesOf(packets: readonly Packet[]): readonly string[] {
  return packets.map((packet) => {
    if (packet.cmd === "publish") return `publish ${packet.topic} ${packet.payload.toString()}`;
    return packet.messageId === undefined ? packet.cmd : `${packet.cmd} ${packet.messageId}`;
  });
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
}
