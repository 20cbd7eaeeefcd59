/**
 * Real input: the recorded pump rig (8 sensors at 1 Hz, 16 runs), each run a device, replayed over
 * MQTT with disorder and duplicates made on purpose. Every window upstream must equal a batch
 * computation over the CSV that shares no code with the agent.
 */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { Publisher } from "../support/publisher.ts";
import { requireData } from "../support/require-tool.ts";
import { fractions } from "../support/seeded-random.ts";
import {
  latestRevisions,
  readUpstream,
  repeatedIds,
  type UpstreamRecord,
} from "../support/upstream.ts";

const WINDOW_MS = 10_000;
/** Messages change places by at most so many rows (seconds): within the agent's disorder bound. */
const DISORDER_ROWS = 4;
const DUPLICATE_SHARE = 0.05;

type Run = {
  readonly device: string;
  readonly metrics: readonly string[];
  readonly rows: readonly {
    readonly time: number;
    readonly values: readonly number[];
    readonly anomaly: boolean;
  }[];
};

type Expected = {
  count: number;
  values: { readonly time: number; readonly value: number }[];
};

test("every window of the recorded pump rig equals a batch computation", {
  timeout: 120_000,
}, async (t) => {
  const data = requireData(t, "skab/data/valve1");
  if (data === undefined) return;
  const runs = await readRuns(data);
  const directory = await mkdtemp(join(tmpdir(), "weir-skab-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort();
  const file = join(directory, "weir.yaml");
  await writeFile(file, configuration({ directory, port }));
  const agent = await startAgentProcess(["run", "-c", file]);
  await Promise.all(runs.map((run, index) => replay(run, { port, seed: index + 1 })));
  await sleep(4_000); // longer than the idle timeout: the last windows close
  assert.equal(await agent.kill("SIGTERM"), 0, agent.output());

  const summaries = await readUpstream(join(directory, "out"), "summaries");
  assert.deepEqual(repeatedIds(summaries), []);
  const expected = batchWindows(runs);
  const actual = latestRevisions(summaries);
  assert.equal(actual.length, expected.size, "as many windows as the batch computation has");
  for (const summary of actual) {
    const key = windowKey(summary);
    const window = expected.get(key);
    assert.ok(window !== undefined, `${key} is a window of the input`);
    assertEqualWindow(summary, window, key);
  }
  t.diagnostic(
    `${actual.length} windows over ${runs.length} runs are equal; ${summaries.length - actual.length} corrections`,
  );
  showAlerts(t, runs, await readUpstream(join(directory, "out"), "alerts"));
});

async function readRuns(directory: string): Promise<readonly Run[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith(".csv")).sort();
  return await Promise.all(
    names.map(async (name) => {
      const [head, ...lines] = (await readFile(join(directory, name), "utf8")).trim().split("\n");
      const columns = head!.trim().split(";");
      const metrics = columns.slice(1, 9).map((column) => column.replaceAll(" ", "_"));
      const rows = lines.map((line) => {
        const cells = line.trim().split(";");
        return {
          time: Date.parse(`${cells[0]!.replace(" ", "T")}Z`),
          values: cells.slice(1, 9).map(Number),
          anomaly: Number(cells[9]) === 1,
        };
      });
      return { device: `valve1-${name.replace(".csv", "")}`, metrics, rows };
    }),
  );
}

/** Sends the rows in a bounded disorder, some of them twice. */
async function replay(
  run: Run,
  { port, seed }: { readonly port: number; readonly seed: number },
): Promise<void> {
  const random = fractions(seed);
  const order = run.rows
    .map((row, index) => ({ row, rank: index + random() * DISORDER_ROWS }))
    .sort((a, b) => a.rank - b.rank);
  const publisher = new Publisher({ port, clientId: run.device, window: 100 });
  for (const { row } of order) {
    const fields = run.metrics.map((metric, index) => [metric, row.values[index]] as const);
    const payload = JSON.stringify({ ts: row.time, ...Object.fromEntries(fields) });
    const copies = random() < DUPLICATE_SHARE ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      await publisher.publish(`rig/${run.device}/state`, payload);
    }
  }
  await publisher.settled();
  publisher.close();
}

function batchWindows(runs: readonly Run[]): Map<string, Expected> {
  const windows = new Map<string, Expected>();
  for (const run of runs) {
    for (const { time, values } of run.rows) {
      const start = Math.floor(time / WINDOW_MS) * WINDOW_MS;
      run.metrics.forEach((metric, index) => {
        const key = `${run.device}/${metric}/${start}`;
        const window = windows.get(key) ?? { count: 0, values: [] };
        window.count += 1;
        window.values.push({ time, value: values[index]! });
        windows.set(key, window);
      });
    }
  }
  return windows;
}

function windowKey(summary: UpstreamRecord): string {
  const { device, metric } = summary["key"] as { device: string; metric: string };
  return `${device}/${metric}/${String(summary["start"])}`;
}

/** Count, extremes, first and last exactly; the sum to one unit in the last place; variance to 1e-9. */
function assertEqualWindow(summary: UpstreamRecord, expected: Expected, key: string): void {
  const values = expected.values.map(({ value }) => value);
  const byTime = [...expected.values].sort((a, b) => a.time - b.time);
  assert.equal(summary["count"], expected.count, `count of ${key}`);
  assert.equal(summary["min"], Math.min(...values), `min of ${key}`);
  assert.equal(summary["max"], Math.max(...values), `max of ${key}`);
  assert.equal(summary["first"], byTime[0]!.value, `first of ${key}`);
  assert.equal(summary["last"], byTime.at(-1)!.value, `last of ${key}`);
  const sum = exactSum(values);
  assertClose(Number(summary["sum"]), sum, 2 ** -52, `sum of ${key}`);
  const mean = sum / expected.count;
  const variance = exactSum(values.map((value) => (value - mean) ** 2)) / expected.count;
  assertClose(Number(summary["mean"]), mean, 2 ** -50, `mean of ${key}`);
  assertClose(Number(summary["variance"]), variance, 1e-9, `variance of ${key}`);
}

function assertClose(actual: number, expected: number, relative: number, what: string): void {
  const allowed = Math.max(Math.abs(expected) * relative, 1e-18);
  assert.ok(Math.abs(actual - expected) <= allowed, `${what}: ${actual}, expected ${expected}`);
}

/** The sum of decimal fractions without rounding, in units of 1e-30, rounded once at the end. */
function exactSum(values: readonly number[]): number {
  // Shewchuk's expansion (1997): partials that do not overlap, added from the smallest.
  const partials: number[] = [];
  for (const value of values) {
    let rest = value;
    let kept = 0;
    for (const partial of partials) {
      const [large, small] =
        Math.abs(rest) >= Math.abs(partial) ? [rest, partial] : [partial, rest];
      const high = large + small;
      const low = small - (high - large);
      if (low !== 0) partials[kept++] = low;
      rest = high;
    }
    partials.length = kept;
    partials.push(rest);
  }
  return partials.reduce((total, partial) => total + partial, 0);
}

/** The labelled anomalies and the alerts of the control charts, side by side. No goal is set. */
function showAlerts(t: TestContext, runs: readonly Run[], alerts: readonly UpstreamRecord[]): void {
  t.diagnostic("run         labelled s  alerts within  alerts outside  first alert after onset");
  for (const run of runs) {
    const labelled = new Set(run.rows.filter(({ anomaly }) => anomaly).map(({ time }) => time));
    const onset = run.rows.find(({ anomaly }) => anomaly)?.time;
    const times = alerts
      .filter((alert) => (alert["key"] as { device: string }).device === run.device)
      .map((alert) => Number(alert["time"]));
    const within = times.filter((time) => labelled.has(time));
    const delay =
      onset === undefined || within.length === 0
        ? "-"
        : `${(Math.min(...within) - onset) / 1000} s`;
    t.diagnostic(
      [
        run.device.padEnd(10),
        String(labelled.size).padStart(11),
        String(within.length).padStart(14),
        String(times.length - within.length).padStart(15),
        delay.padStart(24),
      ].join(" "),
    );
  }
}

function configuration({
  directory,
  port,
}: {
  readonly directory: string;
  readonly port: number;
}): string {
  return `version: 1
agent: rig
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true }
http: off
sources:
  - name: rig
    topics: ["rig/{device}/state"]
    disorder: 5s
    idle: 2s
pipelines:
  - name: ten-seconds
    key: [device, metric]
    window: { tumbling: 10s }
    aggregate: [count, sum, mean, min, max, variance, first, last]
    allowedLateness: 60s
  - name: outliers
    ewma: { lambda: 0.2, sigmas: 5, warmup: 100, baseline: 0.01, sigmaMin: 0.001, rearm: 20 }
uplinks:
  - file: { directory: ${directory}/out, rotateBytes: 16MiB, rotateAge: 1h }
commit: { wait: 20ms, interval: 200ms, checkpoint: 5m }
`;
}
