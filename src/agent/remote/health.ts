/**
 * Whether an agent is worse off than before a new configuration: what is in trouble, by name, so that
 * two moments can be compared. What was in trouble before is nobody's fault now.
 */

import { isDeepStrictEqual } from "node:util";
import type { Config } from "../config/config.ts";
import type { MemoryStatus } from "../memory/memory-watch.ts";
import type { Status } from "../status.ts";

export type Health = Pick<Status, "degraded" | "uplinks" | "brokers"> & {
  readonly memory: { readonly ceiling: Pick<MemoryStatus, "level"> | undefined };
};

/** A name, as "uplink kafka summaries", and what is said of it. */
export type Trouble = {
  readonly name: string;
  readonly message: string;
  /** It may just need a moment. */
  readonly isEarly: boolean;
};

export function troublesOf({ degraded, uplinks, brokers, memory }: Health): readonly Trouble[] {
  const short = "memory is short: what is new is refused";
  return [
    ...(memory.ceiling?.level === "short"
      ? [{ name: "memory", message: short, isEarly: false }]
      : []),
    ...degraded.map(({ name, message }) => ({ name: `degraded ${name}`, message, isEarly: false })),
    ...uplinks.flatMap(({ name, lanes }) =>
      Object.entries(lanes).flatMap(([lane, { state, trouble, held }]) =>
        trouble === undefined && state !== "halted" && state !== "opening"
          ? []
          : [
              {
                name: `uplink ${name} ${lane}`,
                message: trouble ?? (held === undefined ? `it is ${state}` : `it is held: ${held}`),
                isEarly: trouble === undefined && state === "opening",
              },
            ],
      ),
    ),
    ...brokers.flatMap(({ name, state, trouble }) =>
      state === "running"
        ? []
        : [
            {
              name: `broker ${name}`,
              message: trouble?.message ?? `it is ${state}`,
              isEarly: trouble === undefined,
            },
          ],
    ),
  ];
}

/** Names of uplinks to which nothing was sent, among what counts: whether they take records is not known. */
export function untriedIn({ uplinks }: Health, blames: readonly string[]): readonly string[] {
  if (!blames.includes(uplinkTroubles)) return [];
  return uplinks.filter(({ state }) => state === "untried").map(({ name }) => name);
}

/** What a proof of it is without, for a person. */
export function withoutProof(untried: readonly string[]): { readonly reason?: string } {
  if (untried.length === 0) return {};
  return { reason: `nothing was there to send to ${untried.join(", ")}: untried` };
}

/** Troubles whose names are not among those of before. */
export function newTroubles(
  now: readonly Trouble[],
  before: readonly string[],
): readonly Trouble[] {
  return now.filter(({ name }) => !before.includes(name));
}

/** What no waiting heals: it is rolled back at once. */
export function isHopeless({ name }: Trouble): boolean {
  return name === "degraded uplink_halted" || name === "degraded failed" || name === expiredTrouble;
}

const uplinkTroubles = "uplink ";

/** The document itself is: it came into force too late. */
export const expiredTrouble = "expired";

/** Beginnings of names of troubles that a change between two configurations can be the cause of. */
export function blamedFor(before: Config, now: Config): readonly string[] {
  const isSame = (of: (config: Config) => unknown): boolean =>
    isDeepStrictEqual(of(before), of(now));
  const uplinks = isSame(({ uplinks, links }) => [uplinks, links])
    ? []
    : [uplinkTroubles, "degraded uplink_halted", "degraded outbox_full"];
  const brokers = isSame(({ brokers, sources }) => [brokers, sources]) ? [] : ["broker "];
  // Not the disk's own troubles.
  return [
    ...uplinks,
    ...brokers,
    "memory",
    "degraded log_full",
    "degraded state_store_full",
    "degraded failed",
    expiredTrouble,
  ];
}
