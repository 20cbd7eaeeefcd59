/**
 * A Machine is one device's physics: stepped through device time, it yields one value per metric.
 *
 * True state evolves by small ordinary differential equations (Euler, bounded steps); the sensor in
 * front of it adds noise, clamps to its range and quantises. The arithmetic is + - * / only.
 */
import { limits } from "../limits.ts";
import { normal, type Random } from "../random.ts";

export type Value = number | boolean | string;

export type NumberMetric = {
  readonly name: string;
  readonly kind: "number";
  /** Digits after the point that the sensor reports. */
  readonly decimals: number;
  /** Range of the sensor; a healthy value never leaves it. */
  readonly min: number;
  readonly max: number;
  /** Standard deviation of the sensor's noise, in the metric's unit. */
  readonly noise: number;
  /** A large change of this metric, in its unit: what spikes and drifts are multiples of. */
  readonly scale: number;
};

export type Metric =
  | NumberMetric
  | { readonly name: string; readonly kind: "boolean" }
  | { readonly name: string; readonly kind: "symbol"; readonly symbols: readonly string[] };

export type Machine = {
  readonly metrics: readonly Metric[];
  /**
   * Lets `seconds` pass, ending at `day` (share of a UTC day, 0 = midnight), and reads the sensors:
   * one value per metric, in their order. The array belongs to the caller.
   */
  step(seconds: number, day: number): Value[];
};

/** Calls `integrate` over `seconds` in equal steps no longer than the limit. */
export function eachStep(seconds: number, integrate: (dt: number) => void): void {
  const count = Math.max(1, Math.ceil(seconds / limits.physicsStepSecondsMax));
  const dt = seconds / count;
  for (let index = 0; index < count; index += 1) integrate(dt);
}

/** What the sensor reports for a true value: noise, range, quantisation. */
export function measure(metric: NumberMetric, value: number, random: Random): number {
  const noisy = value + metric.noise * normal(random);
  return quantise(metric, Math.min(metric.max, Math.max(metric.min, noisy)));
}

/** The nearest value with the metric's digits. */
export function quantise(metric: NumberMetric, value: number): number {
  const factor = 10 ** metric.decimals;
  const rounded = Math.round(value * factor) / factor;
  return rounded === 0 ? 0 : rounded;
}

/** First-order lag: moves `value` towards `target` with the time constant `tau` in seconds. */
export function approach(value: number, target: number, dt: number, tau: number): number {
  return value + (target - value) * (dt / (dt + tau));
}
