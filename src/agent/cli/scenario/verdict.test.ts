/**
 * The verdict against agents that break their word: each break is made in what an honest agent left, and
 * has to be named.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { LedgerView } from "../../../edge-ops/ledger.ts";
import type { Summary } from "../../../core/record.ts";
import { millis } from "../../../core/units.ts";
import { demoConfig } from "../demo-config.ts";
import { truthOf } from "./truth.ts";
import { verdictOf } from "./verdict.ts";
import { WindowBook } from "./window-book.ts";

const pipeline = "ten-seconds";
const config = demoConfig({
  dataDirectory: "/tmp/x",
  mqttPort: 1,
  httpPort: 2,
  real: false,
  kafka: undefined,
});
const start = 1_764_000_000_000;

function window(of: Partial<Summary> & { readonly metric?: string } = {}): Summary {
  const { metric = "flow", ...rest } = of;
  return {
    kind: "summary",
    pipeline,
    key: [
      ["device", "pump-1"],
      ["metric", metric],
    ],
    start: millis(start),
    end: millis(start + 10_000),
    revision: 0,
    count: 3,
    fields: { sum: 6, min: 1, max: 3 },
    arrivalTimed: 0,
    ...rest,
  };
}

function line(of: object = {}): Readonly<Record<string, unknown>> {
  const own = { line: "window", device: "pump-1", metric: "flow", start, pending: 0, ageMs: 900 };
  return { ...own, count: 3, sum: 6, min: 1, max: 3, ...of };
}

function ledger(
  of: { readonly open?: number; readonly late?: number; readonly accepted?: number } = {},
): LedgerView {
  const { open = 0, late = 0, accepted = 3 } = of;
  const messages = { received: 3, decoded: 3, deadLettered: 0, shed: 0 };
  const none = { duplicate: 0, quarantined: 0, rejected: 0, conflict: 0 };
  const readings = { decoded: accepted, accepted, ...none };
  const row = { filtered: 0, refused: 0, late, open, closed: accepted - open - late };
  const others = {
    windows: 1,
    corrections: 0,
    forced: 0,
    alerts: 0,
    suppressed: 0,
    sketchesLost: 0,
  };
  return {
    sources: [{ source: "plant", messages, readings, balanced: true }],
    pipelines: [{ pipeline, accepted, ...row, ...others, balanced: true }],
    balanced: true,
  };
}

/** What is first, where an agent left these windows for these lines of truth. */
function first(
  windows: readonly Summary[],
  {
    lines = [line()],
    said = ledger(),
    faults = "link",
  }: {
    readonly lines?: readonly object[];
    readonly said?: LedgerView;
    readonly faults?: string;
  } = {},
): string | undefined {
  const book = new WindowBook();
  for (const [index, record] of windows.entries()) {
    const { key, start, end, revision } = record;
    const name = key.map(([, value]) => value).join(",");
    const id = `a/${pipeline}/${name}/${start}/${end - start}/${revision}`;
    book.take({ id, agent: "a", record }, `summaries:${index + 1}`);
  }
  const truth = truthOf(
    [{ line: "options", windowMs: 10_000 }, ...lines.map((of) => ({ ...of }))],
    [{ line: "options", faults }],
  );
  const upstream = { broken: book.repeated, proven: undefined };
  return verdictOf({ config, truth, ledger: said, upstream, book, troubles: [] }).first;
}

test("what is all there is verified, whatever was sent again or corrected", () => {
  assert.equal(first([window()]), undefined);
  assert.equal(first([window({ count: 1 }), window({ revision: 1 })]), undefined);
});

test("a window that is missing is named, unless the ledger has its readings in open ones", () => {
  const said = first([]);
  assert.match(said!, /pump-1\/flow from .*: 3 acknowledged readings are in no window upstream/);
  assert.equal(first([], { said: ledger({ open: 3 }) }), undefined);
  assert.match(first([], { said: ledger({ open: 2 }) })!, /in no window upstream/);
});

test("the ledger is believed that readings are late only where they were, or where clocks are wrong", () => {
  const said = ledger({ late: 3 });
  assert.match(first([], { said })!, /in no window upstream/);
  const old = [line({ ageMs: 60_001 })]; // of 60 s that are allowed
  assert.equal(first([], { said, lines: old }), undefined);
  assert.match(first([], { said: ledger({ late: 2 }), lines: old })!, /in no window upstream/);
  assert.equal(first([], { said, faults: "many" }), undefined);
});

test("a reading that is missing is named, with its window", () => {
  assert.match(
    first([window({ count: 2 })])!,
    /^summaries:1: a\/.*: 2 readings, 3 were acknowledged/,
  );
});

test("a forgotten correction is a reading that is missing", () => {
  const lines = [line({ count: 4, sum: 10, max: 4 })];
  const said = ledger({ accepted: 4 });
  assert.match(first([window()], { lines, said })!, /3 readings, 4 were acknowledged/);
});

test("a reading that counts twice is named", () => {
  assert.match(first([window({ count: 4 })])!, /4 readings, no more than 3 were sent/);
  const coarse = window({ start: millis(start - 10_000), merged: 2, end: millis(start + 10_000) });
  assert.match(first([coarse, window()])!, /readings of this time are in another window, too/);
});

test("a record that is there twice is named", () => {
  assert.match(first([window(), window()])!, /^summaries:2: .* is there a second time/);
});

test("what was not acknowledged may be there, and may not", () => {
  const lines = [line({ pending: 1 })];
  assert.equal(first([window()], { lines }), undefined);
  assert.equal(first([window({ count: 4 })], { lines }), undefined);
  assert.match(first([window({ count: 5 })], { lines })!, /no more than 4 were sent/);
});

test("sums, minima and maxima are those of what was sent", () => {
  assert.match(first([window({ fields: { sum: 6.1 } })])!, /sum 6.1, of what was sent it is 6/);
  assert.equal(first([window({ fields: { sum: 6 + 1e-12 } })]), undefined, "as floats add up");
  assert.match(first([window({ fields: { min: 0 } })])!, /min 0, sent was 1/);
  assert.match(first([window({ fields: { max: 4 } })])!, /max 4, sent was 3/);
});

test("a coarser summary stands for all windows in it", () => {
  const lines = [line(), line({ start: start + 10_000, count: 1, sum: 9, min: 9, max: 9 })];
  const merged = { merged: 2, end: millis(start + 20_000), count: 4 };
  const said = ledger({ accepted: 4 });
  const whole = window({ ...merged, fields: { sum: 15, min: 1, max: 9 } });
  assert.equal(first([whole], { lines, said }), undefined);
  const short = window({ ...merged, count: 3 });
  assert.match(first([short], { lines, said })!, /3 readings, 4 were acknowledged/);
});

test("an agent that acknowledged what its ledger does not have is found by that", () => {
  const said = ledger({ accepted: 2 });
  assert.match(first([window()], { said })!, /the ledger has 2 readings, 3 were acknowledged/);
  assert.match(first([window()], { said: { ...ledger(), balanced: false } })!, /does not balance/);
});

test("values that are no numbers are in no window, and not missed there", () => {
  const {
    sum: _,
    min: __,
    max: ___,
    ...text
  } = line({ metric: "mode" }) as Record<string, unknown>;
  assert.equal(
    first([window()], { lines: [line(), text], said: ledger({ accepted: 6 }) }),
    undefined,
  );
});
