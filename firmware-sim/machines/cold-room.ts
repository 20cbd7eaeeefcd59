/**
 * A cold room: first-order thermal mass, a compressor with hysteresis, a door, a daily ambient.
 *
 *   dT/dt = (ambient - T) / tau  -  cooling (compressor on)  +  heating (defrost)
 *
 * The insulation leaks with tau of about 2.5 hours, with the door open ten times as fast. Every six
 * hours or so the evaporator defrosts for some minutes; that is the normal daily pattern an anomaly
 * detector has to live with.
 */
import { chance, type Random, uniform, wave } from "../random.ts";
import { eachStep, type Machine, type Metric, measure, type NumberMetric } from "./machine.ts";

const temperature: NumberMetric = {
  name: "temperature",
  kind: "number",
  decimals: 2,
  min: -30,
  max: 50,
  noise: 0.03,
  scale: 4,
};
const ambient: NumberMetric = {
  name: "ambient",
  kind: "number",
  decimals: 1,
  min: -30,
  max: 60,
  noise: 0.08,
  scale: 8,
};
const metrics: readonly Metric[] = [
  temperature,
  ambient,
  { name: "compressor", kind: "boolean" },
  { name: "door", kind: "boolean" },
  { name: "mode", kind: "symbol", symbols: ["auto", "defrost"] },
];

const hysteresisK = 0.7;
const coolingKPerSecond = 0.006;
const defrostKPerSecond = 0.002;

/** A cold room with its own set point, insulation and door habits. */
export function coldRoom(random: Random): Machine {
  const setPoint = uniform(random, 2, 6);
  const tau = uniform(random, 7_000, 11_000);
  const ambientMean = uniform(random, 14, 24);
  const ambientSwing = uniform(random, 2, 6);
  const doorOpeningsPerSecond = 1 / uniform(random, 300, 1_500);
  let air = setPoint + uniform(random, -hysteresisK, hysteresisK);
  let cooling = chance(random, 0.3);
  let doorSeconds = 0;
  let defrostIn = uniform(random, 0, 6 * 3_600);
  let defrostSeconds = 0;

  function pass(dt: number, outside: number): void {
    doorSeconds = Math.max(0, doorSeconds - dt);
    if (doorSeconds === 0 && chance(random, Math.min(0.5, doorOpeningsPerSecond * dt))) {
      doorSeconds = uniform(random, 10, 60);
    }
    defrostIn -= dt;
    defrostSeconds = Math.max(0, defrostSeconds - dt);
    if (defrostIn <= 0) {
      defrostSeconds = uniform(random, 300, 900);
      defrostIn = uniform(random, 5 * 3_600, 7 * 3_600);
    }
    if (defrostSeconds > 0) cooling = false;
    else if (air > setPoint + hysteresisK) cooling = true;
    else if (air < setPoint - hysteresisK) cooling = false;
    const leak = (outside - air) / (doorSeconds > 0 ? tau / 10 : tau);
    const power = (cooling ? -coolingKPerSecond : 0) + (defrostSeconds > 0 ? defrostKPerSecond : 0);
    air += (leak + power) * dt;
  }

  return {
    metrics,
    step(seconds, day) {
      // Warmest in the middle of the afternoon.
      const outside = ambientMean + ambientSwing * wave(day - 0.375);
      eachStep(seconds, (dt) => pass(dt, outside));
      return [
        measure(temperature, air, random),
        measure(ambient, outside, random),
        cooling,
        doorSeconds > 0,
        defrostSeconds > 0 ? "defrost" : "auto",
      ];
    },
  };
}
