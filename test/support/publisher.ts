/**
 * A publisher for tests, QoS 1 or 2: a plain socket, a window of unacknowledged messages, and a
 * memory of what it owes. After a lost connection it connects again, with a clean session, and sends
 * everything unacknowledged once more, in order, as a device does: with QoS 2 from the PUBLISH on.
 * What was acknowledged (PUBACK, PUBCOMP) is known exactly.
 */

import { connect, type Socket } from "node:net";
import { generate, type Packet, parser } from "mqtt-packet";

export type PublisherOptions = {
  readonly port: number;
  readonly clientId: string;
  /** Messages under way at most. */
  readonly window: number;
  /** Default 1. */
  readonly qos?: 1 | 2;
  readonly onAcknowledged?: (topic: string, payload: Buffer) => void;
};

type Message = {
  readonly id: number;
  readonly topic: string;
  readonly payload: Buffer;
  sent: number;
};

const RECONNECT_MS = 50;

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #unacknowledged = new Map<number, Message>();
  #socket: Socket | undefined;
  #connected = false;
  #closed = false;
  #nextId = 1;
  #changed: PromiseWithResolvers<void> = Promise.withResolvers();
  acknowledged = 0;
  connects = 0;
  /** PUBACKs for messages that were not waiting for one: always a fault of the broker. */
  strayAcks = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#connect();
  }

  get unacknowledged(): number {
    return this.#unacknowledged.size;
  }

  get isConnected(): boolean {
    return this.#connected;
  }

  /** Resolves when the message has a place in the window and was handed to the socket if there is one. */
  async publish(topic: string, payload: string | Buffer): Promise<void> {
    while (this.#unacknowledged.size >= this.#options.window) await this.#change();
    const message = { id: this.#freeId(), topic, payload: Buffer.from(payload), sent: 0 };
    this.#unacknowledged.set(message.id, message);
    if (this.#connected) this.#send(message);
  }

  /** Resolves when everything published so far has been acknowledged. */
  async settled(): Promise<void> {
    while (this.#unacknowledged.size > 0) await this.#change();
  }

  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
  }

  #change(): Promise<void> {
    return this.#changed.promise;
  }

  #notify(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  #freeId(): number {
    while (this.#unacknowledged.has(this.#nextId)) this.#nextId = (this.#nextId % 65_535) + 1;
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 65_535) + 1;
    return id;
  }

  #send(message: Message): void {
    const { id, topic, payload } = message;
    this.#socket?.write(
      generate({
        cmd: "publish",
        qos: this.#options.qos ?? 1,
        dup: message.sent > 0,
        retain: false,
        messageId: id,
        topic,
        payload,
      }),
    );
    message.sent += 1;
  }

  #connect(): void {
    if (this.#closed) return;
    const socket = connect({ port: this.#options.port, host: "127.0.0.1" });
    this.#socket = socket;
    const packets = parser();
    packets.on("packet", (packet) => this.#receive(packet));
    socket.on("connect", () => {
      socket.write(
        generate({
          cmd: "connect",
          protocolId: "MQTT",
          protocolVersion: 4,
          clean: true,
          clientId: this.#options.clientId,
          keepalive: 30,
        }),
      );
    });
    socket.on("data", (bytes: Buffer) => packets.parse(bytes));
    socket.on("error", () => {}); // a refused or reset connection ends in "close", which reconnects
    socket.on("close", () => {
      this.#connected = false;
      setTimeout(() => this.#connect(), RECONNECT_MS);
    });
  }

  #receive(packet: Packet): void {
    if (packet.cmd === "connack") {
      this.#connected = true;
      this.connects += 1;
      for (const message of this.#unacknowledged.values()) this.#send(message);
    } else if (packet.cmd === "pubrec" && packet.messageId !== undefined) {
      this.#socket?.write(generate({ cmd: "pubrel", messageId: packet.messageId }));
    } else if (packet.cmd === "puback" || packet.cmd === "pubcomp") {
      this.#acknowledge(packet.messageId ?? 0);
    }
  }

  #acknowledge(id: number): void {
    const message = this.#unacknowledged.get(id);
    if (message === undefined) {
      this.strayAcks += 1;
      return;
    }
    this.#unacknowledged.delete(id);
    this.acknowledged += 1;
    this.#options.onAcknowledged?.(message.topic, message.payload);
    this.#notify();
  }
}
