/**
 * The state store's in-memory twin, for tests and simulation: the same contract as the one on disk,
 * taken at its word. It reads the buffers of a commit late, a turn of the event loop after the call,
 * and overwrites them once the commit is over: a caller who changes a buffer too early, or looks at
 * one he gave away, is caught.
 */

import { assert } from "../../core/assert.ts";
import type { Kv, KvRange, KvWrite } from "../../core/doors.ts";
import { assertKvKey } from "./kv-key.ts";

/** What a given-away buffer holds after its commit. */
const poison = 0xa5;

export type KvImage = ReadonlyMap<string, Uint8Array>;

export class KvMemory implements Kv {
  readonly #entries = new Map<string, Uint8Array>();
  readonly #turn: () => Promise<void>;
  #keys: string[] | undefined;
  #committing = false;
  #closed = false;

  /** `image` is what an earlier store left behind; `turn` resolves when buffers are read. */
  constructor(options: { readonly image?: KvImage; readonly turn?: () => Promise<void> } = {}) {
    for (const [key, value] of options.image ?? []) this.#entries.set(key, value.slice());
    this.#turn = options.turn ?? nextTurn;
  }

  /** What is durable now: the store that a crash would leave. */
  image(): KvImage {
    return new Map([...this.#entries].map(([key, value]) => [key, value.slice()]));
  }

  get(key: string): Uint8Array | undefined {
    assert(!this.#closed, "a closed store is not read");
    assertKvKey(key);
    return this.#entries.get(key)?.slice();
  }

  range({
    from,
    to,
    limit = Number.POSITIVE_INFINITY,
  }: KvRange): readonly { readonly key: string; readonly value: Uint8Array }[] {
    assert(!this.#closed, "a closed store is not read");
    this.#keys ??= [...this.#entries.keys()].sort();
    const found: { key: string; value: Uint8Array }[] = [];
    for (let i = lowerBound(this.#keys, from); i < this.#keys.length; i++) {
      const key = this.#keys[i]!;
      if (key >= to || found.length >= limit) break;
      found.push({ key, value: this.#entries.get(key)!.slice() });
    }
    return found;
  }

  async commit(writes: readonly KvWrite[]): Promise<void> {
    assert(!this.#closed, "a closed store is not written");
    assert(!this.#committing, "one commit at a time");
    for (const { key } of writes) assertKvKey(key);
    this.#committing = true;
    await this.#turn();
    for (const { key, value } of writes) {
      if (value === undefined) this.#entries.delete(key);
      else this.#entries.set(key, value.slice());
    }
    for (const { value } of writes) value?.fill(poison);
    this.#keys = undefined;
    this.#committing = false;
  }

  close(): Promise<void> {
    assert(!this.#committing, "a store is closed after its last commit");
    this.#closed = true;
    return Promise.resolve();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function lowerBound(keys: readonly string[], from: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle]! < from) low = middle + 1;
    else high = middle;
  }
  return low;
}
