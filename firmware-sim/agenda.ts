/**
 * The agenda of a fleet: per device the next event, the earliest first.
 *
 * A binary heap over (at, index): O(log devices) per event. Devices with the same time come in
 * their order in the fleet, so the merged order is a function of the plan.
 */
import assert from "node:assert/strict";
import type { DeviceEvent, DeviceProgram } from "./event.ts";

export type Entry = { readonly index: number; readonly event: DeviceEvent };

export class Agenda {
  readonly #programs: readonly DeviceProgram[];
  readonly #heap: Entry[] = [];

  /** Draws the first event of each device. */
  constructor(programs: readonly DeviceProgram[]) {
    this.#programs = programs;
    for (let index = 0; index < programs.length; index += 1) this.#draw(index);
  }

  /** The earliest event, left in place; undefined when every device has finished. */
  get first(): Entry | undefined {
    return this.#heap[0];
  }

  /** Takes the earliest event and draws that device's next. */
  take(): Entry {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    assert(first !== undefined && last !== undefined, "an empty agenda is not taken from");
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#sink();
    }
    this.#draw(first.index);
    return first;
  }

  #draw(index: number): void {
    const next = this.#programs[index]?.events.next();
    if (next === undefined || next.done === true) return;
    this.#heap.push({ index, event: next.value });
    this.#rise();
  }

  #rise(): void {
    let child = this.#heap.length - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#isEarlier(child, parent)) return;
      this.#swap(child, parent);
      child = parent;
    }
  }

  #sink(): void {
    let parent = 0;
    for (;;) {
      const left = 2 * parent + 1;
      const right = left + 1;
      const earlier = this.#isEarlier(right, left) ? right : left;
      if (!this.#isEarlier(earlier, parent)) return;
      this.#swap(earlier, parent);
      parent = earlier;
    }
  }

  #isEarlier(left: number, right: number): boolean {
    const a = this.#heap[left];
    const b = this.#heap[right];
    if (a === undefined || b === undefined) return false;
    return a.event.at < b.event.at || (a.event.at === b.event.at && a.index < b.index);
  }

  #swap(left: number, right: number): void {
    const a = this.#heap[left];
    const b = this.#heap[right];
    assert(a !== undefined && b !== undefined, "a swap stays inside the heap");
    this.#heap[left] = b;
    this.#heap[right] = a;
  }
}
