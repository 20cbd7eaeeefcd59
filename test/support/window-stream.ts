/**
 * What the dataflow would emit for many keys, written apart from it: tumbling windows that close one
 * after another, each key at its own pace, and late readings that correct closed windows within the
 * allowed lateness. It remembers the truth of every window, and tells whether summaries have it.
 */

import assert from "node:assert/strict";
import type { Random } from "../../src/core/doors.ts";
import type { Complete, Gap, Summary } from "../../src/core/record.ts";
import { millis } from "../../src/core/units.ts";
import { below } from "./seeded-random.ts";

export type WindowStreamOptions = {
  readonly random: Random;
  readonly pipeline: string;
  readonly keys: number;
  readonly sizeMs: number;
  readonly latenessMs: number;
  /** A multiple of sizeMs. */
  readonly startMs: number;
  /** Of a hundred windows, so many are corrected, and so many are empty. */
  readonly late?: number;
  readonly empty?: number;
};

type Truth = {
  readonly values: { readonly time: number; readonly value: number }[];
  revision: number;
};

export class WindowStream {
  readonly #options: WindowStreamOptions;
  /** By key: number of the first window that is open, counted from startMs. */
  readonly #open: number[];
  /** By key and number of the window. */
  readonly #truth: Map<number, Truth>[];

  constructor(options: WindowStreamOptions) {
    this.#options = options;
    this.#open = Array.from({ length: options.keys }, () => 0);
    this.#truth = Array.from({ length: options.keys }, () => new Map());
  }

  /** Readings in all windows so far. */
  get readings(): number {
    let count = 0;
    for (const windows of this.#truth) {
      for (const { values } of windows.values()) count += values.length;
    }
    return count;
  }

  /** The next `windows` windows of a key close; some of those before are corrected. */
  close(key: number, windows: number): readonly Summary[] {
    const { random, late = 10, empty = 10 } = this.#options;
    const emitted: Summary[] = [];
    for (let n = 0; n < windows; n++) {
      const window = this.#open[key]!++;
      if (below(random, 100) >= empty) {
        for (let i = 1 + below(random, 4); i > 0; i--) this.#add(key, window);
        emitted.push(this.#summary(key, window));
      }
      if (below(random, 100) < late) emitted.push(...this.#correct(key));
    }
    return emitted;
  }

  /** What the dataflow would say of the key now: how many readings are in windows that are final. */
  marker(key: number): Complete {
    const { sizeMs, latenessMs, startMs, pipeline } = this.#options;
    const through = this.#open[key]! * sizeMs - latenessMs;
    let readings = 0;
    for (const [window, { values }] of this.#truth[key]!) {
      if ((window + 1) * sizeMs <= through) readings += values.length;
    }
    return {
      kind: "complete",
      pipeline,
      key: [["device", `d${key}`]],
      through: millis(startMs + through),
      readings,
    };
  }

  /** A late reading of a window that is closed and not final. */
  #correct(key: number): readonly Summary[] {
    const { random, sizeMs, latenessMs } = this.#options;
    const open = this.#open[key]!;
    const window = open - 1 - below(random, Math.max(1, Math.ceil(latenessMs / sizeMs)));
    const isFinal = (window + 1) * sizeMs + latenessMs <= open * sizeMs;
    if (window < 0 || isFinal) return [];
    this.#add(key, window);
    return [this.#summary(key, window)];
  }

  #add(key: number, window: number): void {
    const { random, sizeMs, startMs } = this.#options;
    const windows = this.#truth[key]!;
    const truth = windows.get(window) ?? { values: [], revision: -1 };
    windows.set(window, truth);
    const taken = new Set(truth.values.map(({ time }) => time));
    let time = startMs + window * sizeMs + below(random, sizeMs);
    while (taken.has(time)) time = startMs + window * sizeMs + below(random, sizeMs);
    truth.values.push({ time, value: (below(random, 2_001) - 1_000) / 8 });
  }

  #summary(key: number, window: number): Summary {
    const { sizeMs, startMs, pipeline } = this.#options;
    const truth = this.#truth[key]!.get(window)!;
    truth.revision += 1;
    return {
      kind: "summary",
      pipeline,
      key: [["device", `d${key}`]],
      start: millis(startMs + window * sizeMs),
      end: millis(startMs + (window + 1) * sizeMs),
      revision: truth.revision,
      count: truth.values.length,
      fields: fieldsOf(truth.values),
      arrivalTimed: 1,
    };
  }

  /** They have as many readings as are missing, no more records than windows, and span them. */
  #checkGaps(
    gaps: readonly Gap[],
    missing: readonly { readonly start: number; readonly count: number }[],
    where: string,
  ): void {
    const readings = sumOf(gaps.map((gap) => gap.readings));
    assert.equal(readings, sumOf(missing.map(({ count }) => count)), `${where}: gaps say how many`);
    const records = sumOf(gaps.map((gap) => gap.records));
    assert.ok(records > 0 && records <= missing.length, `${where}: ${records} records in gaps`);
    const { sizeMs } = this.#options;
    for (const { start } of missing) {
      const isTold = gaps.some((gap) => gap.start <= start && start + sizeMs <= gap.end);
      assert.ok(isTold, `${where}: the window at ${start} is in no gap`);
    }
  }

  /**
   * The summaries, in any order, have every reading once: each window is in exactly one of them (their
   * newest revisions), and what that says is true of its windows. Windows that are in none are those
   * that the gaps stand for.
   */
  check(summaries: readonly Summary[], where: string, gaps: readonly Gap[] = []): void {
    const { keys, sizeMs, startMs, pipeline } = this.#options;
    const newest = new Map<string, Summary>();
    for (const summary of summaries) {
      if (summary.pipeline !== pipeline) continue;
      const { key, start, end, revision } = summary;
      const name = `${key[0]![1]}/${start}/${end - start}`;
      const known = newest.get(name);
      if (known === undefined || known.revision < revision) newest.set(name, summary);
    }
    const missing: { readonly start: number; readonly count: number }[] = [];
    const byDevice = Map.groupBy(newest.values(), ({ key }) => key[0]![1]);
    for (let key = 0; key < keys; key++) {
      const found = (byDevice.get(`d${key}`) ?? []).toSorted((a, b) => a.start - b.start);
      const left = new Map(this.#truth[key]);
      let end = Number.NEGATIVE_INFINITY;
      for (const summary of found) {
        const at = `${where}: d${key} ${summary.start}/${summary.end - summary.start}`;
        assert.ok(summary.start >= end, `${at} is covered twice`);
        end = summary.end;
        const values = [];
        let windows = 0;
        for (let time: number = summary.start; time < summary.end; time += sizeMs) {
          const window = (time - startMs) / sizeMs;
          const truth = left.get(window);
          if (truth === undefined) continue;
          left.delete(window);
          windows += 1;
          values.push(...truth.values);
        }
        assert.equal(summary.merged ?? 1, windows, `${at} stands for its windows`);
        checkFields(summary, fieldsOf(values), at);
        assert.equal(summary.count, values.length, `${at} has its readings`);
        assert.equal(summary.arrivalTimed, windows, `${at}`);
      }
      if (gaps.length === 0)
        assert.deepEqual([...left.keys()], [], `${where}: d${key} lacks windows`);
      for (const [window, { values }] of left) {
        missing.push({ start: startMs + window * sizeMs, count: values.length });
      }
    }
    if (gaps.length > 0) this.#checkGaps(gaps, missing, where);
  }
}

function sumOf(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function fieldsOf(values: readonly { readonly time: number; readonly value: number }[]) {
  const sorted = values.toSorted((a, b) => a.time - b.time);
  const numbers = sorted.map(({ value }) => value);
  // Eighths below 2^53: exact in any order.
  const sum = numbers.reduce((all, value) => all + value, 0);
  const mean = sum / numbers.length;
  const squares = numbers.reduce((all, value) => all + (value - mean) ** 2, 0);
  const first = sorted[0]!;
  const last = sorted.at(-1)!;
  return {
    sum,
    sumError: 0,
    mean,
    min: Math.min(...numbers),
    max: Math.max(...numbers),
    variance: squares / numbers.length,
    first: first.value,
    firstTime: millis(first.time),
    last: last.value,
    lastTime: millis(last.time),
  };
}

/** All exact but the variance, whose reference is rounded as well. */
function checkFields({ fields }: Summary, expected: ReturnType<typeof fieldsOf>, at: string): void {
  const { variance = Number.NaN, ...exact } = fields;
  const { variance: wanted, ...others } = expected;
  assert.deepEqual(exact, others, at);
  assert.ok(Math.abs(variance - wanted) <= 1e-10 * Math.max(wanted, 1), `${at}: ${variance}`);
}
