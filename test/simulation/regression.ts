/**
 * A regression file: a plan that once broke a promise, shrunk, and what it was. Every later run lives
 * through it again.
 */

import type { Plan } from "./plan.ts";

export type Regression = {
  /** The promise that was broken. */
  readonly promise: string;
  /** What was wrong, for the next one who breaks it. */
  readonly note: string;
  readonly plan: Plan;
};

/** Throws where the text is none, naming `path`. */
export function readRegression(text: string, path: string): Regression {
  const value = JSON.parse(text) as Partial<Regression>;
  const { promise, note, plan } = value;
  if (plan?.version !== 1 || promise === undefined || note === undefined) {
    throw new Error(`${path} is no regression file of version 1: promise, note, plan`);
  }
  return { promise, note, plan };
}
