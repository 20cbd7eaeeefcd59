/**
 * The normal clients of the fairness benchmark: each publishes a few readings per second with QoS 1,
 * whatever the others do. A line on standard input ends a phase: what was seen since the last one is
 * printed.
 *
 *   node bench/fairness-load.ts '{"port":1883,"clients":100,"rate":1000}'
 */

import { createInterface } from "node:readline";
import { openSensor, quantile, type Sensor, startPaced } from "./load.ts";

export type Phase = {
  readonly seconds: number;
  readonly messages: number;
  readonly p50: number;
  readonly p99: number;
};

const WINDOW = 16;

const { port, clients, rate } = JSON.parse(process.argv[2] ?? "{}") as {
  readonly port: number;
  readonly clients: number;
  readonly rate: number;
};

const sensors: Sensor[] = [];
for (let index = 0; index < clients; index++) {
  sensors.push(await openSensor(index, { port, window: WINDOW, seriesPerConnection: 1 }));
}
const acknowledged = (): number => sensors.reduce((sum, { messages }) => sum + messages, 0);
let latencies: number[] = [];
let before = acknowledged();
let startedAt = performance.now();
for (const sensor of sensors) sensor.onAck = (latencyMs) => latencies.push(latencyMs);
startPaced(sensors, rate);
say({ event: "ready" });

createInterface({ input: process.stdin }).on("line", (name) => {
  const seen = latencies.sort((a, b) => a - b);
  const seconds = (performance.now() - startedAt) / 1_000;
  const phase: Phase = {
    seconds,
    messages: acknowledged() - before,
    p50: quantile(seen, 0.5),
    p99: quantile(seen, 0.99),
  };
  latencies = [];
  before = acknowledged();
  startedAt = performance.now();
  say({ event: name, ...phase });
});

function say(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
