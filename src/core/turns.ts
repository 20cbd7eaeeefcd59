/**
 * Work that comes a thousandfold at once, done a few in each turn of the event loop: when a switch
 * loses its power a thousand clients go in one instant, while others wait for their acknowledgements.
 */

export class Turns {
  readonly #perTurnMax: number;
  readonly #soon: (run: () => void) => void;
  #waiting: (() => void)[] = [];
  /** Done in this turn. */
  #done = 0;

  constructor(options: {
    readonly perTurnMax: number;
    /** Calls back in the next turn. */
    readonly soon: (run: () => void) => void;
  }) {
    this.#perTurnMax = options.perTurnMax;
    this.#soon = options.soon;
  }

  /** Calls `run` now or in a turn that follows, in order. */
  take(run: () => void): void {
    if (this.#done === 0) this.#soon(() => this.#nextTurn());
    this.#done += 1;
    if (this.#done <= this.#perTurnMax) run();
    else this.#waiting.push(run);
  }

  #nextTurn(): void {
    this.#done = 0;
    const now = this.#waiting.slice(0, this.#perTurnMax);
    this.#waiting = this.#waiting.slice(this.#perTurnMax);
    if (now.length === 0) return;
    this.#done = now.length;
    this.#soon(() => this.#nextTurn());
    for (const run of now) run();
  }
}
