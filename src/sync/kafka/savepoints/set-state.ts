/**
 * What a gateway knows of its savepoints in their topic, in the state store under uplinkKey(uplink,
 * "savepoints"), as JSON:
 *
 *   {"number":7,"chunks":[3,4],"head":"{..}"}
 *
 * Whoever cannot tell whether a head arrived would take the slot of the last whole set for the next one. So
 * the head is stored before it is sent, and sent again until it is known to be there.
 */

import { type SetHead, type Slot, slotOf } from "../../../store/care/savepoint-set.ts";
import {
  decodeJson,
  encodeJson,
  itemsOf,
  textOf,
  wholeOf,
} from "../../../store/state/stored-json.ts";

export type SetState = {
  /** Of the set that is next, or whose head may be under way. */
  readonly number: number;
  /** By slot how many chunks may have a record in the topic. */
  readonly chunks: Readonly<Record<Slot, number>>;
  /** Of the set whose chunks are all there, while its head may not be. */
  readonly head: Uint8Array | undefined;
};

export function encodeSetState({ number, chunks, head }: SetState): Uint8Array {
  const text = head && new TextDecoder().decode(head);
  return encodeJson({ number, chunks: [chunks.a, chunks.b], head: text });
}

/** Of nothing stored: none was sent. Faults: STORE_FAILED; `place` says where it was read. */
export function decodeSetState(bytes: Uint8Array | undefined, place: string): SetState {
  if (bytes === undefined) return { number: 0, chunks: { a: 0, b: 0 }, head: undefined };
  const stored = decodeJson(bytes, place);
  const { chunks, head } = stored.fields;
  const [a, b] = chunks === undefined ? [0, 0] : itemsOf(chunks, `${place}, chunks`);
  const counts = { place, fields: { a, b } };
  return {
    number: wholeOf(stored, "number"),
    chunks: { a: wholeOf(counts, "a"), b: wholeOf(counts, "b") },
    head: head === undefined ? undefined : new TextEncoder().encode(textOf(stored, "head")),
  };
}

/** Of who goes on from the set of `head`, which has in it what was known `then`, before it was sent. */
export function setStateAfter(head: SetHead, then: SetState): SetState {
  const slot = slotOf(head.number);
  const chunks = { ...then.chunks, [slot]: Math.max(then.chunks[slot], head.chunks) };
  return { number: head.number + 1, chunks, head: undefined };
}
