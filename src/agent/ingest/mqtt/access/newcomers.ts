/**
 * Newcomers let in at a pace. When a switch has its power back a thousand clients come in one instant;
 * each costs the broker more than a hundred messages do, and those who stayed would wait behind all of
 * them.
 *
 *   CONNECT --> [places of this tick left?] --yes--> in
 *                        |no                         ^
 *                        +--> line --(each tick)-----+    so many of the line as empty it in
 *                                                         newcomersSpreadMs, and no fewer than
 *                                                         newcomersPerTickMin
 *
 * Invariants: who came first is let in first; nobody is refused here; who left stands in no line, so
 * the line is no longer than there are connections.
 */

export type NewcomersLimits = {
  readonly newcomersTickMs: number;
  readonly newcomersPerTickMin: number;
  readonly newcomersSpreadMs: number;
};

export class Newcomers<Client extends object> {
  readonly #limits: NewcomersLimits;
  readonly #after: (ms: number, run: () => void) => void;
  readonly #offer: (client: Client) => void;
  readonly #line = new Set<Client>();
  #places: number;
  #isTicking = false;

  constructor(options: {
    readonly limits: NewcomersLimits;
    readonly after: (ms: number, run: () => void) => void;
    /** Its place is there: asks `mayEnter` for it at once. */
    readonly offer: (client: Client) => void;
  }) {
    this.#limits = options.limits;
    this.#after = options.after;
    this.#offer = options.offer;
    this.#places = options.limits.newcomersPerTickMin;
  }

  /** Whether one may come in now. Else: `wait`. */
  mayEnter(): boolean {
    if (this.#places === 0) return false;
    this.#places -= 1;
    if (!this.#isTicking) this.#tickLater();
    return true;
  }

  /** Its `offer` follows, unless it leaves. */
  wait(client: Client): void {
    this.#line.add(client);
  }

  left(client: Client): void {
    this.#line.delete(client);
  }

  #tickLater(): void {
    this.#isTicking = true;
    this.#after(this.#limits.newcomersTickMs, () => this.#tick());
  }

  #tick(): void {
    const { newcomersTickMs, newcomersPerTickMin, newcomersSpreadMs } = this.#limits;
    const share = Math.ceil((this.#line.size * newcomersTickMs) / newcomersSpreadMs);
    this.#places = Math.max(newcomersPerTickMin, share);
    this.#isTicking = false;
    if (this.#line.size > 0) this.#tickLater();
    for (const client of this.#line) {
      if (this.#places === 0) return;
      this.#line.delete(client);
      this.#offer(client);
    }
  }
}
