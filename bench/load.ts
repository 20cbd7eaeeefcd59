/**
 * The load of the ingest benchmark, a process of its own: sensors that publish QoS 1 over plain
 * sockets. Packets are encoded once; between sends only the digits of the time, one digit of the
 * value and the packet id are patched in place, so that the load is never the bottleneck and no two
 * readings are equal.
 *
 *   node bench/load.ts '{"port":1883,"connections":100,"window":200,"seriesPerConnection":1,...}'
 *
 * Prints one JSON object when the time is over.
 */

import { once } from "node:events";
import { connect, type Socket } from "node:net";

export type LoadOptions = {
  readonly port: number;
  readonly connections: number;
  /** Messages of one connection that wait for their PUBACK. */
  readonly window: number;
  /** Topics one connection publishes to in turn. */
  readonly seriesPerConnection: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Messages per second over all connections; 0 for as fast as the PUBACKs come. */
  readonly rate: number;
  /** 5: MQTT 5, with an expiry and a user property on each message; else 3.1.1. */
  readonly level?: 4 | 5;
  /** Times of now and values that change, as sensors have; else a millisecond more each time. */
  readonly isLive?: boolean;
};

export type LoadResult = {
  readonly messages: number;
  readonly seconds: number;
  readonly pubackMs: { readonly p50: number; readonly p99: number };
  readonly cpuSeconds: number;
  /** Acknowledged from the first connection to the last answer, the warm-up included. */
  readonly acknowledged: number;
};

/** 7 keys, 97 bytes, one reading; the server is told to ignore the rest. */
const VALUE = `"temperature":21.50`;
const PAYLOAD = `{"ts":1764000000000,${VALUE},"unit":"Cel","status":"ok","rssi":-67,"fw":"1.4.2","b":3.6}`;
const START_MS = 1_764_000_000_000;
const TS_DIGITS = 13;
const LATENCY_SAMPLES = 2_000_000;
/** In the end what is on its way is waited for so long. */
const ANSWER_MS = 10_000;

/** One client on a plain socket, with its ring of packets. */
export class Sensor {
  readonly #socket: Socket;
  readonly #window: number;
  readonly #isLive: boolean;
  /** `window` packets one after another, so that a burst is one write. */
  readonly #packets: Buffer;
  readonly #packetBytes: number;
  readonly #tsOffset: number;
  readonly #valueOffset: number;
  readonly #idOffset: number;
  readonly #sentAt: Float64Array;
  #timeMs = START_MS;
  #next = 0;
  #inFlight = 0;
  #partial = 0;
  messages = 0;
  onAck: (latencyMs: number) => void = () => {};

  constructor(
    socket: Socket,
    options: {
      readonly index: number;
      readonly window: number;
      readonly series: number;
      readonly properties: Buffer;
      readonly isLive: boolean;
    },
  ) {
    this.#socket = socket;
    this.#window = options.window;
    this.#isLive = options.isLive;
    const packets: Buffer[] = [];
    for (let slot = 0; slot < options.window; slot++) {
      const device = options.index * options.series + (slot % options.series);
      packets.push(publishPacket(device, options.properties));
    }
    this.#packetBytes = packets[0]!.length;
    this.#packets = Buffer.concat(packets);
    const first = packets[0]!;
    this.#tsOffset = first.indexOf(String(START_MS));
    this.#valueOffset = first.indexOf(VALUE) + VALUE.indexOf(".") + 1;
    this.#idOffset = idOffsetOf(first);
    this.#sentAt = new Float64Array(options.window);
    socket.on("data", (bytes: Buffer) => this.#receive(bytes));
  }

  get free(): number {
    return this.#window - this.#inFlight;
  }

  /** Sends up to `count` messages in one write (two where the ring of packets wraps). */
  send(count: number): void {
    let left = Math.min(count, this.free);
    const now = performance.now();
    while (left > 0) {
      const run = Math.min(left, this.#window - this.#next);
      for (let slot = this.#next; slot < this.#next + run; slot++) this.#patch(slot, now);
      const from = this.#next * this.#packetBytes;
      this.#socket.write(this.#packets.subarray(from, from + run * this.#packetBytes));
      this.#next = (this.#next + run) % this.#window;
      this.#inFlight += run;
      left -= run;
    }
  }

  #patch(slot: number, now: number): void {
    const packet = slot * this.#packetBytes;
    this.#sentAt[slot] = now;
    this.#timeMs = this.#isLive ? Math.max(this.#timeMs + 1, Date.now()) : this.#timeMs + 1;
    if (this.#isLive) {
      // Noise of two digits.
      const noise = Math.imul(this.#timeMs, 0x9e3779b1) >>> 20;
      this.#packets[packet + this.#valueOffset] = 48 + (noise % 10);
      this.#packets[packet + this.#valueOffset + 1] = 48 + ((noise >>> 5) % 10);
    }
    let digits = this.#timeMs;
    for (let at = packet + this.#tsOffset + TS_DIGITS - 1; at >= packet + this.#tsOffset; at--) {
      const tens = Math.floor(digits / 10);
      this.#packets[at] = 48 + (digits - tens * 10);
      digits = tens;
    }
    this.#packets.writeUInt16BE(slot + 1, packet + this.#idOffset);
  }

  #receive(bytes: Buffer): void {
    const total = this.#partial + bytes.length;
    const acks = Math.floor(total / 4);
    this.#partial = total % 4;
    if (acks === 0) return;
    this.messages += acks;
    this.#inFlight -= acks;
    const oldest = (this.#next - this.#inFlight - 1 + 2 * this.#window) % this.#window;
    this.onAck(performance.now() - this.#sentAt[oldest]!);
  }
}

function idOffsetOf(packet: Buffer): number {
  const header = packet[1]! < 128 ? 2 : 3;
  return header + 2 + packet.readUInt16BE(header);
}

/** Message expiry 60 s, user property a=bbbb. */
const PROPERTIES = Buffer.from([15, 2, 0, 0, 0, 60, 38, 0, 1, 97, 0, 4, 98, 98, 98, 98]);
const NO_PROPERTIES = Buffer.alloc(0);

export function publishPacket(device: number, properties: Buffer = NO_PROPERTIES): Buffer {
  const topic = Buffer.from(`plant/line${device % 8}/d${String(device).padStart(5, "0")}/state`);
  const payload = Buffer.from(PAYLOAD);
  const length = 2 + topic.length + 2 + properties.length + payload.length;
  const header = length < 128 ? [0x32, length] : [0x32, 0x80 | (length & 127), length >> 7];
  const size = Buffer.alloc(2);
  size.writeUInt16BE(topic.length);
  const id = Buffer.from([0, 1]);
  return Buffer.concat([Buffer.from(header), size, topic, id, properties, payload]);
}

export function connectPacket(clientId: string, level: 4 | 5 = 4): Buffer {
  const id = Buffer.from(clientId);
  const properties = level === 5 ? [0] : [];
  const head = [0, 4, 0x4d, 0x51, 0x54, 0x54, level, 2, 0, 60, ...properties, 0, id.length];
  return Buffer.concat([Buffer.from([0x10, head.length + id.length, ...head]), id]);
}

export async function openSensor(
  index: number,
  options: Pick<LoadOptions, "port" | "window" | "seriesPerConnection" | "level" | "isLive">,
): Promise<Sensor> {
  const socket = connect({ host: "127.0.0.1", port: options.port, noDelay: true });
  await once(socket, "connect");
  const { level = 4, window, seriesPerConnection: series } = options;
  socket.write(connectPacket(`load-${index}`, level));
  const [connack] = (await once(socket, "data")) as [Buffer];
  if (connack[0] !== 0x20 || connack[3] !== 0) throw new Error("the server refused a connection");
  const properties = level === 5 ? PROPERTIES : NO_PROPERTIES;
  const { isLive = false } = options;
  return new Sensor(socket, { index, window, series, properties, isLive });
}

export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const sensors: Sensor[] = [];
  for (let index = 0; index < options.connections; index += 50) {
    const some = Array.from({ length: Math.min(50, options.connections - index) }, (_, k) =>
      openSensor(index + k, options),
    );
    sensors.push(...(await Promise.all(some)));
  }
  const latencies: number[] = [];
  let measuring = false;
  let isOver = false;
  for (const sensor of sensors) {
    sensor.onAck = (latencyMs) => {
      if (measuring && latencies.length < LATENCY_SAMPLES) latencies.push(latencyMs);
      if (options.rate === 0 && !isOver) sensor.send(sensor.free);
    };
  }
  const stopSending = options.rate === 0 ? startFlood(sensors) : startPaced(sensors, options.rate);
  await sleep(options.warmupMs);
  const before = sensors.reduce((sum, sensor) => sum + sensor.messages, 0);
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  measuring = true;
  process.stdout.write(`${JSON.stringify({ event: "measuring" })}\n`);
  await sleep(options.measureMs);
  measuring = false;
  const seconds = (performance.now() - startedAt) / 1000;
  const messages = sensors.reduce((sum, sensor) => sum + sensor.messages, 0) - before;
  const cpu = process.cpuUsage(cpuBefore);
  isOver = true;
  stopSending();
  const giveUpAt = performance.now() + ANSWER_MS;
  while (sensors.some((sensor) => sensor.free < options.window) && performance.now() < giveUpAt) {
    await sleep(50);
  }
  latencies.sort((a, b) => a - b);
  return {
    messages,
    seconds,
    pubackMs: { p50: quantile(latencies, 0.5), p99: quantile(latencies, 0.99) },
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    acknowledged: sensors.reduce((sum, sensor) => sum + sensor.messages, 0),
  };
}

function startFlood(sensors: readonly Sensor[]): () => void {
  for (const sensor of sensors) sensor.send(sensor.free);
  return () => {};
}

/** Each sensor in turn sends one message, so that every read of the server brings one. */
/** `rate` messages per second over all; the result stops it. */
export function startPaced(sensors: readonly Sensor[], rate: number): () => void {
  const startedAt = performance.now();
  let sent = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) * rate) / 1000);
    for (let tries = 0; sent < due && tries < sensors.length; tries++, sent++) {
      sensors[sent % sensors.length]!.send(1);
    }
  }, 1);
  return () => clearInterval(timer);
}

/** Of values that are sorted. */
export function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) {
  const result = await runLoad(JSON.parse(process.argv[2] ?? "{}") as LoadOptions);
  process.stdout.write(`${JSON.stringify({ event: "done", ...result })}\n`, () => process.exit(0));
}
