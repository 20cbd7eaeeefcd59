/**
 * The table store against power cuts and failures: a run with flushes, late readings, merges, expiry
 * and a budget is cut at every single call to the disk, with any subset of the unsynced sectors kept;
 * then every call fails once, and every commit; in the short form one call in five. `WEIR_SEEDS=50` runs
 * more of them.
 *
 *   whatever happens   nothing accepted is missing, nothing is there twice, and behind the next start
 *                      every file is named by the list
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { isLong } from "../../../test/support/long-form.ts";
import { type Put, TableRig } from "../../../test/support/table-rig.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { seriesId } from "../../core/units.ts";
import { createReadReport } from "./read/block-source.ts";
import { allTime, readings } from "./rows.ts";
import { readBuckets, readReadings } from "./read/table-query.ts";
import { tablePath } from "./listing/table-files.ts";

const day = limits.partitionMs;
const seriesCount = 4;
const seeds = Number(process.env["WEIR_SEEDS"] ?? 1);
/** Each call in the long form; else one in five, which meets every kind of call and of failure. */
const stride = isLong ? 1 : 5;
/** One resolution, so that what expires or gives way is soon rolled up. */
const policy = {
  mergeTablesMin: 3,
  tiers: [3_600_000],
  classes: new Map([["fast", { keepMs: new Map([[readings, 3 * day]]), priority: -1 }]]),
};
const classOf = (series: number): string | undefined => (series === 0 ? "fast" : undefined);
/** All times of the script are in it: a whole number of days. */
const allDays = { from: 0, to: 20 * day };

/** One after another, each with its own values. */
function puts(from: number, count: number, timeOf: (n: number) => number): readonly Put[] {
  return Array.from({ length: count }, (_, n) => ({
    series: n % seriesCount,
    time: timeOf(n),
    value: from + n,
    refused: n % 7 === 6,
  }));
}

type Run = { readonly rig: TableRig; readonly accepted: Put[] };
type Act = (run: Run) => void | Promise<void>;

const put =
  (from: number, count: number, timeOf: (n: number) => number): Act =>
  ({ rig, accepted }) => {
    const all = puts(from, count, timeOf);
    rig.put(all);
    accepted.push(...all.filter(({ refused }) => refused !== true));
  };
const flush: Act = ({ rig }) => rig.store.wantFlush();
const checkpoint: Act = ({ rig }) => rig.checkpoint();
const reopen =
  (change: (rig: TableRig) => void = () => undefined): Act =>
  async ({ rig }) => {
    change(rig);
    await rig.end("close");
    assert.equal(rig.disk.openFiles, 0, "a store that is closed has no file open");
    await rig.open();
  };

/** Without waiting until nothing is left to do. */
const atOnce =
  (...acts: readonly Act[]): Act =>
  async (run) => {
    for (const act of acts) await act(run);
  };

const script: readonly Act[] = [
  put(0, 30, (n) => 10 * day + n * 1_000),
  flush,
  checkpoint,
  put(100, 20, (n) => 10 * day + 60_000 + n * 1_000),
  // Late, beside what is newer.
  put(200, 20, (n) => 10 * day + n * 3_500),
  flush,
  put(300, 30, (n) => 11 * day + n * 1_000),
  checkpoint,
  flush,
  // Of more days than a flush makes tables for.
  put(400, 18, (n) => (n % 9) * day + n),
  put(500, 8, (n) => 10 * day + 7 * n),
  flush,
  // From here on one series is kept by rules of its own.
  reopen((rig) => {
    rig.classOf = classOf;
  }),
  put(600, 16, (n) => 13 * day + n * 500),
  checkpoint,
  flush,
  put(700, 10, (n) => 13 * day + n * 700),
  // Readings expire; what was rolled up of them stays.
  // What comes meanwhile is flushed between two steps of that.
  atOnce(
    reopen((rig) => {
      rig.clockNow = 14 * day;
      rig.policy = { ...rig.policy, keepMs: new Map([[readings, 2.5 * day]]) };
    }),
    put(800, 10, (n) => 14 * day + n * 1_000),
    flush,
  ),
  // The oldest give way.
  reopen((rig) => {
    rig.policy = { ...rig.policy, bytesMax: 9_000 };
  }),
  put(900, 10, (n) => 14 * day + n * 1_100),
];

type Trouble = {
  readonly seed: number;
  readonly cutAt?: number;
  readonly fail?: { readonly at: number; readonly code: "EIO" | "ENOSPC" };
  readonly commit?: {
    readonly at: number;
    readonly fate: "full" | "broken" | "broken, but done";
  };
};

/** Lives through the script; how many calls and commits that took. */
async function live(trouble: Trouble): Promise<{ calls: number; commits: number }> {
  const { seed, cutAt, fail, commit } = trouble;
  const rig = new TableRig({
    seed: seed * 7_919 + (cutAt ?? 0),
    rowsMax: 1_000,
    policy,
  });
  const run = { rig, accepted: [] };
  let calls = 0;
  let isChecked = false;
  const checkNow = async (): Promise<void> => {
    isChecked = true;
    await check(run, where);
    isChecked = false;
  };
  rig.disk.fate = ({ name }) => {
    if (isChecked) return undefined;
    const index = calls++;
    if (index === cutAt) return "crash";
    const canFail = fail?.code === "EIO" || name === "write" || name === "sync";
    return index === fail?.at && canFail ? fail.code : undefined;
  };
  rig.commitFate = (index) => (index === commit?.at ? commit.fate : "well");
  const where = JSON.stringify(trouble);
  await openAtLast(rig);
  for (const act of script) {
    try {
      await act(run);
      await rig.settle();
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
      await openAtLast(rig); // a start that failed
    }
    if (!rig.isOver) {
      // What failed is cleared away at once, where the disk lets files be removed.
      assertListedFilesOnly(rig, where);
      continue;
    }
    await rig.end(rig.disk.isDown ? "crash" : "close");
    await openAtLast(rig);
    await checkNow();
  }
  const done = { calls, commits: rig.commits };
  await rig.end(seed % 2 === 0 ? "close" : "crash");
  await rig.open();
  await rig.settle();
  await checkNow();
  const { trouble: left } = rig.store.status;
  assert.equal(left, undefined, where);
  assertListedFilesOnly(rig, where);
  await rig.store.close();
  return done;
}

function assertListedFilesOnly({ store, disk }: TableRig, where: string): void {
  using snapshot = store.snapshot();
  if (snapshot.files.counters.removeFailures > 0) return;
  const listed = snapshot.tables.map(({ id }) => tablePath("/tables", id));
  assert.deepEqual(disk.paths(), listed.toSorted(), `every file is listed: ${where}`);
}

/** A start may be what is cut off or fails: then there is another. */
async function openAtLast(rig: TableRig): Promise<void> {
  for (let starts = 0; starts < 3; starts++) {
    try {
      await rig.open();
      await rig.settle();
      if (!rig.isOver) return;
    } catch (error) {
      if (!isEnvironmental(error)) throw error;
    }
    await rig.end(rig.disk.isDown ? "crash" : "close");
  }
  assert.fail("the store opens");
}

/** What is answered is what was accepted: as readings, or where they are rolled up, in buckets. */
async function check({ rig, accepted }: Run, where: string): Promise<void> {
  const { store } = rig;
  const { counts, inMemory, inTables, damaged, quarantined } = store.status;
  assert.deepEqual([counts.lost, counts.erased, damaged, quarantined], [0, 0, [], []], where);
  const kept = inMemory + inTables;
  assert.equal(kept + counts.expired, accepted.length, `accepted and accounted for: ${where}`);
  let told = 0;
  let bucketed = 0;
  using snapshot = store.snapshot();
  const coarse = snapshot.tables.filter(({ resolutions }) => !resolutions.includes(readings));
  const isWhole = coarse.length === 0 && counts.expired === 0;
  for (let series = 0; series < seriesCount; series++) {
    const report = createReadReport();
    const of = accepted.filter((one) => one.series === series);
    const due = new Map(of.map(({ time, value }) => [`${time}=${value}`, true]));
    const wanted = { series: seriesId(series), range: allTime };
    for await (const rows of readReadings(snapshot, wanted, report)) {
      for (let row = 0; row < rows.rows; row++) {
        told += 1;
        const isDue = due.delete(`${rows.time[row]!}=${rows.columns[0]![row]!}`);
        assert.ok(isDue, `a reading is there once, and was accepted: ${where}`);
      }
    }
    if (isWhole) assert.deepEqual([...due.keys()], [], `nothing is missing: ${where}`);
    bucketed += await checkBuckets({ rig, accepted: of }, series, where);
    assert.equal(report.damaged.size, 0, where);
  }
  const rolledUp = coarse.reduce((sum, table) => sum + table.readings, 0);
  assert.equal(told, kept - rolledUp, `readings answered: ${where}`);
  assert.equal(bucketed, kept, `readings in buckets: ${where}`);
}

/** By the day; the readings in them. */
async function checkBuckets(
  { rig, accepted }: Run,
  series: number,
  where: string,
): Promise<number> {
  using snapshot = rig.store.snapshot();
  const report = createReadReport();
  const wanted = { series: seriesId(series), range: allDays, step: day };
  const buckets = await readBuckets(snapshot, wanted, report);
  assert.equal(report.damaged.size, 0, where);
  const { expired } = rig.store.status.counts;
  let total = 0;
  for (let row = 0; row < buckets.rows; row++) {
    const start = buckets.time[row]!;
    const within = accepted.filter(({ time }) => time >= start && time < start + day);
    const [count = 0, , , , , sum = 0] = buckets.columns.map((column) => column[row]!);
    total += count;
    assert.ok(count <= within.length, `no reading is counted twice: ${where}`);
    if (expired > 0) continue;
    const due = within.reduce((all, { value }) => all + value, 0);
    assert.deepEqual([count, sum], [within.length, due], `a day is whole: ${where}`);
  }
  return total;
}

test("the script flushes, merges, expires and makes room", async () => {
  const rig = new TableRig({ seed: 1, rowsMax: 1_000, policy });
  const run = { rig, accepted: [] };
  await rig.open();
  const seen = { classes: false, late: false, scattered: false, merged: false, rolledUp: false };
  for (const act of script) {
    await act(run);
    await rig.settle();
    using snapshot = rig.store.snapshot();
    for (const { run: of, class: name, partition, level, resolutions } of snapshot.tables) {
      seen.classes ||= name === "fast";
      seen.late ||= of === "late";
      seen.scattered ||= partition === undefined;
      seen.merged ||= level > 0;
      seen.rolledUp ||= !resolutions.includes(readings);
    }
  }
  const all = { classes: true, late: true, scattered: true, merged: true, rolledUp: true };
  assert.deepEqual(seen, all);
  assert.ok(rig.store.status.counts.expired > 0, "the budget made some go");
  assert.ok(rig.store.status.counts.expired < run.accepted.length / 2, "and most stay");
  await rig.store.close();
});

test("whatever call the power is cut at, every accepted reading is there once", async () => {
  for (let seed = 1; seed <= seeds; seed++) {
    const { calls } = await live({ seed });
    for (let cutAt = 0; cutAt < calls; cutAt += stride) await live({ seed, cutAt });
  }
});

test("the same with a call that fails once, which the store tries again by itself", async () => {
  const { calls } = await live({ seed: 1 });
  for (let at = 0; at < calls; at += stride) {
    await live({ seed: 1 + (at % 2), fail: { at, code: at % 3 === 0 ? "ENOSPC" : "EIO" } });
  }
});

test("the same with a commit that finds no space, or breaks the store", async () => {
  const { commits } = await live({ seed: 1 });
  for (let at = 0; at < commits; at++) {
    for (const fate of ["full", "broken", "broken, but done"] as const) {
      await live({ seed: 1, commit: { at, fate } });
    }
  }
});
