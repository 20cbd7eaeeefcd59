/**
 * The last so many identities, the oldest forgotten first: a set, and the order in which they came in a
 * ring. (A Map alone has its order, too, but looks through its deleted entries for the first one.)
 */

export class RecentIdentities {
  readonly #max: number;
  readonly #known = new Set<string>();
  /** By slot; slots [head, head + size) of the ring are in use. */
  readonly #ring: string[] = [];
  readonly #cameAt: number[] = [];
  #head = 0;

  constructor(identitiesMax: number) {
    this.#max = identitiesMax;
  }

  get size(): number {
    return this.#known.size;
  }

  has(identity: string): boolean {
    return this.#known.has(identity);
  }

  /** Remembers one that it has not; `at`, ms, does not go back but for clocks that do. O(1). */
  add(identity: string, at: number): void {
    if (this.size >= this.#max) this.#dropOldest();
    const slot = (this.#head + this.size) % this.#max;
    this.#ring[slot] = identity;
    this.#cameAt[slot] = at;
    this.#known.add(identity);
  }

  /** Forgets those that came before `time`. O(forgotten). */
  dropBefore(time: number): void {
    while (this.size > 0 && this.#cameAt[this.#head]! < time) this.#dropOldest();
  }

  /** The oldest first. */
  *list(): Generator<readonly [identity: string, cameAt: number]> {
    for (let i = 0; i < this.size; i++) {
      const slot = (this.#head + i) % this.#max;
      yield [this.#ring[slot]!, this.#cameAt[slot]!];
    }
  }

  #dropOldest(): void {
    this.#known.delete(this.#ring[this.#head]!);
    this.#head = (this.#head + 1) % this.#max;
  }
}
