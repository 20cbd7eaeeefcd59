/**
 * `weir store erase` on what an agent has left: no byte of the erased device's readings is in any file,
 * everything of the others is, and an agent goes on from it.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { type TestContext, test } from "node:test";
import type { Agent } from "../../src/agent/agent.ts";
import { readConfig } from "../../src/agent/cli/configured.ts";
import { nodeFlags } from "../../src/agent/node-flags.ts";
import { dataPaths, startAgent } from "../../src/agent/start.ts";
import { limits } from "../../src/core/limits.ts";
import { outputQueues } from "../../src/store/outbox/lane.ts";
import { readOutbox } from "../../src/store/outbox/outbox.ts";
import { decodeRecord } from "../../src/store/outbox/record-codec.ts";
import { readCheckedKv } from "../../src/store/state/checked-kv.ts";
import { readDeadLetters } from "../../src/store/state/dead-letters.ts";
import { openKvLmdb } from "../../src/store/state/kv-lmdb.ts";
import { freePort } from "../support/agent-process.ts";
import { zstdContentsIn } from "../support/zstd-frames.ts";
import { weir, weirMain } from "../support/weir-command.ts";

const startMs = 1_764_000_000_000;
const DEVICES = 3;
const ERASED = 1;

/** Doubles with all their digits, so that no two are alike and their bytes are found as they are. */
function valueOf(device: number, n: number): number {
  return 1_000 + 100 * Math.sin(1 + device * 100_000 + n);
}

/** An uplink that nobody answers, so that everything waits in the outbox. */
async function configured(
  t: TestContext,
): Promise<{ readonly file: string; readonly data: string }> {
  const home = mkdtempSync(join(tmpdir(), "weir-erase-"));
  t.after(() => rmSync(home, { recursive: true }));
  const file = join(home, "weir.yaml");
  writeFileSync(
    file,
    `version: 1
agent: gateway
data: ./data
http: { port: 0 }
mqtt: { port: 0 }
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
    time: { fields: [ts] }
pipelines:
  - { name: devices, key: [device], window: { tumbling: 10s }, aggregate: [count, min, max, first, last, quantiles] }
  - { name: lines, key: [line], window: { tumbling: 10s }, aggregate: [count] }
  - { name: visits, key: [device], window: { session: 1m, max: 1h }, aggregate: [count, p50] }
  - { name: chart, ewma: { warmup: 10 } }
uplinks:
  - mqtt: { url: "mqtt://127.0.0.1:${await freePort()}" }
`,
  );
  return { file, data: join(home, "data") };
}

async function started(file: string): Promise<Agent> {
  return await startAgent(await readConfig(file), {
    memoryRowsMax: 2_000,
    onFailed: (fault) => {
      throw fault;
    },
  });
}

/** Readings [from, to) of every device, and a message of each that nobody can decode. */
async function feed(agent: Agent, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    for (let device = 0; device < DEVICES; device++) {
      const payload = `{"ts":${startMs + n * 1_000},"v":${valueOf(device, n)}}`;
      await agent.feeder.feed(`plant/a/d${device}/state`, new TextEncoder().encode(payload));
    }
  }
  for (let device = 0; device < DEVICES; device++) {
    const payload = `{"ts":${startMs},"v":${valueOf(device, from)},`;
    await agent.feeder.feed(`plant/a/d${device}/state`, new TextEncoder().encode(payload));
  }
  await agent.feeder.settled();
}

/**
 * By file of the data directory: how many of these values stand in it, as doubles or as text, as they are
 * or compressed.
 */
function placesOf(data: string, values: readonly number[]): ReadonlyMap<string, number> {
  const places = new Map<string, number>();
  const texts = new Set(values.map(String));
  const wanted = new Map(
    values.map((value) => [bitsOf(Buffer.from(new Float64Array([value]).buffer), 0), value]),
  );
  // Sign, exponent and the highest digits, which few other places have: there are millions of places.
  const heads = new Uint8Array(2 ** 16);
  for (const bits of wanted.keys()) heads[Number(bits >> 48n)] = 1;
  for (const path of filesIn(data)) {
    const file = readFileSync(path);
    const found = new Set<number>();
    for (const bytes of [file, ...zstdContentsIn(file)]) {
      for (let at = 0; at + 8 <= bytes.length; at++) {
        if (heads[bytes.readUInt16LE(at + 6)] === 0) continue;
        const value = wanted.get(bitsOf(bytes, at));
        if (value !== undefined) found.add(value);
      }
      for (const [text] of bytes.toString("latin1").matchAll(/\d+\.\d{8,}/g)) {
        if (texts.has(text)) found.add(Number(text));
      }
    }
    if (found.size > 0) places.set(relative(data, path).replaceAll(/\d+/g, "N"), found.size);
  }
  return places;
}

function bitsOf(bytes: Buffer, at: number): bigint {
  return bytes.readBigUInt64LE(at);
}

function filesIn(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

/** What waits in the outbox and among the dead letters, as text: blocks are compressed. */
function waiting(data: string): {
  readonly records: readonly string[];
  readonly letters: readonly string[];
} {
  const raw = openKvLmdb({ path: dataPaths(data).state, bytesMax: limits.kvBytesMax });
  const kv = readCheckedKv(raw);
  const records = outputQueues.flatMap((lane) => {
    const all = readOutbox(kv, lane, { from: 0, bytesMax: Number.MAX_SAFE_INTEGER });
    return all.records.map((record) => Buffer.from(record).toString());
  });
  const letters = readDeadLetters(kv, { limit: 100 }).map(
    ({ topic, payload }) => `${topic} ${Buffer.from(payload).toString()}`,
  );
  void raw.close();
  return { records, letters };
}

/** Count of the newest revisions by pipeline: what the sum of all closed readings must be. */
function countsOf(records: readonly string[]): Record<string, number> {
  const newest = new Map<
    string,
    { readonly pipeline: string; readonly count: number; readonly revision: number }
  >();
  for (const text of records) {
    const { record } = decodeRecord(Buffer.from(text), "a record");
    if (record.kind !== "summary") continue;
    const { pipeline, key, start, end, revision, count } = record;
    const id = JSON.stringify([pipeline, key, start, end]);
    if ((newest.get(id)?.revision ?? -1) < revision) newest.set(id, { pipeline, count, revision });
  }
  const counts: Record<string, number> = {};
  for (const { pipeline, count } of newest.values())
    counts[pipeline] = (counts[pipeline] ?? 0) + count;
  return counts;
}

async function storedOf(agent: Agent, device: string): Promise<readonly number[]> {
  const range = `from=${startMs}&to=${startMs + 1e9}&limit=100000&format=ndjson`;
  const url = `http://127.0.0.1:${agent.httpPort}/v1/readings?select=${encodeURIComponent(`v{device=${device}}`)}&${range}`;
  const text = (await (await fetch(url)).text()).trim();
  return text.split("\n").flatMap((line) => {
    const value: unknown = line === "" ? undefined : JSON.parse(line).value;
    return typeof value === "number" ? [value] : [];
  });
}

/** Begins a stream, and ends it. */
async function streamed(agent: Agent): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${agent.httpPort}/v1/stream`);
  await response.body?.cancel();
}

test("no byte of an erased device is in any file; the others go on as if nothing had been", async (t) => {
  const { file, data } = await configured(t);
  const count = 3_000;
  const first = await started(file);
  await streamed(first); // from now on the newest records are kept once more
  await feed(first, 0, count - 500);
  await first.close();
  const second = await started(file); // two lives: a recycled segment, old pages
  await feed(second, count - 500, count);
  await second.close();
  const backup = join(data, "..", "copy");
  assert.equal((await weir("backup", backup, "-c", file)).code, 0);

  const savepoint = await weir("savepoint", "create", "before", "-c", file);
  assert.equal(savepoint.code, 0, savepoint.error);
  // One that an agent was sending upstream when it was killed goes without being asked for.
  const folder = join(data, "savepoints");
  cpSync(join(folder, "before.savepoint"), join(folder, "upstream.sending"));

  const values = Array.from({ length: count }, (_, n) => valueOf(ERASED, n));
  const before = placesOf(data, values);
  for (const place of ["log/log-N.seg", "state.mdb", "tables/table-N.tbl"]) {
    assert.ok(
      (before.get(place) ?? 0) > 0,
      `nothing of it is in ${place} before: ${[...before.keys()].join()}`,
    );
  }
  const waitingBefore = waiting(data);
  const tells = (text: string): boolean => values.some((value) => text.includes(String(value)));
  assert.ok(waitingBefore.records.some(tells) && waitingBefore.letters.some(tells));

  const asked = await weir("store", "erase", "--device", `d${ERASED}`, "-c", file);
  assert.equal(asked.code, 0, asked.error);
  assert.match(asked.out, /nothing was erased yet/);
  assert.ok(placesOf(data, values).size > 0);

  const done = await weir(
    "store",
    "erase",
    "--device",
    `d${ERASED}`,
    "-c",
    file,
    "--yes",
    "--json",
  );
  assert.equal(done.code, 0, done.error);
  const report = JSON.parse(done.out);
  assert.deepEqual(report.series, [`v{device=d${ERASED},line=a}`]);
  assert.equal(report.erased.readings, count);
  assert.deepEqual(report.kept, [{ pipeline: "lines", key: "line=a" }]);
  assert.equal(report.erased.deadLetters, 2);
  assert.deepEqual(
    report.backups.map(({ target, now }: { target: string; now: string }) => [target, now]),
    [[backup, "there"]],
  );

  assert.deepEqual(report.savepoints, [join(data, "savepoints", "before.savepoint")]);
  rmSync(report.savepoints[0]);

  assert.deepEqual([...placesOf(data, values)], []);
  const left = waiting(data);
  assert.ok(!left.records.some(tells) && !left.letters.some(tells));
  assert.equal(left.letters.length, waitingBefore.letters.length);

  const third = await started(file);
  assert.deepEqual(await storedOf(third, `d${ERASED}`), []);
  for (const device of [0, 2]) {
    const expected = Array.from({ length: count }, (_, n) => valueOf(device, n));
    assert.deepEqual(await storedOf(third, `d${device}`), expected);
  }
  const { tables, ledger } = { tables: third.status().tables, ledger: third.ledger() };
  assert.ok(ledger.balanced);
  assert.equal(tables.counts.erased, count);
  await feed(third, count, count + 100);
  assert.equal(
    (await storedOf(third, `d${ERASED}`)).length,
    100,
    "what comes afterwards is stored",
  );
  await third.close();
  const closed = Object.fromEntries(
    third.ledger().pipelines.map(({ pipeline, closed }) => [pipeline, closed]),
  );
  const counts = countsOf(waiting(data).records);
  for (const pipeline of ["devices", "lines", "visits"])
    assert.equal(counts[pipeline], closed[pipeline], pipeline);
  assert.equal((await weir("store", "verify", "-c", file)).code, 0);
});

test("what is not there, and what an agent uses, is not erased", async (t) => {
  const { file } = await configured(t);
  const agent = await started(file);
  await feed(agent, 0, 10);
  const inUse = await weir("store", "erase", "--device", "d1", "-c", file, "--yes");
  assert.equal(inUse.code, 1);
  assert.match(inUse.error, /an agent is using .*stop it first/);
  await agent.close();
  const unknown = await weir("store", "erase", "--device", "d9", "-c", file, "--yes");
  assert.equal(unknown.code, 1);
  assert.match(unknown.error, /there is no series \{device="d9"\}; nothing was erased/);
  assert.equal((await weir("store", "erase", "-c", file, "--yes")).code, 2);
  assert.equal(
    (await weir("store", "erase", "--device", "d1", "--series", "v", "-c", file)).code,
    2,
  );
});

test("an erasure that is killed is simply done again", async (t) => {
  const { file, data } = await configured(t);
  const count = 1_000;
  const first = await started(file);
  await feed(first, 0, count);
  await first.close();
  const args = ["store", "erase", "--device", `d${ERASED}`, "-c", file];
  let kills = 0; // an erasure has some sixty changes, as many as the system tells apart
  for (const changes of [1, 2, 4, 8, 16, 24, 32, 48, 64]) {
    const child = spawn(process.execPath, [...nodeFlags, weirMain, ...args, "--yes"], {
      stdio: "ignore",
    });
    const stop = afterChanges(data, changes, () => child.kill("SIGKILL"));
    const [code] = await once(child, "close");
    stop();
    if (code === null) kills += 1;
    else assert.equal(code, 0, "it was killed, or was done; it did not fail");
  }
  assert.ok(kills >= 4, `${kills} kills`);
  assert.equal((await weir(...args, "--yes")).code, 0);
  const values = Array.from({ length: count }, (_, n) => valueOf(ERASED, n));
  assert.deepEqual([...placesOf(data, values)], []);
  const second = await started(file);
  assert.ok(second.ledger().balanced);
  assert.deepEqual(await storedOf(second, `d${ERASED}`), []);
  for (const device of [0, 2]) {
    const expected = Array.from({ length: count }, (_, n) => valueOf(device, n));
    assert.deepEqual(await storedOf(second, `d${device}`), expected);
  }
  await second.close();
  const closed = Object.fromEntries(
    second.ledger().pipelines.map((pipeline) => [pipeline.pipeline, pipeline.closed]),
  );
  const counts = countsOf(waiting(data).records);
  for (const pipeline of ["devices", "lines", "visits"]) {
    assert.equal(counts[pipeline] ?? 0, closed[pipeline], pipeline);
  }
  assert.equal((await weir("store", "verify", "-c", file)).code, 0);
});

/** Calls `run` when files of the data directory changed for the nth time; the result ends that. */
function afterChanges(data: string, count: number, run: () => void): () => void {
  let changes = 0;
  const onChange = (): void => {
    changes += 1;
    if (changes === count) run();
  };
  const watchers = [data, join(data, "tables"), join(data, "log")].map((directory) =>
    watch(directory, onChange),
  );
  return () => {
    for (const watcher of watchers) watcher.close();
  };
}
