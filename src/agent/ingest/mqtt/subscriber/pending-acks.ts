/**
 * Answers to messages of one broker that wait for the disk, in arrival order, whole packets of four
 * bytes each:
 *
 *   open     PUBACK 3  PUBREC 9  PUBACK 4 ...   of the open batch
 *   sealed   PUBACK 1  PUBACK 2                 of the batch on its way to the disk
 *
 * When the connection goes, what waits is an orphan: it is never sent, for the broker sends those
 * messages again on the next connection, but a QoS 2 message among them is still told to be durable.
 *
 * Invariants: an answer is sent at most once, in order, on the connection that brought the message,
 * and after `seal` and `release` where its message was received.
 */

import { assert } from "../../../../core/assert.ts";
import { answerWord, idOfWord, PUBREC_WORD } from "./packets.ts";

type Durable = (id: number, isAnswered: boolean) => void;

type Generation = {
  words: Uint32Array;
  count: number;
  /** Where the answers of the present connection begin. */
  orphans: number;
  /** Answers, orphans among them, that wait for the disk; the others wait for their turn only. */
  needs: number;
};

const CAPACITY_MIN = 64;
const WORD_BYTES = 4;

/** Of one broker, across its connections. Room grows with what waits, up to `countMax` a batch. */
export class PendingAcks {
  readonly #countMax: number;
  #open: Generation = createGeneration(CAPACITY_MIN);
  #sealed: Generation = createGeneration(CAPACITY_MIN);

  constructor(options: { readonly countMax: number }) {
    this.#countMax = options.countMax;
  }

  /** Of the present connection. */
  get count(): number {
    const { open, sealed } = { open: this.#open, sealed: this.#sealed };
    return open.count - open.orphans + sealed.count - sealed.orphans;
  }

  /** Of the present connection, in the open batch. */
  get openCount(): number {
    return this.#open.count - this.#open.orphans;
  }

  get hasRoom(): boolean {
    return this.#open.count < this.#countMax;
  }

  /** Of a message in the open batch. The caller asked `hasRoom`. */
  add(word: number): void {
    this.addFree(word);
    this.#open.needs += 1;
  }

  /** Needs no batch of its own: it leaves with the next release behind which nothing waits. */
  addFree(word: number): void {
    let open = this.#open;
    if (open.count === open.words.length) open = this.#grow();
    open.words[open.count] = word;
    open.count += 1;
  }

  seal(): void {
    assert(this.#sealed.count === 0, "at most one generation of answers is sealed");
    const sealed = this.#sealed;
    this.#sealed = this.#open;
    this.#open = sealed;
  }

  /**
   * The sealed batch is durable: calls `durable` with the id of each QoS 2 message in it, and whether
   * its answer is sent, and gives what is now to be sent, which the caller owns; undefined where that
   * is nothing.
   */
  release(durable: Durable): Uint8Array | undefined {
    const first = taken(this.#sealed, durable);
    const second = this.#open.needs === 0 ? taken(this.#open, durable) : undefined;
    return first !== undefined && second !== undefined
      ? Buffer.concat([first, second])
      : (first ?? second);
  }

  /**
   * The broker gave the id of a QoS 2 message that waits to another one: the answer is not sent, and
   * the commit of the first says nothing of the second. O(count).
   */
  disown(id: number): void {
    const word = answerWord(PUBREC_WORD, id);
    for (const generation of [this.#open, this.#sealed]) remove(generation, word);
  }

  /** The connection is gone. */
  orphan(): void {
    for (const generation of [this.#open, this.#sealed]) {
      generation.orphans = generation.count;
    }
  }

  /** The session is gone, or both batches are: nothing of them means anything any more. */
  drop(): void {
    clear(this.#open);
    clear(this.#sealed);
  }

  #grow(): Generation {
    const { words, ...rest } = this.#open;
    const wide = new Uint32Array(words.length * 2);
    wide.set(words);
    this.#open = { ...rest, words: wide };
    return this.#open;
  }
}

function createGeneration(capacity: number): Generation {
  return { words: new Uint32Array(capacity), count: 0, orphans: 0, needs: 0 };
}

function clear(generation: Generation): void {
  generation.count = generation.orphans = generation.needs = 0;
}

/** Takes the word out, wherever it is; what its message needs of the disk stays. */
function remove(generation: Generation, word: number): void {
  const { words, count, orphans } = generation;
  let kept = 0;
  for (let i = 0; i < count; i++) {
    if (words[i] === word) {
      generation.count -= 1;
      if (i < orphans) generation.orphans -= 1;
    } else {
      words[kept++] = words[i]!;
    }
  }
}

/** A copy of the answers of the present connection, which are gone from the generation. */
function taken(generation: Generation, durable: Durable): Uint8Array | undefined {
  const { words, count, orphans } = generation;
  clear(generation);
  for (let i = 0; i < count; i++) {
    const word = words[i]!;
    if ((word & 0xffff) === PUBREC_WORD) durable(idOfWord(word), i >= orphans);
  }
  if (count === orphans) return undefined;
  return Buffer.from(words.buffer.slice(orphans * WORD_BYTES, count * WORD_BYTES));
}
