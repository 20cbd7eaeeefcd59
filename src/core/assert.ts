/**
 * Bugs are crashes: an assertion names the invariant as a sentence; when it fails the process ends
 * and a restart replays the log. Never used on input from outside, which yields a fault instead.
 */

export class InvariantError extends Error {
  override readonly name = "InvariantError";
}

export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new InvariantError(invariant);
}

/** Closes a switch over a union: a new case is then a type error. */
export function unreachable(value: never): never {
  throw new InvariantError(`unreachable case: ${JSON.stringify(value)}`);
}
