/**
 * The real agent on a real disk that is full, read-only or broken, and then well again: it says so,
 * goes on by itself in the same process, and nothing acknowledged is lost or counted twice.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { limits } from "../../src/core/limits.ts";
import { type AgentProcess, freePort, startAgentProcess } from "../support/agent-process.ts";
import { DeviceLoad } from "../support/device-load.ts";
import { fractions } from "../support/seeded-random.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { latestRevisions, readUpstream, repeatedIds } from "../support/upstream.ts";

const WAIT_MS = 60_000;

type Site = {
  readonly file: string;
  readonly data: string;
  readonly out: string;
  readonly mqttPort: number;
  readonly httpPort: number;
};

/** The data directory is on the small disk, what goes upstream elsewhere. */
async function siteOn(t: TestContext, disk: SmallDisk): Promise<Site> {
  const home = await mkdtemp(join(tmpdir(), "weir-bad-disk-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const file = join(home, "weir.yaml");
  const data = join(disk.path, "data");
  const out = join(home, "out");
  const [mqttPort, httpPort] = [await freePort(), await freePort()];
  await writeFile(
    file,
    `version: 1
agent: tried
data: ${data}
mqtt: { host: 127.0.0.1, port: ${mqttPort}, anonymous: true }
http: { host: 127.0.0.1, port: ${httpPort} }
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
    disorder: 500ms
    idle: 2s
pipelines:
  - name: seconds
    where: { metrics: [v] }
    key: [line, device, metric]
    window: { tumbling: 1s }
    aggregate: [count, sum, min, max]
    allowedLateness: 60s
uplinks:
  - file: { directory: ${out}, rotateBytes: 64KiB, rotateAge: 1h }
store: { budget: 600MiB, freeSpace: 0B }
commit: { wait: 20ms, interval: 200ms, checkpoint: 2s }
`,
  );
  return { file, data, out, mqttPort, httpPort };
}

function started(t: TestContext, site: Site, until?: RegExp): Promise<AgentProcess> {
  const agent = startAgentProcess(["run", "-c", site.file], until);
  t.after(async () => (await agent).child.kill("SIGKILL"));
  return agent;
}

function devices(t: TestContext, { mqttPort: port }: Site): DeviceLoad {
  const random = fractions(1);
  const load = new DeviceLoad({ port, devices: 4, windowMs: 1_000, stepMs: 20, random });
  t.after(() => load.abandon());
  return load;
}

async function ask({ httpPort }: Site, path: string): Promise<{ code: number; body: string }> {
  try {
    const response = await fetch(`http://127.0.0.1:${httpPort}${path}`);
    return { code: response.status, body: await response.text() };
  } catch {
    return { code: 0, body: "" };
  }
}

async function until(
  what: string | (() => string),
  isSo: () => Promise<boolean> | boolean,
): Promise<void> {
  const giveUpAt = performance.now() + WAIT_MS;
  while (!(await isSo())) {
    if (performance.now() > giveUpAt) {
      assert.fail(`it took too long until ${typeof what === "string" ? what : what()}`);
    }
    await sleep(100);
  }
}

/** Any of the reasons. */
async function untilDegraded(site: Site, ...reasons: readonly string[]): Promise<void> {
  let last = "";
  const isSo = async (): Promise<boolean> => {
    const { code, body } = await ask(site, "/readyz");
    last = `${code} ${body}`;
    if (code !== 503) return false;
    const reason = reasons.find((name) => JSON.parse(body).degraded.includes(name));
    if (reason === undefined) return false;
    const metrics = await ask(site, "/metrics");
    return metrics.body.includes(`weir_degraded{reason="${reason}"} 1\n`);
  };
  await until(() => `it is degraded: ${reasons.join(" or ")}; it said ${last}`, isSo);
}

async function untilWell(site: Site): Promise<void> {
  await until("it is well again", async () => (await ask(site, "/readyz")).code === 200);
}

/** All that was acknowledged is counted upstream, once. */
async function assertWhole(site: Site, load: DeviceLoad, agent: AgentProcess): Promise<void> {
  await load.stop();
  await sleep(4_000); // longer than the idle timeout: silent devices let their windows close
  assert.equal(await agent.kill("SIGTERM"), 0, `a clean end: ${agent.output()}`);
  const summaries = await readUpstream(site.out, "summaries");
  assert.deepEqual(repeatedIds(summaries), [], "each record id is upstream once");
  const counted = new Map<string, number>();
  for (const summary of latestRevisions(summaries)) {
    const { device } = summary["key"] as { device: string };
    counted.set(`${device}@${String(summary["start"])}`, Number(summary["count"]));
  }
  assert.deepEqual(counted, load.sent);
  assert.equal(load.acknowledged, load.total);
  assert.equal(load.strayAcks, 0);
}

async function reserveBytes({ data }: Site): Promise<number> {
  return await stat(join(data, "reserve")).then(
    ({ size, blocks }) => Math.min(size, blocks * 512),
    () => 0,
  );
}

test("a disk that somebody fills costs the reserve, then makes it wait; with room it goes on", {
  timeout: 240_000,
}, async (t) => {
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 256 });
  if (disk === undefined) return;
  const site = await siteOn(t, disk);
  const agent = await started(t, site);
  const load = devices(t, site);
  await until(
    "the reserve is made",
    async () => (await reserveBytes(site)) === limits.reserveBytes,
  );

  disk.fill(0);
  await until("the reserve is given up", async () => (await reserveBytes(site)) === 0);
  const before = load.acknowledged;
  await untilWell(site); // what was given up is enough for what waits
  await until("readings are acknowledged", () => load.acknowledged > before);

  // Somebody goes on filling it: what the agent lets go of, a merged table say, is gone as well.
  const filling = setInterval(() => disk.fill(0), 200);
  t.after(() => clearInterval(filling));
  await untilDegraded(site, "disk_full");
  await sleep(2_000);
  await untilDegraded(site, "disk_full"); // there is nothing more to give up: it stays so
  clearInterval(filling);
  disk.clear();
  await untilWell(site);
  await until(
    "there is a reserve again",
    async () => (await reserveBytes(site)) === limits.reserveBytes,
  );
  await assertWhole(site, load, agent);
  assert.equal(agent.output().match(/weir: started/g)?.length, 1, "it never had to start again");
});

test("an agent that finds its disk full waits where anyone can see it, and begins by itself", {
  timeout: 120_000,
}, async (t) => {
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 128 });
  if (disk === undefined) return;
  const site = await siteOn(t, disk);
  disk.fill(64 * 1024);
  const agent = await started(t, site, /weir: waiting http/);
  await untilDegraded(site, "disk_full");
  assert.match((await ask(site, "/")).body, /waits for its disk .* disk_full/);
  const load = devices(t, site);
  await sleep(3_000);
  assert.equal(load.acknowledged, 0, "nobody is acknowledged meanwhile");
  disk.clear();
  await untilWell(site);
  await assertWhole(site, load, agent);
});

test("an agent whose disk is mounted read-only waits and begins when it is mounted anew", {
  timeout: 120_000,
}, async (t) => {
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 128 });
  if (disk === undefined) return;
  const site = await siteOn(t, disk);
  const first = await started(t, site);
  await until("it has written all it prepares", async () => (await reserveBytes(site)) > 0);
  await first.kill("SIGTERM");
  disk.remount("ro");
  const agent = await started(t, site, /weir: waiting http/);
  await untilDegraded(site, "disk_read_only");
  disk.remount("rw");
  await untilWell(site);
  const load = devices(t, site);
  await sleep(2_000);
  await assertWhole(site, load, agent);
});

test("an agent that waits for its disk ends when it is told to", { timeout: 60_000 }, async (t) => {
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 128 });
  if (disk === undefined) return;
  const site = await siteOn(t, disk);
  disk.remount("ro");
  const agent = await started(t, site, /weir: waiting http/);
  assert.equal(await agent.kill("SIGTERM"), 0, agent.output());
});

test("a file system that fails under a running agent closes its core; repaired, the same process goes on", {
  timeout: 240_000,
}, async (t) => {
  const disk = mountSmallDisk(t, { kind: "ext4", mib: 320 });
  if (disk === undefined) return;
  const site = await siteOn(t, disk);
  let agent = await started(t, site);
  let outputs = "";
  const load = devices(t, site);
  for (let failure = 1; failure <= 2; failure++) {
    const before = load.acknowledged;
    await until("readings are acknowledged", () => load.acknowledged > before + 500);
    disk.breakDown();
    // Calls that were under way may be told of a failure where later ones find it read-only.
    const isDegraded = await untilDegraded(site, "disk_read_only", "disk_failed").then(
      () => true,
      (error: unknown) => {
        if (wasEndedByLmdb(agent)) return false;
        throw new Error(agent.output(), { cause: error });
      },
    );
    if (!isDegraded) {
      t.diagnostic("the disk failed within a commit, and LMDB ended the process: started again");
      outputs += agent.output();
      await until("nothing of it is open any more", () => isRepaired(disk));
      agent = await started(t, site);
      continue;
    }
    await until("the core is closed", async () => {
      const { code, body } = await ask(site, "/v1/status");
      return code === 503 && /^disk_(read_only|failed)$/.test(JSON.parse(body).error);
    });
    const acknowledged = load.acknowledged;
    await sleep(1_500);
    assert.equal(load.acknowledged, acknowledged, "nobody is acknowledged meanwhile");
    await until("nothing of it is open any more", () => isRepaired(disk));
    await untilWell(site);
  }
  await assertWhole(site, load, agent);
  outputs += agent.output();
  assert.equal(outputs.match(/weir: started/g)?.length, 3, outputs);
});

/**
 * A write of LMDB's that was under way as the disk failed: its message does not fit into the memory it has
 * for it (kv-lmdb.ts), which the C library may find out. What starts weir at boot starts it again then.
 */
function wasEndedByLmdb(agent: AgentProcess): boolean {
  return agent.child.signalCode === "SIGABRT" && /^Write error: /m.test(agent.output());
}

function isRepaired(disk: SmallDisk): boolean {
  try {
    disk.repair();
    return true;
  } catch {
    return false; // the agent may have had it open for another try
  }
}
