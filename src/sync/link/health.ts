/**
 * Whether a link is there, judged by what it was used for: a delivery that was committed says yes, one
 * that failed says no. Whatever else answers (a portal, a router) says nothing. Pure.
 *
 *   up ── fails for failMs, and at least so often ──▶ down ── retryMs ──▶ on trial ── fails once ──▶ down
 *   ▲                                                                        │
 *   └────────────────────────────── a delivery ──────────────────────────────┘
 */

import { limits } from "../../core/limits.ts";
import type { LinkPolicy } from "./policy.ts";

export type Health = {
  /** Failures since the last delivery, and when the first of them was. */
  readonly failures: number;
  readonly failingSinceMs: number;
  /** It is left alone until then; undefined while it is up. */
  readonly downUntilMs: number | undefined;
};

export const healthy: Health = { failures: 0, failingSinceMs: 0, downUntilMs: undefined };

export function afterFailure(
  health: Health,
  { failMs, retryMs, nowMs }: Pick<LinkPolicy, "failMs" | "retryMs"> & { readonly nowMs: number },
): Health {
  const failures = health.failures + 1;
  const failingSinceMs = health.failures === 0 ? nowMs : health.failingSinceMs;
  // Two lanes may fail at once: what is down already is not down for longer.
  if (health.downUntilMs !== undefined && nowMs < health.downUntilMs) return health;
  const isTrial = health.downUntilMs !== undefined;
  const isDown = failures >= limits.linkFailuresMin && nowMs - failingSinceMs >= failMs;
  const downUntilMs = isTrial || isDown ? nowMs + retryMs : undefined;
  return { failures, failingSinceMs, downUntilMs };
}

export function isUp({ downUntilMs }: Health, nowMs: number): boolean {
  return downUntilMs === undefined || nowMs >= downUntilMs;
}
