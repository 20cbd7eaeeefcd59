/**
 * A gateway dies; other hardware takes its name from the savepoint that it sent to Kafka, and goes on.
 * What the old one had sent stays as it is, window by window, whatever devices send again; when it comes
 * back it halts and says so. Real processes, a real cluster, and `weir upstream verify` after each.
 */

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { Status } from "../../src/agent/status.ts";
import { type AgentProcess, startAgentProcess } from "../support/agent-process.ts";
import { oneBroker } from "../support/kafka/failure-rig.ts";
import { readCommitted } from "../support/kafka/kcat.ts";
import { freePorts } from "../support/ports.ts";
import { Publisher } from "../support/publisher.ts";
import { weir } from "../support/weir-command.ts";

const AGENT = "plant-7";
const WAIT_MS = 180_000;
/** From one reading to the next; two devices take turns, so ten of each are in a window. */
const STEP_MS = 50;

type Summary = {
  readonly kind: string;
  readonly id: string;
  readonly key: { readonly device: string };
  readonly start: number;
  readonly end: number;
  readonly revision: number;
  readonly count: number;
  /** Of a marker. */
  readonly from?: number;
};

type Hardware = {
  readonly process: AgentProcess;
  readonly data: string;
  readonly startedMs: number;
  status(): Promise<Status>;
  until(what: string, isSo: (status: Status) => boolean): Promise<Status>;
  publish(device: string, from: number, to: number): Promise<void>;
};

test("new hardware takes a gateway's place from Kafka: no window is sent twice or poorer, and the old one halts", async (t) => {
  const rig = await broker(t);
  if (rig === undefined) return;
  const { bootstrap } = rig.kafka;
  const home = await mkdtemp(join(tmpdir(), "weir-replaced-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  // The devices' clocks are ahead, so that what is lost does not depend on how fast this machine is.
  const baseMs = Math.ceil(Date.now() / 1_000) * 1_000 + 600_000;
  const begin = (name: string): Promise<Hardware> => started(t, { home, name, bootstrap, baseMs });

  const old = await begin("old");
  for (const device of ["d0", "d1"]) await old.publish(device, 0, 407);
  await old.until("a savepoint is upstream", ({ savepoints }) => savepoints?.last !== undefined);
  // What follows is in no savepoint: the rest of an open window, windows, a device that is new.
  for (const device of ["d0", "d1", "d9"]) await old.publish(device, 407, 1_005);
  await old.until("all that closed is sent", isSent);
  await allSent(bootstrap, baseMs + 48_000);
  await old.process.kill("SIGKILL");
  const before = await summariesIn(bootstrap);
  assert.ok(before.some(({ key, start }) => key.device === "d9" && start > baseMs + 40_000));

  const data = join(home, "new", "data");
  const where = ["--from-kafka", bootstrap, "--agent", AGENT, "--topic", "r-savepoints"];
  // It may be a mount: it is filled, not replaced.
  await mkdir(data, { recursive: true });
  const { ino } = await stat(data);
  const nobody = await weir("restore", ...where, "--agent", "nobody", "--data", data);
  assert.match(nobody.output, /no whole savepoint of nobody: nothing was changed/);
  assert.deepEqual(await readdir(data), []);
  const restored = await weir("restore", ...where, "--data", data, "--json");
  assert.equal(restored.code, 0, restored.output);
  const told = JSON.parse(restored.out);
  assert.equal(told.life, 1);
  assert.deepEqual([told.unread, told.expired, told.gaps], [0, 0, 2]);
  assert.equal((await stat(data)).ino, ino);
  assert.deepEqual((await readdir(data)).toSorted(), ["log", "state.mdb", "tables"]);
  const newest = told.savepoint.made + told.stateLossSeconds * 1_000;
  assert.ok(newest >= baseMs + 49_000 && newest <= baseMs + 51_000, restored.out);
  const second = await weir("restore", ...where, "--data", data);
  assert.equal(second.code, 1);
  assert.match(second.output, /is there and not empty/);

  const fresh = await begin("new");
  const loss = `${told.stateLossSeconds} s of state lost`;
  t.diagnostic(
    `${loss}, restored in ${told.seconds.toFixed(2)} s, live ${fresh.startedMs} ms later`,
  );
  const opened = await fresh.until("its lanes are open", isSent);
  assert.match(incidentOf(opened, "summaries"), /this hardware took the name plant-7 over/);
  // Devices send some of the lost readings again, late and in part, and then what is new.
  for (const device of ["d0", "d1", "d9"]) await fresh.publish(device, 700, 900);
  for (const device of ["d0", "d1", "d9"]) await fresh.publish(device, 1_020, 1_500);
  await fresh.until("windows are held back", ({ outputs }) => outputs.heldBack > 0);
  await fresh.until(
    "it sends a savepoint, too",
    ({ savepoints }) => savepoints?.last !== undefined,
  );
  await allSent(bootstrap, baseMs + 73_000);
  await fresh.until("all that closed is sent", isSent);

  const markers = await recordsIn(bootstrap, "complete");
  const again = markers.filter(({ from }) => from !== undefined);
  assert.ok(again.length > 0, "keys are marked complete again, from behind what was sent");
  const after = await summariesIn(bootstrap);
  const windows = Map.groupBy(after, ({ id }) => id.split("/", 4).join("/"));
  const sentBefore = Map.groupBy(before, ({ id }) => id.split("/", 4).join("/"));
  for (const [window, records] of sentBefore) {
    assert.deepEqual(windows.get(window), records, `${window} is as the old one left it`);
  }
  for (const [window, records] of windows) {
    assert.equal(new Set(records.map(({ revision }) => revision)).size, records.length, window);
  }
  const whole = after.filter(({ start, count }) => start > baseMs + 51_000 && count === 20);
  assert.ok(whole.length >= 3 * 20, `${whole.length} windows of the new one are whole`);
  await proven(bootstrap);

  // The old hardware is switched on again: it knows nothing of its successor, and learns of it.
  const back = await begin("old");
  await back.publish("d0", 1_005, 1_200);
  const halted = await back.until(
    "it halts",
    (status) => laneOf(status, "summaries").state === "halted",
  );
  assert.match(
    laneOf(halted, "summaries").trouble ?? "",
    /this gateway was replaced: weir restore --from-kafka gave the name plant-7 to other hardware/,
  );
  await back.process.kill("SIGTERM");
  for (const device of ["d0", "d1", "d9"]) await fresh.publish(device, 1_500, 1_600);
  await allSent(bootstrap, baseMs + 78_000);
  const end = await fresh.until("all that closed is sent", isSent);
  assert.notEqual(laneOf(end, "summaries").state, "halted");
  await proven(bootstrap);
  assert.equal(await fresh.process.kill("SIGTERM"), 0, fresh.process.output());
});

const broker = oneBroker({ version: "4" });

async function started(
  t: TestContext,
  {
    home,
    name,
    bootstrap,
    baseMs,
  }: {
    readonly home: string;
    readonly name: string;
    readonly bootstrap: string;
    readonly baseMs: number;
  },
): Promise<Hardware> {
  const [mqtt = 0, http = 0] = await freePorts(2);
  const data = join(home, name, "data");
  const file = join(home, `${name}.yaml`);
  await writeFile(file, configuration({ data, mqtt, http, bootstrap }));
  const begun = performance.now();
  const process = await startAgentProcess(["run", "-c", file]);
  const startedMs = Math.round(performance.now() - begun);
  t.after(() => process.kill("SIGKILL"));
  const publisher = new Publisher({ port: mqtt, clientId: "load", window: 100 });
  t.after(() => publisher.close());
  const status = async (): Promise<Status> => {
    const response = await fetch(`http://127.0.0.1:${http}/v1/status`);
    return (await response.json()) as Status;
  };
  return {
    process,
    data,
    startedMs,
    status,
    until: async (what, isSo) => {
      const deadline = performance.now() + WAIT_MS;
      for (;;) {
        const now = await status();
        if (isSo(now)) return now;
        const told = JSON.stringify([now.uplinks, now.savepoints, now.outputs]);
        assert.ok(performance.now() < deadline, `${what}, not yet: ${told}\n${process.output()}`);
        await sleep(100);
      }
    },
    publish: async (device, from, to) => {
      for (let n = from; n < to; n++) {
        const payload = `{"ts":${baseMs + n * STEP_MS},"v":${n}}`;
        await publisher.publish(`plant/a/${device}/state`, payload);
      }
      await publisher.settled();
    },
  };
}

function laneOf(status: Status, lane: "summaries" | "alerts") {
  const [uplink] = status.uplinks;
  assert(uplink !== undefined);
  return uplink.lanes[lane];
}

function incidentOf(status: Status, lane: "summaries"): string {
  return laneOf(status, lane).incidents.last?.what ?? "";
}

function isSent(status: Status): boolean {
  const { state, behind } = laneOf(status, "summaries");
  return state === "running" && behind === 0;
}

/** Waits until windows of every device that begin at `start` or later are upstream. */
async function allSent(bootstrap: string, start: number): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    const late = (await summariesIn(bootstrap)).filter((window) => window.start >= start);
    const devices = new Set(late.map(({ key }) => key.device));
    if (devices.size === 3) return;
    assert.ok(performance.now() < deadline, `upstream are only those of ${[...devices].join(" ")}`);
    await sleep(300);
  }
}

async function summariesIn(bootstrap: string): Promise<readonly Summary[]> {
  return await recordsIn(bootstrap, "summary");
}

async function recordsIn(bootstrap: string, kind: string): Promise<readonly Summary[]> {
  const records = await readCommitted({ bootstrap, topic: "r-summaries" });
  return records
    .map(({ value = "{}" }) => JSON.parse(value) as Summary)
    .filter((record) => record.kind === kind);
}

async function proven(bootstrap: string): Promise<void> {
  const where = ["--kafka", bootstrap, "--agent", AGENT, "--cursors", "r-cursor"];
  const { code, output } = await weir(
    "upstream",
    "verify",
    ...where,
    "--topic",
    "r-summaries",
    "--topic",
    "r-alerts",
  );
  assert.equal(code, 0, output);
}

function configuration(of: {
  readonly data: string;
  readonly mqtt: number;
  readonly http: number;
  readonly bootstrap: string;
}): string {
  const { data, mqtt, http, bootstrap } = of;
  return `version: 1
agent: ${AGENT}
data: ${data}
mqtt: { host: 127.0.0.1, port: ${mqtt}, anonymous: true }
http: { host: 127.0.0.1, port: ${http} }
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
    disorder: 500ms
    future: 1d # devices ahead of us: a minute of theirs is over at once
    idle: 1m
pipelines:
  - name: seconds
    where: { metrics: [v] }
    key: [line, device, metric]
    window: { tumbling: 1s }
    aggregate: [count, sum]
    allowedLateness: 20s
  - name: shifts
    where: { metrics: [v] }
    ewma: { sigmas: 1, warmup: 10, rearm: 1 }
uplinks:
  - kafka:
      brokers: [${bootstrap}]
      linger: 50ms
      topics: { summaries: r-summaries, alerts: r-alerts, cursor: r-cursor, raw: r-raw, partitions: 3 }
      savepoints: { topic: r-savepoints, every: 1h }
      timeouts: { connect: 5s, request: 10s, transaction: 20s }
commit: { wait: 20ms, interval: 200ms, checkpoint: 1s, markers: 5s }
`;
}
