/**
 * Readings as sensors give them, made at speed: ten series a device, each once a second, decimals of
 * a fixed number of digits.
 *
 *   series of a device   a temperature that creeps, pressure, vibration on two axes, current, voltage
 *                        and flow with noise of 6 to 17 bits, a set point that never changes, a
 *                        state that seldom does, a counter
 *   times                7 devices of 10 keep their second exactly, 3 are up to 9 ms off it
 */

import { type Batch, createBatch } from "../src/core/batch.ts";
import { position } from "../src/core/units.ts";
import type { Step } from "../src/edge-ops/operator.ts";

export const seriesPerDevice = 10;
/** A midnight. */
export const startMs: number = 20_000 * 86_400_000;

type Kind = {
  readonly digits: number;
  readonly level: number;
  /** The level moves by one step in so many of 256 readings. */
  readonly moves: number;
  /** Steps of noise around it: the sum of two even ones, so that the middle is likelier. */
  readonly noise: number;
};

const kinds: readonly Kind[] = [
  { digits: 2, level: 2_150, moves: 20, noise: 64 }, // temperature
  { digits: 6, level: 120_000, moves: 128, noise: 131_072 }, // vibration
  { digits: 6, level: 90_000, moves: 128, noise: 131_072 }, // vibration
  { digits: 3, level: 101_325, moves: 64, noise: 512 }, // pressure
  { digits: 4, level: 82_000, moves: 64, noise: 16_384 }, // current
  { digits: 3, level: 230_000, moves: 64, noise: 16_384 }, // voltage
  { digits: 0, level: 75, moves: 0, noise: 1 }, // set point
  { digits: 0, level: 2, moves: 1, noise: 1 }, // state
  { digits: 0, level: 1_000, moves: 0, noise: 1 }, // counter
  { digits: 4, level: 315_000, moves: 96, noise: 16_384 }, // flow
];
const counter = 8;
const state = 7;

export class Sensors {
  readonly seriesCount: number;
  readonly #levels: Int32Array;
  #random = 0x2545f491;

  constructor(seriesCount: number) {
    this.seriesCount = seriesCount;
    this.#levels = Int32Array.from(
      { length: seriesCount },
      (_, series) => kinds[series % seriesPerDevice]!.level,
    );
  }

  /** Appends to the batch a reading of each series, of this second since the start. */
  fill(batch: Batch, second: number): void {
    const from = batch.rows;
    let timeMs = 0;
    for (let series = 0; series < this.seriesCount; series++) {
      if (series % seriesPerDevice === 0) timeMs = this.#timeOf(series / seriesPerDevice, second);
      batch.series[from + series] = series;
      batch.time[from + series] = timeMs;
      batch.value[from + series] = this.#value(series);
    }
    batch.rows = from + this.seriesCount;
  }

  /** Only the device's, at the second: its time, and its values into `values`. */
  read(device: number, second: number, values: Float64Array): number {
    for (let i = 0; i < seriesPerDevice; i++) values[i] = this.#value(device * seriesPerDevice + i);
    return this.#timeOf(device, second);
  }

  #timeOf(device: number, second: number): number {
    const phaseMs = (device * 37) % 900;
    const jitterMs = device % 10 < 7 ? 0 : 10 + (this.#next() % 19) - 9;
    return startMs + second * 1_000 + phaseMs + jitterMs;
  }

  #value(series: number): number {
    const kind = series % seriesPerDevice;
    const { digits, moves, noise } = kinds[kind]!;
    const random = this.#next();
    let level = this.#levels[series]!;
    if (kind === counter) level += random & 3;
    else if (kind === state) {
      if ((random & 0xfff) === 0) level = (random >>> 12) & 3;
    } else if ((random & 0xff) < moves) level += ((random >>> 8) & 1) * 2 - 1;
    this.#levels[series] = level;
    if (digits === 0) return level;
    const off = (this.#next() & (noise - 1)) + ((this.#next() >>> 8) & (noise - 1)) - (noise - 1);
    return (level + off) / scales[digits]!;
  }

  /** xorshift, 32 bits. */
  #next(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }
}

const scales = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/** A batch of its own with room for so many rows, all of which are accepted. */
export function acceptedStep(rows: number): Step {
  return {
    batch: createBatch(rows),
    at: position(0),
    accepted: Uint32Array.from({ length: rows }, (_, row) => row),
    acceptedCount: rows,
    device: new Uint32Array(0),
    watermark: new Float64Array(0),
  };
}
