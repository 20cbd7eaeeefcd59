/**
 * How far each key of a pipeline is: the smallest watermark of the active devices that feed it, cut
 * down to buckets (panes) so that it moves seldom.
 *
 *   bucket of a device   floor(watermark / bucketMs)
 *   bucket of a key      min over its active member devices; Infinity when all are idle
 *
 * A device becomes a member of a key with its first series there. When it crosses into another
 * bucket all its memberships move, whatever the row was about: a key closes by its devices, even if
 * its own metric fell silent. `atMin` counts the members that stand at the minimum, so a crossing
 * costs O(1) until the last of them leaves; then the members are looked through once.
 *
 *   memberships   nodes in two linked lists each, by device (in the order of keys, so that the order
 *                 of what is emitted can be rebuilt) and by key
 *
 * All of it is derived from the watermarks and the series' keys and rebuilt after a restart; a
 * bucket of a key may go back when a device joins, hence users keep how far they have closed.
 */

import type { Catalog } from "../core/catalog.ts";
import { deviceId, seriesId } from "../core/units.ts";
import type { DeviceTimes } from "./device-times.ts";
import type { Capacity } from "./operator-options.ts";
import type { KeyIndex } from "./series-keys.ts";

const OUTSIDE = 0;
const ACTIVE = 1;

export class KeyWatermarks {
  readonly #bucketMs: number;
  /** OUTSIDE (not seen here, or idle) or ACTIVE, by device. */
  readonly #state: Uint8Array;
  readonly #deviceBucket: Float64Array;
  /** The watermark at which an active device leaves its bucket. */
  readonly #crossAt: Float64Array;
  /** By key; meaningful for keys with members. */
  readonly #keyBucket: Float64Array;
  readonly #atMin: Uint32Array;
  /** First node of a device's or key's list, plus one; 0 is the end. */
  readonly #ofDevice: Uint32Array;
  readonly #ofKey: Uint32Array;
  readonly #nextOfDevice: Uint32Array;
  readonly #nextOfKey: Uint32Array;
  readonly #nodeDevice: Uint32Array;
  readonly #nodeKey: Uint32Array;
  #nodeCount = 0;
  /** Keys that may close further after the last `move` or `leave`; [0, movedCount), ascending. */
  readonly moved: Uint32Array;
  movedCount = 0;

  constructor(capacity: Capacity, bucketMs: number) {
    const { seriesMax, devicesMax, keysMax } = capacity;
    this.#bucketMs = bucketMs;
    this.#state = new Uint8Array(devicesMax);
    this.#deviceBucket = new Float64Array(devicesMax);
    this.#crossAt = new Float64Array(devicesMax);
    this.#keyBucket = new Float64Array(keysMax);
    this.#atMin = new Uint32Array(keysMax);
    this.#ofDevice = new Uint32Array(devicesMax);
    this.#ofKey = new Uint32Array(keysMax);
    // A membership comes with a series, so there are never more of them.
    this.#nextOfDevice = new Uint32Array(seriesMax);
    this.#nextOfKey = new Uint32Array(seriesMax);
    this.#nodeDevice = new Uint32Array(seriesMax);
    this.#nodeKey = new Uint32Array(seriesMax);
    this.moved = new Uint32Array(keysMax);
  }

  /** How far the key is, in buckets: everything before this bucket may close. */
  bucketOf(key: number): number {
    return this.#keyBucket[key]!;
  }

  /** Whether `move` would do something. */
  mustMove(device: number, watermark: number): boolean {
    return this.#state[device] !== ACTIVE || watermark >= this.#crossAt[device]!;
  }

  /** The device's watermark rose, or it came back. What may close is in `moved`. */
  move(device: number, watermark: number): void {
    const bucket = Math.floor(watermark / this.#bucketMs);
    const wasActive = this.#state[device] === ACTIVE;
    const before = this.#deviceBucket[device]!;
    this.#state[device] = ACTIVE;
    this.#deviceBucket[device] = bucket;
    this.#crossAt[device] = (bucket + 1) * this.#bucketMs;
    this.movedCount = 0;
    for (let node = this.#ofDevice[device]!; node !== 0; node = this.#nextOfDevice[node - 1]!) {
      const key = this.#nodeKey[node - 1]!;
      if (wasActive) this.#raise(key, before, bucket);
      // The first to come back to idle ones: the key is where the device is.
      else if (this.#enter(key, bucket)) this.moved[this.movedCount++] = key;
    }
  }

  /** The device is idle: its keys no longer wait for it. What may close is in `moved`. */
  leave(device: number): void {
    this.movedCount = 0;
    if (this.#state[device] !== ACTIVE) return;
    this.#state[device] = OUTSIDE;
    const before = this.#deviceBucket[device]!;
    for (let node = this.#ofDevice[device]!; node !== 0; node = this.#nextOfDevice[node - 1]!) {
      this.#raise(this.#nodeKey[node - 1]!, before, Number.POSITIVE_INFINITY);
    }
  }

  /** Makes the device a member of the key, unless it is one. O(memberships of the device). */
  join(device: number, key: number): void {
    let previous = 0;
    let next = this.#ofDevice[device]!;
    while (next !== 0 && this.#nodeKey[next - 1]! < key) {
      previous = next;
      next = this.#nextOfDevice[next - 1]!;
    }
    if (next !== 0 && this.#nodeKey[next - 1] === key) return;
    const node = ++this.#nodeCount;
    this.#nodeDevice[node - 1] = device;
    this.#nodeKey[node - 1] = key;
    this.#nextOfDevice[node - 1] = next;
    if (previous === 0) this.#ofDevice[device] = node;
    else this.#nextOfDevice[previous - 1] = node;
    if (this.#ofKey[key] === 0) this.#keyBucket[key] = Number.POSITIVE_INFINITY;
    this.#nextOfKey[node - 1] = this.#ofKey[key]!;
    this.#ofKey[key] = node;
    if (this.#state[device] === ACTIVE) this.#enter(key, this.#deviceBucket[device]!);
  }

  /** Rebuilds everything from the watermarks and from which series have keys. */
  restore(catalog: Catalog, keys: KeyIndex, devices: DeviceTimes): void {
    this.#state.fill(OUTSIDE, 0, catalog.deviceCount);
    this.#ofDevice.fill(0, 0, catalog.deviceCount);
    this.#ofKey.fill(0, 0, keys.keyCount);
    this.#nodeCount = 0;
    for (let series = 0; series < catalog.seriesCount; series++) {
      const key = keys.peek(series);
      if (key >= 0) this.join(catalog.series(seriesId(series)).device, key);
    }
    for (let device = 0; device < catalog.deviceCount; device++) {
      if (this.#ofDevice[device] === 0 || !devices.isSeen(device)) continue;
      if (!devices.isIdle(device)) this.move(device, devices.watermarkOf(deviceId(device)));
    }
  }

  /** Whether the key's bucket changed. */
  #enter(key: number, bucket: number): boolean {
    const min = this.#keyBucket[key]!;
    if (bucket === min) this.#atMin[key]! += 1;
    if (bucket >= min) return false;
    this.#keyBucket[key] = bucket;
    this.#atMin[key] = 1;
    return true;
  }

  #raise(key: number, before: number, after: number): void {
    if (before !== this.#keyBucket[key]) return;
    this.#atMin[key]! -= 1;
    if (this.#atMin[key] !== 0) return;
    this.#lookThrough(key);
    // A move within `before` cannot happen, so the minimum has risen.
    if (this.#keyBucket[key]! > before && after > before) this.moved[this.movedCount++] = key;
  }

  #lookThrough(key: number): void {
    let min = Number.POSITIVE_INFINITY;
    let count = 0;
    for (let node = this.#ofKey[key]!; node !== 0; node = this.#nextOfKey[node - 1]!) {
      const device = this.#nodeDevice[node - 1]!;
      if (this.#state[device] !== ACTIVE) continue;
      const bucket = this.#deviceBucket[device]!;
      if (bucket < min) {
        min = bucket;
        count = 0;
      }
      if (bucket === min) count++;
    }
    this.#keyBucket[key] = min;
    this.#atMin[key] = count;
  }
}
