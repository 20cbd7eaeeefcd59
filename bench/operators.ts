/**
 * What does one reading cost in each operator, in nanoseconds and in bytes of state? `accept` is what
 * every reading costs before the first pipeline: a dataflow that has none. The operators are
 * measured by themselves, on rows that are accepted already, beside a Map of objects as a rival.
 *
 * Time is CPU time of this thread, emitting included: the median over rounds, in each of which every
 * case takes the same readings, one case after the other. Bytes are those of all state chunks that
 * were touched, divided by the series; for the rival, what its objects take on the heap. The hash is
 * a checksum of everything emitted: the same for the same options, on every machine.
 */

import { hashOfPair } from "../src/core/hash.ts";
import { type CaseName, caseNames, cases, type Subject } from "./operator-cases.ts";
import { createStream, fillStream, type Stream } from "./stream.ts";

export type OperatorsOptions = {
  readonly seriesCounts: readonly number[];
  /** Readings of one round of one case, at least. */
  readonly readings: number;
  /** Measured rounds; one more comes before them. */
  readonly rounds: number;
};

export const defaults: OperatorsOptions = {
  seriesCounts: [100, 10_000, 100_000],
  readings: 2_000_000,
  rounds: 5,
};

export const tinyOptions: OperatorsOptions = {
  seriesCounts: [20, 50],
  readings: 2_000,
  rounds: 1,
};

export type Cost = { readonly ns_per_reading: number; readonly bytes_per_series: number };

/** Costs by the number of series; hashes as eight hexadecimal digits. */
export type OperatorsResult = Readonly<Record<CaseName, Readonly<Record<string, Cost>>>> & {
  readonly rounds: number;
  readonly hash: string;
  /** Of each case by itself; those of `tumbling` and its rival are equal. */
  readonly hashes: Readonly<Record<CaseName, string>>;
};

export function run(options: OperatorsOptions): OperatorsResult {
  const costs = byCase((): Record<string, Cost> => ({}));
  const sums = byCase(() => [0]);
  for (const seriesCount of options.seriesCounts) {
    const stream = createStream({ seriesCount, readingsMin: options.readings });
    const subjects = new Map(caseNames.map((name) => [name, cases[name](stream)]));
    const nanos = measure(stream, subjects, options.rounds);
    for (const [name, subject] of subjects) {
      costs[name][seriesCount] = {
        ns_per_reading: rounded(median(nanos.get(name) ?? [])),
        bytes_per_series: rounded(subject.bytes()),
      };
      sums[name].push(subject.finish());
    }
  }
  const hashes = byCase((name) => hex(sums[name].reduce(hashOfPair)));
  const hash = hex(caseNames.flatMap((name) => sums[name]).reduce(hashOfPair));
  return { ...costs, rounds: options.rounds, hash, hashes };
}

function byCase<Value>(valueOf: (name: CaseName) => Value): Record<CaseName, Value> {
  return {
    accept: valueOf("accept"),
    tumbling: valueOf("tumbling"),
    quantiles: valueOf("quantiles"),
    sliding: valueOf("sliding"),
    session: valueOf("session"),
    ewma: valueOf("ewma"),
    count_min: valueOf("count_min"),
    naive_map: valueOf("naive_map"),
  };
}

function hex(hash: number): string {
  return hash.toString(16).padStart(8, "0");
}

/** The figures as a small table. */
export function textOf(result: OperatorsResult): string {
  const sizes = Object.keys(result.tumbling);
  const head = ["", ...sizes.map((size) => `${size} series`)];
  const rows = caseNames.map((name) => [
    name,
    ...sizes.map((size) => {
      const cost = result[name][size];
      return cost ? `${cost.ns_per_reading} ns, ${cost.bytes_per_series} B` : "";
    }),
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]!.length)));
  const lines = [head, ...rows].map((row) =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  "),
  );
  return [
    ...lines,
    "",
    "ns of CPU per reading, bytes of state per series",
    `${result.rounds} rounds, hash ${result.hash}`,
  ].join("\n");
}

/** CPU nanoseconds per reading, by case and round. The first round only warms up. */
function measure(
  stream: Stream,
  subjects: ReadonlyMap<CaseName, Subject>,
  rounds: number,
): Map<CaseName, number[]> {
  const nanos = new Map<CaseName, number[]>(caseNames.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const kind of ["number", "symbol"] as const) {
      fillStream(stream, round, kind);
      for (const [name, subject] of subjects) {
        if (subject.kind !== kind) continue;
        const before = process.threadCpuUsage();
        subject.run();
        const { user, system } = process.threadCpuUsage(before);
        if (round > 0) nanos.get(name)!.push(((user + system) * 1_000) / stream.readings);
      }
    }
  }
  return nanos;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10;
}
