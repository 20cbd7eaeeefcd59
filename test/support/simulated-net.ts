/**
 * The Net door in memory: peers that send what a test says, when it says so. Reads go through one
 * shared buffer that is overwritten after each call, as the real door's is, so whoever keeps it is
 * found out. Writes are copied at once and compared later: a buffer that was changed after it was
 * handed over is found out too.
 */

import assert from "node:assert/strict";
import type {
  CertificateStatus,
  Clock,
  Net,
  NetAddress,
  NetHandlers,
  NetListener,
  NetSocket,
} from "../../src/core/doors.ts";
import { Fault } from "../../src/core/faults.ts";
import { millis } from "../../src/core/units.ts";

/** The most that one read brings; what waits longer comes with the next. */
export const READ_BYTES: number = 8 * 1024;
const POISON = 0xee;

export class SimulatedNet implements Net {
  #accept: ((socket: NetSocket) => void) | undefined;
  #port = 40_000;
  /** Gives the far end of a connection we open, or undefined where nobody listens there. */
  server: (address: NetAddress) => SimulatedPeer | undefined = () => undefined;

  listen(address: NetAddress, accept: (socket: NetSocket) => void): Promise<NetListener> {
    this.#accept = accept;
    return Promise.resolve({
      host: address.host,
      port: address.port,
      acceptErrors: 0,
      handshakes: undefined,
      close: () => {
        this.#accept = undefined;
        return Promise.resolve();
      },
    });
  }

  connect(address: NetAddress): Promise<NetSocket> {
    const { host, port } = address;
    const peer = this.server(address);
    if (peer !== undefined) return Promise.resolve(peer.socket);
    return Promise.reject(
      new Fault("CONNECT_FAILED", `cannot connect to ${host}:${port}: ECONNREFUSED`),
    );
  }

  certificates(): readonly CertificateStatus[] {
    return [];
  }

  /** A new client, by TLS where it has a certificate; it is closed at once where nobody accepts. */
  arrive(
    options: { readonly certificateName?: string; readonly host?: string } = {},
  ): SimulatedPeer {
    const { host = "10.0.0.1", certificateName } = options;
    const peer = new SimulatedPeer(`${host}:${this.#port++}`, certificateName);
    if (this.#accept === undefined) peer.socket.destroy();
    else this.#accept(peer.socket);
    return peer;
  }
}

/** The other end of a connection. */
export class SimulatedPeer {
  readonly socket: NetSocket;
  readonly #shared = Buffer.alloc(READ_BYTES);
  readonly #writes: { readonly bytes: Uint8Array; readonly copy: Buffer }[] = [];
  #handlers: NetHandlers | undefined;
  #unread: Buffer = Buffer.alloc(0);
  #queued = 0;
  #paused = false;
  #closed = false;
  #fallenAsleep = false;
  #isEnding = false;

  constructor(remote: string, certificateName?: string) {
    const queuedBytes = (): number => this.#queued;
    this.socket = {
      remote,
      certificateName,
      get queuedBytes() {
        return queuedBytes();
      },
      start: (handlers) => {
        this.#handlers = handlers;
      },
      write: (bytes) => this.#write(bytes),
      pause: () => {
        this.#paused = true;
      },
      resume: () => {
        this.#paused = false;
        setImmediate(() => this.#deliver());
      },
      end: () => this.#end(),
      destroy: () => this.#close(""),
    };
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Whether nobody reads what we send. */
  get isPaused(): boolean {
    return this.#paused;
  }

  get writeCount(): number {
    return this.#writes.length;
  }

  /** Everything written to us; each write is checked to be what it was when it was made. */
  get received(): Buffer {
    for (const { bytes, copy } of this.#writes) {
      assert.ok(copy.equals(bytes), "a written buffer is not changed afterwards");
    }
    return Buffer.concat(this.#writes.map(({ copy }) => copy));
  }

  /** Forgets what was received so far. */
  clear(): void {
    this.#writes.length = 0;
  }

  send(...pieces: readonly Uint8Array[]): void {
    this.#unread = Buffer.concat([this.#unread, ...pieces]);
    this.#deliver();
  }

  /** From now on what is written to us stays in the sender's memory. */
  fallAsleep(): void {
    this.#fallenAsleep = true;
  }

  wakeUp(): void {
    this.#fallenAsleep = false;
    this.#queued = 0;
    this.#handlers?.onDrain();
    if (this.#isEnding) this.#close("");
  }

  /** The client goes without a word; what it sent is read first, unless nobody reads. */
  vanish(): void {
    this.#close("ECONNRESET");
  }

  #deliver(): void {
    while (!this.#paused && !this.#closed && this.#unread.length > 0) {
      const length = Math.min(this.#unread.length, READ_BYTES);
      this.#unread.copy(this.#shared, 0, 0, length);
      this.#unread = this.#unread.subarray(length);
      this.#handlers?.onBytes(this.#shared, length);
      this.#shared.fill(POISON, 0, length);
    }
  }

  #write(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#writes.push({ bytes, copy: Buffer.from(bytes) });
    if (this.#fallenAsleep) this.#queued += bytes.length;
  }

  /** Closes when everything is written, as a real one does. */
  #end(): void {
    this.#isEnding = true;
    if (this.#queued === 0) this.#close("");
  }

  #close(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    setImmediate(() => this.#handlers?.onClose(reason));
  }
}

/** A clock that stands until it is told to go on; `soon` is the event loop's. */
export class ManualClock implements Clock {
  #now = 0;
  #timers: { readonly at: number; readonly run: () => void }[] = [];

  now(): ReturnType<Clock["now"]> {
    return millis(this.#now);
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    assert(delayMs >= 0, "nobody waits for a moment that is over");
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  soon(run: () => void): void {
    setImmediate(run);
  }

  /** Runs what is due in the next `ms`, in order of time. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = this.#timers.toSorted((a, b) => a.at - b.at)[0];
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = end;
  }

  /** The whole machine stood still for `ms`: time is gone, and no timer ran. */
  freeze(ms: number): void {
    this.#now += ms;
  }
}
