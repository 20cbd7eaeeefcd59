import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../core/limits.ts";
import type { Alert, Summary } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import { type DropBlock, type DropOptions, type DropPlan, planDrop } from "./outbox-drop-plan.ts";
import {
  decodeRecord,
  encodeAlert,
  encodeComplete,
  encodeGap,
  encodeSummary,
} from "./record-codec.ts";

const options: DropOptions = {
  lane: "summaries",
  bytesWanted: 1e9,
  recordsMax: 100,
  windowOf: (pipeline) =>
    ({
      temp: { sizeMs: 10_000, latenessMs: 20_000 },
      bursts: { sizeMs: 0, latenessMs: 20_000 },
    })[pipeline],
  breathe: () => Promise.resolve(),
};

/** A window of 10 s, by its number; its count is ten times that, and one more for each revision. */
function windowOf(number: number, more: Partial<Summary> = {}): Uint8Array {
  const start = number * 10_000;
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline: "temp",
    key: [["device", "p1"]],
    start: millis(start),
    end: millis(start + 10_000),
    revision: 0,
    count: 10 * number + (more.revision ?? 0),
    fields: { sum: number },
    arrivalTimed: 0,
    ...more,
  });
}

function windows(from: number, to: number): readonly Uint8Array[] {
  return Array.from({ length: to - from }, (_, n) => windowOf(from + n));
}

/** Blocks of these records, numbered from 0. */
function blocksOf(...records: readonly (readonly Uint8Array[])[]): readonly DropBlock[] {
  let next = 0;
  return records.map((of) => {
    next += of.length;
    return { records: of, bytes: 100 * of.length, next };
  });
}

async function* behindOf(blocks: readonly DropBlock[]): AsyncGenerator<DropBlock> {
  for (const block of blocks) {
    await Promise.resolve();
    yield block;
  }
}

async function plan(
  blocks: readonly DropBlock[],
  { part = blocks.length, ...changes }: Partial<DropOptions> & { readonly part?: number } = {},
): Promise<DropPlan> {
  const behind = behindOf(blocks.slice(part));
  return await planDrop(blocks.slice(0, part), behind, { ...options, ...changes });
}

/** A summary as its window and revision, a gap as what it stands for. */
function shown({ records }: DropPlan): readonly string[] {
  return records.map((bytes) => {
    const { record, id } = decodeRecord(bytes, "a record");
    if (record.kind === "alert") return id;
    if (record.kind === "summary") return `${record.start / 10_000}/${record.revision}`;
    if (record.kind === "complete") return `complete ${record.through / 10_000}`;
    assert.ok(record.kind === "gap");
    const { start, end, records: count, readings, last } = record;
    return `gap ${start / 10_000}-${end / 10_000}: ${count} records, ${readings} readings, last ${last}`;
  });
}

test("the oldest go, as many as are wanted, and a gap says what they were", async () => {
  const blocks = blocksOf(windows(0, 4), windows(4, 8), windows(8, 12));
  const found = await plan(blocks, { bytesWanted: 300 });
  assert.deepEqual(shown(found), ["gap 0-4: 4 records, 60 readings, last 3"]);
  assert.equal(found.blockEnd, 1);
  assert.deepEqual([...found.dropped], [["temp", { records: 4, readings: 60 }]]);
  assert.deepEqual([...found.ends], [["gw1/temp/device=p1", 40_000]]);
});

test("others have their turn between a few records, however many go at once", async () => {
  let turns = 0;
  const breathe = (): Promise<void> => {
    turns += 1;
    return Promise.resolve();
  };
  const blocks = blocksOf(windows(0, 2_000), windows(2_000, 2_004));
  const found = await plan(blocks, { bytesWanted: 1, breathe });
  assert.equal(found.dropped.get("temp")?.records, 2_000);
  assert.ok(turns > 2_000 / limits.outboxRecordsPerTurn, `${turns} turns`);
});

test("what may still be corrected stays: its key has not gone the lateness beyond it", async () => {
  const found = await plan(blocksOf(windows(0, 4), windows(4, 8)));
  assert.deepEqual(shown(found), ["6/0", "7/0", "gap 0-6: 6 records, 150 readings, last 5"]);
});

test("what is behind the part says that its keys have gone beyond", async () => {
  const blocks = blocksOf(windows(0, 4), windows(4, 8));
  const found = await plan(blocks, { part: 1 });
  assert.deepEqual(shown(found), ["gap 0-4: 4 records, 60 readings, last 3"]);
  const unseen = await plan(blocksOf(windows(0, 4), [], windows(4, 8)), { part: 1, recordsMax: 0 });
  assert.deepEqual(shown(unseen), ["2/0", "3/0", "gap 0-2: 2 records, 10 readings, last 1"]);
});

test("a correction of what was sent stays, and so does a window whose correction is further on", async () => {
  const sent = windowOf(0, { revision: 1 });
  const found = await plan(blocksOf([sent, ...windows(1, 8)]));
  assert.deepEqual(shown(found).slice(0, 1), ["0/1"]);
  const [one, two] = [windowOf(1, { revision: 1 }), windowOf(2, { revision: 1 })];
  const behind = blocksOf(windows(1, 3), [one, windowOf(3), two, ...windows(4, 8)]);
  assert.deepEqual(shown(await plan(behind, { part: 1 })), [], "both have their correction there");
  const beside = blocksOf(windows(0, 2), [windowOf(2), one, ...windows(3, 8)]);
  const first = await plan(beside, { bytesWanted: 50 });
  assert.deepEqual(shown(first), ["1/0", "gap 0-1: 1 records, 0 readings, last 0"]);
  const all = await plan(beside);
  assert.deepEqual(shown(all).slice(-1), ["gap 0-6: 6 records, 151 readings, last 6"]);
});

test("a session is dropped with all its lengths, or not at all", async () => {
  const session = (start: number, seconds: number, revision: number): Uint8Array =>
    windowOf(start, {
      pipeline: "bursts",
      end: millis(start * 10_000 + 1_000 * seconds),
      revision,
    });
  const grown = [session(1, 3, 0), session(1, 7, 1), session(9, 3, 0)];
  assert.deepEqual(shown(await plan(blocksOf(grown))), [
    "9/0",
    "gap 1-1.7: 1 records, 11 readings, last 1",
  ]);
});

test("a merged summary is final, whatever its key did since", async () => {
  const merged = [0, 6].map((number) =>
    windowOf(number, { end: millis(number * 10_000 + 60_000), count: 30, merged: 6 }),
  );
  const found = await plan(blocksOf(merged));
  assert.deepEqual(shown(found), ["gap 0-12: 2 records, 60 readings, last 1"]);
});

test("gaps of a pipeline become one, which has the last of their numbers", async () => {
  const gap = encodeGap("gw1", {
    kind: "gap",
    pipeline: "temp",
    lane: "summaries",
    last: 0,
    start: millis(-50_000),
    end: millis(70_000),
    records: 100,
    readings: 1_000,
  });
  const found = await plan(blocksOf([gap, ...windows(0, 8)]));
  assert.deepEqual(shown(found).slice(2), ["gap -5-7: 106 records, 1150 readings, last 6"]);
  assert.deepEqual([...found.dropped], [["temp", { records: 6, readings: 150 }]]);
  const alone = await plan(blocksOf([gap]));
  assert.deepEqual(shown(alone), [], "nothing is gained");
});

test("a gap that goes into another brings the number of its last record, and not its own", async () => {
  const gapOf = (pipeline: string, last: number): Uint8Array =>
    encodeGap("gw1", {
      kind: "gap",
      pipeline,
      lane: "summaries",
      last,
      start: millis(-50_000),
      end: millis(70_000),
      records: 100,
      readings: 1_000,
    });
  // They stand behind what was kept: under greater numbers than what they stand for had.
  const part = [...windows(0, 8), gapOf("temp", 2), gapOf("bursts", 4)];
  const found = await plan(blocksOf(part));
  const bursts = decodeRecord(gapOf("bursts", 4), "a gap");
  assert.deepEqual(shown(found).slice(2), [
    "gap -5-7: 106 records, 1150 readings, last 5",
    "gap -5-7: 100 records, 1000 readings, last 4",
  ]);
  const ids = found.records.map((bytes) => decodeRecord(bytes, "a record").id);
  assert.equal(ids.at(-1), bursts.id, "one that nothing went into is the same as before");
});

test("what is no record, or of a pipeline that nobody knows, stays", async () => {
  const other = windowOf(0, { pipeline: "other" });
  const found = await plan(blocksOf([other, Buffer.from("{}"), ...windows(0, 8)]));
  assert.equal(found.records.length, 5);
  assert.deepEqual(found.records.slice(0, 2), [other, Buffer.from("{}")]);
});

test("alerts stand alone", async () => {
  const alert: Alert = {
    kind: "alert",
    pipeline: "spikes",
    key: [["device", "p1"]],
    time: millis(0),
    reason: "ewma_high",
    value: 1,
    score: 1,
    expected: 1,
    limit: 1,
  };
  const storm = [30_000, 10_000, 20_000].map((time) =>
    encodeAlert("gw1", { ...alert, time: millis(time) }),
  );
  const found = await plan(blocksOf(storm), { lane: "alerts" });
  assert.deepEqual(shown(found), ["gap 1-3: 3 records, 0 readings, last 2"]);
});

test("markers go with what is dropped around them, and no gap counts them", async () => {
  const marker = (number: number): Uint8Array =>
    encodeComplete("gw1", {
      kind: "complete",
      pipeline: "temp",
      key: [["device", "p1"]],
      through: millis(number * 10_000),
      readings: 10 * number,
    });
  const blocks = blocksOf(
    [...windows(0, 2), marker(1), ...windows(2, 4)],
    [...windows(4, 6), marker(4)],
    windows(6, 12),
  );
  const found = await plan(blocks, { bytesWanted: 450 });
  assert.deepEqual(shown(found), ["gap 0-6: 6 records, 150 readings, last 6"]);
  assert.deepEqual(found.dropped, new Map([["temp", { records: 6, readings: 150 }]]));
  // Alone they are no reason to change anything.
  const alone = await plan(blocksOf([marker(1), marker(2)], windows(6, 12)), {
    bytesWanted: 100,
    part: 1,
  });
  assert.deepEqual([alone.records, alone.blockEnd], [[], 0]);
});
