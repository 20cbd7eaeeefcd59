/**
 * The time of a simulated world. Whatever happens is an event here: it runs at its moment, events of
 * one moment in the order in which they were planned, and what it set in motion (promises, ticks)
 * comes to rest before the next one begins. So one seed is one order of everything.
 *
 *   real event loop   |turn|turn|turn|turn|        each turn runs one event to rest
 *   virtual time      0    0    3    250   60,000  it jumps from event to event
 *
 * Nothing in a simulated world may wait for the real outside: a file, a socket or a thread would
 * answer whenever it likes. That is noticed as a world that stands still.
 */

import { setImmediate as realTurn } from "node:timers/promises";

type Event = { readonly at: number; readonly order: number; run: (() => void) | undefined };

export class Timeline {
  /** Milliseconds since the world began. */
  now = 0;
  #order = 0;
  /** A binary heap: the next event first. */
  readonly #heap: Event[] = [];

  /** Runs `run` after `delayMs`, in whole milliseconds; the result cancels it. */
  after(delayMs: number, run: () => void): () => void {
    const at = this.now + Math.max(0, Math.ceil(delayMs));
    const event: Event = { at, order: this.#order++, run };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** Resolves after `delayMs`. */
  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Runs what is planned until `isOver`, or until there is nothing left (false). */
  async run(isOver: () => boolean): Promise<boolean> {
    await realTurn();
    while (!isOver()) {
      const event = this.#pop();
      if (event === undefined) return false;
      if (event.run === undefined) continue;
      this.now = event.at;
      event.run();
      await realTurn();
    }
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || first === last) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child += 1;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
