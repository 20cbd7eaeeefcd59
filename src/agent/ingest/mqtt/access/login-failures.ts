/**
 * How often a login may fail: token buckets per remote address and per user name, in bounded tables.
 * A bucket is emptied by failures only; at its bottom logins are refused without looking at the
 * password, until time has filled it by one.
 *
 * An address from which a name has logged in before has a bucket for the two of its own, and goes by
 * that alone: who fails on purpose, elsewhere or behind the same router, does not lock a device out.
 *
 * When a table is full the entry that has been quiet longest is forgotten, which makes its bucket
 * full: an attacker needs as many addresses as the table has entries, and still meets the bucket of
 * the name. Addresses of IPv6 count by their /64 network, which is what one host has.
 */

import { networkOf } from "../../../../core/addresses.ts";

type Bucket = { tokens: number; atMs: number };

export type LoginFailuresLimits = {
  readonly loginFailuresMax: number;
  readonly loginFailureMs: number;
  readonly loginFailureEntriesMax: number;
};

export class LoginFailures {
  readonly #limits: LoginFailuresLimits;
  readonly #monotonic: () => number;
  readonly #byAddress = new Map<string, Bucket>();
  readonly #byName = new Map<string, Bucket>();
  /** Of an address and a name that belong together. */
  readonly #byPair = new Map<string, Bucket>();

  constructor(options: { readonly limits: LoginFailuresLimits; readonly monotonic: () => number }) {
    this.#limits = options.limits;
    this.#monotonic = options.monotonic;
  }

  /** Whether a login may be looked at. */
  admits(address: string, name: string): boolean {
    const pair = this.#byPair.get(pairOf(address, name));
    if (pair !== undefined) return this.#levelOf(pair) >= 1;
    return (
      this.#hasToken(this.#byAddress, networkOf(address)) && this.#hasToken(this.#byName, name)
    );
  }

  failed(address: string, name: string): void {
    const pair = pairOf(address, name);
    if (this.#byPair.has(pair)) return this.#charge(this.#byPair, pair);
    this.#charge(this.#byAddress, networkOf(address));
    this.#charge(this.#byName, name);
  }

  succeeded(address: string, name: string): void {
    const pair = pairOf(address, name);
    const known = this.#byPair.get(pair);
    this.#put(this.#byPair, pair, known ?? this.#full());
  }

  /** The secrets of these names changed: who was right before is nobody special. */
  forget(names: ReadonlySet<string>): void {
    if (names.size === 0) return;
    for (const pair of this.#byPair.keys()) {
      if (names.has(pair.slice(pair.indexOf(" ") + 1))) this.#byPair.delete(pair);
    }
  }

  #hasToken(table: Map<string, Bucket>, key: string): boolean {
    const bucket = table.get(key);
    return bucket === undefined || this.#levelOf(bucket) >= 1;
  }

  #charge(table: Map<string, Bucket>, key: string): void {
    const bucket = table.get(key) ?? this.#full();
    bucket.tokens = Math.max(0, this.#levelOf(bucket) - 1);
    bucket.atMs = this.#monotonic();
    this.#put(table, key, bucket);
  }

  #levelOf({ tokens, atMs }: Bucket): number {
    const { loginFailuresMax, loginFailureMs } = this.#limits;
    return Math.min(loginFailuresMax, tokens + (this.#monotonic() - atMs) / loginFailureMs);
  }

  #full(): Bucket {
    return { tokens: this.#limits.loginFailuresMax, atMs: this.#monotonic() };
  }

  /** As the newest; the longest quiet one goes where there are too many. */
  #put(table: Map<string, Bucket>, key: string, bucket: Bucket): void {
    table.delete(key);
    table.set(key, bucket);
    if (table.size <= this.#limits.loginFailureEntriesMax) return;
    const [oldest] = table.keys();
    if (oldest !== undefined) table.delete(oldest);
  }
}

/** An address has no space in it. */
function pairOf(address: string, name: string): string {
  return `${address} ${name}`;
}
