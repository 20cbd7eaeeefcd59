/** First in, first out, without moving what waits: the places before the head are given back now and then. */

/** Fewer places are not worth a copy. */
const PLACES_MIN = 256;

export class Fifo<Item> {
  #places: (Item | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#places.length - this.#head;
  }

  add(item: Item): void {
    this.#places.push(item);
  }

  /** The one that waits longest, which stays; undefined where none does. */
  peek(): Item | undefined {
    return this.#places[this.#head];
  }

  /** The same, which waits no more. Amortised O(1). */
  take(): Item | undefined {
    const item = this.#places[this.#head];
    if (this.length === 0) return undefined;
    this.#places[this.#head] = undefined;
    this.#head += 1;
    if (this.#head >= Math.max(PLACES_MIN, this.#places.length / 2)) {
      this.#places = this.#places.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
