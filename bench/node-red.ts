/**
 * What Node-RED costs with the same work done in three places: means of ten seconds of 100 devices, whose
 * readings come by MQTT at a steady rate.
 *
 *   idle         Node-RED with the package, and no flow
 *   functions    mqtt in ─▶ function node with windows by arrival ─▶ out
 *   in-process   mqtt in ─▶ weir-window, event time ─▶ out
 *   agent        the agent takes the readings; weir-summaries ─▶ out
 *
 * The agent's embedded broker carries the messages in all of them, so its process is measured too. CPU is
 * of all threads, from /proc, over the measured span; memory is resident, at its end.
 */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { connectAsync } from "mqtt";
import { type AgentProcess, startAgentProcess } from "../test/support/agent-process.ts";
import { freePorts } from "../test/support/ports.ts";
import { type FlowNode, startNodeRed } from "../test/support/node-red/node-red-process.ts";

export const places = ["functions", "in_process", "agent"] as const;
export type Place = (typeof places)[number];

export type NodeRedOptions = {
  /** Messages a second. */
  readonly rates: readonly number[];
  readonly warmupSeconds: number;
  readonly seconds: number;
  readonly places: readonly Place[];
};

export const defaults: NodeRedOptions = {
  rates: [200, 1_000],
  warmupSeconds: 12,
  seconds: 30,
  places,
};
export const tinyOptions: NodeRedOptions = {
  rates: [200],
  warmupSeconds: 1,
  seconds: 1,
  places,
};

export type ProcessFigures = {
  /** Of one core. */
  readonly cpu_percent: number;
  readonly rss_mb: number;
};

export type PlaceFigures = {
  readonly place: Place;
  readonly rate: number;
  readonly node_red: ProcessFigures;
  readonly agent: ProcessFigures;
  /** Results that came out at the end of the flow while it was measured. */
  readonly results: number;
};

export type NodeRedFigures = {
  readonly idle: ProcessFigures;
  readonly places: readonly PlaceFigures[];
};

const devices = 100;
const clockTicksPerSecond = 100;

export async function runNodeRed(options: NodeRedOptions): Promise<NodeRedFigures> {
  const idle = await measureIdle(options);
  const measured: PlaceFigures[] = [];
  for (const rate of options.rates) {
    for (const place of options.places) measured.push(await measurePlace(place, rate, options));
  }
  return { idle, places: measured };
}

async function measureIdle({ seconds }: NodeRedOptions): Promise<ProcessFigures> {
  await using nodeRed = await startNodeRed();
  await wait(1_000);
  const before = usageOf(nodeRed.pid);
  await wait(seconds * 1_000);
  return figuresOf(before, usageOf(nodeRed.pid));
}

async function measurePlace(
  place: Place,
  rate: number,
  { warmupSeconds, seconds }: NodeRedOptions,
): Promise<PlaceFigures> {
  const [mqtt = 0, http = 0] = await freePorts(2);
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-node-red-"));
  await using stack = new AsyncDisposableStack();
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const agent = await startedAgent(folder, { mqtt, http });
  stack.defer(async () => void (await agent.kill("SIGTERM")));
  const results = join(folder, "results");
  writeFileSync(results, "");
  const flow = flowOf(place, { mqtt, http, results });
  const nodeRed = stack.use(await startNodeRed({ flow }));
  const load = stack.use(await startLoad({ port: mqtt, place, rate }));
  await wait(warmupSeconds * 1_000);
  const before = [usageOf(nodeRed.pid), usageOf(agent.child.pid!)] as const;
  const had = linesIn(results);
  await wait(seconds * 1_000);
  const after = [usageOf(nodeRed.pid), usageOf(agent.child.pid!)] as const;
  if (load.failed !== undefined) throw load.failed;
  return {
    place,
    rate,
    node_red: figuresOf(before[0], after[0]),
    agent: figuresOf(before[1], after[1]),
    results: linesIn(results) - had,
  };
}

async function startedAgent(
  folder: string,
  { mqtt, http }: { readonly mqtt: number; readonly http: number },
): Promise<AgentProcess> {
  const file = join(folder, "weir.yaml");
  writeFileSync(
    file,
    `version: 1
agent: bench
data: ./data
mqtt: { port: ${mqtt}, anonymous: true }
http: { port: ${http} }
sources: [{ name: plant, topics: ["plant/{device}"], time: { fields: [time] }, disorder: 1s }]
pipelines: [{ name: means, key: [device], window: { tumbling: 10s }, aggregate: [count, mean, min, max] }]
`,
  );
  return await startAgentProcess(["run", "--config", file]);
}

// ---- flows ----

/** As people write it: sums by key, emitted when a message of a later window comes. */
const windowFunction = `
const sizeMs = 10000;
const windows = context.get("windows") || {};
const start = Math.floor(msg.payload.time / sizeMs) * sizeMs;
const value = msg.payload.value;
const open = windows[msg.topic];
let out = null;
if (open && open.start !== start) {
  out = { topic: msg.topic, payload: { count: open.count, mean: open.sum / open.count, min: open.min, max: open.max } };
}
if (!open || open.start !== start) {
  windows[msg.topic] = { start, count: 1, sum: value, min: value, max: value };
} else {
  open.count += 1;
  open.sum += value;
  open.min = Math.min(open.min, value);
  open.max = Math.max(open.max, value);
}
context.set("windows", windows);
return out;
`;

function flowOf(
  place: Place,
  at: { readonly mqtt: number; readonly http: number; readonly results: string },
): readonly FlowNode[] {
  const shared: readonly FlowNode[] = [
    { id: "tab", type: "tab", label: "bench" },
    {
      id: "out",
      type: "file",
      z: "tab",
      filename: at.results,
      filenameType: "str",
      appendNewline: true,
      overwriteFile: "false",
      encoding: "none",
      wires: [[]],
    },
    {
      id: "line",
      type: "change",
      z: "tab",
      rules: [{ t: "set", p: "payload", pt: "msg", to: "topic", tot: "msg" }],
      wires: [["out"]],
    },
  ];
  if (place === "agent") {
    return [
      ...shared,
      { id: "ag", type: "weir-agent", version: 1, address: `http://127.0.0.1:${at.http}`, tls: "" },
      {
        id: "in",
        type: "weir-summaries",
        version: 1,
        z: "tab",
        agent: "ag",
        pipeline: "",
        key: "",
        from: "now",
        store: "",
        wires: [["line"], []],
      },
    ];
  }
  const windows: FlowNode =
    place === "functions"
      ? { id: "w", type: "function", z: "tab", func: windowFunction, outputs: 1, wires: [["line"]] }
      : {
          id: "w",
          type: "weir-window",
          z: "tab",
          valueProperty: "payload.value",
          timeFrom: "message",
          timeProperty: "payload.time",
          window: "tumbling",
          sizeSeconds: 10,
          disorderSeconds: 1,
          aggregates: "count,mean,min,max",
          wires: [["line"], []],
        };
  return [
    ...shared,
    windows,
    {
      id: "in",
      type: "mqtt in",
      z: "tab",
      topic: "flow/#",
      qos: "1",
      datatype: "json",
      broker: "b",
      inputs: 0,
      wires: [["w"]],
    },
    {
      id: "b",
      type: "mqtt-broker",
      broker: "127.0.0.1",
      port: String(at.mqtt),
      clientid: "",
      autoConnect: true,
      usetls: false,
      protocolVersion: "4",
      keepalive: "60",
      cleansession: true,
    },
  ];
}

// ---- load ----

type Load = AsyncDisposable & { readonly failed: Error | undefined };

/** Each device in turn; QoS 1. A tenth of a second's messages at a time. */
async function startLoad({
  port,
  place,
  rate,
}: {
  readonly port: number;
  readonly place: Place;
  readonly rate: number;
}): Promise<Load> {
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { reconnectPeriod: 0 });
  const prefix = place === "agent" ? "plant" : "flow";
  const begun = performance.now();
  let sent = 0;
  let failed: Error | undefined;
  client.on("error", (error) => {
    failed = error;
  });
  const timer = setInterval(() => {
    const due = ((performance.now() - begun) / 1_000) * rate;
    for (; sent < due; sent++) {
      const payload = `{"time":${Date.now()},"value":${20 + (sent % 50) / 10}}`;
      client.publish(`${prefix}/d${sent % devices}`, payload, { qos: 1 });
    }
  }, 100);
  return {
    get failed() {
      return failed;
    },
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await client.endAsync(true);
    },
  };
}

// ---- what a process costs ----

type Usage = { readonly atMs: number; readonly cpuSeconds: number; readonly rssBytes: number };

function usageOf(pid: number): Usage {
  // Fields 14 and 15 (proc_pid_stat(5)), counted behind the name, which may have spaces.
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /s, "")
    .split(" ");
  const [, rssKb = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return {
    atMs: performance.now(),
    cpuSeconds: (Number(stat[11]) + Number(stat[12])) / clockTicksPerSecond,
    rssBytes: Number(rssKb) * 1_024,
  };
}

function figuresOf(before: Usage, after: Usage): ProcessFigures {
  const share = (after.cpuSeconds - before.cpuSeconds) / ((after.atMs - before.atMs) / 1_000);
  return {
    cpu_percent: Math.round(share * 1_000) / 10,
    rss_mb: Math.round(after.rssBytes / 104_857.6) / 10,
  };
}

function linesIn(file: string): number {
  return readFileSync(file, "utf8").split("\n").length - 1;
}

export function textOf({ idle, places: measured }: NodeRedFigures): string {
  const row = (name: string, figures: ProcessFigures): string =>
    `${name.padEnd(24)} ${String(figures.cpu_percent).padStart(6)} % ${String(figures.rss_mb).padStart(7)} MB`;
  return [
    row("idle", idle),
    ...measured.flatMap(({ place, rate, node_red, agent, results }) => [
      `${row(`${place} ${rate}/s`, node_red)}   ${results} results`,
      row("  with the agent", agent),
    ]),
  ].join("\n");
}
