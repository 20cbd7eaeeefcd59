/**
 * A hygrometer: relative humidity that reverts to a daily mean, driest in the afternoon.
 */
import { normal, type Random, uniform, wave } from "../random.ts";
import {
  approach,
  eachStep,
  type Machine,
  type Metric,
  measure,
  type NumberMetric,
} from "./machine.ts";

const humidity: NumberMetric = {
  name: "humidity",
  kind: "number",
  decimals: 1,
  min: 0,
  max: 100,
  noise: 0.12,
  scale: 15,
};
const metrics: readonly Metric[] = [humidity];

const tauSeconds = 900;

/** A hygrometer in its own climate; per cent. */
export function hygrometer(random: Random): Machine {
  const mean = uniform(random, 40, 60);
  const swing = uniform(random, 5, 15);
  let air = mean;

  return {
    metrics,
    step(seconds, day) {
      const target = mean - swing * wave(day - 0.375);
      eachStep(seconds, (dt) => {
        const gust = 0.05 * normal(random) * Math.min(1, dt);
        air = Math.min(100, Math.max(0, approach(air, target, dt, tauSeconds) + gust));
      });
      return [measure(humidity, air, random)];
    },
  };
}
