/**
 * Makes the slots of routes. Keys and whole layouts are interned, so that ten thousand devices with
 * the same fields share them and each has only its targets. The number of slots of the process is
 * bounded, and a route without slots only decodes more slowly.
 */

import { limits } from "../../core/limits.ts";
import { type Layout, NO_PARENT, type Route, TARGET_UNSEEN } from "./route.ts";

export const NO_SLOT = -1;

/** From so many slots on a route has an index. */
const linearMax = 8;

export type SlotLimits = {
  /** Slots of one route; at most so many rows come of one scanned object. */
  readonly slotsPerRouteMax: number;
  readonly slotsMax: number;
};

export class Slots {
  readonly #limits: SlotLimits;
  readonly #keys = new Map<string, Uint8Array>();
  readonly #layouts = new Map<string, Layout>();
  /** Slots of the shared layouts. */
  #sharedSlots = 0;
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

  /**
   * After the slots of a message were made: gives the route the layout that others with the same
   * slots have, and takes back what the arrays reserved for growth.
   */
  settle(route: Route): void {
    if (route.layout.isShared) return;
    const signature = signatureOf(route.layout);
    let layout = this.#layouts.get(signature);
    if (layout === undefined) {
      const { keys, parents, index } = route.layout;
      const isShared = this.#sharedSlots + keys.length <= limits.slotsSharedMax;
      layout = { keys: keys.slice(), parents: parents.slice(), index, isShared };
      if (isShared) {
        this.#layouts.set(signature, layout);
        this.#sharedSlots += keys.length;
      }
    }
    route.layout = layout;
    route.targets = route.targets.slice();
  }

  #add(
    route: Route,
    { parent, key, bytes }: { parent: number; key: string; bytes: Uint8Array },
  ): number {
    if (route.layout.isShared) route.layout = copyOf(route.layout);
    const { layout } = route;
    const slot = layout.keys.length;
    layout.keys.push(bytes);
    layout.parents.push(parent);
    route.targets.push(TARGET_UNSEEN);
    this.#count++;
    if (layout.index !== undefined) layout.index.set(indexKey(parent, key), slot);
    else if (slot >= linearMax) layout.index = indexOf(layout);
    return slot;
  }

  #find({ layout }: Route, parent: number, key: string): number {
    if (layout.index !== undefined) return layout.index.get(indexKey(parent, key)) ?? NO_SLOT;
    const bytes = this.#keys.get(key);
    if (bytes === undefined) return NO_SLOT;
    for (let slot = 0; slot < layout.keys.length; slot++) {
      if (layout.keys[slot] === bytes && layout.parents[slot] === parent) return slot;
    }
    return NO_SLOT;
  }

  #room(route: Route): boolean {
    const { slotsPerRouteMax, slotsMax } = this.#limits;
    return route.isRemembered && route.targets.length < slotsPerRouteMax && this.#count < slotsMax;
  }

  /** Undefined for a key that JSON may write escaped, or that is too long to be a metric. */
  #keyBytes(key: string): Uint8Array | undefined {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    if (this.#keys.size >= limits.slotKeysMax || hasEscapedCharacter(key) || !key.isWellFormed()) {
      return undefined;
    }
    const bytes = new TextEncoder().encode(key);
    if (bytes.length > limits.slotKeyBytesMax) return undefined;
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

function copyOf({ keys, parents, index }: Layout): Layout {
  const copy = index === undefined ? undefined : new Map(index);
  return { keys: keys.slice(), parents: parents.slice(), index: copy, isShared: false };
}

function indexOf(layout: Layout): Map<string, number> {
  return new Map(
    layout.keys.map((bytes, slot) => [
      indexKey(layout.parents[slot] ?? NO_PARENT, Buffer.from(bytes).toString()),
      slot,
    ]),
  );
}

/** Equal for equal layouts only: no key holds a line break. */
function signatureOf({ keys, parents }: Layout): string {
  return keys.map((key, slot) => `${parents[slot]} ${Buffer.from(key).toString()}`).join("\n");
}

function indexKey(parent: number, key: string): string {
  return `${parent} ${key}`;
}
