/**
 * Those who make life hard for the others in the fairness benchmark, each a process that goes on until
 * it is ended:
 *
 *   flood-qos1   one client with 4,000 messages in flight
 *   flood-qos0   one client that writes as fast as its socket takes it
 *   slow-loris   500 clients that send a byte each tenth of a second, within CONNECT or within a PUBLISH
 *   connections  connects, says CONNECT, leaves, as fast as it can from one address
 *   reconnect    1,000 users with hashed passwords that come back all at once, again and again
 *   first-logins 200 of them that the server has not seen before, in the round that `round` says
 *
 *   node bench/fairness-attack.ts '{"kind":"flood-qos0","port":1883}'
 */

import { connect, type Socket } from "node:net";
import { connectPacket, openSensor, publishPacket } from "./load.ts";

export const attacks = [
  "flood-qos1",
  "flood-qos0",
  "slow-loris",
  "connections",
  "reconnect",
  "first-logins",
] as const;
export type Attack = (typeof attacks)[number];

export type AttackOptions = {
  readonly kind: Attack;
  readonly port: number;
  readonly round: number;
};

const LORISES = 500;
const LORIS_MS = 100;
const CONNECTING = 32;
const USERS = 1_000;
const NEW_USERS = 200;
const STORM_MS = 2_000;
const FLOOD_BYTES = 262_144;

const attackers: Readonly<Record<Attack, (port: number, round: number) => Promise<void>>> = {
  "flood-qos1": async (port) => {
    const sensor = await openSensor(90_000, { port, window: 4_000, seriesPerConnection: 50 });
    sensor.onAck = () => sensor.send(sensor.free);
    sensor.send(sensor.free);
    report(() => ({ messages: sensor.messages }));
  },
  "flood-qos0": async (port) => {
    const socket = opened(port);
    socket.write(connectPacket("flooder"));
    await new Promise((resolve) => socket.once("data", resolve));
    const ring = qos0Packets();
    let written = 0;
    const write = (): void => {
      do written += ring.length;
      while (socket.write(ring));
    };
    socket.on("drain", write);
    write();
    report(() => ({ bytes: written }));
  },
  "slow-loris": (port) => {
    const lorises = Array.from({ length: LORISES }, (_, index) => new Loris(port, index));
    setInterval(() => {
      for (const loris of lorises) loris.trickle();
    }, LORIS_MS);
    report(() => ({ closed: lorises.reduce((sum, { closed }) => sum + closed, 0) }));
    return Promise.resolve();
  },
  connections: (port) => {
    let [made, refused] = [0, 0];
    const next = (): void => {
      const socket = opened(port);
      let isIn = false;
      socket.once("connect", () => socket.write(connectPacket("")));
      socket.once("data", () => {
        isIn = true;
        socket.destroy();
      });
      socket.once("close", () => {
        if (isIn) made += 1;
        else refused += 1;
        setImmediate(next);
      });
    };
    for (let n = 0; n < CONNECTING; n++) next();
    report(() => ({ made, refused }));
    return Promise.resolve();
  },
  reconnect: async (port) => {
    const users = Array.from({ length: USERS }, (_, index) => new User(port, index));
    const startedAt = performance.now();
    await Promise.all(users.map((user) => user.comeIn()));
    const firstMs = Math.round(performance.now() - startedAt);
    process.stdout.write(`${JSON.stringify({ event: "first", firstMs })}\n`);
    let [storms, lastMs] = [0, 0];
    report(() => ({ firstMs, storms, lastMs, refused: users.reduce((n, u) => n + u.refused, 0) }));
    for (;;) {
      const from = performance.now();
      for (const user of users) user.leave();
      await Promise.all(users.map((user) => user.comeIn()));
      storms += 1;
      lastMs = Math.round(performance.now() - from);
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, STORM_MS - lastMs)));
    }
  },
  "first-logins": async (port, round) => {
    const users = Array.from(
      { length: NEW_USERS },
      (_, n) => new User(port, round * NEW_USERS + n),
    );
    let come = 0;
    report(() => ({ come, refused: users.reduce((sum, { refused }) => sum + refused, 0) }));
    await Promise.all(users.map((user) => user.comeIn().then(() => (come += 1))));
  },
};

/** Keeps one connection in the middle of a packet. */
class Loris {
  readonly #port: number;
  readonly #index: number;
  #socket: Socket;
  #bytes: Buffer;
  #at = 0;
  closed = 0;

  constructor(port: number, index: number) {
    this.#port = port;
    this.#index = index;
    [this.#socket, this.#bytes] = this.#begin();
  }

  trickle(): void {
    if (this.#socket.destroyed) [this.#socket, this.#bytes] = this.#begin();
    if (this.#at < this.#bytes.length - 1)
      this.#socket.write(this.#bytes.subarray(this.#at, ++this.#at));
  }

  /** Half of them never end their CONNECT, half send it whole and then never end a PUBLISH. */
  #begin(): [Socket, Buffer] {
    const socket = opened(this.#port, this.#index);
    socket.once("close", () => (this.closed += 1));
    socket.resume();
    this.#at = 0;
    const hello = connectPacket(`loris-${this.#index}`.padEnd(100, "x"));
    if (this.#index % 2 === 0) return [socket, hello];
    socket.write(hello);
    return [socket, publishPacket(80_000 + this.#index)];
  }
}

/** A device with a user of its own. */
class User {
  readonly #port: number;
  readonly #index: number;
  #socket: Socket | undefined;
  refused = 0;

  constructor(port: number, index: number) {
    this.#port = port;
    this.#index = index;
  }

  leave(): void {
    this.#socket?.destroy();
  }

  /** Tries until it is in. */
  async comeIn(): Promise<void> {
    for (;;) {
      const socket = opened(this.#port, this.#index);
      this.#socket = socket;
      const isIn = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => socket.write(loginPacket(`user-${this.#index}`, "secret")));
        socket.once("data", (connack) => resolve(connack[3] === 0));
        socket.once("close", () => resolve(false));
      });
      if (isIn) return;
      this.refused += 1;
      socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

/** From one of many addresses of this machine, where `index` says which. */
function opened(port: number, index?: number): Socket {
  const localAddress = index === undefined ? "127.0.9.1" : `127.0.8.${1 + (index % 100)}`;
  const socket = connect({ host: "127.0.0.1", port, localAddress, noDelay: true });
  socket.on("error", () => {});
  return socket;
}

function loginPacket(name: string, password: string): Buffer {
  const texts = [`c-${name}`, name, password].map((text) => {
    const bytes = Buffer.from(text);
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  });
  const body = Buffer.concat([
    Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 0xc2, 0, 60]),
    ...texts,
  ]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}

/** Many readings of many devices in QoS 0, none like the one before it. */
function qos0Packets(): Buffer {
  const packets: Buffer[] = [];
  let bytes = 0;
  for (let n = 0; bytes < FLOOD_BYTES; n++) {
    const qos1 = publishPacket(70_000 + (n % 50));
    const header = qos1[1]! < 128 ? 2 : 3;
    const topicEnd = header + 2 + qos1.readUInt16BE(header);
    const body = Buffer.concat([qos1.subarray(header, topicEnd), qos1.subarray(topicEnd + 2)]);
    const length =
      body.length < 128 ? [body.length] : [0x80 | (body.length & 127), body.length >> 7];
    const packet = Buffer.concat([Buffer.from([0x30, ...length]), body]);
    const time = packet.indexOf("1764000000000");
    packet.write(String(1_764_000_000_000 + n), time);
    packets.push(packet);
    bytes += packet.length;
  }
  return Buffer.concat(packets);
}

function report(facts: () => object): void {
  process.once("SIGTERM", () => {
    process.stdout.write(`${JSON.stringify({ event: "done", ...facts() })}\n`, () =>
      process.exit(0),
    );
  });
  process.stdout.write(`${JSON.stringify({ event: "attacking" })}\n`);
}

const { kind, port, round } = JSON.parse(process.argv[2] ?? "{}") as AttackOptions;
await attackers[kind](port, round);
