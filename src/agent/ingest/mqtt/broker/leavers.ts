/**
 * Clients that are gone, told to the broker a few in each turn of the event loop: it has much to do
 * for each, and when a switch loses its power a thousand go at once, while others wait for their
 * acknowledgements.
 */

export class Leavers {
  readonly #perTurnMax: number;
  readonly #soon: (run: () => void) => void;
  #waiting: (() => void)[] = [];
  #told = 0;

  constructor(options: {
    readonly perTurnMax: number;
    /** Calls back in the next turn. */
    readonly soon: (run: () => void) => void;
  }) {
    this.#perTurnMax = options.perTurnMax;
    this.#soon = options.soon;
  }

  /** Calls `tell` now or in a turn that follows, in order. */
  left(tell: () => void): void {
    if (this.#told === 0) this.#soon(() => this.#nextTurn());
    this.#told += 1;
    if (this.#told <= this.#perTurnMax) tell();
    else this.#waiting.push(tell);
  }

  #nextTurn(): void {
    this.#told = 0;
    const now = this.#waiting.slice(0, this.#perTurnMax);
    this.#waiting = this.#waiting.slice(this.#perTurnMax);
    if (now.length === 0) return;
    this.#told = now.length;
    this.#soon(() => this.#nextTurn());
    for (const tell of now) tell();
  }
}
