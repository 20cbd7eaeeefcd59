/**
 * One device's MQTT 3.1.1 connection: bounded in flight, a bounded buffer before it, reconnects.
 *
 *   send -> waiting (bufferMessagesMax, oldest dropped) -> in flight (inFlightPerDeviceMax) -> acked
 *
 * The session is persistent (clean: false), so MQTT.js sends unacknowledged QoS 1 messages again
 * after a reconnect. It does so with the same packet identifier but without the DUP flag, which
 * departs from MQTT-3.3.1-1: a receiver must not rely on the flag.
 */
import { connect, type MqttClient } from "mqtt";
import type { Message } from "./event.ts";
import { limits } from "./limits.ts";

export type Broker = {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
};

export type ConnectionOptions = {
  readonly broker: Broker;
  readonly clientId: string;
  /** Pause before a reconnect, in milliseconds. */
  readonly reconnectMs: number;
};

/** What the connection tells its fleet; called synchronously, must not throw. */
export type ConnectionSink = {
  /** Handed to the MQTT client. */
  sent(message: Message): void;
  /** A PUBACK arrived. */
  acked(message: Message): void;
  /** Pushed out of a full buffer, or never sent before the end. */
  dropped(message: Message): void;
  /** Connected, disconnected, or room in flight. */
  changed(): void;
};

export class Connection {
  readonly #client: MqttClient;
  readonly #options: ConnectionOptions;
  readonly #sink: ConnectionSink;
  readonly #waiting: Message[] = [];
  #isUp = false;
  #connects = 0;
  #inFlightQos0 = 0;
  #inFlightQos1 = 0;
  #error: Error | undefined;

  /** Starts to connect; `changed` tells when it is up. */
  static open(options: ConnectionOptions, sink: ConnectionSink): Connection {
    const client = connect({
      protocol: "mqtt",
      host: options.broker.host,
      port: options.broker.port,
      protocolVersion: 4,
      clientId: options.clientId,
      clean: false,
      keepalive: limits.keepaliveSeconds,
      connectTimeout: limits.connectMsMax,
      reconnectPeriod: options.reconnectMs,
      queueQoSZero: false,
      ...(options.broker.username === undefined ? {} : { username: options.broker.username }),
      ...(options.broker.password === undefined ? {} : { password: options.broker.password }),
    });
    return new Connection(client, options, sink);
  }

  private constructor(client: MqttClient, options: ConnectionOptions, sink: ConnectionSink) {
    this.#client = client;
    this.#options = options;
    this.#sink = sink;
    client.on("connect", () => this.#onUp());
    client.on("close", () => this.#onDown());
    client.on("error", (error) => {
      this.#error = error;
    });
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** True when a message sent now would go to the socket at once. */
  get hasRoom(): boolean {
    return this.#isUp && this.inFlight + this.#waiting.length < limits.inFlightPerDeviceMax;
  }

  get inFlight(): number {
    return this.#inFlightQos0 + this.#inFlightQos1;
  }

  get isIdle(): boolean {
    return this.inFlight === 0 && this.#waiting.length === 0;
  }

  get reconnects(): number {
    return Math.max(0, this.#connects - 1);
  }

  /** The latest failure to connect. */
  get error(): Error | undefined {
    return this.#error;
  }

  send(message: Message): void {
    this.#waiting.push(message);
    if (this.#waiting.length > limits.bufferMessagesMax) this.#dropOldest();
    this.#pump();
  }

  /** Breaks the TCP connection; the next attempt comes after `outageMs`. */
  breakFor(outageMs: number): void {
    this.#client.options.reconnectPeriod = Math.max(limits.outageMsMin, Math.round(outageMs));
    this.#isUp = false;
    this.#client.stream.destroy();
  }

  /** Says DISCONNECT where that is possible, and drops what was never sent. */
  async close(): Promise<void> {
    while (this.#waiting.length > 0) this.#dropOldest();
    const isClean = this.#isUp && this.inFlight === 0;
    this.#isUp = false;
    await this.#client.endAsync(!isClean);
  }

  #onUp(): void {
    this.#client.options.reconnectPeriod = this.#options.reconnectMs;
    this.#isUp = true;
    this.#connects += 1;
    this.#pump();
    this.#sink.changed();
  }

  #onDown(): void {
    this.#isUp = false;
    // A QoS 0 message that the dead socket still held is gone; nobody will report it.
    this.#inFlightQos0 = 0;
    this.#sink.changed();
  }

  #pump(): void {
    while (this.#isUp && this.inFlight < limits.inFlightPerDeviceMax) {
      const message = this.#waiting.shift();
      if (message === undefined) return;
      this.#publish(message);
    }
  }

  #publish(message: Message): void {
    const { topic, payload, qos, dup } = message;
    const connects = this.#connects;
    if (qos === 0) this.#inFlightQos0 += 1;
    else this.#inFlightQos1 += 1;
    this.#sink.sent(message);
    this.#client.publish(topic, payload, { qos, dup }, (error) => {
      if (qos === 1) this.#inFlightQos1 -= 1;
      else if (connects === this.#connects && this.#inFlightQos0 > 0) this.#inFlightQos0 -= 1;
      if (qos === 1 && !error) this.#sink.acked(message);
      this.#pump();
      this.#sink.changed();
    });
  }

  #dropOldest(): void {
    const oldest = this.#waiting.shift();
    if (oldest !== undefined) this.#sink.dropped(oldest);
  }
}
