/**
 * MQTT.js behind the bridge's seam (bridge-link.ts); the only import of it. It encodes packets,
 * matches acknowledgements and pings. What it would also do is turned off, because the bridge does it
 * with what it knows: connecting again (reconnectPeriod 0), sending again (a clean session and a new
 * client for each connection: nothing is in its store), queueing while offline (the link is asked
 * first). Its sockets are the Net door's.
 *
 * About 18 MB of memory: loaded when a lane first connects.
 */

import type { IClientOptions, IClientPublishOptions, IConnackPacket, MqttClient } from "mqtt";
import type { Clock, ConnectAddress, Net, Wire } from "../../../core/doors.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { portalHint } from "../../../core/strangers.ts";
import type { Answer, BridgeLink, BridgeMessage, LinkEnd, Will } from "../bridge-link.ts";
import { type SocketStream, streamOf } from "./socket-stream.ts";

export type MqttClientOptions = {
  /** As the user wrote it, for people: no login in it. */
  readonly url: string;
  readonly net: Net;
  readonly clock: Clock;
  readonly address: ConnectAddress;
  /** 4 is MQTT 3.1.1. */
  readonly level: 4 | 5;
  readonly clientId: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly keepAliveMs: number;
  /** For the network, TLS and CONNACK, each. */
  readonly connectMs: number;
  /** What the connection goes over, asked when it is opened. */
  readonly wire?: () => Wire | undefined;
};

/** See ConnectBridge. */
export async function connectMqtt(
  options: MqttClientOptions,
  { will, onEnded }: { readonly will: Will | undefined; readonly onEnded: () => void },
): Promise<BridgeLink> {
  const { MqttClient: Client } = await import("mqtt");
  const wire = options.wire?.();
  const socket = await options.net.connect(options.address, { waitMs: options.connectMs, wire });
  const stream = streamOf(socket);
  const client = new Client(() => stream.stream, clientOptions(options, will));
  const link = new MqttLink({ client, wire: stream, clock: options.clock, onEnded });
  const connack = await connected(client, stream, options);
  link.begin(connack, options.level);
  return link;
}

/** A subscription to one topic; a connection of its own. */
export type MqttSubscription = {
  /** Says goodbye. */
  readonly close: () => Promise<void>;
};

/**
 * Opens a connection, a clean session, and subscribes with QoS 1: what the broker retains comes first.
 * Faults: UPLINK_UNREACHABLE, UPLINK_LOGIN_REFUSED, UPLINK_RIGHT_MISSING, and those of the door. `onEnded`
 * is called once, when it is over for whatever reason, with why.
 */
export async function subscribeMqtt(
  options: MqttClientOptions & {
    readonly topic: string;
    /** A larger message is the broker's to keep (MQTT 5). */
    readonly packetBytesMax: number;
  },
  {
    onMessage,
    onEnded,
  }: {
    readonly onMessage: (payload: Uint8Array) => void;
    readonly onEnded: (why: string) => void;
  },
): Promise<MqttSubscription> {
  const { MqttClient: Client } = await import("mqtt");
  const { topic, url, level, packetBytesMax, clock } = options;
  const socket = await options.net.connect(options.address, { waitMs: options.connectMs });
  const stream = streamOf(socket);
  const client = new Client(() => stream.stream, {
    ...clientOptions(options, undefined),
    ...(level === 5 ? { properties: { maximumPacketSize: packetBytesMax } } : {}),
  });
  await connected(client, stream, options);
  let why: string | undefined;
  client.on("error", (error) => {
    why ??= error.message;
    stream.stream.destroy();
  });
  client.once("close", () => onEnded(why ?? stream.closed() ?? "it was given up"));
  client.on("message", (_topic, payload) => onMessage(payload));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancel = clock.after(options.connectMs, () =>
    reject(unreachable(url, `it did not answer SUBSCRIBE within ${options.connectMs} ms`)),
  );
  client.once("close", () => reject(unreachable(url, stream.closed() ?? "it closed")));
  client.subscribe(topic, { qos: 1 }, (error, granted) => {
    const isRefused = granted?.some(({ qos }) => Number(qos) >= SUBSCRIPTION_FAILED) === true;
    if (isRefused || (error !== null && error !== undefined)) {
      const message = `${url} does not let us subscribe to ${topic}: give this user the right to`;
      reject(new Fault("UPLINK_RIGHT_MISSING", message, { facts: { url, topic } }));
    } else resolve();
  });
  try {
    await promise;
  } catch (error) {
    client.end(true);
    throw error;
  } finally {
    cancel();
  }
  return {
    close: async () => {
      const { promise: closed, resolve: done } = Promise.withResolvers<void>();
      if (stream.closed() !== undefined) return;
      client.once("close", () => done());
      client.end(false);
      const stop = clock.after(limits.bridgeCloseWaitMs, () => stream.stream.destroy());
      await closed;
      stop();
    },
  };
}

const SUBSCRIPTION_FAILED = 0x80;

class MqttLink implements BridgeLink {
  readonly #client: MqttClient;
  readonly #wire: SocketStream;
  readonly #clock: Clock;
  #receiveMax = 65_535;
  #packetBytesMax = Number.POSITIVE_INFINITY;
  #level: 4 | 5 = 4;
  #ended: LinkEnd | undefined;
  #goodbye: LinkEnd | undefined;
  #unheard = 0;
  /** Packet ids whose last message was a retained one; there are 65,535. */
  readonly #retained = new Set<number>();

  constructor(parts: {
    readonly client: MqttClient;
    readonly wire: SocketStream;
    readonly clock: Clock;
    readonly onEnded: () => void;
  }) {
    const { client, wire, clock, onEnded } = parts;
    this.#client = client;
    this.#wire = wire;
    this.#clock = clock;
    client.on("disconnect", ({ reasonCode = 0 }) => {
      this.#goodbye = {
        why: `the broker ended it with reason 0x${reasonCode.toString(16)}`,
        takenOver: reasonCode === SESSION_TAKEN_OVER,
      };
    });
    client.on("packetsend", (packet) => {
      if (packet.cmd !== "publish" || packet.messageId === undefined) return;
      if (packet.retain) this.#retained.add(packet.messageId);
      else this.#retained.delete(packet.messageId);
    });
    client.on("packetreceive", (packet) => {
      if (packet.cmd !== "puback" || packet.reasonCode !== NO_SUBSCRIBERS) return;
      // What the broker retains is not dropped: who subscribes later gets it.
      if (packet.messageId === undefined || !this.#retained.has(packet.messageId))
        this.#unheard += 1;
    });
    client.on("error", (error) => {
      this.#goodbye ??= { why: error.message, takenOver: false };
      wire.stream.destroy();
    });
    client.once("close", () => {
      const why = wire.closed() ?? "it was given up";
      this.#ended = this.#goodbye ?? { why, takenOver: false };
      onEnded();
    });
  }

  begin({ properties }: IConnackPacket, level: 4 | 5): void {
    this.#level = level;
    this.#receiveMax = properties?.receiveMaximum ?? this.#receiveMax;
    this.#packetBytesMax = properties?.maximumPacketSize ?? this.#packetBytesMax;
  }

  get receiveMax(): number {
    return this.#receiveMax;
  }
  get packetBytesMax(): number {
    return this.#packetBytesMax;
  }
  get ended(): LinkEnd | undefined {
    return this.#ended;
  }
  get unheard(): number {
    return this.#unheard;
  }
  get traffic(): BridgeLink["traffic"] {
    return this.#wire.traffic;
  }

  publish(message: BridgeMessage, onAnswer: (answer: Answer) => void): void {
    const { topic, payload, retain, attributes } = message;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    const options: IClientPublishOptions = { qos: 1, retain };
    if (this.#level === 5) {
      options.properties = {
        contentType: "application/json",
        payloadFormatIndicator: true,
        ...(attributes === undefined ? {} : { userProperties: { ...attributes } }),
      };
    }
    this.#client.publish(topic, bytes, options, (error) => {
      if (error === undefined || error === null) onAnswer({ kind: "taken" });
      else if ("code" in error && typeof error.code === "number") {
        onAnswer({ kind: "refused", code: error.code, why: error.message });
      }
      // Any other error is that of a link that has ended, which is told by itself.
    });
  }

  async close(): Promise<void> {
    if (this.#ended !== undefined) return;
    // With answers outstanding MQTT.js would wait for them: whoever closes has waited already.
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#client.once("close", resolve);
    this.#client.end(Object.keys(this.#client.outgoing).length > 0);
    // What is queued leaves only where the other side takes it.
    const cancel = this.#clock.after(limits.bridgeCloseWaitMs, () => this.#wire.stream.destroy());
    await promise;
    cancel();
  }

  destroy(): void {
    this.#client.end(true);
  }
}

const SESSION_TAKEN_OVER = 0x8e;
const NO_SUBSCRIBERS = 0x10;
const RETAIN_UNSUPPORTED = 0x9a;

function clientOptions(
  { level, clientId, user, password, keepAliveMs, connectMs, clock }: MqttClientOptions,
  will: Will | undefined,
): IClientOptions {
  return {
    protocolId: "MQTT",
    protocolVersion: level,
    clientId,
    clean: true,
    keepalive: Math.max(1, Math.round(keepAliveMs / 1_000)),
    // A link that is busy one way only must be asked too.
    reschedulePings: false,
    reconnectPeriod: 0,
    // Ours is earlier, by the door's clock.
    connectTimeout: 2 * connectMs,
    queueQoSZero: false,
    resubscribe: false,
    timerVariant: timersOf(clock),
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    ...(will === undefined
      ? {}
      : {
          will: {
            topic: will.topic,
            payload: Buffer.from(will.payload),
            qos: 1,
            retain: true,
          },
        }),
  };
}

/** MQTT.js asks for intervals. */
function timersOf(clock: Clock): NonNullable<Exclude<IClientOptions["timerVariant"], string>> {
  const cancels = new Map<number, () => void>();
  let count = 0;
  return {
    set: (run, everyMs = 0) => {
      const id = ++count;
      const call = run as () => void;
      const again = (): void => {
        cancels.set(id, clock.after(everyMs, tick));
      };
      const tick = (): void => {
        again();
        call();
      };
      again();
      return id;
    },
    clear: (id) => {
      cancels.get(id)?.();
      cancels.delete(id);
    },
  };
}

/** The CONNACK, or why there is none. */
async function connected(
  client: MqttClient,
  wire: SocketStream,
  { clock, connectMs, url, level }: MqttClientOptions,
): Promise<IConnackPacket> {
  const { promise, resolve, reject } = Promise.withResolvers<IConnackPacket>();
  const cancel = clock.after(connectMs, () =>
    reject(unreachable(url, `it did not answer CONNECT within ${connectMs} ms`)),
  );
  client.once("connect", resolve);
  const failed = (fault: () => Fault): void =>
    reject(
      wire.isWeb()
        ? unreachable(url, `it is no MQTT broker but a web server: check the port; ${portalHint}`)
        : fault(),
    );
  client.once("error", (error) => failed(() => connectFault(error, url, level)));
  client.once("close", () =>
    failed(() => unreachable(url, wire.closed() ?? "it closed the connection")),
  );
  try {
    const connack = await promise;
    if (connack.properties?.maximumQoS === 0) {
      throw new Fault(
        "UPLINK_REFUSED",
        `${url} takes QoS 0 only, which acknowledges nothing: the bridge needs a broker with QoS 1`,
      );
    }
    return connack;
  } catch (error) {
    client.end(true);
    throw error;
  } finally {
    cancel();
  }
}

function unreachable(url: string, why: string): Fault {
  return new Fault("UPLINK_UNREACHABLE", `cannot connect to ${url}: ${why}`, {
    facts: { url },
  });
}

/** CONNACK codes of both versions. */
const loginCodes = new Set([4, 5, 0x86, 0x87, 0x8a, 0x8c]);
const versionCodes = new Set([1, 0x84]);

function connectFault(error: Error, url: string, level: 4 | 5): Fault {
  const code = "code" in error && typeof error.code === "number" ? error.code : undefined;
  if (code !== undefined && loginCodes.has(code)) {
    return new Fault(
      "UPLINK_LOGIN_REFUSED",
      `${url} refuses this user or client id (${error.message}); check user, password and clientId`,
      { facts: { url, code } },
    );
  }
  if (code !== undefined && versionCodes.has(code)) {
    return new Fault(
      "UPLINK_REFUSED",
      `${url} does not speak MQTT ${level === 5 ? "5: set version: 3.1.1" : "3.1.1: set version: 5"}`,
      { facts: { url, code } },
    );
  }
  if (code === RETAIN_UNSUPPORTED) {
    return new Fault(
      "UPLINK_REFUSED",
      `${url} keeps no messages: set status: off and retain: false for it`,
      { facts: { url, code } },
    );
  }
  return unreachable(url, error.message);
}
