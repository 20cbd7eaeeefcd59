/**
 * A value for each key, for at most so many keys: at the bound the one that was silent longest makes room,
 * if it was so for forgetMs (0: never). The map is in the order of last use.
 */

import { Refused } from "./machine.ts";

export type KeyBounds = { readonly keysMax: number; readonly forgetMs: number };

type Entry<Value> = { readonly value: Value; readonly usedAt: number };

export class BoundedKeys<Value> {
  readonly #bounds: KeyBounds;
  readonly #entries = new Map<string, Entry<Value>>();

  constructor(bounds: KeyBounds) {
    this.#bounds = bounds;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** Throws Refused where the key is new and there is no room. O(1). */
  set(key: string, value: Value, now: number): void {
    if (!this.#entries.delete(key) && this.#entries.size >= this.#bounds.keysMax) {
      this.#makeRoom(key, now);
    }
    this.#entries.set(key, { value, usedAt: now });
  }

  /** Keys with their values and when they were used, the oldest first. */
  *list(): Generator<readonly [key: string, value: Value, usedAt: number]> {
    for (const [key, { value, usedAt }] of this.#entries) yield [key, value, usedAt];
  }

  #makeRoom(key: string, now: number): void {
    const { keysMax, forgetMs } = this.#bounds;
    const [oldest] = this.#entries;
    if (forgetMs > 0 && oldest !== undefined && now - oldest[1].usedAt >= forgetMs) {
      this.#entries.delete(oldest[0]);
      return;
    }
    throw oneKeyMore(key, keysMax);
  }
}

/** The refusal of a new key where all `keysMax` are taken and none was silent for long. */
export function oneKeyMore(key: string, keysMax: number): Refused {
  return new Refused(
    `"${key}" is one key more than the ${keysMax} that the node keeps: raise its number of keys, or let it forget silent ones sooner`,
  );
}
