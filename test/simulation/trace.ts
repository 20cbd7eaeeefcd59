/** What happened in a simulated world, line by line, in the order of its time. The same seed, the same bytes. */

export class Trace {
  readonly lines: string[] = [];
  readonly #now: () => number;
  readonly #isDetailed: boolean;

  /** `detailed`: every request and call too. */
  constructor(options: { readonly now: () => number; readonly detailed: boolean }) {
    this.#now = options.now;
    this.#isDetailed = options.detailed;
  }

  /** Something that a reader wants to see. */
  tell(who: string, what: string): void {
    const seconds = (this.#now() / 1_000).toFixed(3).padStart(9);
    this.lines.push(`${seconds}  ${who.padEnd(8)} ${what}`);
  }

  /** One of very many. */
  detail(who: string, what: () => string): void {
    if (this.#isDetailed) this.tell(who, what());
  }
}
