import assert from "node:assert/strict";
import { test } from "node:test";
import type { Summary } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import { GapEnds } from "./gap-ends.ts";
import { planRun, type PlanOptions, type TierPass } from "./outbox-rollup-plan.ts";
import { decodeRecord, encodeAlert, encodeComplete, encodeSummary } from "./record-codec.ts";

const minute = 60_000;
const options: PlanOptions = {
  breathe: () => Promise.resolve(),
  isCut: false,
  keysMax: 100,
  gapEnds: new GapEnds(),
  windowOf: (pipeline) =>
    pipeline === "temp" ? { sizeMs: 10_000, latenessMs: 20_000 } : undefined,
};

function passOf(tierMs = minute): TierPass {
  return { tierMs, from: 0, keys: new Map() };
}

/** A window of 10 s, by its number. */
function windowOf(number: number, more: Partial<Summary> = {}): Uint8Array {
  const start = number * 10_000;
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(start),
    end: millis(start + 10_000),
    revision: 0,
    count: 1,
    fields: { sum: number },
    arrivalTimed: 0,
    ...more,
  });
}

function windows(from: number, to: number): readonly Uint8Array[] {
  return Array.from({ length: to - from }, (_, n) => windowOf(from + n));
}

/** `start/resolution/revision`, starts in windows of 10 s. */
function shown(records: readonly Uint8Array[]): readonly string[] {
  return records.map((bytes) => {
    const { record } = decodeRecord(bytes, "a record");
    if (record.kind === "complete") return `complete ${record.through / 10_000}`;
    if (record.kind !== "summary") return record.kind;
    const { start, end, revision } = record;
    return `${start / 10_000}/${end - start}/${revision}`;
  });
}

test("an interval is merged once the allowed lateness is over, behind the first that may have been sent", async () => {
  // The first record is window 3; late windows up to two before it may follow what was sent.
  const plan = await planRun(passOf(), [windows(3, 14), windows(14, 20)], options);
  const rest = ["6/60000/0", "12/60000/0", ...shown(windows(18, 20))];
  assert.deepEqual(shown(plan.records), [...shown(windows(3, 6)), ...rest]);
  assert.deepEqual([plan.blockFirst, plan.blockEnd, plan.merged, plan.coarser], [0, 2, 12, 2]);
  assert.equal(plan.readings, 12);
  assert.equal(plan.resume?.start, 180_000, "it goes on with the interval that is not over");
  const early = await planRun(passOf(), [windows(3, 13)], options);
  assert.deepEqual(early.records, [], "a correction may still come");
});

test("a correction without its window is of one that was sent: its interval stays as it is", async () => {
  const corrected = windowOf(8, { revision: 1, count: 2 });
  const plan = await planRun(passOf(), [[...windows(3, 8), corrected, ...windows(9, 26)]], options);
  assert.deepEqual(shown(plan.records).slice(3, 10), [
    "6/10000/0",
    "7/10000/0",
    "8/10000/1",
    "9/10000/0",
    "10/10000/0",
    "11/10000/0",
    "12/60000/0",
  ]);
});

test("the newest revision of each window counts", async () => {
  const late = windowOf(7, { revision: 1, count: 5, fields: { sum: 50 } });
  const plan = await planRun(passOf(), [[...windows(3, 10), late, ...windows(10, 20)]], options);
  const merged = plan.records.map((bytes) => decodeRecord(bytes, "a record").record);
  const coarse = merged.find((record) => record.kind === "summary" && record.merged !== undefined);
  assert.ok(coarse?.kind === "summary");
  assert.deepEqual(
    [coarse.count, coarse.merged, coarse.fields.sum],
    [10, 6, 50 + 6 + 8 + 9 + 10 + 11],
  );
});

test("sessions and sliding windows are not merged, but their newest revision is enough", async () => {
  const session = (revision: number): Uint8Array => windowOf(1, { pipeline: "session", revision });
  const records = [[session(0), windowOf(9, { pipeline: "session" })], [session(1)], [session(2)]];
  const plan = await planRun(passOf(), records, options);
  assert.deepEqual(shown(plan.records), ["9/10000/0"]);
  assert.deepEqual([plan.blockFirst, plan.blockEnd, plan.merged], [0, 2, 2]);
});

test("windows that do not fit into the tier, alerts and what is no record stay", async () => {
  const alert = encodeAlert("gw1", {
    kind: "alert",
    pipeline: "temp",
    key: [["device", "p1"]],
    time: millis(1),
    reason: "ewma_high",
    value: 1,
    score: 1,
    expected: 1,
    limit: 1,
  });
  const strange = [windowOf(7, { start: millis(75_000), end: millis(85_000) }), alert];
  const plan = await planRun(
    passOf(),
    [[...windows(3, 7), ...strange, Buffer.from("{}")]],
    options,
  );
  assert.deepEqual(plan.records, []);
});

test("a tier takes what a finer one made, and what that left", async () => {
  const first = await planRun(passOf(), [windows(0, 200)], options);
  const second = await planRun(passOf(10 * minute), [first.records], options);
  assert.deepEqual(shown(second.records).slice(0, 15).at(-1), "54/60000/0");
  assert.ok(shown(second.records).includes("60/600000/0"));
  const again = await planRun(passOf(), [second.records], options);
  assert.deepEqual(again.records, [], "nothing is left to do in the finer one");
});

test("a pass that cannot have more moves on by half of the run at least", async () => {
  const stuck = Array.from({ length: 8 }, (_, n) => [windowOf(6 + n)]);
  const plan = await planRun(passOf(), stuck, { ...options, isCut: true });
  assert.ok((plan.resume?.block ?? 8) >= 4);
});

/** Windows of p1 that end by the one of this number are complete. */
function markerOf(number: number, device = "p1", pipeline = "temp"): Uint8Array {
  return encodeComplete("gw1", {
    kind: "complete",
    pipeline,
    key: [["device", device]],
    through: millis(number * 10_000),
    readings: number,
  });
}

test("of the markers among what changes the newest of each key goes behind all of it", async () => {
  const [before, inside, last] = [markerOf(3), markerOf(9), markerOf(11)];
  const other = markerOf(1, "p2");
  const part = [...windows(6, 9), inside, other, ...windows(9, 11), last, ...windows(11, 20)];
  const plan = await planRun(passOf(), [[...windows(3, 6), before], part], options);
  assert.deepEqual([plan.blockFirst, plan.blockEnd, plan.merged], [1, 2, 12]);
  const merged = ["6/60000/0", "12/60000/0", ...shown(windows(18, 20))];
  // That of the block before stays where it is.
  assert.deepEqual(shown(plan.records), [...merged, "complete 11", "complete 1"]);
});

test("a marker between two revisions of a session goes behind the one that stays, blocks away", async () => {
  const session = (revision: number): Uint8Array =>
    windowOf(5, { pipeline: "bursts", end: millis(95_000), revision });
  const [other, last] = [windowOf(6, { pipeline: "bursts" }), windowOf(7, { pipeline: "bursts" })];
  const parts = [[session(2)], [markerOf(8, "p1", "bursts")], [other, session(3)], [last]];
  const plan = await planRun(passOf(), parts, options);
  assert.deepEqual([plan.blockFirst, plan.blockEnd, plan.merged], [0, 3, 1]);
  assert.deepEqual(shown(plan.records), ["6/10000/0", "5/45000/3", "complete 8"]);
});

test("a marker before the second of three revisions of a session goes behind the third", async () => {
  const session = (revision: number): Uint8Array =>
    windowOf(5, { pipeline: "bursts", end: millis(95_000), revision });
  const last = windowOf(7, { pipeline: "bursts" });
  const marker = markerOf(8, "p1", "bursts");
  const parts = [[session(2)], [marker], [session(3)], [session(4)], [last]];
  const plan = await planRun(passOf(), parts, options);
  assert.deepEqual([plan.blockFirst, plan.blockEnd, plan.merged], [0, 4, 2]);
  assert.deepEqual(shown(plan.records), ["5/45000/4", "complete 8"]);
});
