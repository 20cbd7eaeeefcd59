/**
 * Readings that went into quarantine since the start: the ledger counts them since the agent's first,
 * and what was mended long ago is nothing to notice.
 */

import type { Ledger } from "../edge-ops/ledger.ts";

/** How many, and the source that most of them are of. */
export type Quarantined = { readonly readings: number; readonly source: string };

export class QuarantinedSinceStart {
  readonly #ledger: Ledger;
  readonly #before: ReadonlyMap<string, number>;

  /** `ledger`: as recovered. */
  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#before = this.#counts();
  }

  /** undefined where there are none. */
  get status(): Quarantined | undefined {
    let [readings, most, source] = [0, 0, ""];
    for (const [name, count] of this.#counts()) {
      const since = count - (this.#before.get(name) ?? 0);
      readings += since;
      if (since > most) [most, source] = [since, name];
    }
    return readings === 0 ? undefined : { readings, source };
  }

  #counts(): ReadonlyMap<string, number> {
    const { sources } = this.#ledger.view();
    return new Map(sources.map(({ source, readings }) => [source, readings.quarantined]));
  }
}
