/**
 * What a message says in MQTT 5 that 3.1.1 has no word for, kept beside its payload while the
 * broker has it: the broker passes a payload on as the same object to everyone who is given it,
 * whether at once, from a session's queue or as a retained message. A note lives as long as its
 * payload does.
 */

export type Note = {
  /** Properties that subscribers are given as they are: ids and values. */
  readonly properties: Uint8Array;
  /** On the monotonic clock, in ms: from then on it is given to nobody. Infinity: for good. */
  readonly expiresAt: number;
  /** Published as retained, which the broker does not tell those who had subscribed before. */
  readonly retain: boolean;
  /** The session that published it, where that may matter to it. */
  readonly session: object | undefined;
};

const nothing = new Uint8Array();

/** A note of a message of 3.1.1, which says only that it is retained. */
export const retainedNote: Note = {
  properties: nothing,
  expiresAt: Number.POSITIVE_INFINITY,
  retain: true,
  session: undefined,
};

/** Bytes of memory a note takes. */
export function bytesOfNote({ properties }: Note): number {
  return properties.length + 64;
}

export class Notes {
  readonly #notes = new WeakMap<Uint8Array, Note>();
  #isUsed = false;

  /** Whether there ever was one. */
  get isUsed(): boolean {
    return this.#isUsed;
  }

  set(payload: Uint8Array, note: Note): void {
    this.#notes.set(payload, note);
    this.#isUsed = true;
  }

  of(payload: Uint8Array): Note | undefined {
    return this.#isUsed ? this.#notes.get(payload) : undefined;
  }

  /** Bytes of memory the note of this payload takes beyond the payload's. */
  bytesOf(payload: Uint8Array): number {
    const note = this.of(payload);
    return note === undefined ? 0 : bytesOfNote(note);
  }
}
