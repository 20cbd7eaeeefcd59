import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Catalog } from "../../core/catalog.ts";
import type { Frame } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import type { Summary } from "../../core/record.ts";
import { position } from "../../core/units.ts";
import { createDataflow } from "../dataflow.ts";
import type { WindowPipelineSpec, WindowSpec } from "../spec.ts";
import {
  definitionsOf,
  frameOf,
  type Reading,
  RecordingSink,
  specOf,
  tumbling,
} from "../../../test/support/dataflow.ts";
import { paneGeometryOf } from "./pane-geometry.ts";

const DEVICES = 3;
const METRICS = 2;
const DISORDER_MS = 1_500;
const IDLE_MS = 6_000;

/** What the oracle says of one emission. */
type Told = {
  readonly at: number;
  readonly key: string;
  readonly start: number;
  readonly revision: number;
  readonly values: readonly { readonly time: number; readonly value: number }[];
};

type Placed = { readonly pane: number; readonly time: number; readonly value: number };

type OracleKey = {
  readonly members: Set<number>;
  readonly rows: Placed[];
  readonly revisions: Map<number, number>;
  readonly marks: Map<number, number>;
  closed: number;
  newest: number;
};

type Plan = {
  readonly window: WindowSpec;
  readonly allowedLatenessMs: number;
  readonly frames: readonly { readonly clock: number; readonly readings: readonly Reading[] }[];
};

/**
 * The windows by definition: every reading is kept, every window is computed from all of them. It
 * shares nothing with the operator but the rules in the header of panes.ts.
 */
function tell(spec: WindowPipelineSpec & { window: { kind: "tumbling" | "sliding" } }, plan: Plan) {
  const { paneMs, perWindow, perSlide, ring } = paneGeometryOf(spec.window, {
    disorderMs: DISORDER_MS,
    allowedLatenessMs: spec.allowedLatenessMs,
  });
  const told: Told[] = [];
  let late = 0;
  let clock = Number.NEGATIVE_INFINITY;
  const watermark = new Map<number, number>();
  const seenAt = new Map<number, number>();
  const idle = new Set<number>();
  const taken = new Set<string>();
  const keys = new Map<string, OracleKey>();

  const emit = (at: number, name: string, key: OracleKey, first: number): void => {
    key.marks.delete(first);
    const values = key.rows.filter(({ pane }) => pane >= first && pane < first + perWindow);
    if (values.length === 0) return;
    const revision = key.revisions.get(first) ?? 0;
    key.revisions.set(first, revision + 1);
    told.push({ at, key: name, start: first * paneMs, revision, values });
  };
  const close = (at: number, name: string, key: OracleKey, through: number): void => {
    if (key.rows.length === 0) return;
    const lastEnd = Math.floor(key.newest / perSlide) * perSlide + perWindow;
    const to = Number.isFinite(through) ? through : Math.max(key.closed, lastEnd);
    if (to <= key.closed) return;
    for (const mark of [...key.marks.keys()].sort((a, b) => a - b)) {
      const isInRing = mark > key.newest - ring;
      if (isInRing && (mark + perWindow - to) * paneMs + spec.allowedLatenessMs <= 0) {
        emit(at, name, key, mark);
      }
    }
    const firsts = new Set<number>();
    for (const { pane } of key.rows) {
      for (let first = pane - perWindow + 1; first <= pane; first++) {
        const isWindow = ((first % perSlide) + perSlide) % perSlide === 0;
        const ends = first + perWindow;
        if (isWindow && ends > key.closed && ends <= to && first > key.newest - ring) {
          firsts.add(first);
        }
      }
    }
    for (const first of [...firsts].sort((a, b) => a - b)) emit(at, name, key, first);
    key.closed = to;
  };
  const reach = (key: OracleKey): number =>
    Math.min(
      ...[...key.members]
        .filter((device) => !idle.has(device))
        .map((device) => Math.floor(watermark.get(device)! / paneMs)),
    );
  const closeAll = (at: number): void => {
    for (const [name, key] of keys) close(at, name, key, reach(key));
  };

  let at = 0;
  for (const frame of plan.frames) {
    if (clock === Number.NEGATIVE_INFINITY || frame.clock - clock >= limits.tickMs) {
      clock = frame.clock;
      const due = [...keys]
        .flatMap(([name, key]) => [...key.marks].map(([first, due]) => ({ name, key, first, due })))
        .filter((mark) => mark.due <= clock);
      for (const { name, key, first } of due) emit(at, name, key, first);
      for (const [device, seen] of seenAt) {
        if (!idle.has(device) && seen + IDLE_MS <= clock) idle.add(device);
      }
      closeAll(at);
    }
    for (const [row, { series, time, value }] of frame.readings.entries()) {
      const here = at + 1 + row;
      const id = `${series} ${time} ${value}`;
      if (taken.has(id)) continue;
      taken.add(id);
      const device = Math.floor(series / METRICS);
      watermark.set(device, Math.max(watermark.get(device) ?? -Infinity, time - DISORDER_MS));
      seenAt.set(device, clock);
      idle.delete(device);
      const name = `line=${device % 2}`;
      const key: OracleKey = keys.get(name) ?? {
        members: new Set(),
        rows: [],
        revisions: new Map(),
        marks: new Map(),
        closed: 0,
        newest: 0,
      };
      keys.set(name, key);
      key.members.add(device);
      closeAll(here);
      const pane = Math.floor(time / paneMs);
      if (key.rows.length === 0) {
        key.closed = reach(key);
        key.newest = pane;
      }
      const first = Math.floor(pane / perSlide) * perSlide;
      const isFinal = (window: number): boolean =>
        (window + perWindow) * paneMs + spec.allowedLatenessMs <= key.closed * paneMs ||
        window <= key.newest - ring;
      if (isFinal(first)) {
        late += 1;
        continue;
      }
      if (pane > key.newest) {
        const gone = Math.min(pane - ring, key.newest);
        if (gone > key.newest - ring) {
          close(here, name, key, Math.floor(gone / perSlide) * perSlide + perWindow);
          for (const mark of [...key.marks.keys()].sort((a, b) => a - b)) {
            if (mark <= gone) emit(here, name, key, mark);
          }
        }
        key.newest = pane;
      }
      key.rows.push({ pane, time, value });
      for (let window = pane - perWindow + 1; window <= pane; window++) {
        if (((window % perSlide) + perSlide) % perSlide !== 0) continue;
        if (window + perWindow > key.closed || isFinal(window) || key.marks.has(window)) continue;
        key.marks.set(window, clock + limits.correctionWaitMs);
      }
    }
    at += frame.readings.length + 1;
  }
  return { told, late };
}

const arbWindow: fc.Arbitrary<WindowSpec> = fc.oneof(
  fc.constantFrom(1_000, 3_000).map((sizeMs) => ({ kind: "tumbling" as const, sizeMs })),
  fc
    .constantFrom([4_000, 1_000], [4_000, 2_000], [5_000, 3_000], [3_000, 3_000])
    .map(([sizeMs, slideMs]) => ({ kind: "sliding" as const, sizeMs: sizeMs!, slideMs: slideMs! })),
);

/** Readings around a clock that goes on, disordered, resent, on both sides of 1970, with silences. */
const arbPlan: fc.Arbitrary<Plan> = fc
  .record({
    window: arbWindow,
    allowedLatenessMs: fc.constantFrom(0, 2_500, 10_000),
    origin: fc.constantFrom(-8_000, 0, 1_700_000_000_000),
    steps: fc.array(
      fc.record({
        pause: fc.oneof(
          { weight: 5, arbitrary: fc.nat(1_500) },
          { weight: 1, arbitrary: fc.nat(20_000) },
        ),
        rows: fc.array(
          fc.record({
            series: fc.nat(DEVICES * METRICS - 1),
            behind: fc.oneof(
              { weight: 4, arbitrary: fc.nat(2_000) },
              { weight: 2, arbitrary: fc.nat(15_000) },
              { weight: 1, arbitrary: fc.integer({ min: -40_000, max: 0 }) },
            ),
            value: fc.integer({ min: -9, max: 9 }),
            again: fc.nat(6),
          }),
          { maxLength: 12 },
        ),
      }),
      { maxLength: 14 },
    ),
  })
  .map(({ window, allowedLatenessMs, origin, steps }) => {
    let clock = origin;
    const sent: Reading[] = [];
    const frames = steps.map(({ pause, rows }) => {
      clock += pause;
      const readings = rows.map(({ series, behind, value, again }) => {
        const before = sent[sent.length - 1 - again];
        if (again > 4 && before !== undefined) return before;
        const reading = { series, time: clock - behind, value };
        sent.push(reading);
        return reading;
      });
      return { clock, readings };
    });
    return { window, allowedLatenessMs, frames };
  });

function pipelineOf(plan: Plan): WindowPipelineSpec {
  return {
    ...tumbling,
    key: ["line"],
    window: plan.window,
    allowedLatenessMs: plan.allowedLatenessMs,
  };
}

function framesOf(plan: Plan): Frame[] {
  return plan.frames.map(({ clock, readings }, i) =>
    frameOf(clock, readings, i === 0 ? { definitions: definitionsOf(DEVICES, METRICS) } : {}),
  );
}

type Line = { readonly at: number; readonly summary: Summary };

function run(plan: Plan): { readonly lines: Line[]; readonly late: number } {
  const sources = { disorderMs: DISORDER_MS, idleMs: IDLE_MS };
  const spec = { ...specOf([pipelineOf(plan)], sources), duplicateRing: 1_000 };
  const dataflow = createDataflow(spec, new Catalog());
  const lines: Line[] = [];
  const sink = new RecordingSink();
  sink.summary = (at, summary) => lines.push({ at, summary });
  let at = 0;
  for (const frame of framesOf(plan)) {
    dataflow.apply(frame, position(at), sink);
    at += frame.batch.rows + 1;
    assert.ok(dataflow.ledger.view().balanced, "the ledger balances after every frame");
  }
  return { lines, late: dataflow.ledger.view().pipelines[0]!.late };
}

test("behind a window that ends the allowed lateness later nothing more comes of a window", () => {
  let corrections = 0;
  fc.assert(
    fc.property(arbPlan, fc.boolean(), (drawn, isSession) => {
      const session = { kind: "session", gapMs: 1_500, maxMs: 6_000 } as const;
      const plan = isSession ? { ...drawn, window: session } : drawn;
      const newest = new Map<string, number>();
      for (const { summary } of run(plan).lines) {
        const key = JSON.stringify(summary.key);
        const end = newest.get(key) ?? Number.NEGATIVE_INFINITY;
        assert.ok(
          summary.end + plan.allowedLatenessMs > end,
          `${summary.start} once more behind ${end}`,
        );
        newest.set(key, Math.max(end, summary.end));
        corrections += Math.sign(summary.revision);
      }
    }),
    { numRuns: 600 },
  );
  assert.ok(corrections > 20, `${corrections} corrections`);
});

test("windows are what a brute-force computation over all readings says", () => {
  fc.assert(
    fc.property(arbPlan, (plan) => {
      const pipeline = pipelineOf(plan);
      if (pipeline.window.kind === "session") return;
      const { lines, late } = run(plan);
      const oracle = tell({ ...pipeline, window: pipeline.window }, plan);
      const byIdentity = (a: Told, b: Told): number =>
        a.at - b.at || a.key.localeCompare(b.key) || a.start - b.start;
      const seen = lines.map(({ at, summary }) => ({
        at,
        key: summary.key.map((tag) => tag.join("=")).join(),
        start: summary.start,
        revision: summary.revision,
        count: summary.count,
        sum: summary.fields.sum,
        min: summary.fields.min,
        max: summary.fields.max,
        first: summary.fields.first,
        last: summary.fields.last,
      }));
      const expected = [...oracle.told].sort(byIdentity).map(({ values, ...rest }) => {
        const numbers = values.map(({ value }) => value);
        const firstTime = Math.min(...values.map(({ time }) => time));
        const lastTime = Math.max(...values.map(({ time }) => time));
        return {
          ...rest,
          start: rest.start + 0,
          count: values.length,
          sum: numbers.reduce((a, b) => a + b, 0),
          min: Math.min(...numbers),
          max: Math.max(...numbers),
          first: values.find(({ time }) => time === firstTime)!.value,
          last: values.findLast(({ time }) => time === lastTime)!.value,
        };
      });
      const ordered = [...seen].sort(
        (a, b) => a.at - b.at || a.key.localeCompare(b.key) || a.start - b.start,
      );
      assert.deepEqual(ordered, expected);
      assert.equal(late, oracle.late);
    }),
    { numRuns: 600 },
  );
});
