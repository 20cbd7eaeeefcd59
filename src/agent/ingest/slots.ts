/**
 * Makes the slots of routes. Key bytes are interned, so that ten thousand devices with the same
 * fields share them; the number of slots of the process is bounded, and a route without slots only
 * decodes more slowly.
 */

import { NO_PARENT, type Route, TARGET_UNSEEN } from "./route.ts";

export const NO_SLOT = -1;

/** From so many slots on a route has an index. */
const linearMax = 8;

export type SlotLimits = {
  /** Slots of one route; at most so many rows come of one scanned object. */
  readonly slotsPerRouteMax: number;
  readonly slotsMax: number;
};

/** Different keys kept, and the bytes of one: others are always left to the parser. */
const keysMax = 65_536;
const keyBytesMax = 64;

export class Slots {
  readonly #limits: SlotLimits;
  readonly #keys = new Map<string, Uint8Array>();
  #count = 0;

  constructor(limits: SlotLimits) {
    this.#limits = limits;
  }

  /** Slots of all routes. */
  get count(): number {
    return this.#count;
  }

  /**
   * The slot of `key` in the object of slot `parent`, made where there is none; NO_SLOT where it
   * cannot have one.
   */
  slotOf(route: Route, parent: number, key: string): number {
    const known = this.#find(route, parent, key);
    if (known !== NO_SLOT) return known;
    const bytes = this.#room(route) ? this.#keyBytes(key) : undefined;
    return bytes === undefined ? NO_SLOT : this.#add(route, { parent, key, bytes });
  }

  #add(
    route: Route,
    { parent, key, bytes }: { parent: number; key: string; bytes: Uint8Array },
  ): number {
    const slot = route.keys.length;
    route.keys.push(bytes);
    route.parents.push(parent);
    route.targets.push(TARGET_UNSEEN);
    this.#count++;
    if (route.index !== undefined) route.index.set(indexKey(parent, key), slot);
    else if (slot >= linearMax) route.index = indexOf(route);
    return slot;
  }

  #find(route: Route, parent: number, key: string): number {
    if (route.index !== undefined) return route.index.get(indexKey(parent, key)) ?? NO_SLOT;
    const bytes = this.#keys.get(key);
    if (bytes === undefined) return NO_SLOT;
    for (let slot = 0; slot < route.keys.length; slot++) {
      if (route.keys[slot] === bytes && route.parents[slot] === parent) return slot;
    }
    return NO_SLOT;
  }

  #room(route: Route): boolean {
    const { slotsPerRouteMax, slotsMax } = this.#limits;
    return route.isRemembered && route.keys.length < slotsPerRouteMax && this.#count < slotsMax;
  }

  /** Undefined for a key that JSON may write escaped, or that is too long to be a metric. */
  #keyBytes(key: string): Uint8Array | undefined {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    if (this.#keys.size >= keysMax || hasEscapedCharacter(key) || !key.isWellFormed()) {
      return undefined;
    }
    const bytes = new TextEncoder().encode(key);
    if (bytes.length > keyBytesMax) return undefined;
    this.#keys.set(key, bytes);
    return bytes;
  }
}

function hasEscapedCharacter(key: string): boolean {
  for (let i = 0; i < key.length; i++) {
    const unit = key.charCodeAt(i);
    if (unit < 0x20 || unit === 0x22 || unit === 0x5c) return true;
  }
  return false;
}

function indexOf(route: Route): Map<string, number> {
  const decoder = new TextDecoder();
  return new Map(
    route.keys.map((bytes, slot) => [
      indexKey(route.parents[slot] ?? NO_PARENT, decoder.decode(bytes)),
      slot,
    ]),
  );
}

function indexKey(parent: number, key: string): string {
  return `${parent} ${key}`;
}
