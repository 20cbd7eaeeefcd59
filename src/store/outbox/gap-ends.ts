/**
 * How far gaps reach, by key: what begins before is not merged, so that a coarser summary never lacks
 * a part of its interval without saying so. What was dropped in this life is known by key; of older
 * gaps their records are found on the way, and tell it for a pipeline as a whole.
 */

import { limits } from "../../core/limits.ts";
import { type RecordId, streamIn } from "./record-id.ts";

export class GapEnds {
  /** By agent/pipeline/key, or agent/pipeline. */
  readonly #ends = new Map<string, number>();

  /** Of a key, as ids name it. */
  of(name: string): number {
    const ofKey = this.#ends.get(name) ?? Number.NEGATIVE_INFINITY;
    return Math.max(ofKey, this.#ends.get(streamIn(name)) ?? Number.NEGATIVE_INFINITY);
  }

  /** A gap was found. */
  found(gap: Extract<RecordId, { readonly kind: "gap" }>): void {
    this.#reach(streamIn(gap.name), gap.end);
  }

  /** A summary of the key that ends here was dropped. */
  dropped(name: string, end: number): void {
    const isFull = this.#ends.size >= limits.outboxRollupKeysMax && !this.#ends.has(name);
    this.#reach(isFull ? streamIn(name) : name, end);
  }

  #reach(name: string, end: number): void {
    this.#ends.set(name, Math.max(end, this.#ends.get(name) ?? Number.NEGATIVE_INFINITY));
  }
}
