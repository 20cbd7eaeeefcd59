/**
 * The `store` section in words, for `weir check`: what is kept how long, what goes first when the
 * budget is used up, and for how many series it lasts. The estimate counts a series at 1 Hz with
 * figures that depend on the values: 1.6 to 2.2 bytes a reading were measured on data of pumps, and
 * values that hardly change take less.
 */

import { type ResolutionMs, readings } from "../../store/tables/rows.ts";
import { budgetSharesOf } from "./budget-shares.ts";
import { type Config, type StoreClassConfig, type StoreConfig, storeDefaults } from "./config.ts";
import { bytesText, durationText, roughBytesText } from "./quantity.ts";

const DAY_MS = 86_400_000;

const READING_BYTES = 1.8;

/** What all the default tiers of a span add to its readings at 1 Hz. */
const DEFAULT_TIERS_SHARE = 0.15;

const ROW_BYTES = (READING_BYTES * DEFAULT_TIERS_SHARE) / rowsPerSecond(storeDefaults.tiers);

/** Where the readings are kept until the budget is used up, so many series at 1 Hz are looked at. */
const EXAMPLE_SERIES = 100;

export function storeRows(
  config: Pick<Config, "commit" | "store" | "logBytesMax">,
): (readonly [name: string, value: string])[] {
  const { commit, store } = config;
  const others = store.freeBytes === 0 ? "nothing" : bytesText(store.freeBytes);
  return [
    [
      "budget",
      `at most ${bytesText(store.budgetBytes)}, log and state among it; ${others} of the disk is left free`,
    ],
    ["outbox", outboxText(config)],
    ["kept", keptText(store)],
    ...store.classes.map((one) => ["class", classText(one, store)] as const),
    ["used up", usedUpText(store)],
    ["estimate", estimateText(config)],
    ...(store.writesPerDay === undefined
      ? []
      : [
          [
            "writes",
            `at most ${roughBytesText(store.writesPerDay)} a day; near that ${sparedText(commit)}`,
          ] as const,
        ]),
  ];
}

function sparedText({ waitMs }: Config["commit"]): string {
  return waitMs === 0 ? "only results and checkpoints become rarer" : "readings wait longer";
}

function outboxText(config: Pick<Config, "store" | "logBytesMax">): string {
  const { tiers, whenOutboxFull } = config.store;
  const merged = tiers.length === 0 ? "" : ", merged into coarser ones as it fills up";
  const then = whenOutboxFull === "wait" ? "no reading is acknowledged" : "the oldest are dropped";
  return `at most ${bytesText(budgetSharesOf(config).outboxBytes)} of summaries and alerts wait for the uplinks${merged}; when it is full ${then}`;
}

/** Resolutions that are kept equally long, together. */
function keptText({ tiers, keepMs }: Pick<StoreConfig, "tiers" | "keepMs">): string {
  const byTime = Map.groupBy([readings, ...tiers], (resolution) => keepMs.get(resolution));
  return [...byTime]
    .map(([time, resolutions]) => `${resolutions.map(resolutionText).join(", ")} ${timeText(time)}`)
    .join("; ");
}

function classText(
  { name, match, keepMs, priority }: StoreClassConfig,
  { tiers }: StoreConfig,
): string {
  const kept = keptText({ tiers, keepMs });
  const room = priority === 0 ? "" : `; priority ${priority}`;
  return `${name}, ${match}: ${kept}${room}`;
}

function timeText(time: number | undefined): string {
  return time === undefined ? "until the budget is used up" : `for ${durationText(time)}`;
}

function resolutionText(resolution: ResolutionMs): string {
  return resolution === readings ? "readings" : durationText(resolution);
}

function usedUpText(store: StoreConfig): string {
  const { tiers } = store;
  const [first, ...coarser] = tiers.map(durationText);
  if (first === undefined) return "the oldest readings go";
  const then = coarser.length === 0 ? "" : `, then ${coarser.join(", ")}`;
  const reach = store.classes.some(({ priority }) => priority !== 0)
    ? "; classes reach back four times as far with each step of priority"
    : "";
  return `the oldest readings go first and stay as ${first}${then}${reach}`;
}

function estimateText(config: Pick<Config, "store" | "logBytesMax">): string {
  const { store } = config;
  const keptMs = store.keepMs.get(readings);
  const tablesBytes = budgetSharesOf(config).tablesBytes;
  const perDay = bytesOfSpan(store, DAY_MS);
  const which = store.classes.length === 0 ? "a series" : "a series of no class";
  const series = `${which} at 1 Hz takes about ${roughBytesText(perDay)} a day`;
  if (keptMs === undefined) {
    const days = roundDown(tablesBytes / (perDay * EXAMPLE_SERIES));
    return `${series}; ${EXAMPLE_SERIES} of them use up the budget in about ${days}d`;
  }
  const count = roundDown(tablesBytes / bytesKept(store, keptMs));
  const whole = `keep their readings for the whole ${durationText(keptMs)}`;
  const those = count < 1 ? `not even one can ${whole}` : `about ${count} of them ${whole}`;
  const isMore = store.tiers.some((tier) => !store.keepMs.has(tier));
  return `${series}; ${those}${isMore ? ", fewer as the rows that stay longer add up" : ""}`;
}

/** Readings and rows of one series at 1 Hz over a span. */
function bytesOfSpan({ tiers }: StoreConfig, spanMs: number): number {
  return (spanMs / 1_000) * (READING_BYTES + ROW_BYTES * rowsPerSecond(tiers));
}

/** The same with each tier over the time it is kept; the readings' own time where that is for ever. */
function bytesKept({ tiers, keepMs }: StoreConfig, readingsMs: number): number {
  return tiers.reduce(
    (bytes, tier) => bytes + ((keepMs.get(tier) ?? readingsMs) / tier) * ROW_BYTES,
    (readingsMs / 1_000) * READING_BYTES,
  );
}

function rowsPerSecond(tiers: readonly ResolutionMs[]): number {
  return tiers.reduce((rows, tier) => rows + 1_000 / tier, 0);
}

/** To two digits. */
function roundDown(amount: number): number {
  if (amount < 1) return 0;
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(amount)) - 1);
  return Math.floor(amount / unit) * unit;
}
