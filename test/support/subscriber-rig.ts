/**
 * A subscriber on simulated doors, and the broker at the other end: it does what a test says, packet
 * by packet, or answers by itself what any broker answers. Its packets are made and read by a
 * library that is not ours.
 */

import { generate, type ISubackPacket, type Packet, parser } from "mqtt-packet";
import {
  type BrokerAddress,
  type BrokerConfig,
  brokerDefaults,
  type QoS,
} from "../../src/agent/ingest/mqtt/subscriber/subscriber-config.ts";
import {
  openSubscriber,
  type Subscriber,
  type SubscriberLimits,
} from "../../src/agent/ingest/mqtt/subscriber/subscriber.ts";
import { parseTemplate, type TopicTemplate } from "../../src/agent/ingest/topic-template.ts";
import type { NetAddress } from "../../src/core/doors.ts";
import { RecordingReceiver, turns } from "./front-rig.ts";
import { seededRandom } from "./seeded-random.ts";
import { ManualClock, SimulatedNet, SimulatedPeer } from "./simulated-net.ts";

/** One connection, as the broker has it. */
export class BrokerEnd {
  readonly peer: SimulatedPeer;
  readonly level: 4 | 5;
  #seen = 0;

  constructor(peer: SimulatedPeer, level: 4 | 5) {
    this.peer = peer;
    this.level = level;
  }

  get isClosed(): boolean {
    return this.peer.isClosed;
  }

  /** Everything the subscriber said on it. */
  get packets(): readonly Packet[] {
    return packetsOf(this.peer.received, this.level);
  }

  /** What was said since the last call. */
  fresh(): readonly Packet[] {
    const all = this.packets;
    const news = all.slice(this.#seen);
    this.#seen = all.length;
    return news;
  }

  send(packet: Packet): void {
    this.peer.send(generate(packet, { protocolVersion: this.level }));
  }

  welcome(options: { readonly sessionPresent?: boolean } = {}): void {
    const sessionPresent = options.sessionPresent ?? false;
    this.send({ cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent });
  }

  publish(
    topic: string,
    payload: string,
    options: {
      readonly qos?: QoS;
      readonly id?: number;
      readonly retain?: boolean;
      readonly dup?: boolean;
    } = {},
  ): void {
    this.send({
      cmd: "publish",
      topic,
      payload,
      qos: options.qos ?? 0,
      retain: options.retain ?? false,
      dup: options.dup ?? false,
      ...(options.id === undefined ? {} : { messageId: options.id }),
    });
  }

  pubrel(id: number): void {
    this.send({ cmd: "pubrel", messageId: id });
  }

  /** Answers a SUBSCRIBE; every filter is granted unless `codeOf` says otherwise. */
  suback(packet: Packet, codeOf: (filter: string, qos: number) => number = (_, qos) => qos): void {
    if (packet.cmd !== "subscribe" || packet.messageId === undefined) throw new Error("not one");
    const suback: ISubackPacket = {
      cmd: "suback",
      messageId: packet.messageId,
      granted: packet.subscriptions.map(({ topic, qos }) => codeOf(topic, qos)),
    };
    this.send(suback);
  }
}

/** The broker at the addresses of a subscriber; one that answers by itself until told not to. */
export class ScriptedBroker {
  readonly ends: BrokerEnd[] = [];
  readonly net: SimulatedNet;
  readonly level: 4 | 5;
  /** Whether it has our session: what it says in CONNACK; set by a connection that is not clean. */
  hasSession = false;
  /** Whether it answers by itself. */
  answers = true;
  answersPings = true;
  codeOf: (filter: string, qos: number) => number = (_, qos) => qos;
  /** Addresses nobody listens at. */
  readonly deaf: Set<string> = new Set();
  /** Where was connected to, or tried. */
  readonly tried: string[] = [];
  /** Told of every packet that it sees, after its own answer. */
  onPacket: (end: BrokerEnd, packet: Packet) => void = () => {};
  /** Canaries come back. */
  echoes = true;

  constructor(net: SimulatedNet, level: 4 | 5) {
    this.net = net;
    this.level = level;
    net.server = (address) => this.#connect(address);
  }

  /** The last connection. */
  get end(): BrokerEnd {
    const end = this.ends.at(-1);
    if (end === undefined) throw new Error("nobody has connected");
    return end;
  }

  #connect({ host }: NetAddress): SimulatedPeer | undefined {
    this.tried.push(host);
    if (this.deaf.has(host)) return undefined;
    const peer = new SimulatedPeer(`${host}:1883`);
    this.ends.push(new BrokerEnd(peer, this.level));
    return peer;
  }

  /** Answers what is new on the last connection. */
  work(): void {
    const end = this.ends.at(-1);
    if (end === undefined || !this.answers || end.isClosed) return;
    for (const packet of end.fresh()) {
      this.#answer(end, packet);
      this.onPacket(end, packet);
    }
  }

  #answer(end: BrokerEnd, packet: Packet): void {
    if (packet.cmd === "connect") {
      end.welcome({ sessionPresent: this.hasSession && packet.clean !== true });
      this.hasSession = packet.clean !== true;
    } else if (packet.cmd === "subscribe") {
      end.suback(packet, this.codeOf);
    } else if (packet.cmd === "pingreq") {
      if (this.answersPings) end.send({ cmd: "pingresp" });
    } else if (packet.cmd === "publish") {
      end.send({ cmd: "puback", messageId: packet.messageId! });
      if (this.echoes) end.publish(packet.topic, packet.payload.toString());
    }
  }
}

export type SubscriberRig = {
  readonly subscriber: Subscriber;
  readonly broker: ScriptedBroker;
  readonly clock: ManualClock;
  readonly receiver: RecordingReceiver;
  /** Times the session was in a hurry. */
  readonly hurries: () => number;
  /** Lets everything that is under way happen, the broker's answers too. */
  readonly settle: () => Promise<void>;
  /** So much time passes, in steps of half a second. */
  readonly pass: (ms: number) => Promise<void>;
  readonly commit: () => void;
};

export const templates: readonly TopicTemplate[] = ["plant/{device}", "plant/{line}/{device}"].map(
  (text) => {
    const parse = parseTemplate(text);
    if (parse.kind === "invalid") throw new Error(parse.message);
    return parse.template;
  },
);

export function addressOf(host: string): BrokerAddress {
  return { url: `mqtt://${host}`, connect: { host, port: 1883 } };
}

export function brokerConfig(changes: Partial<BrokerConfig> = {}): BrokerConfig {
  return {
    ...brokerDefaults,
    name: "site",
    addresses: [addressOf("one")],
    clientId: "weir-test-site",
    ...changes,
  };
}

export function openSubscriberRig(
  options: {
    readonly config?: Partial<BrokerConfig>;
    readonly limits?: Partial<SubscriberLimits>;
    readonly seed?: number;
    readonly isKnown?: boolean;
    /** Before it connects. */
    readonly prepare?: (broker: ScriptedBroker) => void;
  } = {},
): SubscriberRig {
  const config = brokerConfig(options.config);
  const net = new SimulatedNet();
  const clock = new ManualClock();
  const receiver = new RecordingReceiver();
  const broker = new ScriptedBroker(net, config.level);
  options.prepare?.(broker);
  let hurries = 0;
  const subscriber = openSubscriber({
    net,
    clock,
    random: seededRandom(options.seed ?? 1),
    config,
    templates,
    isKnown: options.isKnown ?? false,
    receiver,
    hurry: () => (hurries += 1),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 6; i++) {
      await turns(3);
      broker.work();
    }
  };
  return {
    subscriber,
    broker,
    clock,
    receiver,
    hurries: () => hurries,
    settle,
    pass: async (ms) => {
      for (let left = ms; left > 0; left -= 500) {
        clock.advance(Math.min(left, 500));
        await settle();
      }
    },
    commit: () => commit(subscriber),
  };
}

/** One whole commit: seal, release, room. */
export function commit(subscriber: Subscriber): void {
  subscriber.seal();
  subscriber.release();
  subscriber.room();
}

export function packetsOf(bytes: Buffer, level: 4 | 5): readonly Packet[] {
  const packets: Packet[] = [];
  const stream = parser({ protocolVersion: level });
  stream.on("packet", (packet) => packets.push(packet));
  stream.on("error", (error) => {
    throw error;
  });
  const rest = stream.parse(bytes);
  if (rest > 0) throw new Error(`${rest} bytes of a packet that never ended`);
  return packets;
}

/** `puback 7`, `pingreq`, `subscribe plant/+ plant/+/+`. */
export function wordsOf(packets: readonly Packet[]): readonly string[] {
  return packets.map((packet) => {
    if (packet.cmd === "subscribe") {
      return `subscribe ${packet.subscriptions.map(({ topic }) => topic).join(" ")}`;
    }
    if (packet.cmd === "publish") return `publish ${packet.topic} ${packet.payload.toString()}`;
    return packet.messageId === undefined ? packet.cmd : `${packet.cmd} ${packet.messageId}`;
  });
}
