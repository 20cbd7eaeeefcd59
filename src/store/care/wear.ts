/**
 * How much is written to the block device a day: what wears a card out. The kernel counts the sectors
 * that the device was given since the machine started, of all programs, and after all merging; counts
 * are kept across starts, by day, in the state store.
 *
 *   wear   {"device":"mmcblk0","boot":"..","counter":B,"from":ms,"to":ms,"total":B,"days":[[20420,B],..]}
 *
 * Between two looks of one boot the counter grew by what was written; after a new boot it is what was
 * written since, and what was written between the last look and the end of the boot before is missed.
 */

import type { DeviceWrites, Kv } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { wearKey } from "../state/kv-key.ts";
import {
  damaged,
  decodeJson,
  encodeJson,
  itemsOf,
  listOf,
  textOf,
  wholeOf,
} from "../state/stored-json.ts";

export type Wear = {
  readonly device: string;
  readonly bootId: string;
  /** Of the device, at the last look. */
  readonly counterBytes: number;
  /** First and last look, milliseconds since 1970. */
  readonly from: number;
  readonly to: number;
  /** Written since the first look. */
  readonly totalBytes: number;
  /** By day of UTC since 1970, the last limits.wearDaysMax with a look. */
  readonly days: readonly (readonly [day: number, bytes: number])[];
};

const DAY_MS = 86_400_000;

/** After a look at `now`, by a clock that is trusted. Another device begins anew. */
export function wearAfter(
  before: Wear | undefined,
  { device, bootId, bytes }: DeviceWrites,
  now: number,
): Wear {
  if (before === undefined || before.device !== device) {
    return { device, bootId, counterBytes: bytes, from: now, to: now, totalBytes: 0, days: [] };
  }
  const isSameBoot = before.bootId === bootId && bytes >= before.counterBytes;
  const written = isSameBoot ? bytes - before.counterBytes : bytes;
  const day = Math.floor(now / DAY_MS);
  const today = before.days.find(([known]) => known === day)?.[1] ?? 0;
  const others = before.days.filter(([known]) => known !== day);
  const days = [...others, [day, today + written] as const].toSorted(([a], [b]) => a - b);
  return {
    device,
    bootId,
    counterBytes: bytes,
    from: Math.min(before.from, now),
    to: Math.max(before.to, now),
    totalBytes: before.totalBytes + written,
    days: days.slice(-limits.wearDaysMax),
  };
}

/**
 * By the days that are kept, from the first look or the start of the first of them on; undefined
 * before a span of limits.wearSpanMsMin.
 */
export function bytesPerDay({ from, to, days }: Wear): number | undefined {
  const [first] = days;
  if (first === undefined) return undefined;
  const spanMs = to - Math.max(from, first[0] * DAY_MS);
  if (spanMs < limits.wearSpanMsMin) return undefined;
  return (days.reduce((sum, [, bytes]) => sum + bytes, 0) * DAY_MS) / spanMs;
}

/** Since the day of `now` began, as far as somebody looked. */
export function bytesOfDay({ days }: Wear, now: number): number {
  const day = Math.floor(now / DAY_MS);
  return days.find(([known]) => known === day)?.[1] ?? 0;
}

/** Faults: STORE_FAILED. */
export function readWear(kv: Pick<Kv, "get">): Wear | undefined {
  const value = kv.get(wearKey);
  if (value === undefined) return undefined;
  const stored = decodeJson(value, "the state store's wear");
  return {
    device: textOf(stored, "device"),
    bootId: textOf(stored, "boot"),
    counterBytes: wholeOf(stored, "counter"),
    from: wholeOf(stored, "from"),
    to: wholeOf(stored, "to"),
    totalBytes: wholeOf(stored, "total"),
    days: listOf(stored, "days").map((item) => {
      const [day, bytes] = itemsOf(item, stored.place);
      if (typeof day === "number" && typeof bytes === "number") return [day, bytes] as const;
      throw damaged(stored.place, "a day is not two numbers");
    }),
  };
}

export function encodeWear(wear: Wear): Uint8Array {
  const { device, bootId: boot, counterBytes: counter, from, to, totalBytes: total, days } = wear;
  return encodeJson({ device, boot, counter, from, to, total, days });
}
