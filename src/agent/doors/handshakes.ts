/**
 * Peers that are connected and not yet through TLS or the WebSocket upgrade. Whoever opens
 * connections and says nothing, or little at a time, costs a bounded share:
 *
 *   begin -> under way -> done                  given out
 *                      -> timed out             after limits.handshakeWaitMs, both steps together
 *                      -> refused               for what it sent
 *                      -> crowded out           too many: the oldest of the address that has most
 *         -> crowded out                         its address opened too many of late
 *
 * A peer that leaves by itself is not counted.
 */

import type { Socket } from "node:net";
import { networkOf } from "../../core/addresses.ts";
import { Arrivals, type ArrivalsLimits } from "../../core/arrivals.ts";
import type { Clock, HandshakeStatus } from "../../core/doors.ts";
import { limits as defaults } from "../../core/limits.ts";

type HandshakesLimits = ArrivalsLimits & {
  readonly handshakesMax: number;
  readonly handshakeWaitMs: number;
};

/** Those of one listener. */
export class Handshakes {
  readonly #clock: Clock;
  readonly #limits: HandshakesLimits;
  readonly #arrivals: Arrivals;
  /** The oldest first. */
  readonly #underWay = new Set<Handshake>();
  #crowdedOut = 0;
  #timedOut = 0;
  #refused = 0;
  #lastRefusal: string | undefined;

  constructor(clock: Clock, limits: Partial<HandshakesLimits> = {}) {
    this.#clock = clock;
    this.#limits = { ...defaults, ...limits };
    this.#arrivals = new Arrivals({ limits: this.#limits, monotonic: () => clock.monotonic() });
  }

  get status(): HandshakeStatus {
    return {
      underWay: this.#underWay.size,
      crowdedOut: this.#crowdedOut,
      timedOut: this.#timedOut,
      refused: this.#refused,
      lastRefusal: this.#lastRefusal,
    };
  }

  /**
   * `socket` is a new connection; it is destroyed where the handshake does not come to its end. Each
   * costs what thousands of messages do, so an address that has begun too many of late gets none.
   */
  begin(socket: Socket): Handshake | undefined {
    const address = socket.remoteAddress ?? "?";
    if (!this.#arrivals.arrived(address)) {
      this.#crowdedOut += 1;
      socket.on("error", () => undefined);
      socket.destroy();
      return undefined;
    }
    if (this.#underWay.size >= this.#limits.handshakesMax) {
      this.#crowdedOut += 1;
      this.#mostGreedy()?.destroy();
    }
    const handshake: Handshake = new Handshake(socket, {
      onOver: () => {
        this.#arrivals.left(address);
        this.#underWay.delete(handshake);
        cancel();
      },
      onRefused: (why) => {
        this.#refused += 1;
        this.#lastRefusal = `${handshake.remote}: ${why}`;
      },
    });
    const cancel = this.#clock.after(this.#limits.handshakeWaitMs, () => {
      if (!handshake.isRefused) this.#timedOut += 1;
      handshake.destroy();
    });
    this.#underWay.add(handshake);
    return handshake;
  }

  /** Closes all that are under way. */
  close(): void {
    for (const handshake of this.#underWay) handshake.destroy();
  }

  /** Linear in what is under way, which is bounded, and only where that is full. */
  #mostGreedy(): Handshake | undefined {
    const counts = new Map<string, number>();
    let most: Handshake | undefined;
    for (const { network } of this.#underWay) counts.set(network, (counts.get(network) ?? 0) + 1);
    for (const handshake of this.#underWay) {
      const count = counts.get(handshake.network) ?? 0;
      if (most === undefined || count > (counts.get(most.network) ?? 0)) most = handshake;
    }
    return most;
  }
}

/** One peer on its way. */
export class Handshake {
  readonly socket: Socket;
  /** What counts as one host. */
  readonly network: string;
  /** "address:port" of the peer. */
  readonly remote: string;
  readonly #events: { readonly onOver: () => void; readonly onRefused: (why: string) => void };
  #isOver = false;
  #isRefused = false;

  /** Use `Handshakes.begin`. */
  constructor(
    socket: Socket,
    events: { readonly onOver: () => void; readonly onRefused: (why: string) => void },
  ) {
    this.socket = socket;
    this.#events = events;
    const address = socket.remoteAddress ?? "?";
    this.network = networkOf(address);
    this.remote = `${address}:${socket.remotePort ?? 0}`;
    socket.on("error", () => undefined);
    socket.on("close", () => this.done());
  }

  get isRefused(): boolean {
    return this.#isRefused;
  }

  /** The peer is through, or gone. */
  done(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#events.onOver();
  }

  /**
   * Closes the connection; `why` completes "the peer was refused: ...". `farewell` sends the last
   * words and ends it instead, by the deadline at the latest.
   */
  refuse(why: string, farewell: () => void = () => this.destroy()): void {
    if (this.#isOver || this.#isRefused) return;
    this.#isRefused = true;
    this.#events.onRefused(why);
    farewell();
  }

  destroy(): void {
    this.done();
    this.socket.destroy();
  }
}
