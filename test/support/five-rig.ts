/** MQTT 5 packets by an encoder that is not ours, and clients that speak it to the front's rig. */

import { generate, type IConnectPacket, type Packet, parser } from "mqtt-packet";
import { namesOf, type Rig, turns } from "./front-rig.ts";
import type { SimulatedPeer } from "./simulated-net.ts";

const five = { protocolVersion: 5 };

let clients = 0;

export type Connect5Options = Partial<Omit<IConnectPacket, "cmd">>;

export function connect5Packet(options: Connect5Options = {}): Buffer {
  return generate({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 5,
    clientId: `five-${clients++}`,
    clean: true,
    keepalive: 0,
    ...options,
  });
}

/** A packet of MQTT 5. */
export function packet5(packet: Packet): Buffer {
  return generate(packet, five);
}

export function publish5(
  topic: string,
  payload: string,
  options: Partial<Omit<Extract<Packet, { cmd: "publish" }>, "cmd" | "topic" | "payload">> = {},
): Buffer {
  return packet5({ cmd: "publish", topic, payload, qos: 0, dup: false, retain: false, ...options });
}

type SubscribeOptions = {
  readonly id?: number;
  readonly qos?: 0 | 1 | 2;
  readonly nl?: boolean;
  readonly rap?: boolean;
  readonly rh?: number;
  readonly subscriptionId?: number;
};

export function subscribe5(
  filters: string | readonly string[],
  options: SubscribeOptions = {},
): Buffer {
  const { id = 1, qos = 0, nl = false, rap = false, rh = 0, subscriptionId } = options;
  return packet5({
    cmd: "subscribe",
    messageId: id,
    subscriptions: [filters].flat().map((topic) => ({ topic, qos, nl, rap, rh })),
    ...(subscriptionId === undefined
      ? {}
      : { properties: { subscriptionIdentifier: subscriptionId } }),
  });
}

/** The packets of MQTT 5 a client received. */
export function packets5In(peer: SimulatedPeer): readonly Packet[] {
  const packets: Packet[] = [];
  const stream = parser(five);
  stream.on("packet", (packet) => packets.push(packet));
  stream.on("error", (error) => {
    throw error;
  });
  const rest = stream.parse(peer.received);
  if (rest > 0) throw new Error(`${rest} bytes of a packet that never ended`);
  return packets;
}

/** What was answered to CONNECT. */
export async function connack5Of(
  rig: Rig,
  options: Connect5Options = {},
): Promise<{
  readonly peer: SimulatedPeer;
  readonly connack: Extract<Packet, { cmd: "connack" }>;
}> {
  const peer = rig.net.arrive();
  peer.send(connect5Packet(options));
  await turns();
  const [connack] = packets5In(peer);
  if (connack?.cmd !== "connack") throw new Error("not answered");
  peer.clear();
  return { peer, connack };
}

/** A client that is connected, with nothing received yet. */
export async function connected5(rig: Rig, options: Connect5Options = {}): Promise<SimulatedPeer> {
  const { peer, connack } = await connack5Of(rig, options);
  if (connack.reasonCode !== 0) throw new Error(`refused with ${connack.reasonCode}`);
  return peer;
}

/** `disconnect 148`, `puback 7 16`: the reason code behind the name where it is not success. */
export function wordsOf(peer: SimulatedPeer): readonly string[] {
  const packets = packets5In(peer);
  return packets.map((packet, i) => {
    const [name] = namesOf([packets[i]!]);
    const reason = "reasonCode" in packet ? packet.reasonCode : 0;
    return reason ? `${name} ${reason}` : name!;
  });
}

export function publishesIn(peer: SimulatedPeer): readonly Extract<Packet, { cmd: "publish" }>[] {
  return packets5In(peer).filter((packet) => packet.cmd === "publish");
}

/** Subscribes and forgets the answer. */
export async function subscribed5(peer: SimulatedPeer, packet: Buffer): Promise<SimulatedPeer> {
  peer.send(packet);
  await turns();
  peer.clear();
  return peer;
}

export const puback5 = (messageId: number): Buffer =>
  packet5({ cmd: "puback", messageId, reasonCode: 0 });
