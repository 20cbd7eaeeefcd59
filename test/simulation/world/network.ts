/**
 * The network between devices and the gateway: connections that take time, are cut within a packet,
 * or fall silent without a word. Each direction keeps the order of its bytes.
 *
 *   device --bytes--> [on the way] --onBytes--> gateway        a read is at most READ_BYTES, through a
 *          <--bytes-- [on the way] <--write----                shared buffer that is poisoned afterwards
 *
 * What the gateway wrote is compared when it arrives: a buffer changed after it was given away is
 * found out.
 */

import type { Net, NetHandlers, NetListener, NetSocket, Random } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import { below } from "../../support/seeded-random.ts";
import { READ_BYTES } from "../../support/simulated-net.ts";
import { type Life, never } from "./life.ts";
import type { Timeline } from "./timeline.ts";

const POISON = 0xee;
const port = 1_883;

/** The device's end. */
export interface DeviceEnd {
  readonly onBytes: (bytes: Uint8Array) => void;
  /** Refused, reset, or closed by the other side. */
  readonly onClose: () => void;
}

export class Network {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #latencyMs: () => number;
  #listener: { readonly life: Life; readonly accept: (socket: NetSocket) => void } | undefined;
  #connections = new Set<Connection>();
  #count = 0;
  /** Devices whose connections are silent now. */
  readonly silent: Set<string> = new Set();
  /** Where the gateway connects to: takes its connection, or nobody is there. */
  dialled: (connection: Connection) => DeviceEnd | undefined = () => undefined;
  /** A buffer was changed after it was given away: the sentence for it. */
  onChanged: (what: string) => void = () => undefined;

  constructor(options: {
    readonly timeline: Timeline;
    readonly random: Random;
    readonly latencyMs: () => number;
  }) {
    this.#timeline = options.timeline;
    this.#random = options.random;
    this.#latencyMs = options.latencyMs;
  }

  /** The gateway's door for one life. */
  door(life: Life): Net {
    return {
      listen: (address, accept): Promise<NetListener> => {
        if (!life.call("net listen")) return never();
        this.#listener = { life, accept };
        return Promise.resolve({
          host: address.host,
          port,
          acceptErrors: 0,
          handshakes: undefined,
          close: () => {
            this.#listener = undefined;
            return Promise.resolve();
          },
        });
      },
      connect: ({ host }, { waitMs }) => {
        if (!life.call("net connect")) return never();
        return this.#dial(host, { life, waitMs });
      },
      certificates: () => [],
    };
  }

  /** A device connects; `onClose` follows where nobody listens. */
  connect(device: string, end: DeviceEnd): Connection {
    const connection = this.#connection(device, end);
    connection.open(() => this.#listener);
    return connection;
  }

  /** The gateway connects to a broker, by the name of its host. */
  #dial(
    host: string,
    { life, waitMs }: { readonly life: Life; readonly waitMs: number },
  ): Promise<NetSocket> {
    const { promise, resolve, reject } = Promise.withResolvers<NetSocket>();
    const far: { end: DeviceEnd | undefined } = { end: undefined };
    const connection = this.#connection(host, {
      onBytes: (bytes) => far.end?.onBytes(bytes),
      onClose: () => far.end?.onClose(),
    });
    const refuse = (why: string): void => {
      this.#connections.delete(connection);
      reject(new Fault("CONNECT_FAILED", `cannot connect to ${host}: ${why}`));
    };
    life.after(Math.ceil(this.#latencyMs()) + 1, () => {
      if (this.silent.has(host)) return life.after(waitMs, () => refuse("no answer"));
      far.end = this.dialled(connection);
      if (far.end === undefined) return refuse("ECONNREFUSED");
      return resolve(connection.dialled(life));
    });
    return promise;
  }

  #connection(device: string, end: DeviceEnd): Connection {
    const connection: Connection = new Connection({
      device,
      end,
      remote: `10.0.0.1:${40_000 + (this.#count++ % 20_000)}`,
      timeline: this.#timeline,
      random: this.#random,
      latencyMs: () => Math.ceil(this.#latencyMs() * (0.5 + below(this.#random, 100) / 100)),
      isSilent: () => this.silent.has(device),
      onChanged: (what) => this.onChanged(what),
      onGone: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    return connection;
  }

  /** The device's connections are reset after so many more bytes from it. False: it has none. */
  cut(device: string, bytes: number): boolean {
    const of = [...this.#connections].filter((each) => each.device === device);
    for (const each of of) each.cutAfter(bytes);
    return of.length > 0;
  }

  /** The gateway's process is gone: the kernel resets its connections, or nobody is there to do so. */
  gone(how: "reset" | "silence"): void {
    this.#listener = undefined;
    for (const each of this.#connections) each.gatewayGone(how);
  }
}

type Way = {
  readonly device: string;
  readonly end: DeviceEnd;
  readonly remote: string;
  readonly timeline: Timeline;
  readonly random: Random;
  /** Of one packet, drawn. */
  readonly latencyMs: () => number;
  readonly isSilent: () => boolean;
  readonly onChanged: (what: string) => void;
  readonly onGone: () => void;
};

type Listener = { readonly life: Life; readonly accept: (socket: NetSocket) => void };

export class Connection {
  readonly device: string;
  readonly #way: Way;
  readonly #shared = Buffer.alloc(READ_BYTES);
  #life: Life | undefined;
  #handlers: NetHandlers | undefined;
  /** Arrived at the gateway, not read yet: a stream, which reads cut anywhere. */
  #unread: Uint8Array = new Uint8Array(0);
  #readPlanned = false;
  #isPaused = false;
  #isReading = false;
  #queued = 0;
  #upAt = 0;
  #downAt = 0;
  #bytesLeft = Number.POSITIVE_INFINITY;
  #isEnding = false;
  #isSilent = false;
  /** Closed towards either side. */
  #isClosed = false;

  constructor(way: Way) {
    this.device = way.device;
    this.#way = way;
  }

  open(listener: () => Listener | undefined): void {
    this.#upAt = this.#arrival(0, () => {
      const found = listener();
      if (this.#isLost()) return; // the device gives up by itself
      if (found === undefined) return this.#close("");
      if (!found.life.call("net accept")) return;
      this.#life = found.life;
      found.accept(this.#socket());
    });
  }

  /** The gateway opened it. */
  dialled(life: Life): NetSocket {
    this.#life = life;
    return this.#socket();
  }

  // ---- the device's side ----

  send(bytes: Uint8Array): void {
    if (this.#isClosed || this.#isLost()) return;
    this.#upAt = this.#arrival(this.#upAt, () => this.#arrive(bytes.slice()));
  }

  /** The device lets it go. */
  destroy(): void {
    this.#close("ECONNRESET");
  }

  cutAfter(bytes: number): void {
    this.#bytesLeft = Math.min(this.#bytesLeft, bytes);
  }

  gatewayGone(how: "reset" | "silence"): void {
    this.#handlers = undefined;
    if (how === "reset") this.#close("");
  }

  /** What once lost bytes delivers none any more: there are no gaps in a stream. */
  #isLost(): boolean {
    this.#isSilent ||= this.#way.isSilent();
    return this.#isSilent;
  }

  /** Plans an arrival, behind the one before it in this direction; gives its moment. */
  #arrival(lastAt: number, run: () => void): number {
    const { timeline, latencyMs } = this.#way;
    const atMs = Math.max(lastAt, timeline.now + latencyMs());
    timeline.after(atMs - timeline.now, run);
    return atMs;
  }

  #arrive(bytes: Uint8Array): void {
    if (this.#isClosed) return;
    const taken = bytes.subarray(0, Math.min(bytes.length, this.#bytesLeft));
    this.#bytesLeft -= taken.length;
    this.#unread = Buffer.concat([this.#unread, taken]);
    this.#planRead();
    if (this.#bytesLeft <= 0) this.#close("ECONNRESET");
  }

  // ---- the gateway's side ----

  #socket(): NetSocket {
    const queued = (): number => this.#queued;
    return {
      remote: this.#way.remote,
      certificateName: undefined,
      get queuedBytes() {
        return queued();
      },
      start: (handlers) => {
        this.#handlers = handlers;
        this.#read();
      },
      write: (bytes) => this.#write(bytes),
      pause: () => {
        this.#isPaused = true;
      },
      resume: () => {
        this.#isPaused = false;
        this.#life?.after(0, () => this.#read());
      },
      end: () => {
        if (this.#life?.call("net end") !== true) return;
        this.#isEnding = true;
        if (this.#queued === 0) this.#close("");
      },
      destroy: () => {
        if (this.#life?.call("net destroy") === true) this.#close("");
      },
    };
  }

  /** Often at once, sometimes a moment later, with what has come meanwhile. */
  #planRead(): void {
    const { random } = this.#way;
    if (this.#readPlanned || below(random, 3) > 0) return this.#read();
    this.#readPlanned = true;
    this.#life?.after(below(random, 50), () => {
      this.#readPlanned = false;
      this.#read();
    });
  }

  #read(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (!this.#isPaused && !this.#isClosed && this.#unread.length > 0) {
      const handlers = this.#handlers;
      if (handlers === undefined || this.#life?.call("net read") !== true) break;
      const length = this.#readLength();
      this.#shared.set(this.#unread.subarray(0, length));
      this.#unread = this.#unread.subarray(length);
      handlers.onBytes(this.#shared, length);
      this.#shared.fill(POISON, 0, length);
    }
    this.#isReading = false;
  }

  /** As much as there is, or less. */
  #readLength(): number {
    const most = Math.min(this.#unread.length, READ_BYTES);
    return below(this.#way.random, 4) > 0 ? most : 1 + below(this.#way.random, most);
  }

  #write(bytes: Uint8Array): void {
    if (this.#isClosed || this.#life?.call("net write") !== true) return;
    const copy = bytes.slice();
    this.#queued += bytes.length;
    if (this.#isLost()) return; // it stays in the kernel: nobody takes it
    this.#downAt = this.#arrival(this.#downAt, () => {
      if (copy.some((byte, index) => byte !== bytes[index])) {
        this.#way.onChanged("bytes written to a socket were changed before they left");
      }
      this.#queued -= copy.length;
      if (this.#isClosed) return;
      this.#way.end.onBytes(copy);
      if (this.#queued > 0) return;
      if (this.#life?.isOver === false) this.#handlers?.onDrain();
      if (this.#isEnding) this.#close("");
    });
  }

  /** Both sides learn of it, a moment later. */
  #close(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const handlers = this.#handlers;
    this.#life?.after(0, () => handlers?.onClose(reason));
    this.#arrival(this.#downAt, () => {
      this.#way.onGone();
      this.#way.end.onClose();
    });
  }
}
