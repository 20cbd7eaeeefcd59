/**
 * Messages the broker asked about (QoS 2, wills), held until they are durable:
 *
 *   asked --receive--> open --seal--> sealed --release--> done: PUBREC, publish
 *     \--batch full--> waiting --room--/
 *
 * A QoS 2 message sent again while its first copy is held is not received again; it is answered
 * after the first, when the broker knows the packet id. Waiting messages are bounded in bytes: past
 * that a QoS 2 message is refused (its connection closes, nothing was acknowledged) and a will is
 * counted as shed.
 */

import { assert } from "../../../../core/assert.ts";
import type { Receiver } from "../../receiver.ts";

type HeldMessage = {
  /** Name of a topic that a source wants, in UTF-8. */
  readonly topic: Uint8Array;
  readonly payload: Uint8Array;
  /** Memory that waits with it, its topic not counted. */
  readonly bytes: number;
  /** Unique among messages that may be sent again; undefined for a will. */
  readonly key: string | undefined;
  /** Called once: without an error when durable; with one, the broker closes the connection. */
  readonly done: (refusal?: Error) => void;
};

type Entry = HeldMessage & { readonly followers: ((refusal?: Error) => void)[] };

export class HeldMessages {
  readonly #receiver: Receiver;
  readonly #bytesMax: number;
  readonly #soon: (run: () => void) => void;
  #open: Entry[] = [];
  #sealed: Entry[] = [];
  #waiting: Entry[] = [];
  #waitingBytes = 0;
  readonly #byKey = new Map<string, Entry>();

  constructor(options: {
    readonly receiver: Receiver;
    /** Memory of messages that wait for room. */
    readonly bytesMax: number;
    readonly soon: (run: () => void) => void;
  }) {
    this.#receiver = options.receiver;
    this.#bytesMax = options.bytesMax;
    this.#soon = options.soon;
  }

  get count(): number {
    return this.#open.length + this.#sealed.length + this.#waiting.length;
  }

  offer(message: HeldMessage): void {
    const { key } = message;
    const first = key === undefined ? undefined : this.#byKey.get(key);
    if (first !== undefined) {
      first.followers.push(message.done);
      return;
    }
    const entry: Entry = { ...message, followers: [] };
    if (this.#waiting.length === 0 && this.#receive(entry)) this.#open.push(entry);
    else if (this.#waitingBytes + bytesOf(entry) <= this.#bytesMax) this.#wait(entry);
    else return this.#giveUp(entry);
    if (key !== undefined) this.#byKey.set(key, entry);
  }

  seal(): void {
    assert(this.#sealed.length === 0, "at most one generation of held messages is sealed");
    this.#sealed = this.#open;
    this.#open = [];
  }

  release(): void {
    const durable = this.#sealed;
    this.#sealed = [];
    for (const entry of durable) this.#settle(entry, undefined);
  }

  /** Receives what waits, in order, until the batch is full again. */
  room(): void {
    let taken = 0;
    for (const entry of this.#waiting) {
      if (!this.#receive(entry)) break;
      this.#open.push(entry);
      this.#waitingBytes -= bytesOf(entry);
      taken += 1;
    }
    if (taken > 0) this.#waiting = this.#waiting.slice(taken);
  }

  /** What was received is lost: QoS 2 messages will be sent again; wills have nobody to send them, they wait. */
  abandon(): void {
    const lost = [...this.#sealed, ...this.#open];
    this.#sealed = [];
    this.#open = [];
    for (const entry of lost) {
      if (entry.key === undefined) this.#wait(entry);
      else this.#settle(entry, new Error("the message could not be made durable"));
    }
  }

  #receive(entry: Entry): boolean {
    return this.#receiver.receive(this.#handleOf(entry), entry.payload, 0, entry.payload.length);
  }

  /** Asked for each time: the handle of a topic that is not remembered is soon another's. */
  #handleOf({ topic }: Entry): number {
    return this.#receiver.topicOf(topic, 0, topic.length);
  }

  #wait(entry: Entry): void {
    this.#waiting.push(entry);
    this.#waitingBytes += bytesOf(entry);
  }

  #giveUp(entry: Entry): void {
    if (entry.key === undefined) {
      this.#receiver.shed(this.#handleOf(entry));
      entry.done();
    } else {
      entry.done(new Error("too many messages wait for the disk"));
    }
  }

  #settle(entry: Entry, refusal: Error | undefined): void {
    if (entry.key !== undefined) this.#byKey.delete(entry.key);
    entry.done(refusal);
    if (entry.followers.length === 0) return;
    // Only after the broker has stored the packet id of the first.
    this.#soon(() => {
      for (const done of entry.followers) done(refusal);
    });
  }
}

function bytesOf(entry: Entry): number {
  return entry.bytes + entry.topic.length + 256;
}
