/**
 * A decoder: one payload format, in two ways that give the same readings. `scan` goes over the bytes
 * once, knows what the topic has had before, and writes rows; it refuses what it cannot do exactly.
 * `parse` understands everything the format has, makes objects, and says what is wrong. A scanner
 * may therefore refuse anything, but must not accept what the parser refuses.
 */

import type { DeadLetterReason } from "../../../core/frame.ts";
import type { Draft } from "./draft.ts";

export type Refusal = {
  readonly kind: "refused";
  readonly reason: DeadLetterReason;
  /** Bytes from the start of the payload to the place; 0 where the meaning is refused, not the bytes. */
  readonly offset: number;
};

/**
 * `value` is built of numbers, strings, booleans, null or undefined, arrays, and Maps or plain
 * objects with string keys.
 */
export type Parsed = { readonly kind: "parsed"; readonly value: unknown } | Refusal;

/** Names of fields and indexes in arrays, from the whole payload to a value in it. */
export type Keys = readonly (string | number)[];

/** Is told of each value, where it begins, in the order of the payload. `keys` changes afterwards. */
export type Seen = (keys: Keys, offset: number) => void;

export interface Decoder {
  /** True: the message is in the draft. False: nothing is known about it, ask `parse`. */
  scan(draft: Draft, bytes: Uint8Array, start: number, end: number): boolean;
  parse(bytes: Uint8Array, start: number, end: number): Parsed;
}

export function refused(reason: DeadLetterReason, offset: number): Refusal {
  return { kind: "refused", reason, offset };
}
