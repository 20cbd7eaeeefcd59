/**
 * An MQTT client for the tests, of either version, that does what it is told and no more. It speaks
 * through mqtt-packet, which is not ours, or sends bytes as they are.
 *
 * What it receives stands in its inbox until it is taken. Unless it is told not to, it answers
 * PUBLISH and PUBREL as a well-behaved client does.
 */

import assert from "node:assert/strict";
import {
  generate,
  type IConnackPacket,
  type IConnectPacket,
  type IPublishPacket,
  type ISubackPacket,
  type ISubscribePacket,
  type IUnsubackPacket,
  type Packet,
  parser,
} from "mqtt-packet";
import type { Wire } from "./wire.ts";

export type Level = 4 | 5;

type PublishOptions = {
  readonly qos?: 0 | 1 | 2;
  readonly id?: number;
  readonly retain?: boolean;
  readonly dup?: boolean;
  readonly properties?: IPublishPacket["properties"];
};

type Filter = ISubscribePacket["subscriptions"][number];

export class Client {
  readonly level: Level;
  readonly #wire: Wire;
  readonly #settle: () => Promise<void>;
  readonly #parser: ReturnType<typeof parser>;
  #inbox: Packet[] = [];
  #bytes: Buffer[] = [];
  #nextId = 1;
  /** Of the connection that was accepted. */
  connack: IConnackPacket | undefined;
  /** Whether it answers PUBLISH and PUBREL by itself. */
  answers = true;

  constructor(wire: Wire, level: Level, settle: () => Promise<void>) {
    this.level = level;
    this.#wire = wire;
    this.#settle = settle;
    this.#parser = parser({ protocolVersion: level });
    this.#parser.on("packet", (packet) => this.#onPacket(packet));
    this.#parser.on("error", (error) => {
      throw new assert.AssertionError({ message: `the server sent a bad packet: ${error}` });
    });
  }

  get isClosed(): boolean {
    return this.#wire.isClosed;
  }

  /** Reads what arrived; whether anything did. */
  pull(): boolean {
    const bytes = this.#wire.pull();
    if (bytes.length > 0) {
      this.#bytes.push(bytes);
      this.#parser.parse(bytes);
    }
    return bytes.length > 0;
  }

  #onPacket(packet: Packet): void {
    this.#inbox.push({ ...packet });
    if (!this.answers) return;
    const messageId = packet.messageId ?? 0;
    if (packet.cmd === "publish" && packet.qos === 1) this.sendPacket({ cmd: "puback", messageId });
    if (packet.cmd === "publish" && packet.qos === 2) this.sendPacket({ cmd: "pubrec", messageId });
    if (packet.cmd === "pubrel") this.sendPacket({ cmd: "pubcomp", messageId });
  }

  // --- anything -------------------------------------------------------------------------------------

  /** Bytes as they are. */
  send(...pieces: readonly Uint8Array[]): void {
    this.#wire.send(Buffer.concat(pieces));
  }

  sendPacket(...packets: readonly Packet[]): void {
    this.send(...packets.map((packet) => this.encode(packet)));
  }

  encode(packet: Packet): Buffer {
    return generate(packet, { protocolVersion: this.level });
  }

  /** Sends, waits until all is quiet, and takes what came. */
  async exchange(...pieces: readonly (Uint8Array | Packet)[]): Promise<readonly Packet[]> {
    this.send(...pieces.map((piece) => (piece instanceof Uint8Array ? piece : this.encode(piece))));
    await this.#settle();
    return this.take();
  }

  /** Everything received since the last call. */
  take(): readonly Packet[] {
    this.pull();
    const taken = this.#inbox;
    this.#inbox = [];
    this.#bytes = [];
    return taken;
  }

  /** The same as bytes. */
  takeBytes(): Buffer {
    this.pull();
    const bytes = Buffer.concat(this.#bytes);
    this.take();
    return bytes;
  }

  /** The PUBLISH packets among what was received. */
  publications(): readonly IPublishPacket[] {
    return this.take().filter((packet): packet is IPublishPacket => packet.cmd === "publish");
  }

  /** Of each PUBLISH received `topic payload`. */
  messages(): readonly string[] {
    return this.publications().map(({ topic, payload }) => `${topic} ${payload.toString()}`);
  }

  /** `puback 7`, `publish a/b 3`: kind and packet identifier of what was received. */
  kinds(): readonly string[] {
    return this.take().map(kindOf);
  }

  // --- what clients do ------------------------------------------------------------------------------

  /** Publishes and goes through the whole handshake; gives the packet that accepted the message. */
  async publish(
    topic: string,
    payload: string | Buffer,
    options: PublishOptions = {},
  ): Promise<Packet | undefined> {
    const before = this.take();
    const qos = options.qos ?? 0;
    const messageId = options.id ?? this.nextId();
    const received = [
      ...(await this.exchange(this.publishPacket(topic, payload, options, messageId))),
    ];
    const wanted = qos === 1 ? "puback" : "pubrec";
    const answer = received.find(({ cmd, messageId: id }) => cmd === wanted && id === messageId);
    if (qos !== 0) assert.ok(answer, `${wanted} ${messageId} answers the PUBLISH`);
    if (qos === 2) {
      received.push(...(await this.exchange({ cmd: "pubrel", messageId })));
      const end = received.find(({ cmd, messageId: id }) => cmd === "pubcomp" && id === messageId);
      assert.ok(end, `pubcomp ${messageId} answers the PUBREL`);
    }
    this.#inbox = [...before, ...received.filter((packet) => packet.cmd === "publish")];
    return answer;
  }

  publishPacket(
    topic: string,
    payload: string | Buffer,
    options: PublishOptions = {},
    id?: number,
  ): IPublishPacket {
    const { qos = 0, retain = false, dup = false } = options;
    return {
      cmd: "publish",
      topic,
      payload,
      qos,
      retain,
      dup,
      ...(qos === 0 ? {} : { messageId: id ?? options.id ?? this.nextId() }),
      ...(options.properties === undefined ? {} : { properties: options.properties }),
    };
  }

  /** Subscribes and gives the SUBACK; what else arrived stays in the inbox. */
  async subscribe(
    filters: string | Filter | readonly Filter[],
    options: {
      readonly qos?: 0 | 1 | 2;
      readonly properties?: ISubscribePacket["properties"];
    } = {},
  ): Promise<ISubackPacket> {
    const messageId = this.nextId();
    const list =
      typeof filters === "string"
        ? [{ topic: filters, qos: options.qos ?? 0 }]
        : "topic" in filters
          ? [filters]
          : [...filters];
    this.sendPacket({
      cmd: "subscribe",
      messageId,
      subscriptions: list,
      ...(options.properties === undefined ? {} : { properties: options.properties }),
    });
    await this.#settle();
    const suback = this.#pick("suback", messageId);
    assert.ok(suback?.cmd === "suback", "a SUBACK answers the SUBSCRIBE");
    return suback;
  }

  async unsubscribe(...filters: readonly string[]): Promise<IUnsubackPacket> {
    const messageId = this.nextId();
    this.sendPacket({ cmd: "unsubscribe", messageId, unsubscriptions: [...filters] });
    await this.#settle();
    const unsuback = this.#pick("unsuback", messageId);
    assert.ok(unsuback?.cmd === "unsuback", "an UNSUBACK answers the UNSUBSCRIBE");
    return unsuback;
  }

  /** Says DISCONNECT; the connection is closed afterwards. */
  async disconnect(
    options: { readonly reasonCode?: number; readonly sessionExpiryInterval?: number } = {},
  ): Promise<void> {
    const { reasonCode, sessionExpiryInterval } = options;
    this.sendPacket({
      cmd: "disconnect",
      ...(reasonCode === undefined ? {} : { reasonCode }),
      ...(sessionExpiryInterval === undefined ? {} : { properties: { sessionExpiryInterval } }),
    });
    await this.#settle();
    this.#wire.vanish();
    await this.#settle();
  }

  /** As `vanish`, without waiting for what follows from it. */
  drop(): void {
    this.#wire.vanish();
  }

  /** Is gone without a word. */
  async vanish(): Promise<void> {
    this.#wire.vanish();
    await this.#settle();
  }

  /** Sends a CONNECT and gives the CONNACK; undefined when the connection was closed without one. */
  async connect(packet: Packet | Uint8Array): Promise<IConnackPacket | undefined> {
    this.send(packet instanceof Uint8Array ? packet : this.encode(packet));
    await this.#settle();
    const connack = this.#pick("connack");
    if (connack?.cmd !== "connack") return undefined;
    this.connack = connack;
    return connack;
  }

  nextId(): number {
    return this.#nextId++;
  }

  #pick(cmd: Packet["cmd"], id?: number): Packet | undefined {
    this.pull();
    const at = this.#inbox.findIndex(
      (p) => p.cmd === cmd && (id === undefined || p.messageId === id),
    );
    return at < 0 ? undefined : this.#inbox.splice(at, 1)[0];
  }
}

export function kindOf(packet: Packet): string {
  return packet.messageId === undefined ? packet.cmd : `${packet.cmd} ${packet.messageId}`;
}

/** Return code (3.1.1) or reason code (5) of a CONNACK. */
export function codeOf(connack: IConnackPacket): number {
  return connack.returnCode ?? connack.reasonCode ?? 0;
}

export type ConnectOptions = Partial<Omit<IConnectPacket, "cmd" | "protocolVersion">>;

export function connectPacketOf(level: Level, options: ConnectOptions): IConnectPacket {
  return {
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: level,
    clean: true,
    keepalive: 0,
    clientId: "",
    ...options,
  };
}
