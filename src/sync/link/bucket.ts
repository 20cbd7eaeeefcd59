/**
 * The bandwidth of a link as a token bucket, and which lane is next. Pure: time is given.
 *
 * A bucket of `burst` bytes that fills at `rate` lets `rate * T + burst` bytes pass in any time T. The
 * cap is promised for any limits.linkSpanMs and the burst is part of it, so it fills slower by just
 * that: rate = cap - burst / span. With 250 ms of burst in 10 s, 97.5 % of the cap are for use.
 *
 * Of the lanes that wait the first in order goes that has had less than its share of what was sent of
 * late; where all have had theirs, the first in order. So a share is what a lane has although others before it wait,
 * and what it does not use they may. Alerts have all of it for a share, if nothing else is said.
 */

import { limits } from "../../core/limits.ts";

export type Bucket = {
  readonly bytesPerMs: number;
  readonly burst: number;
  /** Below 0 when more was charged than there was. */
  readonly tokens: number;
  readonly atMs: number;
};

/** Empty: whoever starts again does not have another burst. `bandwidth` in bytes per second. */
export function emptyBucket(bandwidth: number, atMs: number): Bucket {
  const burst = (bandwidth * limits.linkBurstMs) / 1_000;
  return { bytesPerMs: bandwidth / 1_000 - burst / limits.linkSpanMs, burst, tokens: 0, atMs };
}

export function filled(bucket: Bucket, nowMs: number): Bucket {
  const tokens = bucket.tokens + bucket.bytesPerMs * Math.max(0, nowMs - bucket.atMs);
  return { ...bucket, tokens: Math.min(bucket.burst, tokens), atMs: Math.max(nowMs, bucket.atMs) };
}

/** Until it has so many; at most `burst` are asked for. */
export function msUntil({ tokens, bytesPerMs }: Bucket, bytes: number): number {
  return Math.max(0, (bytes - tokens) / bytesPerMs);
}

export function taken(bucket: Bucket, bytes: number): Bucket {
  return { ...bucket, tokens: bucket.tokens - bytes };
}

/** What a lane sent of late, weighed down by half every limits.linkShareMs. */
export type Usage = { readonly bytes: number; readonly atMs: number };

export const unused: Usage = { bytes: 0, atMs: 0 };

export function used(usage: Usage, { bytes, nowMs }: { bytes: number; nowMs: number }): Usage {
  return { bytes: bytesAt(usage, nowMs) + bytes, atMs: nowMs };
}

function bytesAt({ bytes, atMs }: Usage, nowMs: number): number {
  return bytes * 0.5 ** ((nowMs - atMs) / limits.linkShareMs);
}

/** The lane that goes next. `waiting` in the order of the lanes, at least one. */
export function nextLane<Name extends string>(
  waiting: readonly Name[],
  options: {
    /** Of all lanes. */
    readonly usage: ReadonlyMap<Name, Usage>;
    /** Part of what is sent; undefined: none of its own. */
    readonly shareOf: (lane: Name) => number | undefined;
    readonly nowMs: number;
  },
): Name | undefined {
  const { usage, shareOf, nowMs } = options;
  const bytesOf = (lane: Name): number => bytesAt(usage.get(lane) ?? unused, nowMs);
  const all = [...usage.keys()].reduce((sum, lane) => sum + bytesOf(lane), 0);
  const owed = waiting.find((lane) => {
    const share = shareOf(lane) ?? 0;
    return share >= 1 || bytesOf(lane) < share * all;
  });
  return owed ?? waiting[0];
}
