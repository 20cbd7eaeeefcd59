/**
 * The rival of the operators: tumbling windows as one writes them first, a Map from the name of the
 * series to an object. Names are interned, so no string is made per reading; nothing is late,
 * corrected, keyed or checkpointed.
 */

export type NaiveWindow = {
  start: number;
  count: number;
  sum: number;
  min: number;
  max: number;
  mean: number;
  m2: number;
};

export class NaiveWindows {
  readonly #windows = new Map<string, NaiveWindow>();
  readonly #sizeMs: number;
  readonly #emit: (name: string, window: NaiveWindow) => void;

  constructor(sizeMs: number, emit: (name: string, window: NaiveWindow) => void) {
    this.#sizeMs = sizeMs;
    this.#emit = emit;
  }

  add(name: string, time: number, value: number): void {
    const start = Math.floor(time / this.#sizeMs) * this.#sizeMs;
    let window = this.#windows.get(name);
    if (window === undefined || window.start !== start) {
      if (window !== undefined) this.#emit(name, window);
      window = { start, count: 0, sum: 0, min: value, max: value, mean: 0, m2: 0 };
      this.#windows.set(name, window);
    }
    window.count += 1;
    window.sum += value;
    if (value < window.min) window.min = value;
    if (value > window.max) window.max = value;
    const distance = value - window.mean;
    window.mean += distance / window.count;
    window.m2 += distance * (value - window.mean);
  }

  drain(): void {
    for (const [name, window] of this.#windows) this.#emit(name, window);
    this.#windows.clear();
  }
}
