/**
 * A centrifugal pump: speed drives everything, by the affinity laws.
 *
 *   flow ~ n,  pressure ~ static head + n^2,  current ~ idle + n^3,  vibration ~ n^2
 *
 * The pump runs and rests by demand ("auto"), is sometimes held on by hand ("manual"), and rarely
 * trips ("fault"): then it stands still until somebody resets it.
 */
import { chance, type Random, uniform, wave } from "../random.ts";
import {
  approach,
  eachStep,
  type Machine,
  type Metric,
  measure,
  type NumberMetric,
} from "./machine.ts";

const current: NumberMetric = {
  name: "current",
  kind: "number",
  decimals: 2,
  min: 0,
  max: 60,
  noise: 0.06,
  scale: 6,
};
const flow: NumberMetric = {
  name: "flow",
  kind: "number",
  decimals: 2,
  min: 0,
  max: 120,
  noise: 0.15,
  scale: 12,
};
const pressure: NumberMetric = {
  name: "pressure",
  kind: "number",
  decimals: 3,
  min: 0,
  max: 16,
  noise: 0.01,
  scale: 1.5,
};
const vibration: NumberMetric = {
  name: "vibration",
  kind: "number",
  decimals: 3,
  min: 0,
  max: 40,
  noise: 0.05,
  scale: 3,
};
const metrics: readonly Metric[] = [
  current,
  flow,
  pressure,
  vibration,
  { name: "running", kind: "boolean" },
  { name: "mode", kind: "symbol", symbols: ["auto", "manual", "fault"] },
];

const speedTauSeconds = 3;
const meanSecondsToTrip = 4 * 3_600;

type Mode = "auto" | "manual" | "fault";

/** A pump with its own size, static head and bearings. */
export function pump(random: Random): Machine {
  const size = uniform(random, 0.6, 1.4);
  const staticBar = uniform(random, 0.8, 1.8);
  const roughness = uniform(random, 0.8, 1.6);
  const demandPhase = random();
  let mode: Mode = "auto";
  let running = chance(random, 0.7);
  let speed = running ? 1 : 0;
  let phaseSeconds = uniform(random, 10, 900);

  function nextPhase(): void {
    if (mode === "fault") {
      mode = "auto";
      running = true;
    } else {
      running = !running;
      mode = chance(random, 0.1) ? "manual" : "auto";
    }
    phaseSeconds = running ? uniform(random, 300, 1_800) : uniform(random, 60, 600);
  }

  function trip(): void {
    mode = "fault";
    running = false;
    phaseSeconds = uniform(random, 30, 120);
  }

  function pass(dt: number): void {
    phaseSeconds -= dt;
    if (phaseSeconds <= 0) nextPhase();
    if (chance(random, dt / meanSecondsToTrip) && running) trip();
    speed = approach(speed, running ? 1 : 0, dt, speedTauSeconds);
  }

  return {
    metrics,
    step(seconds, day) {
      eachStep(seconds, pass);
      const demand = 1 + 0.05 * wave(day * 48 + demandPhase);
      const square = speed * speed;
      return [
        measure(current, (0.4 + 13 * square * speed * demand) * size, random),
        measure(flow, 40 * speed * demand * size, random),
        measure(pressure, staticBar + 3.6 * square, random),
        measure(vibration, (0.15 + 1.9 * square) * roughness, random),
        running,
        mode,
      ];
    },
  };
}
