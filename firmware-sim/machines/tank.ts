/**
 * A tank: its level is the integral of what flows in minus what flows out.
 *
 * The outflow follows a daily demand with a slow random component; the inlet valve opens at the low
 * mark and closes at the high mark, which draws the familiar saw tooth.
 */
import { chance, normal, type Random, uniform, wave } from "../random.ts";
import { eachStep, type Machine, type Metric, measure, type NumberMetric } from "./machine.ts";

const level: NumberMetric = {
  name: "level",
  kind: "number",
  decimals: 2,
  min: 0,
  max: 100,
  noise: 0.04,
  scale: 12,
};
const inflow: NumberMetric = {
  name: "inflow",
  kind: "number",
  decimals: 2,
  min: 0,
  max: 80,
  noise: 0.08,
  scale: 8,
};
const outflow: NumberMetric = { ...inflow, name: "outflow" };
const metrics: readonly Metric[] = [level, inflow, outflow, { name: "valve", kind: "boolean" }];

const lowMark = 30;
const highMark = 80;

/** A tank with its own volume and consumers; flows in cubic metres per hour, level in per cent. */
export function tank(random: Random): Machine {
  const cubicMetres = uniform(random, 2, 12);
  const demandMean = uniform(random, 6, 14);
  const supply = demandMean * uniform(random, 1.8, 2.6);
  const demandPhase = random();
  let percent = uniform(random, lowMark, highMark);
  let open = chance(random, 0.5);
  let wander = 0;
  let entering = 0;
  let leaving = 0;

  function pass(dt: number, demand: number): void {
    // An Ornstein-Uhlenbeck walk with a time constant of about five minutes.
    wander += -wander * (dt / (dt + 300)) + 0.02 * normal(random) * Math.min(1, dt);
    if (percent < lowMark) open = true;
    else if (percent > highMark) open = false;
    entering = open ? supply : 0;
    leaving = Math.max(0, demand * (1 + wander));
    percent += (((entering - leaving) / cubicMetres) * 100 * dt) / 3_600;
    percent = Math.min(100, Math.max(0, percent));
  }

  return {
    metrics,
    step(seconds, day) {
      const demand = demandMean * (1 + 0.35 * wave(day - 0.3) + 0.1 * wave(day * 24 + demandPhase));
      eachStep(seconds, (dt) => pass(dt, demand));
      return [
        measure(level, percent, random),
        measure(inflow, entering, random),
        measure(outflow, leaving, random),
        open,
      ];
    },
  };
}
