/**
 * A TCP proxy on loopback for the bad days of a link: it cuts connections, between packets or within
 * one, lets them stand half-open (accepts, reads, passes nothing on and says nothing), delays, and
 * refuses. What passes can be watched (witness.ts).
 */

import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/** Sees the bytes of one connection: what the client sent, and what the client was given. */
export type LinkWatcher = {
  fromClient(bytes: Buffer): void;
  toClient(bytes: Buffer): void;
};

export type ProxyOptions = {
  /** Port on loopback of what is behind it. */
  readonly to: number;
  /** Asked for each connection. */
  readonly watch?: () => LinkWatcher;
};

/** Resolves when it listens. */
export async function openProxy(options: ProxyOptions): Promise<LinkProxy> {
  const proxy = new LinkProxy(options);
  await proxy.up();
  return proxy;
}

export class LinkProxy {
  readonly #options: ProxyOptions;
  readonly #links = new Set<Link>();
  #server: Server | undefined;
  #port = 0;
  #isStalled = false;
  /** Whatever is passed on waits so long first. */
  delayMs = 0;
  /** Connections that clients made. */
  accepted = 0;
  /** Connections that ended because the client ended them. */
  clientCloses = 0;

  /** Use `openProxy`. */
  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  get port(): number {
    return this.#port;
  }

  get connections(): number {
    return this.#links.size;
  }

  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Listens, on the same port as before. */
  async up(): Promise<void> {
    assert(this.#server === undefined, "the proxy is up already");
    const server = createServer({ noDelay: true }, (client) => this.#accept(client));
    this.#server = server;
    server.listen(this.#port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert(address !== null && typeof address === "object", "a TCP server has a port");
    this.#port = address.port;
  }

  /** Cuts every connection and refuses new ones. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut();
    if (server === undefined) return;
    server.close();
    await once(server, "close");
  }

  /** Ends every connection now; with `torn`, within the next bytes on their way to the client. */
  cut({ torn = false }: { readonly torn?: boolean } = {}): void {
    for (const link of this.#links) {
      if (torn) link.tear();
      else link.cut();
    }
  }

  /** From now on nothing passes and nobody is told, on connections old and new. */
  stall(): void {
    this.#isStalled = true;
  }

  /** Connections that stood half-open are cut; new ones pass. */
  unstall(): void {
    this.#isStalled = false;
    this.cut();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  #accept(client: Socket): void {
    this.accepted += 1;
    const link = new Link({
      client,
      behind: connect({ port: this.#options.to, host: "127.0.0.1", noDelay: true }),
      proxy: this,
      watcher: this.#options.watch?.(),
      closed: (by) => {
        this.#links.delete(link);
        if (by === "client") this.clientCloses += 1;
      },
    });
    this.#links.add(link);
  }
}

type LinkParts = {
  readonly client: Socket;
  readonly behind: Socket;
  readonly proxy: LinkProxy;
  readonly watcher: LinkWatcher | undefined;
  readonly closed: (by: "client" | "other") => void;
};

/** A client's connection and the one that stands for it. */
class Link {
  readonly #parts: LinkParts;
  #isCut = false;
  #isTearing = false;

  constructor(parts: LinkParts) {
    this.#parts = parts;
    const { client, behind, watcher } = parts;
    client.on("data", (bytes: Buffer) => {
      watcher?.fromClient(bytes);
      this.#pass(bytes, behind);
    });
    behind.on("data", (bytes: Buffer) => {
      if (this.#isTearing) this.#tearWithin(bytes);
      else if (this.#pass(bytes, client)) watcher?.toClient(bytes);
    });
    for (const socket of [client, behind]) socket.on("error", () => {}); // "close" follows
    client.on("close", () => this.#end("client"));
    behind.on("close", () => {
      // A peer behind a stalled link may go: nobody here hears of it.
      if (!parts.proxy.isStalled) this.#end("other");
    });
  }

  cut(): void {
    this.#end("other");
  }

  tear(): void {
    this.#isTearing = true;
  }

  #tearWithin(bytes: Buffer): void {
    const part = bytes.subarray(0, bytes.length >> 1);
    this.#parts.watcher?.toClient(part);
    this.#parts.client.end(part);
    this.#end("other");
  }

  /** Whether the bytes are on their way. */
  #pass(bytes: Buffer, to: Socket): boolean {
    const { proxy } = this.#parts;
    if (proxy.isStalled || this.#isCut) return false;
    if (proxy.delayMs === 0) to.write(bytes);
    else setTimeout(() => to.writable && to.write(bytes), proxy.delayMs);
    return true;
  }

  #end(by: "client" | "other"): void {
    if (this.#isCut) return;
    this.#isCut = true;
    const { client, behind, closed } = this.#parts;
    if (client.writableLength > 0 || client.writableEnded) client.destroySoon();
    else client.destroy();
    behind.destroy();
    closed(by);
  }
}
