/**
 * An energy meter on one phase: voltage sags with load, current follows power, energy only grows.
 *
 *   current = power / (voltage * power factor),  energy = integral of power
 *
 * The load is a base plus a few appliances that switch on and off.
 */
import { chance, type Random, uniform, wave } from "../random.ts";
import { eachStep, type Machine, type Metric, measure, type NumberMetric } from "./machine.ts";

const voltage: NumberMetric = {
  name: "voltage",
  kind: "number",
  decimals: 1,
  min: 180,
  max: 270,
  noise: 0.15,
  scale: 20,
};
const current: NumberMetric = {
  name: "current",
  kind: "number",
  decimals: 2,
  min: 0,
  max: 100,
  noise: 0.02,
  scale: 10,
};
const power: NumberMetric = {
  name: "power",
  kind: "number",
  decimals: 0,
  min: 0,
  max: 25_000,
  noise: 3,
  scale: 2_500,
};
const energy: NumberMetric = {
  name: "energy",
  kind: "number",
  decimals: 3,
  min: 0,
  max: 10_000_000,
  noise: 0,
  scale: 50,
};
const metrics: readonly Metric[] = [voltage, current, power, energy];

const appliancesWatts: readonly number[] = [120, 450, 900, 2_000, 3_200];
const powerFactor = 0.94;

/** A meter with its own base load and register; units V, A, W, kWh. */
export function energyMeter(random: Random): Machine {
  const baseWatts = uniform(random, 80, 600);
  const feederVolts = uniform(random, 228, 236);
  const on = appliancesWatts.map(() => chance(random, 0.3));
  let kilowattHours = uniform(random, 100, 40_000);
  let watts = baseWatts;

  function pass(dt: number, day: number): void {
    watts = baseWatts * (1 + 0.3 * wave(day - 0.4));
    for (const [index, rated] of appliancesWatts.entries()) {
      const meanSeconds = on[index] === true ? 420 : 1_300;
      if (chance(random, Math.min(0.5, dt / meanSeconds))) on[index] = on[index] !== true;
      if (on[index] === true) watts += rated;
    }
    kilowattHours += (watts * dt) / 3_600_000;
  }

  return {
    metrics,
    step(seconds, day) {
      eachStep(seconds, (dt) => pass(dt, day));
      const volts = feederVolts + 2.5 * wave(day * 3) - watts * 0.0008;
      return [
        measure(voltage, volts, random),
        measure(current, watts / (volts * powerFactor), random),
        measure(power, watts, random),
        measure(energy, kilowattHours, random),
      ];
    },
  };
}
