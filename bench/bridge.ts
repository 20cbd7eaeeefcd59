/**
 * How fast does the bridge bring a full outbox to another broker, near and 50 ms away, and how late is
 * an alert for a subscriber of the embedded broker and for one behind the bridge? Mosquitto, the
 * subscribers and the devices share this machine's processors with what is measured.
 */

import { cpSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectAsync, type MqttClient } from "mqtt";
import { nodeFlags } from "../src/agent/node-flags.ts";
import { freePort, startAgentProcess } from "../test/support/agent-process.ts";
import { openProxy } from "../test/support/mosquitto/proxy.ts";
import { startMosquitto } from "../test/support/mosquitto/server.ts";
import type { BridgeDrainCost, BridgeDrainOptions } from "./bridge-drain.ts";
import { openFleet } from "./fleet.ts";
import { fillOutbox } from "./uplink-outbox.ts";
import { median, quantile, rounded, start } from "./process.ts";

export type BridgeBenchOptions = {
  readonly records: number;
  /** Of the sender that waits for each. */
  readonly oneByOne: number;
  readonly rounds: number;
  readonly devices: number;
  readonly rate: number;
  readonly settleMs: number;
  readonly alerts: number;
  readonly alertEveryMs: number;
};

export const defaults: BridgeBenchOptions = {
  records: 50_000,
  oneByOne: 200,
  rounds: 3,
  devices: 100,
  rate: 1_000,
  settleMs: 5_000,
  alerts: 400,
  alertEveryMs: 50,
};

export const tinyOptions: BridgeBenchOptions = {
  records: 1_000,
  oneByOne: 10,
  rounds: 1,
  devices: 20,
  rate: 400,
  settleMs: 1_500,
  alerts: 10,
  alertEveryMs: 50,
};

type Sender = {
  readonly records_per_s: number;
  readonly cpu_us_per_record: number;
  readonly rss_peak_mb: number;
};

type Latency = { readonly p50_ms: number; readonly p99_ms: number; readonly max_ms: number };

export type BridgeBenchResult = {
  readonly near: Sender & { readonly wire_bytes_per_record: number; readonly deliveries: number };
  /** A way of 25 ms in each direction. */
  readonly far: { readonly weir: Sender; readonly one_by_one: Sender; readonly ratio: number };
  readonly alerts: {
    readonly local: Latency;
    /** The same without the wait for a shared sync: `commit.latency: low`. */
    readonly localLow: Latency;
    readonly bridge: Latency;
    readonly count: number;
    readonly agent_rss_mb: number;
  };
};

const farMs = 25;
/** Not counted, so that what a process does once is not. */
const alertsBefore = 20;
const arrivalWaitMs = 10_000;

export async function runBridge(options: BridgeBenchOptions): Promise<BridgeBenchResult> {
  // As it is installed: at most 20 messages under way.
  await using mosquitto = await startMosquitto({ inFlightMax: 20, isPersistent: false });
  // As a cloud's broker: it leaves the window to us.
  await using wide = await startMosquitto({ inFlightMax: 0, isPersistent: false });
  await using proxy = await openProxy({ to: wide.port });
  proxy.delayMs = farMs;
  using full = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  await fillOutbox(full.path, { agent: "bench", count: options.records });
  const near: BridgeDrainCost[] = [];
  const far: BridgeDrainCost[] = [];
  const one: BridgeDrainCost[] = [];
  const from = { full: full.path, records: options.oneByOne };
  for (let n = 0; n < options.rounds; n++) {
    near.push(await round("weir", { ...from, port: mosquitto.port }));
    far.push(await round("weir", { ...from, port: proxy.port }));
    one.push(await round("one", { ...from, port: proxy.port }));
  }
  const figures = figuresOf(far);
  const other = figuresOf(one);
  const alerts = await measureAlerts(options, { brokerPort: wide.port, latency: "normal" });
  const low = await measureAlerts(options, { brokerPort: wide.port, latency: "low" });
  return {
    near: {
      ...figuresOf(near),
      wire_bytes_per_record: rounded(median(near.map((cost) => cost.sentBytes / cost.records))),
      deliveries: median(near.map((cost) => cost.deliveries)),
    },
    far: {
      weir: figures,
      one_by_one: other,
      ratio: rounded(figures.records_per_s / other.records_per_s),
    },
    alerts: { ...alerts, localLow: low.local },
  };
}

async function round(
  kind: "weir" | "one",
  {
    full,
    port,
    records,
  }: { readonly full: string; readonly port: number; readonly records: number },
): Promise<BridgeDrainCost> {
  using directory = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  cpSync(full, directory.path, { recursive: true });
  const options: BridgeDrainOptions = { port, directory: directory.path, agent: "bench", records };
  const file = fileURLToPath(new URL("./bridge-drain.ts", import.meta.url));
  await using sender = start(nodeFlags, file, [kind, JSON.stringify(options)]);
  return (await sender.event("done")) as BridgeDrainCost;
}

function figuresOf(costs: readonly BridgeDrainCost[]): Sender {
  return {
    records_per_s: Math.round(median(costs.map(({ records, seconds }) => records / seconds))),
    cpu_us_per_record: rounded(
      median(costs.map(({ records, cpuSeconds }) => (cpuSeconds * 1e6) / records)),
    ),
    rss_peak_mb: rounded(median(costs.map(({ rssPeakBytes }) => rssPeakBytes)) / 1e6),
  };
}

// ---- alerts ----

async function measureAlerts(
  options: BridgeBenchOptions,
  { brokerPort, latency }: { readonly brokerPort: number; readonly latency: "normal" | "low" },
): Promise<Omit<BridgeBenchResult["alerts"], "localLow">> {
  using directory = mkdtempDisposableSync(join(tmpdir(), "weir-bench-"));
  const port = await freePort();
  const file = join(directory.path, "weir.yaml");
  writeFileSync(file, configurationOf({ directory: directory.path, port, brokerPort, latency }));
  const agent = await startAgentProcess(["run", "-c", file]);
  try {
    await using local = await openReader(port, 4);
    await using remote = await openReader(brokerPort, 5);
    using fleet = openFleet(port, options);
    await sleep(options.settleMs);
    const here: Promise<number>[] = [];
    const there: Promise<number>[] = [];
    const firstAt = performance.now();
    for (let n = 0; n < alertsBefore + options.alerts; n++) {
      await sleep(Math.max(0, firstAt + n * options.alertEveryMs - performance.now()));
      const publishedAt = performance.now();
      const { device, time } = fleet.outlier(n);
      const seen = [local, remote].map((reader) => reader.seen(`${device} ${time}`));
      if (n < alertsBefore) continue;
      here.push(seen[0]!.then((at) => at - publishedAt));
      there.push(seen[1]!.then((at) => at - publishedAt));
    }
    const late = sleep(arrivalWaitMs, undefined, { ref: false });
    const all = await Promise.race([Promise.all([Promise.all(here), Promise.all(there)]), late]);
    if (all === undefined) throw new Error("not every outlier came back as an alert");
    return {
      local: latencyOf(all[0]),
      bridge: latencyOf(all[1]),
      count: all[0].length,
      agent_rss_mb: rssMegabytes(agent.child.pid),
    };
  } finally {
    await agent.kill("SIGTERM");
  }
}

type Reader = AsyncDisposable & {
  /** When (performance.now) the alert of this device and time came; each is asked for once. */
  seen(deviceAndTime: string): Promise<number>;
};

async function openReader(port: number, protocolVersion: 4 | 5): Promise<Reader> {
  const client: MqttClient = await connectAsync({
    host: "127.0.0.1",
    port,
    protocolVersion,
    reconnectPeriod: 0,
  });
  const waiting = new Map<string, (at: number) => void>();
  client.on("message", (_topic, payload) => {
    const at = performance.now();
    const { key, time } = JSON.parse(payload.toString()) as {
      key: { device: string };
      time: number;
    };
    waiting.get(`${key.device} ${time}`)?.(at);
  });
  await client.subscribeAsync("weir/+/alert/#", { qos: 1 });
  return {
    seen: (deviceAndTime) =>
      new Promise((resolve) => {
        waiting.set(deviceAndTime, resolve);
      }),
    [Symbol.asyncDispose]: () => client.endAsync(true),
  };
}

function latencyOf(values: readonly number[]): Latency {
  return {
    p50_ms: rounded(quantile(values, 0.5)),
    p99_ms: rounded(quantile(values, 0.99)),
    max_ms: rounded(Math.max(...values)),
  };
}

function configurationOf(options: {
  readonly directory: string;
  readonly port: number;
  readonly brokerPort: number;
  readonly latency: string;
}): string {
  const { directory, port, brokerPort, latency } = options;
  return `version: 1
agent: bench
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true }
http: off
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
pipelines:
  - name: ten-seconds
    key: [device, line, metric]
    window: { tumbling: 10s }
    aggregate: [count, sum, mean, min, max, variance]
  - name: outliers
    ewma: { lambda: 1, sigmas: 8, warmup: 20, baseline: 0.02, sigmaMin: 0.05, rearm: 5 }
uplinks:
  - mqtt: { url: "mqtt://127.0.0.1:${brokerPort}" }
commit: { latency: ${latency} }
`;
}

function rssMegabytes(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return rounded((Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024) / 1e6);
}
