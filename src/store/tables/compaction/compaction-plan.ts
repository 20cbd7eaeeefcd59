/**
 * What compaction does next: a pure function of the table list and the policy.
 *
 *   expire    the finest section of a table is older than it is kept: the table is written again
 *             without it ("rolled up instead of lost"); with no coarser one to keep, it goes
 *   make room the same before its time, while the budget is exceeded: for the oldest, where coarser
 *             sections may grow older
 *   merge     tables of the first level of one partition and class become one of the second, late
 *             ones among them, once there are many, or when the partition is over
 *
 * Every reading is written once by a flush and once by a merge, so tables write about twice what
 * they hold (size-tiered compaction with two levels; O'Neil et al., "The Log-Structured Merge-Tree",
 * 1996). What expires is written a little more: its resolutions are a small part of it.
 */

import { limits } from "../../../core/limits.ts";
import { type ResolutionMs, readings } from "../rows.ts";
import type { ListedTable } from "../listing/table-list.ts";
import { type ClassPolicy, ruleOf } from "./table-classes.ts";

export type CompactionPolicy = {
  /** Resolutions in milliseconds, ascending; each a multiple of the one before. */
  readonly tiers: readonly ResolutionMs[];
  /** How long a section is kept, in milliseconds from its newest event time; absent: for ever. */
  readonly keepMs: ReadonlyMap<ResolutionMs, number>;
  /** By name: series of these are kept by rules of their own, in tables of their own. */
  readonly classes: ReadonlyMap<string, ClassPolicy>;
  /** All tables together; the oldest are rolled up before their time where they take more. */
  readonly bytesMax: number;
  /** Space of the disk that is left to others: where there is less, tables give way as well. */
  readonly freeBytesMin: number;
  /** Tables of the first level of one partition that are merged. */
  readonly mergeTablesMin: number;
  /** The same where the partition is over; default 2. */
  readonly overTablesMin?: number;
};

/** Merges wait for a better hour; so many tables at most wait with them. */
export function sparing(policy: CompactionPolicy): CompactionPolicy {
  const tables = Math.max(policy.mergeTablesMin, limits.sparingMergeTablesMin);
  return { ...policy, mergeTablesMin: tables, overTablesMin: tables };
}

export type CompactionJob = {
  readonly kind: "expire" | "make-room" | "merge" | "mend" | "erase";
  /** Oldest table first. */
  readonly inputs: readonly ListedTable[];
  /** Finest section of the result; undefined: nothing is kept. */
  readonly finest: ResolutionMs | undefined;
  readonly level: number;
};

/** A table is written again without what was erased. */
export function eraseJob(table: ListedTable): CompactionJob {
  return { kind: "erase", inputs: [table], finest: finestOf(table), level: table.level };
}

/** A table is written again without what of it cannot be read. */
export function mendJob(table: ListedTable): CompactionJob {
  return { kind: "mend", inputs: [table], finest: finestOf(table), level: table.level };
}

/**
 * `clock`: the gateway's; undefined while it is not trusted: then nothing expires. What is older than it
 * is kept is judged by it and by the newest reading, whichever is earlier: neither a clock that was set
 * wrong nor a device from the future makes readings expire.
 */
export function planCompaction(
  tables: readonly ListedTable[],
  policy: CompactionPolicy,
  clock: number | undefined,
): CompactionJob | undefined {
  const newest = tables.reduce((time, { timeLast }) => Math.max(time, timeLast), -Infinity);
  return (
    (clock === undefined ? undefined : expiry(tables, policy, Math.min(clock, newest))) ??
    room(tables, policy) ??
    merge(tables, policy)
  );
}

function expiry(
  tables: readonly ListedTable[],
  policy: CompactionPolicy,
  now: number,
): CompactionJob | undefined {
  for (const table of tables) {
    const kept = keptOf(table, policy, now);
    if (kept !== finestOf(table)) return coarsened("expire", table, kept);
  }
  return undefined;
}

/** The finest section that the table may still have; undefined where all are over. */
function keptOf(
  table: ListedTable,
  policy: CompactionPolicy,
  now: number,
): ResolutionMs | undefined {
  const finest = finestOf(table);
  const { keepMs } = ruleOf(table, policy);
  const isKept = (resolution: ResolutionMs): boolean =>
    table.timeLast + (keepMs.get(resolution) ?? Number.POSITIVE_INFINITY) > now;
  if (isKept(finest)) return finest;
  return policy.tiers.find((tier) => tier > finest && isKept(tier));
}

/**
 * Who gives way first: readings at the age of a day, 10 s at 4 days, 1 min at 16, and so on, are
 * equally old. So a full store covers ever longer times ever more coarsely, whatever its budget. A
 * class of a higher priority may grow as much older with each step, so nobody is starved: all classes
 * of a full store reach back by the same rule, some four times as far as others.
 */
const AGE_FACTOR = 4;

function room(tables: readonly ListedTable[], policy: CompactionPolicy): CompactionJob | undefined {
  const bytes = tables.reduce((sum, table) => sum + table.bytes, 0);
  if (bytes <= policy.bytesMax) return undefined;
  const newest = tables.reduce((time, { timeLast }) => Math.max(time, timeLast), -Infinity);
  const ageOf = (table: ListedTable): number =>
    (newest - table.timeLast + limits.partitionMs) /
    AGE_FACTOR ** (rankOf(table, policy) + ruleOf(table, policy).priority);
  const [first] = tables.toSorted((a, b) => ageOf(b) - ageOf(a) || a.id - b.id);
  if (first === undefined) return undefined;
  return coarsened("make-room", first, nextTier(first, policy));
}

/** 0 for readings, 1 for the finest tier, ... */
function rankOf(table: ListedTable, { tiers }: CompactionPolicy): number {
  const finest = finestOf(table);
  return tiers.filter((tier) => tier <= finest).length;
}

function nextTier(table: ListedTable, { tiers }: CompactionPolicy): ResolutionMs | undefined {
  const finest = finestOf(table);
  return tiers.find((tier) => tier > finest);
}

function coarsened(
  kind: CompactionJob["kind"],
  table: ListedTable,
  finest: ResolutionMs | undefined,
): CompactionJob {
  return { kind, inputs: [table], finest, level: Math.max(table.level, 1) };
}

/** Of the oldest partition that has something to merge. */
function merge(
  tables: readonly ListedTable[],
  { mergeTablesMin, overTablesMin = 2 }: CompactionPolicy,
): CompactionJob | undefined {
  const byPartition = Map.groupBy(tables, ({ partition }) => partition);
  const newest = Math.max(...[...byPartition.keys()].map((partition) => partition ?? -Infinity));
  for (const [partition, all] of [...byPartition].toSorted(inTime)) {
    const isOver = partition !== undefined && partition < newest - 1;
    const first = all.filter(
      ({ level, resolutions }) => level === 0 && resolutions[0] === readings,
    );
    for (const fresh of Map.groupBy(first, ({ class: name }) => name).values()) {
      const isDue = fresh.length >= mergeTablesMin || (isOver && fresh.length >= overTablesMin);
      if (!isDue) continue;
      const inputs = fresh.toSorted((a, b) => a.id - b.id).slice(0, limits.mergeTablesMax);
      return { kind: "merge", inputs, finest: readings, level: 1 };
    }
  }
  return undefined;
}

function inTime(
  [a]: readonly [number | undefined, unknown],
  [b]: readonly [number | undefined, unknown],
): number {
  return (a ?? Number.NEGATIVE_INFINITY) - (b ?? Number.NEGATIVE_INFINITY);
}

export function finestOf({ resolutions }: ListedTable): ResolutionMs {
  return resolutions[0] ?? readings;
}
