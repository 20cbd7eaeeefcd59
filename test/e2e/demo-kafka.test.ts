/** The main job with Kafka as a person runs it: what the ledger calls closed is in the cluster, once. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startKafka } from "../support/kafka/broker.ts";
import { type ReadRecord, readCommitted } from "../support/kafka/kcat.ts";
import { requireKafka } from "../support/kafka/require-kafka.ts";

const main = fileURLToPath(new URL("../../src/agent/cli/main.ts", import.meta.url));

test("npm start -- --kafka sends every window once, and a second run goes on behind it", {
  timeout: 120_000,
}, async (t) => {
  if (!requireKafka(t, ["4"])) return;
  await using kafka = await startKafka({ version: "4" });
  const { bootstrap } = kafka;
  const directory = await mkdtemp(join(tmpdir(), "weir-demo-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const data = join(directory, "data");
  const demo = async (): Promise<string> => {
    const options = ["--plain", "--seconds", "14", "--devices", "60", "--data", data];
    // Not where the other demo's tests look for ports: both would find the same one free.
    const ports = ["--port", "23883", "--http", "23080"];
    const args = [main, "demo", ...options, ...ports, "--kafka", bootstrap];
    return (await promisify(execFile)(process.execPath, args)).stdout;
  };
  await demo();
  const output = await demo();
  assert.match(output, /weir\.summaries: [\d,]+ records, each once/);
  assert.ok(output.includes(`-b ${bootstrap} -t weir.summaries`));

  const records = await readCommitted({ bootstrap, topic: "weir.summaries" });
  const ids = records.map(idOf).sort((a, b) => a.number - b.number);
  assert.deepEqual(
    ids.map(({ number }) => number),
    ids.map((_, index) => index),
    "the numbers of the outbox have no gap and no repetition",
  );
  assert.equal(new Set(ids.map(({ outbox }) => outbox)).size, 1, "both runs have one outbox");
  assert.equal(latestCount(records), closedReadings(output, "ten-seconds"));
});

function idOf({ headers }: ReadRecord): { readonly outbox: string; readonly number: number } {
  const [outbox = "", lane, number] = headers["ce_id"]!.split(":");
  assert.equal(lane, "summaries");
  return { outbox, number: Number(number) };
}

/** Readings in the newest revision of every window; a marker, of an hour that ended, is none. */
function latestCount(records: readonly ReadRecord[]): number {
  const latest = new Map<string, { readonly revision: number; readonly count: number }>();
  for (const { key, value } of records) {
    const summary = JSON.parse(value ?? "") as { kind: string; revision: number; count: number };
    if (summary.kind !== "summary") continue;
    const known = latest.get(key!);
    if (known === undefined || summary.revision > known.revision) latest.set(key!, summary);
  }
  return [...latest.values()].reduce((sum, { count }) => sum + count, 0);
}

/** The column "closed" of a pipeline in the final ledger. */
function closedReadings(output: string, pipeline: string): number {
  const line = output.split("\n").find((text) => text.startsWith(`${pipeline} `)) ?? "";
  const numbers = [...line.matchAll(/ (\d[\d,]*)/g)].map(([, digits]) => digits!);
  return Number(numbers[5]?.replaceAll(",", ""));
}
