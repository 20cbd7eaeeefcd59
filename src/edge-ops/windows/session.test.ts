import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Catalog } from "../../core/catalog.ts";
import { limits } from "../../core/limits.ts";
import type { Summary } from "../../core/record.ts";
import { createDataflow, type Dataflow } from "../dataflow.ts";
import type { WindowPipelineSpec } from "../spec.ts";
import {
  applyAll,
  definitionsOf,
  frameOf,
  type Reading,
  RecordingSink,
  specOf,
  tumbling,
} from "../../../test/support/dataflow.ts";

const GAP_MS = 1_000;
const DISORDER_MS = 500;
const IDLE_MS = 4_000;

const sessions: WindowPipelineSpec = {
  ...tumbling,
  key: ["line"],
  window: { kind: "session", gapMs: GAP_MS, maxMs: 1e9 },
  allowedLatenessMs: 0,
};

function flowOf(pipeline: WindowPipelineSpec): Dataflow {
  const spec = specOf([pipeline], { disorderMs: DISORDER_MS, idleMs: IDLE_MS });
  return createDataflow({ ...spec, duplicateRing: 200 }, new Catalog());
}

const definitions = definitionsOf(2, 1);

/** Clock and readings of one device (series 0) in one frame each. */
function run(pipeline: WindowPipelineSpec, steps: readonly (readonly [number, Reading[]])[]) {
  const dataflow = flowOf(pipeline);
  const sink = new RecordingSink();
  const frames = steps.map(([clock, readings], i) =>
    frameOf(clock, readings, i === 0 ? { definitions } : {}),
  );
  applyAll(dataflow, frames, sink);
  const lines = sink.summaries.map(
    ({ start, end, revision, count }) => `[${start}, ${end}) r${revision} n${count}`,
  );
  return { lines, ledger: dataflow.ledger.view().pipelines[0]! };
}

const at = (...times: number[]): Reading[] =>
  times.map((time) => ({ series: 0, time, value: time }));

test("a silence of a gap closes the session, a shorter one does not", () => {
  const { lines } = run(sessions, [[0, at(0, 999, 1_500, 2_500, 9_000)]]);
  assert.deepEqual(lines, ["[0, 2500) r0 n3", "[2500, 3500) r0 n1"]);
});

test("a late reading between two emitted sessions joins them: the later one is withdrawn", () => {
  const late = { ...sessions, allowedLatenessMs: 20_000 };
  const { lines, ledger } = run(late, [
    [0, at(0, 1_500, 9_000)],
    [500, at(800)],
    [500 + limits.correctionWaitMs, []],
  ]);
  assert.deepEqual(lines, [
    "[0, 1000) r0 n1",
    "[1500, 2500) r0 n1",
    "[1500, 2500) r1 n0",
    "[0, 2500) r1 n3",
  ]);
  assert.equal(ledger.closed, 3);
  assert.equal(ledger.open, 1);
});

test("a late reading before an emitted session withdraws it and emits it anew", () => {
  const late = { ...sessions, allowedLatenessMs: 20_000 };
  const { lines } = run(late, [
    [0, at(1_000, 9_000)],
    [0, at(400)],
    [limits.correctionWaitMs, []],
  ]);
  assert.deepEqual(lines, ["[1000, 2000) r0 n1", "[1000, 2000) r1 n0", "[400, 2000) r0 n2"]);
});

test("a session never spans more than maxMs", () => {
  const short = { ...sessions, window: { kind: "session" as const, gapMs: GAP_MS, maxMs: 2_000 } };
  const { lines } = run(short, [[0, at(0, 700, 1_400, 2_100, 2_800, 9_000)]]);
  assert.deepEqual(lines, ["[0, 2000) r0 n3", "[2100, 3800) r0 n2"]);
});

test("when a key has its most sessions, a new one forces the oldest out", () => {
  const late = { ...sessions, allowedLatenessMs: 1e9 };
  const times = Array.from({ length: limits.sessionsPerKeyMax }, (_, i) => i * 2_000);
  const { lines, ledger } = run(late, [[0, at(...times, 90_000, 500)]]);
  assert.equal(lines.length, times.length);
  assert.equal(ledger.late, 1, "what is older than the end of a forced session is late");
  assert.equal(ledger.open, 1);
});

test("silent devices close what is open, and time after it is still on time", () => {
  const { lines } = run(sessions, [
    [0, at(0, 100)],
    [IDLE_MS, []],
    [IDLE_MS + 100, at(1_200, 1_300, 9_000)],
  ]);
  assert.deepEqual(lines, ["[0, 1100) r0 n2", "[1200, 2300) r0 n2"]);
});

const arbSteps = fc
  .array(
    fc.record({
      pause: fc.oneof(
        { weight: 5, arbitrary: fc.nat(900) },
        { weight: 1, arbitrary: fc.nat(9_000) },
      ),
      rows: fc.array(
        fc.record({
          series: fc.nat(1),
          behind: fc.oneof(
            { weight: 3, arbitrary: fc.nat(700) },
            { weight: 1, arbitrary: fc.nat(6_000) },
          ),
          value: fc.integer({ min: -99, max: 99 }),
        }),
        { maxLength: 5 },
      ),
    }),
    { maxLength: 15 },
  )
  .map((steps) => {
    let clock = 0;
    return steps.map(({ pause, rows }) => {
      clock += pause;
      const readings = rows.map(({ series, behind, value }) => ({
        series,
        time: clock - behind,
        value,
      }));
      return { clock, readings };
    });
  });

/** What stands upstream: the latest revision of each start, unless it is withdrawn. */
function standing(summaries: readonly Summary[]): string[] {
  const latest = new Map<string, Summary>();
  for (const summary of summaries) {
    latest.set(`${JSON.stringify(summary.key)} ${summary.start}`, summary);
  }
  return [...latest.values()]
    .filter(({ count }) => count > 0)
    .map(
      ({ key, start, end, count, fields }) =>
        `${JSON.stringify(key)} ${start} ${end} ${count} ${fields.sum}`,
    )
    .sort();
}

test("with lateness to spare, the latest revisions are the sessions of the sorted readings", () => {
  fc.assert(
    fc.property(arbSteps, (steps) => {
      const dataflow = flowOf({ ...sessions, key: ["device"], allowedLatenessMs: 1e9 });
      const sink = new RecordingSink();
      const frames = steps.map(({ clock, readings }, i) =>
        frameOf(clock, readings, i === 0 ? { definitions } : {}),
      );
      const end = applyAll(dataflow, frames, sink);
      const last = steps.at(-1)?.clock ?? 0;
      // Two more ticks: the devices fall idle, then the last corrections leave.
      const ticks = [last + IDLE_MS, last + IDLE_MS + limits.correctionWaitMs];
      applyAll(
        dataflow,
        ticks.map((clock) => frameOf(clock, [])),
        sink,
        end,
      );
      if (dataflow.ledger.view().pipelines[0]?.late !== 0) return; // one was forced out

      const taken = new Map<string, Reading>();
      for (const { readings } of steps) {
        for (const r of readings) taken.set(`${r.series} ${r.time} ${r.value}`, r);
      }
      const expected: string[] = [];
      for (const series of [0, 1]) {
        const sorted = [...taken.values()]
          .filter((reading) => reading.series === series)
          .sort((a, b) => a.time - b.time);
        let session: Reading[] = [];
        for (const [i, reading] of sorted.entries()) {
          session.push(reading);
          const next = sorted[i + 1];
          if (next !== undefined && next.time - reading.time < GAP_MS) continue;
          const sum = session.reduce((total, { value }) => total + value, 0);
          const key = JSON.stringify([["device", `d${series}`]]);
          const start = session[0]!.time;
          expected.push(`${key} ${start} ${reading.time + GAP_MS} ${session.length} ${sum}`);
          session = [];
        }
      }
      assert.deepEqual(standing(sink.summaries), expected.sort());
      assert.equal(dataflow.ledger.view().pipelines[0]?.open ?? 0, 0);
    }),
    { numRuns: 300 },
  );
});

type OracleSession = {
  readings: Reading[];
  told: number;
  isOpen: boolean;
  due: number | undefined;
};

/** One device, one key, sessions as plain lists: what leaves, in which revision, and what is late. */
function tell(
  steps: readonly { clock: number; readings: readonly Reading[] }[],
  latenessMs: number,
) {
  const lines: string[] = [];
  const seen = new Set<string>();
  let live: OracleSession[] = [];
  let late = 0;
  let top = Number.NEGATIVE_INFINITY;
  let closed = Number.NEGATIVE_INFINITY;
  let clock = Number.NEGATIVE_INFINITY;
  let seenAt = Number.POSITIVE_INFINITY;
  let floor = Number.NEGATIVE_INFINITY;
  const startOf = (s: OracleSession): number => Math.min(...s.readings.map(({ time }) => time));
  const endOf = (s: OracleSession): number =>
    Math.max(...s.readings.map(({ time }) => time)) + GAP_MS;
  const say = (s: OracleSession, start: number, end: number, count: number): void => {
    lines.push(`${start} ${end} r${s.told} n${count}`);
    s.told += 1;
  };
  const emit = (s: OracleSession): void => {
    s.isOpen = false;
    s.due = undefined;
    say(s, startOf(s), endOf(s), s.readings.length);
  };
  const close = (watermark: number): void => {
    if (watermark <= closed) return;
    closed = watermark;
    live.sort((a, b) => startOf(a) - startOf(b));
    for (const s of live) {
      const isFinal = endOf(s) + latenessMs <= closed;
      if (endOf(s) <= closed && (s.isOpen || (isFinal && s.due !== undefined))) emit(s);
      if (isFinal) floor = Math.max(floor, endOf(s));
    }
    live = live.filter((s) => endOf(s) + latenessMs > closed);
  };
  const quantum = (time: number): number => Math.floor(time / GAP_MS) * GAP_MS;
  for (const frame of steps) {
    if (clock === Number.NEGATIVE_INFINITY || frame.clock - clock >= limits.tickMs) {
      clock = frame.clock;
      const due = live.filter((s) => s.due !== undefined && s.due <= clock);
      for (const s of due.sort((a, b) => a.due! - b.due!)) emit(s);
      if (seenAt + IDLE_MS <= clock) {
        seenAt = Number.POSITIVE_INFINITY;
        if (live.length > 0) close(Math.ceil(Math.max(...live.map(endOf)) / GAP_MS) * GAP_MS);
      }
    }
    for (const reading of frame.readings) {
      const { time } = reading;
      if (seen.has(`${time} ${reading.value}`)) continue;
      seen.add(`${time} ${reading.value}`);
      top = Math.max(top, time);
      seenAt = clock;
      close(quantum(top - DISORDER_MS));
      const near = live.filter((s) => time < endOf(s) && time + GAP_MS > startOf(s));
      const isInside = near.some((s) => startOf(s) <= time);
      const isPast = near.length === 0 && time + GAP_MS + latenessMs <= closed;
      if (isPast || (time < floor && !isInside)) {
        late += 1;
        continue;
      }
      near.sort((a, b) => startOf(a) - startOf(b));
      const whole: OracleSession = { readings: [reading], told: 0, isOpen: false, due: undefined };
      const start = Math.min(time, ...near.map(startOf));
      for (const s of [...near].reverse()) {
        if (s.told > 0 && startOf(s) !== start) say(s, startOf(s), endOf(s), 0);
        if (startOf(s) === start) {
          whole.told = s.told;
          whole.due = s.due;
        }
        whole.readings.push(...s.readings);
      }
      live = [...live.filter((s) => !near.includes(s)), whole];
      whole.isOpen = endOf(whole) > closed;
      if (whole.isOpen) whole.due = undefined;
      else whole.due ??= near[0]?.due ?? clock + limits.correctionWaitMs;
    }
  }
  return { lines, late };
}

test("sessions of one device are what plain lists say, revision by revision", () => {
  fc.assert(
    fc.property(arbSteps, fc.constantFrom(0, 1_500, 5_000), (mixed, allowedLatenessMs) => {
      const steps = mixed.map(({ clock, readings }) => ({
        clock,
        readings: readings.map((reading) => ({ ...reading, series: 0 })),
      }));
      const { lines, ledger } = run({ ...sessions, allowedLatenessMs }, [
        [0, []],
        ...steps.map(({ clock, readings }) => [clock, readings] as const),
      ]);
      const oracle = tell([{ clock: 0, readings: [] }, ...steps], allowedLatenessMs);
      const told = oracle.lines.map((line) => line.replace(/^(\S+) (\S+) /, "[$1, $2) "));
      assert.deepEqual([...lines].sort(), [...told].sort());
      assert.equal(ledger.late, oracle.late);
    }),
    { numRuns: 500 },
  );
});
