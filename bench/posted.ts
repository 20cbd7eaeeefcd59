/**
 * What a message costs that is posted: NDJSON bodies of so many lines under keys, a few under way at a time,
 * to a whole agent in a process of its own. Its CPU is that of all its threads, syncs included.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startAgentProcess } from "../test/support/agent-process.ts";
import { freePorts } from "../test/support/ports.ts";
import { cpuMicros, pin, rounded } from "./process.ts";

export type PostedOptions = {
  readonly bodies: number;
  /** Lines of a body, each a message. */
  readonly linesOfBodies: readonly number[];
  /** Bodies under way at a time. */
  readonly underWay: number;
};

export const defaults: PostedOptions = {
  bodies: 4_000,
  linesOfBodies: [1, 100, 1_000],
  underWay: 16,
};
export const tinyOptions: PostedOptions = { bodies: 20, linesOfBodies: [1, 10], underWay: 4 };

export type PostedFigures = Readonly<
  Record<
    string,
    {
      readonly messages: number;
      readonly messages_per_cpu_second: number;
      readonly cpu_us_per_message: number;
      readonly messages_per_second: number;
    }
  >
>;

export async function runPosted(options: PostedOptions): Promise<PostedFigures> {
  const folder = mkdtempSync(join(tmpdir(), "weir-bench-"));
  const [mqtt = 0, http = 0] = await freePorts(2);
  const config = join(folder, "weir.yaml");
  writeFileSync(config, configOf(mqtt, http));
  const agent = await startAgentProcess(["run", "-c", config]);
  const pid = agent.child.pid ?? 0;
  pin(pid, 0);
  pin(process.pid, 1);
  try {
    const figures: Record<string, PostedFigures[string]> = {};
    for (const lines of options.linesOfBodies) {
      const bodies = Math.max(options.underWay, Math.ceil(options.bodies / Math.sqrt(lines)));
      await post(http, { ...options, bodies: Math.ceil(bodies / 10), lines });
      const cpu = cpuMicros(pid);
      const begun = performance.now();
      await post(http, { ...options, bodies, lines });
      const cpuUs = cpuMicros(pid) - cpu;
      const seconds = (performance.now() - begun) / 1_000;
      const messages = bodies * lines;
      figures[`lines_${lines}`] = {
        messages,
        messages_per_cpu_second: Math.round(messages / (cpuUs / 1e6)),
        cpu_us_per_message: rounded(cpuUs / messages),
        messages_per_second: Math.round(messages / seconds),
      };
    }
    return figures;
  } finally {
    await agent.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  }
}

export function textOf(figures: PostedFigures): string {
  return Object.entries(figures)
    .map(
      ([name, of]) =>
        `${name.padEnd(12)} ${of.messages_per_cpu_second} messages per CPU-second, ${of.cpu_us_per_message} us of CPU per message, ${of.messages_per_second} messages/s`,
    )
    .join("\n");
}

/** 97 bytes a payload, one reading in it, as `ingest` has them; a window of 10 s over each series. */
function configOf(mqtt: number, http: number): string {
  return `version: 1
agent: gw1
data: ./data
mqtt: { port: ${mqtt} }
http: { port: ${http} }
sources:
  - name: plant
    topics: ["plant/{device}"]
    ignore: [id, unit, quality, battery, fw]
pipelines:
  - { name: temp, key: [device], window: { tumbling: 10s } }
`;
}

let made = 0;

async function post(
  port: number,
  options: PostedOptions & { readonly lines: number },
): Promise<void> {
  const { bodies, lines, underWay } = options;
  const agent = new Agent({ keepAlive: true, maxSockets: underWay });
  let left = bodies;
  const sender = async (): Promise<void> => {
    while (left-- > 0) await send(agent, port, lines);
  };
  await Promise.all(Array.from({ length: underWay }, sender));
  agent.destroy();
}

function send(agent: Agent, port: number, lines: number): Promise<void> {
  const number = made++;
  const body = Array.from({ length: lines }, (_, n) => lineOf(number * lines + n)).join("\n");
  const headers = {
    "Content-Type": "application/x-ndjson",
    "Content-Length": Buffer.byteLength(body),
    "Idempotency-Key": `bench-${number}`,
    "X-Weir": "1",
  };
  return new Promise((resolve, reject) => {
    const sending = request({ agent, port, method: "POST", path: "/v1/readings", headers });
    sending.on("error", reject);
    sending.on("response", (response) => {
      response.resume();
      response.on("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`a body was answered ${String(response.statusCode)}`));
      });
    });
    sending.end(body);
  });
}

function lineOf(n: number): string {
  const time = 1_764_000_000_000 + n * 10;
  const payload = `{"id":${n % 1_000},"ts":${time},"temp":${(20 + (n % 500) / 100).toFixed(2)},"unit":"C","quality":"good","battery":3.1,"fw":7}`;
  return `{"topic":"plant/d${n % 1_000}","payload":${payload}}`;
}
