/**
 * The last so many identities, of so many characters as JSON together, the oldest forgotten first: a set, and
 * the order in which they came in a ring. (A Map alone has its order, too, but looks through its deleted entries for the first one.)
 */

export class RecentIdentities {
  readonly #max: number;
  readonly #lengthMax: number;
  readonly #known = new Set<string>();
  /** By slot; slots [head, head + size) of the ring are in use. */
  readonly #ring: string[] = [];
  readonly #cameAt: number[] = [];
  #head = 0;
  /** When one came last, by whatever clock, ms. */
  #newest = Number.NEGATIVE_INFINITY;
  /** Characters of `list` as JSON, at most. */
  #length = 0;

  constructor(identitiesMax: number, lengthMax: number) {
    this.#max = identitiesMax;
    this.#lengthMax = lengthMax;
  }

  get size(): number {
    return this.#known.size;
  }

  has(identity: string): boolean {
    return this.#known.has(identity);
  }

  /** Remembers one that it has not; `at`, ms, does not go back but for clocks that do. O(1 + forgotten). */
  add(identity: string, at: number): void {
    const length = lengthOf(identity);
    while (this.size > 0 && (this.size >= this.#max || this.#length + length > this.#lengthMax)) {
      this.#dropOldest();
    }
    this.#length += length;
    this.#newest = Math.max(this.#newest, at);
    const slot = (this.#head + this.size) % this.#max;
    this.#ring[slot] = identity;
    this.#cameAt[slot] = at;
    this.#known.add(identity);
  }

  /** Forgets those that came before `time`. O(forgotten). */
  dropBefore(time: number): void {
    while (this.size > 0 && this.#cameAt[this.#head]! < time) this.#dropOldest();
  }

  /**
   * The clock is at `time`: none came later. One from a clock that ran ahead would hold all behind it until
   * the clock is there again. O(1) where none did.
   */
  clampTo(time: number): void {
    if (this.size === 0 || this.#newest <= time) return;
    this.#newest = time;
    let latest = time;
    for (let i = this.size - 1; i >= 0; i--) {
      const slot = (this.#head + i) % this.#max;
      latest = Math.min(latest, this.#cameAt[slot]!);
      this.#cameAt[slot] = latest;
    }
  }

  /** The oldest first. */
  *list(): Generator<readonly [identity: string, cameAt: number]> {
    for (let i = 0; i < this.size; i++) {
      const slot = (this.#head + i) % this.#max;
      yield [this.#ring[slot]!, this.#cameAt[slot]!];
    }
  }

  #dropOldest(): void {
    const oldest = this.#ring[this.#head]!;
    this.#known.delete(oldest);
    this.#length -= lengthOf(oldest);
    this.#head = (this.#head + 1) % this.#max;
  }
}

/** Of an entry of `list` as JSON: brackets, commas, and at most 16 digits. */
function lengthOf(identity: string): number {
  return JSON.stringify(identity).length + 20;
}
