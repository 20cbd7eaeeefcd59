/**
 * Bodies that were posted under a key, so that one that is sent again is recognised: a ring by number.
 * The newest limits.postKeysMax stay.
 *
 *   posted/<number>   how far one is taken; a body that filled several frames has several, the last counts
 *
 * A damaged one is left out: what it told of is taken again if it is sent again.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import type { Posted } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { behindKeys, numberOfKey, postedKey, postedPrefix } from "./kv-key.ts";
import { decodeJson, encodeJson, numberOf, textOf, wholeOf } from "./stored-json.ts";

/** Numbers [first, next) are kept. */
export type PostedSpan = { readonly first: number; readonly next: number };

/** All that are kept, oldest first. */
export function readPosted(kv: Kv): {
  readonly posted: readonly Posted[];
  readonly span: PostedSpan;
} {
  let first: number | undefined;
  let next = 0;
  const seen = (key: string): void => {
    const number = numberOfKey(key);
    first = Math.min(first ?? number, number);
    next = Math.max(next, number + 1);
  };
  const posted: Posted[] = [];
  const to = behindKeys(postedPrefix);
  for (const { key, value } of kv.range({ from: postedPrefix, to, onDamaged: seen })) {
    seen(key);
    const one = decodePosted(value, `the state store's ${key}`);
    if (one !== undefined) posted.push(one);
  }
  return { posted, span: { first: first ?? 0, next } };
}

/** The writes that add some and remove what is then too much. */
export function postedWrites(
  span: PostedSpan,
  posted: readonly Posted[],
): { readonly writes: readonly KvWrite[]; readonly span: PostedSpan } {
  const next = span.next + posted.length;
  const first = Math.max(span.first, next - limits.postKeysMax);
  const writes: KvWrite[] = [];
  for (let number = span.first; number < Math.min(first, span.next); number++) {
    writes.push({ key: postedKey(number), value: undefined });
  }
  for (const [index, one] of posted.entries()) {
    const number = span.next + index;
    if (number >= first) writes.push({ key: postedKey(number), value: encodePosted(one) });
  }
  return { writes, span: { first, next } };
}

function encodePosted({ kind: _, ...posted }: Posted): Uint8Array {
  return encodeJson(posted);
}

function decodePosted(value: Uint8Array, place: string): Posted | undefined {
  try {
    const stored = decodeJson(value, place);
    return {
      kind: "posted",
      key: textOf(stored, "key"),
      digest: textOf(stored, "digest"),
      at: numberOf(stored, "at"),
      isWhole: stored.fields["isWhole"] === true,
      decoded: wholeOf(stored, "decoded"),
      deadLettered: wholeOf(stored, "deadLettered"),
      unwanted: wholeOf(stored, "unwanted"),
    };
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}
