/** The Random door from a seed: mulberry32, good enough to choose what breaks. */

import type { Random } from "../../src/core/doors.ts";

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    uint32: () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
      return (mixed ^ (mixed >>> 14)) >>> 0;
    },
  };
}

/** An integer in [0, below). */
export function below(random: Random, bound: number): number {
  return random.uint32() % bound;
}

/** Fractions in [0, 1) from a seed. */
export function fractions(seed: number): () => number {
  const random = seededRandom(seed);
  return () => random.uint32() / 2 ** 32;
}
