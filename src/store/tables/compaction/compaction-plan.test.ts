import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../../core/limits.ts";
import { position } from "../../../core/units.ts";
import { type CompactionPolicy, planCompaction, sparing } from "./compaction-plan.ts";
import type { ListedTable } from "../listing/table-list.ts";
import { mergeShareNow } from "./merge-share.ts";

const day = limits.partitionMs;
const minute = 60_000;
const hour = 3_600_000;

const policy: CompactionPolicy = {
  tiers: [minute, hour],
  keepMs: new Map([
    [0, 2 * day],
    [minute, 5 * day],
    [hour, 50 * day],
  ]),
  classes: new Map(),
  bytesMax: 1_000_000,
  freeBytesMin: 0,
  mergeTablesMin: limits.mergeTablesMin,
};

let nextId = 0;
function table(partition: number, more: Partial<ListedTable> = {}): ListedTable {
  return {
    id: nextId++,
    level: 0,
    run: "main",
    class: undefined,
    partition,
    bytes: 1_000,
    readings: 100,
    to: position(0),
    timeFirst: partition * day,
    timeLast: (partition + 1) * day - 1,
    resolutions: [0],
    ...more,
  };
}

test("few tables of a partition that goes on are left alone", () => {
  const tables = Array.from({ length: limits.mergeTablesMin - 1 }, () => table(10));
  assert.equal(planCompaction(tables, policy, 11 * day), undefined);
});

test("many tables of a partition are merged, the late ones among them, oldest first", () => {
  const tables = Array.from({ length: limits.mergeTablesMin }, (_, i) =>
    table(10, { run: i % 4 === 0 ? "late" : "main" }),
  );
  const job = planCompaction(tables.toReversed(), policy, 11 * day);
  assert.equal(job?.kind, "merge");
  assert.deepEqual(job.inputs, tables);
  assert.equal(job.finest, 0);
  assert.equal(job.level, 1);
});

test("a partition that is over is merged although its tables are few; merged ones are not again", () => {
  const over = [table(7), table(7), table(7, { level: 1 })];
  const job = planCompaction([...over, table(9)], policy, 9 * day);
  assert.deepEqual(job?.inputs, over.slice(0, 2));
  assert.equal(planCompaction([table(7, { level: 1 }), table(9)], policy, 9 * day), undefined);
});

test("readings that are over give way to the finest resolution that is not", () => {
  const old = table(1, { level: 1, resolutions: [0, minute, hour] });
  const later = table(100, { level: 1 });
  const at = (now: number): unknown => {
    const job = planCompaction([old, later], policy, now);
    return job && [job.kind, job.finest];
  };
  assert.equal(at(old.timeLast + 2 * day - 1), undefined);
  assert.deepEqual(at(old.timeLast + 2 * day), ["expire", minute]);
  assert.deepEqual(at(old.timeLast + 5 * day), ["expire", hour]);
  assert.deepEqual(at(old.timeLast + 50 * day), ["expire", undefined]);
  const rolled = { ...old, resolutions: [minute, hour] };
  assert.equal(planCompaction([rolled, later], policy, old.timeLast + 2 * day), undefined);
});

test("a clock that is ahead makes nothing expire: the newest reading says how late it is", () => {
  const tables = [table(1, { level: 1 }), table(2, { level: 1 })];
  assert.equal(planCompaction(tables, policy, 10_000 * day), undefined);
});

test("nothing expires while nobody knows what time it is", () => {
  assert.equal(planCompaction([table(1)], policy, undefined), undefined);
});

test("over the budget the oldest are rolled up, where coarser ones may grow four times as old", () => {
  const full = { ...policy, bytesMax: 500 };
  const chosen = (...tables: readonly ListedTable[]): unknown => {
    const job = planCompaction(tables, full, undefined);
    return [job?.kind, job?.inputs, job?.finest];
  };
  const newest = table(100);
  const older = table(91);
  assert.deepEqual(chosen(newest, older), ["make-room", [older], minute]);
  const minutes = table(63, { resolutions: [minute, hour] });
  assert.deepEqual(chosen(newest, minutes, older), ["make-room", [older], minute]);
  const oldMinutes = table(59, { resolutions: [minute, hour] });
  assert.deepEqual(chosen(newest, oldMinutes, older), ["make-room", [oldMinutes], hour]);
  const hours = table(-70, { resolutions: [hour] });
  assert.deepEqual(chosen(newest, hours, older), ["make-room", [hours], undefined]);
});

const fast: CompactionPolicy = {
  ...policy,
  classes: new Map([
    ["fast", { keepMs: new Map([[0, 1 * day]]), priority: -1 }],
    ["dear", { keepMs: new Map(), priority: 2 }],
  ]),
};

test("tables are merged with those of their class alone, also where it is gone", () => {
  const of = (name: string | undefined, count: number): ListedTable[] =>
    Array.from({ length: count }, () => table(7, { class: name }));
  const groups = [of("gone", 2), of(undefined, 2), of("fast", 2)];
  let left = [...groups.flat(), ...of("dear", 1), table(10)];
  for (const group of groups) {
    const job = planCompaction(left, fast, undefined);
    assert.deepEqual(job?.inputs, group);
    left = left.filter((one) => !group.includes(one));
  }
  assert.equal(planCompaction(left, fast, undefined), undefined);
});

test("a class expires by its own times", () => {
  const at = (name: string | undefined, now: number): unknown => {
    const one = table(1, { level: 1, class: name });
    const job = planCompaction([one, table(100, { class: "dear" })], fast, one.timeLast + now);
    return job && [job.kind, job.finest];
  };
  assert.deepEqual(at("fast", day), ["expire", minute], "its tiers are kept for ever");
  assert.equal(at(undefined, day), undefined);
  assert.equal(at("gone", day), undefined);
  assert.deepEqual(at("gone", 2 * day), ["expire", minute]);
  assert.equal(at("dear", 90 * day), undefined);
});

test("over the budget a class gives way four times as early or late with each step of priority", () => {
  const full = { ...fast, bytesMax: 500 };
  const chosen = (...tables: readonly ListedTable[]): unknown =>
    planCompaction(tables, full, undefined)?.inputs;
  const newest = table(100, { class: "dear" });
  // Ages in days, with the newest at 1: what has no class at 12, fast from 3, dear from 192 on.
  const plain = table(89);
  const quick = (age: number): ListedTable => table(101 - age, { class: "fast" });
  const dear = (age: number): ListedTable => table(101 - age, { class: "dear" });
  assert.deepEqual(chosen(newest, plain, quick(2)), [plain]);
  const oldQuick = quick(4);
  assert.deepEqual(chosen(newest, plain, oldQuick), [oldQuick]);
  assert.deepEqual(chosen(newest, plain, dear(190)), [plain]);
  const oldDear = dear(194);
  assert.deepEqual(chosen(newest, plain, oldDear), [oldDear]);
});

test("while writes are spared merges wait, up to a bound, and nothing else does", () => {
  const spared = sparing(policy);
  const many = Array.from({ length: limits.sparingMergeTablesMin - 1 }, () => table(10));
  assert.equal(planCompaction([...many, table(100)], spared, undefined), undefined);
  assert.equal(planCompaction([...many, table(100)], policy, undefined)?.kind, "merge");
  const bound = planCompaction([...many, table(10), table(100)], spared, undefined);
  assert.deepEqual([bound?.kind, bound?.inputs.length], ["merge", limits.mergeTablesMax]);
  assert.equal(planCompaction([...many, table(100)], spared, 101 * day)?.kind, "expire");
});

test("a merge takes its share of the time, until twice as many tables wait as it takes", () => {
  const options = { policy, mergeShare: 0.25 };
  const many = Array.from({ length: 2 * policy.mergeTablesMin }, () => table(10));
  const elsewhere = [table(11), table(10, { class: "fast" }), table(10, { level: 1 })];
  assert.equal(mergeShareNow([...many.slice(1), ...elsewhere], options), 0.25);
  assert.equal(mergeShareNow([...many, ...elsewhere], options), 1);
  assert.equal(mergeShareNow([], { policy }), 1);
});
