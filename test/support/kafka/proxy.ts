/**
 * A TCP proxy in front of a broker that sees requests and responses, so a test can break a
 * connection between two chosen words of the protocol: before the broker hears a request, or after
 * it acted and before the client learns of it.
 *
 * Both directions are frames of a 4-byte length and a body. A request's body begins with api key
 * (2 bytes), version (2) and correlation id (4); a response's with the correlation id, by which the
 * api key is known. A connection is served in order: while one frame waits for its verdict, those
 * behind it in the same direction wait too.
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server, type Socket, connect } from "node:net";

/** Api keys of the protocol, by name. */
export const apiKeys = {
  Produce: 0,
  Fetch: 1,
  ListOffsets: 2,
  Metadata: 3,
  OffsetFetch: 9,
  FindCoordinator: 10,
  SaslHandshake: 17,
  ApiVersions: 18,
  CreateTopics: 19,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
  DescribeConfigs: 32,
  SaslAuthenticate: 36,
} as const;

/**
 * pass: forward the frame. cut: close both sides, the frame is lost. cut-after: forward the frame,
 * then close. hold: the frame is lost, and the connection stays open.
 *
 * After cut-after of a request the broker may still be at work when the client knows that the
 * connection is gone; a cut of the *response* happens when the broker has acted.
 */
export type Verdict = "pass" | "cut" | "cut-after" | "hold";

type Judge = (apiKey: number) => Verdict | Promise<Verdict>;

type ProxyOptions = {
  /** Port to listen on; chosen by the system by default. */
  readonly port?: number;
  /** "host:port" of the broker's listener. */
  readonly to: string;
};

/** Resolves when it listens on loopback. */
export async function openProxy(options: ProxyOptions): Promise<KafkaProxy> {
  const proxy = new KafkaProxy(options);
  await proxy.up();
  return proxy;
}

export class KafkaProxy {
  /** Asked about every request; all pass by default. */
  onRequest: Judge = () => "pass";
  /** Asked about every response, by the api key of its request; all pass by default. */
  onResponse: Judge = () => "pass";
  /** Told of what comes from clients, as it comes. */
  onArrival: (bytes: number) => void = () => undefined;
  /** Where it sends what it takes; may change between connections. */
  to: string;

  readonly #bytes = { toBroker: 0, toClient: 0 };
  readonly #links = new Set<Link>();
  #server: Server | undefined;
  #port: number;

  constructor({ port = 0, to }: ProxyOptions) {
    this.#port = port;
    this.to = to;
  }

  get port(): number {
    return this.#port;
  }

  /** "127.0.0.1:port" to bootstrap from. */
  get bootstrap(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Bytes forwarded so far, frames and their lengths. */
  get bytes(): { readonly toBroker: number; readonly toClient: number } {
    return { ...this.#bytes };
  }

  /** Cuts every connection and refuses new ones. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    server?.close();
    for (const link of this.#links) link.cut();
    if (server !== undefined) await once(server, "close");
  }

  /** Listens, on the same port as before. */
  async up(): Promise<void> {
    assert(this.#server === undefined, "the proxy is up already");
    const server = createServer((client) => this.#accept(client));
    this.#server = server;
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert(address !== null && typeof address !== "string", "a TCP server has a port");
    this.#port = address.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  #accept(client: Socket): void {
    const [host = "", port = ""] = this.to.split(":");
    const broker = connect(Number(port), host);
    const link = new Link(client, broker, {
      onRequest: (apiKey) => this.onRequest(apiKey),
      onResponse: (apiKey) => this.onResponse(apiKey),
      sent: (direction, bytes) => (this.#bytes[direction] += bytes),
      arrived: (bytes) => this.onArrival(bytes),
    });
    this.#links.add(link);
    client.once("close", () => this.#links.delete(link));
  }
}

type LinkEvents = {
  readonly onRequest: Judge;
  readonly onResponse: Judge;
  readonly sent: (direction: "toBroker" | "toClient", bytes: number) => void;
  readonly arrived: (bytes: number) => void;
};

/** A client's connection and the one to the broker that stands for it. */
class Link {
  readonly #client: Socket;
  readonly #broker: Socket;
  readonly #events: LinkEvents;
  /** Api keys of requests that were forwarded and not answered, by correlation id. */
  readonly #asked = new Map<number, number>();

  constructor(client: Socket, broker: Socket, events: LinkEvents) {
    this.#client = client;
    this.#broker = broker;
    this.#events = events;
    for (const socket of [client, broker]) {
      socket.setNoDelay(true);
      socket.on("error", () => this.cut());
      socket.on("close", () => this.cut());
    }
    client.on("data", (bytes: Buffer) => events.arrived(bytes.length));
    void this.#pump(client, (frame) => this.#request(frame));
    void this.#pump(broker, (frame) => this.#response(frame));
  }

  cut(): void {
    this.#client.destroy();
    this.#broker.destroy();
  }

  async #pump(from: Socket, take: (frame: Buffer) => Promise<void>): Promise<void> {
    try {
      for await (const frame of framesOf(from)) await take(frame);
    } catch {
      this.cut();
    }
  }

  async #request(frame: Buffer): Promise<void> {
    const apiKey = frame.readInt16BE(4);
    const verdict = await this.#events.onRequest(apiKey);
    if (isForwarded(verdict)) {
      this.#asked.set(frame.readInt32BE(8), apiKey);
      this.#send("toBroker", frame);
    }
    if (verdict === "cut-after") this.#broker.end(() => this.cut());
    if (verdict === "cut") this.cut();
  }

  async #response(frame: Buffer): Promise<void> {
    const correlation = frame.readInt32BE(4);
    const apiKey = this.#asked.get(correlation) ?? -1;
    this.#asked.delete(correlation);
    const verdict = await this.#events.onResponse(apiKey);
    if (isForwarded(verdict)) this.#send("toClient", frame);
    if (verdict === "cut-after") this.#client.end(() => this.cut());
    if (verdict === "cut") this.cut();
  }

  #send(direction: "toBroker" | "toClient", frame: Buffer): void {
    const socket = direction === "toBroker" ? this.#broker : this.#client;
    if (socket.destroyed) return;
    socket.write(frame);
    this.#events.sent(direction, frame.length);
  }
}

function isForwarded(verdict: Verdict): boolean {
  return verdict === "pass" || verdict === "cut-after";
}

/** Whole frames, each with its length in front. */
async function* framesOf(socket: Socket): AsyncGenerator<Buffer> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const part of socket) {
    assert(Buffer.isBuffer(part), "a socket without encoding yields buffers");
    pending = Buffer.concat([pending, part]);
    while (pending.length >= 4 && pending.length >= 4 + pending.readInt32BE(0)) {
      const end = 4 + pending.readInt32BE(0);
      yield pending.subarray(0, end);
      pending = pending.subarray(end);
    }
  }
}
