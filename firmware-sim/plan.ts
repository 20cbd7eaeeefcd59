/**
 * The plan of a fleet: which devices there are, and everything they will do.
 *
 * A pure function of the options. The events of a device depend on the seed, its index and the
 * fleet options only, so a larger fleet contains the smaller one unchanged. The same options give
 * the same bytes on every machine (see random.ts).
 */
import { type DeviceSpec, deviceEvents, specOf } from "./device.ts";
import type { DeviceEvent, DeviceProgram } from "./event.ts";
import { type FaultRules, faultPresets, faultRulesProblem } from "./fault.ts";
import { limits } from "./limits.ts";

export type PlanOptions = {
  readonly seed: number;
  readonly devices: number;
  /** Unix milliseconds of device time 0; even. */
  readonly epochMs: number;
  /** Device time after which nothing is measured; Infinity for a fleet that runs until stopped. */
  readonly durationMs: number;
  readonly intervalMs: number;
  /** Share of the interval by which a report may be early or late. */
  readonly jitter: number;
  /** Share of devices that publish with QoS 1; the others use QoS 0. */
  readonly qos1: number;
  /** Share of the multi-metric devices that speak CBOR; the others speak JSON. */
  readonly cbor: number;
  /** Share of the multi-metric devices that send neither ts nor seq. */
  readonly clockless: number;
  /** Share of the single-metric devices that send `{"value":...,"ts":...}`, the others bare. */
  readonly points: number;
  readonly faults: FaultRules;
};

export const planDefaults: PlanOptions = {
  seed: 1,
  devices: 300,
  epochMs: 1_764_000_000_000,
  durationMs: Number.POSITIVE_INFINITY,
  intervalMs: 1_000,
  jitter: 0.05,
  qos1: 0.9,
  cbor: 0.2,
  clockless: 0.1,
  points: 0,
  faults: faultPresets.some,
};

/** The devices of the fleet, by index. */
export function planSpecs(options: PlanOptions): readonly DeviceSpec[] {
  return Array.from({ length: options.devices }, (_, index) => specOf(index, options));
}

/** The devices with their events, nothing drawn yet. */
export function planPrograms(options: PlanOptions): readonly DeviceProgram[] {
  return planSpecs(options).map((spec) => ({
    device: spec.device,
    timed: spec.timed,
    events: deviceEvents(spec, options),
  }));
}

/** All events of one device; the duration must be finite. O(events). */
export function planDevice(index: number, options: PlanOptions): readonly DeviceEvent[] {
  return [...deviceEvents(specOf(index, options), options)];
}

/** Why these options cannot be used, as a sentence; undefined when they can. */
export function planProblem(options: PlanOptions): string | undefined {
  if (!Number.isSafeInteger(options.seed) || options.seed < 0) {
    return "the seed must be a whole number, 0 or more";
  }
  if (!isWithin(options.devices, 1, limits.devicesMax) || !Number.isInteger(options.devices)) {
    return `the number of devices must be between 1 and ${limits.devicesMax}`;
  }
  if (!isWithin(options.intervalMs, limits.intervalMsMin, limits.intervalMsMax)) {
    return `the interval must be ${limits.intervalMsMin} to ${limits.intervalMsMax} ms`;
  }
  if (!isWithin(options.jitter, 0, limits.jitterMax)) {
    return `the jitter must be a share between 0 and ${limits.jitterMax}`;
  }
  if (!(options.durationMs > 0)) return "the duration must be longer than 0 seconds";
  if (!Number.isSafeInteger(options.epochMs) || options.epochMs < 0 || options.epochMs % 2 !== 0) {
    return "the epoch must be even Unix milliseconds";
  }
  for (const name of ["qos1", "cbor", "clockless", "points"] as const) {
    if (!isWithin(options[name], 0, 1)) return `${name} must be a share between 0 and 1`;
  }
  return faultRulesProblem(options.faults);
}

function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
