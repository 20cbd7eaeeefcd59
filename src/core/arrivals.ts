/**
 * How many connections one address may have, and how fast it may open them: one host cannot take
 * every slot, nor keep the agent busy with accepting. Addresses of IPv6 count by their /64 network.
 *
 * Invariant: an entry exists while its address has a connection, or has opened one of late; those
 * without connections are bounded, the oldest go first.
 */

import { networkOf } from "./addresses.ts";

export type ArrivalsLimits = {
  readonly connectionsPerAddressMax: number;
  /** Connections an address may open at once; then `connectsPerSecondMax`. */
  readonly connectsBurstMax: number;
  readonly connectsPerSecondMax: number;
  /** Addresses without a connection that are remembered. */
  readonly arrivalsRememberedMax: number;
};

type Entry = { connections: number; tokens: number; atMs: number };

export class Arrivals {
  readonly #limits: ArrivalsLimits;
  readonly #monotonic: () => number;
  readonly #present = new Map<string, Entry>();
  /** Without a connection now. */
  readonly #gone = new Map<string, Entry>();

  constructor(options: { readonly limits: ArrivalsLimits; readonly monotonic: () => number }) {
    this.#limits = options.limits;
    this.#monotonic = options.monotonic;
  }

  /** Whether a connection from this address may come in; if so it is counted until `left`. */
  arrived(host: string): boolean {
    const key = networkOf(host);
    const entry = this.#present.get(key) ?? this.#gone.get(key) ?? this.#fresh();
    this.#fill(entry);
    const isWelcome =
      entry.tokens >= 1 && entry.connections < this.#limits.connectionsPerAddressMax;
    if (isWelcome) {
      entry.tokens -= 1;
      entry.connections += 1;
    }
    this.#keep(key, entry);
    return isWelcome;
  }

  left(host: string): void {
    const key = networkOf(host);
    const entry = this.#present.get(key);
    if (entry === undefined) return;
    entry.connections -= 1;
    this.#keep(key, entry);
  }

  #keep(key: string, entry: Entry): void {
    if (entry.connections > 0) {
      this.#gone.delete(key);
      this.#present.set(key, entry);
      return;
    }
    this.#present.delete(key);
    this.#gone.delete(key);
    this.#gone.set(key, entry);
    if (this.#gone.size <= this.#limits.arrivalsRememberedMax) return;
    const [oldest] = this.#gone.keys();
    if (oldest !== undefined) this.#gone.delete(oldest);
  }

  #fresh(): Entry {
    return { connections: 0, tokens: this.#limits.connectsBurstMax, atMs: this.#monotonic() };
  }

  #fill(entry: Entry): void {
    const { connectsBurstMax, connectsPerSecondMax } = this.#limits;
    const now = this.#monotonic();
    const filled = entry.tokens + ((now - entry.atMs) / 1_000) * connectsPerSecondMax;
    entry.tokens = Math.min(connectsBurstMax, filled);
    entry.atMs = now;
  }
}
