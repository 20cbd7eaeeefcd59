/**
 * Records that wait to be published, first in, first out. What was taken is let go, also where the
 * queue never runs empty: the places before the head are given back when they are half of all.
 */

export type WaitingRecord = { readonly topic: string; readonly record: Uint8Array };

/** Fewer places are not worth a copy. */
const PLACES_MIN = 64;

export class WaitingRecords {
  #places: WaitingRecord[] = [];
  #head = 0;
  #bytes = 0;

  /** Of the records that wait. */
  get bytes(): number {
    return this.#bytes;
  }

  add(waiting: WaitingRecord): void {
    this.#bytes += waiting.record.length;
    this.#places.push(waiting);
  }

  /** The one that waits longest, which waits no more. Amortised O(1). */
  take(): WaitingRecord | undefined {
    const next = this.#places[this.#head];
    if (next === undefined) return undefined;
    this.#head += 1;
    this.#bytes -= next.record.length;
    if (this.#head >= Math.max(PLACES_MIN, this.#places.length / 2)) {
      this.#places = this.#places.slice(this.#head);
      this.#head = 0;
    }
    return next;
  }
}
