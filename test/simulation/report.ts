/** What many simulated worlds came to, added up: the JSON of `npm run simulate`. */

import type { FaultKind } from "./faults.ts";
import type { Violation } from "./oracle/evidence.ts";
import type { Outcome } from "./simulate.ts";

export type Report = {
  readonly seeds: number;
  readonly failed: readonly { readonly seed: number; readonly violations: readonly Violation[] }[];
  readonly simulated_hours: number;
  readonly lives: number;
  readonly readings: number;
  readonly acknowledged: number;
  /** Of real time. */
  readonly readings_per_s: number;
  readonly seconds: number;
  /** Faults that struck, by kind. */
  readonly faults: Readonly<Record<string, number>>;
  /** By mark, in how many worlds it was passed. */
  readonly marks: Readonly<Record<string, number>>;
};

export class Tally {
  readonly failed: { seed: number; violations: readonly Violation[] }[] = [];
  seeds = 0;
  #simulatedMs = 0;
  #lives = 0;
  #readings = 0;
  #acknowledged = 0;
  readonly #faults = new Map<string, number>();
  readonly #marks: Map<string, number>;

  /** `marks`: names of all there are, passed or not. */
  constructor(marks: readonly string[]) {
    this.#marks = new Map(marks.map((name) => [name, 0]));
  }

  add({
    seed,
    violations,
    simulatedMs,
    lives,
    readings,
    acknowledged,
    faults,
    marks,
  }: Outcome): void {
    this.seeds += 1;
    this.#simulatedMs += simulatedMs;
    this.#lives += lives;
    this.#readings += readings;
    this.#acknowledged += acknowledged;
    for (const kind of Object.keys(faults) as FaultKind[]) {
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + (faults[kind] ?? 0));
    }
    for (const mark of marks) this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1);
    if (violations.length > 0) this.failed.push({ seed, violations });
  }

  report(seconds: number): Report {
    return {
      seeds: this.seeds,
      failed: this.failed,
      simulated_hours: Math.round(this.#simulatedMs / 36_000) / 100,
      lives: this.#lives,
      readings: this.#readings,
      acknowledged: this.#acknowledged,
      readings_per_s: Math.round(this.#readings / seconds),
      seconds: Math.round(seconds * 10) / 10,
      faults: Object.fromEntries([...this.#faults].toSorted(([a], [b]) => (a < b ? -1 : 1))),
      marks: Object.fromEntries(this.#marks),
    };
  }
}
