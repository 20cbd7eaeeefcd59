/**
 * Dead letters: messages that could not be decoded, kept for a person to look at. A ring by number:
 * the newest limits.deadLettersKeptMax stay, older ones are removed and stay counted.
 *
 *   dlq/<number>   one letter, JSON with the payload in base64
 *   dlq-span       the numbers kept: first is also the count of those removed
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import type { DeadLetter } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { deadLetterKey, deadLetterSpanKey, numberOfKey } from "./kv-key.ts";
import { decodeJson, encodeJson, numberOf, textOf, wholeOf } from "./stored-json.ts";

/** Letters [first, next) are kept. */
export type DeadLetterSpan = { readonly first: number; readonly next: number };

/** A letter as kept; `reason` as text, since an older or newer version may have other reasons. */
export type KeptDeadLetter = Omit<DeadLetter, "reason" | "source" | "arrived"> & {
  readonly number: number;
  readonly source: number;
  /** Milliseconds since 1970, by the gateway's clock. */
  readonly arrived: number;
  readonly reason: string;
};

export function readDeadLetterSpan(kv: Kv): DeadLetterSpan {
  const value = kv.get(deadLetterSpanKey);
  if (value === undefined) return { first: 0, next: 0 };
  const stored = decodeJson(value, "the state store's dlq-span");
  return { first: wholeOf(stored, "first"), next: wholeOf(stored, "next") };
}

/** The writes that add letters and remove what is then too many. */
export function deadLetterWrites(
  span: DeadLetterSpan,
  letters: readonly DeadLetter[],
): { readonly writes: readonly KvWrite[]; readonly span: DeadLetterSpan } {
  if (letters.length === 0) return { writes: [], span };
  const next = span.next + letters.length;
  const first = Math.max(span.first, next - limits.deadLettersKeptMax);
  const writes: KvWrite[] = [];
  for (let number = span.first; number < Math.min(first, span.next); number++) {
    writes.push({ key: deadLetterKey(number), value: undefined });
  }
  letters.forEach((letter, index) => {
    const number = span.next + index;
    if (number >= first) writes.push({ key: deadLetterKey(number), value: encodeLetter(letter) });
  });
  writes.push({ key: deadLetterSpanKey, value: encodeJson({ first, next }) });
  return { writes, span: { first, next } };
}

/** The newest letters below number `before` (all when absent), newest first, at most `limit`; not damaged ones. */
export function readDeadLetters(
  kv: Kv,
  { limit, before }: { readonly limit: number; readonly before?: number },
): readonly KeptDeadLetter[] {
  const { first, next } = readDeadLetterSpan(kv);
  const to = Math.min(before ?? next, next);
  const from = Math.max(first, to - limit);
  if (from >= to) return [];
  return kv
    .range({ from: deadLetterKey(from), to: deadLetterKey(to), onDamaged: () => undefined })
    .map(({ key, value }) => decodeLetter(numberOfKey(key), value))
    .toReversed();
}

/**
 * Leaves of every letter that `tells` is true of its number, source, time and why it came here. A
 * damaged one, of which nobody knows what it says, is removed. How many of both.
 */
export async function eraseDeadLetters(
  kv: Kv,
  tells: (letter: KeptDeadLetter) => boolean,
): Promise<number> {
  const { first, next } = readDeadLetterSpan(kv);
  const damagedKeys: string[] = [];
  const onDamaged = (key: string): number => damagedKeys.push(key);
  const erased = kv
    .range({ from: deadLetterKey(first), to: deadLetterKey(next), onDamaged })
    .map(({ key, value }) => decodeLetter(numberOfKey(key), value))
    .filter((letter) => letter.topic !== erasedTopic && tells(letter));
  await kv.commit([
    ...damagedKeys.map((key) => ({ key, value: undefined })),
    ...erased.map((letter) => ({
      key: deadLetterKey(letter.number),
      value: encodeLetter({ ...letter, topic: erasedTopic, payload: new Uint8Array() }),
    })),
  ]);
  return erased.length + damagedKeys.length;
}

/** In the place of the topic of a letter that was erased. */
const erasedTopic = "(erased)";

function encodeLetter(letter: Omit<KeptDeadLetter, "number">): Uint8Array {
  const { source, topic, arrived, reason, offset, payloadBytes } = letter;
  const payload = Buffer.from(letter.payload).toString("base64");
  return encodeJson({ source, topic, arrived, reason, offset, payloadBytes, payload });
}

function decodeLetter(number: number, bytes: Uint8Array): KeptDeadLetter {
  const stored = decodeJson(bytes, `dead letter ${number}`);
  return {
    number,
    source: wholeOf(stored, "source"),
    topic: textOf(stored, "topic"),
    arrived: numberOf(stored, "arrived"),
    reason: textOf(stored, "reason"),
    offset: wholeOf(stored, "offset"),
    payloadBytes: wholeOf(stored, "payloadBytes"),
    payload: Buffer.from(textOf(stored, "payload"), "base64"),
  };
}
