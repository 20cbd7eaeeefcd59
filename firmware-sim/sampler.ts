/**
 * The sensors of a device with what goes wrong in them: spike, stuck, drift.
 *
 * A fault is named on a sample only if it changed or froze a value of it: a spike behind a stuck
 * sensor is not seen by anybody.
 */
import assert from "node:assert/strict";
import type { Fault, FaultCalendar } from "./fault.ts";
import { type Machine, type NumberMetric, quantise, type Value } from "./machines/machine.ts";

export type Sample = {
  readonly at: number;
  readonly fields: readonly (readonly [name: string, value: Value])[];
  readonly faults: readonly Fault[];
};

export type Sampler = {
  /** The sample at device time `at`, `seconds` after the one before; `day` as in Machine.step. */
  sample(at: number, seconds: number, day: number): Sample;
};

export function openSampler(machine: Machine, calendar: FaultCalendar): Sampler {
  let frozen: { readonly fault: Fault; readonly value: number } | undefined;

  function stuckValue(fault: Fault, value: number): number {
    if (frozen?.fault !== fault) frozen = { fault, value };
    return frozen.value;
  }

  /** What the sensor shows for a healthy value; adds the faults that shaped it to `faults`. */
  function show(metric: NumberMetric, healthy: number, at: number, faults: Fault[]): number {
    const moving = (["spike", "drift"] as const)
      .map((kind) => calendar.active(kind, at))
      .filter((fault) => fault?.metric === metric.name)
      .filter((fault) => fault !== undefined);
    const moved = moving.reduce((value, fault) => value + shiftOf(fault, at), healthy);
    const value = quantise(metric, moved);
    const stuck = calendar.active("stuck", at);
    if (stuck?.metric !== metric.name) {
      faults.push(...moving);
      return value;
    }
    faults.push(stuck);
    return stuckValue(stuck, value);
  }

  return {
    sample(at, seconds, day) {
      const values = machine.step(seconds, day);
      const faults: Fault[] = [];
      const fields = machine.metrics.map((metric, index) => {
        const value = values[index];
        assert(value !== undefined, "a machine yields one value per metric");
        const shown =
          metric.kind === "number" && typeof value === "number"
            ? show(metric, value, at, faults)
            : value;
        return [metric.name, shown] as const;
      });
      return { at, fields, faults };
    },
  };
}

/** What a spike or a drift adds at this moment. */
function shiftOf(fault: Fault, at: number): number {
  if (fault.kind === "spike") return fault.magnitude;
  return (fault.magnitude * (at - fault.start)) / (fault.end - fault.start);
}
