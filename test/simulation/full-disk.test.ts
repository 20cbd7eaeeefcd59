/**
 * Disks that are full while an agent runs, on simulated doors: the reserve pays for the checkpoint that
 * frees the log, and without one the agent waits and goes on when there is room.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Agent, openAgent } from "../../src/agent/agent.ts";
import { configOf, sourceDefaults, storeDefaults } from "../../src/agent/config/config.ts";
import { systemHashing } from "../../src/agent/doors/hashing.ts";
import { plainNet } from "../../src/agent/doors/net.ts";
import type { Disk, KvWrite } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/faults.ts";
import { limits } from "../../src/core/limits.ts";
import { Reserve } from "../../src/store/care/reserve.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { FaultDisk } from "../support/fault-disk.ts";
import { secondsPipeline } from "../support/pipelines.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const START_MS = 1_764_000_000_000;
const RESERVE_BYTES = 512 * 1024;
const READINGS = 6_000;

/** A state store that needs space on the disk for what a commit puts. */
class KvOnDisk extends KvMemory {
  readonly #disk: Disk;
  constructor(disk: Disk) {
    super();
    this.#disk = disk;
  }
  override async commit(writes: readonly KvWrite[]): Promise<void> {
    const needed = writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    if ((await this.#disk.freeBytes("/data")) < needed) {
      throw new Fault("DISK_FULL", "there is no space left on the disk of /data/state.mdb");
    }
    await super.commit(writes);
  }
}

type Gateway = {
  readonly faults: FaultDisk;
  readonly clock: SimulatedClock;
  readonly agent: Agent;
  readonly reserve: Reserve;
};

async function started({ isKept }: { readonly isKept: boolean }): Promise<Gateway> {
  const faults = new FaultDisk(seededRandom(1));
  const clock = new SimulatedClock(START_MS);
  const disk = faults.mount();
  await disk.makeDirectory("/data");
  const reserve = new Reserve(disk, { path: "/data/reserve", bytes: RESERVE_BYTES });
  const random = seededRandom(2);
  const kv = new KvOnDisk(disk);
  const opening = openAgent({
    config: configOf({
      agent: "gateway",
      dataDirectory: "/data",
      sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
      pipelines: [secondsPipeline],
      logBytesMax: 16 * 1024 * 1024,
      store: { ...storeDefaults, freeBytes: 0, tiers: [] },
    }),
    doors: { clock, random, disk, net: plainNet(), kv, hashing: systemHashing },
    logDirectory: "/data/log",
    tablesDirectory: "/data/tables",
    memoryRowsMax: 2_000,
    segmentBytes: 16_384,
    ...(isKept ? { reserve } : {}),
    listen: false,
    onFailed: (fault) => {
      throw fault;
    },
    onClosed: async () => {},
  });
  let agent: Agent | undefined;
  void opening.then((opened) => (agent = opened));
  while (agent === undefined) await clock.pass(50);
  return { faults, clock, agent, reserve };
}

/** Somebody else takes all that is free. */
function fill({ faults }: Gateway): void {
  faults.bytesMax = faults.bytesTaken;
}

/** The result says whether all readings are durable by now. */
function feed({ agent }: Gateway, readings: number): () => boolean {
  let isDurable = false;
  void (async () => {
    for (let n = 0; n < readings; n++) {
      const payload = new TextEncoder().encode(`{"ts":${START_MS + n},"v":${Math.sqrt(n)}}`);
      await agent.feeder.feed(`plant/a/d${n % 5}/state`, payload);
      if (n % 50 === 49) await agent.feeder.settled();
    }
    await agent.feeder.settled();
    isDurable = true;
  })();
  return () => isDurable;
}

async function pass(clock: SimulatedClock, ms: number, isOver: () => boolean): Promise<void> {
  for (let passed = 0; passed < ms && !isOver(); passed += 50) await clock.pass(50);
}

async function close({ agent, clock }: Gateway): Promise<void> {
  let isClosed = false;
  void agent.close().then(() => (isClosed = true));
  await pass(clock, 300_000, () => isClosed);
  assert.ok(isClosed);
}

test("a full disk costs the reserve: the checkpoint that frees the log is written, and it goes on", async () => {
  const gateway = await started({ isKept: true });
  const { agent, clock, faults, reserve } = gateway;
  await pass(clock, 5_000, () => reserve.isWhole);
  assert.equal(reserve.status.bytes, RESERVE_BYTES);
  fill(gateway);
  const isDurable = feed(gateway, READINGS);
  let reasons: readonly string[] = [];
  await pass(clock, 120_000, () => {
    const { degraded } = agent.status();
    if (degraded.length > 0) reasons = degraded.map(({ name }) => name);
    return isDurable();
  });
  assert.ok(isDurable(), JSON.stringify(agent.status().degraded));
  assert.ok(reasons.includes("disk_full"), "it was seen");
  const { reserve: given, apply } = agent.status();
  assert.deepEqual([given?.bytes, given?.givenUp, given?.isRefused], [0, 1, true]);
  assert.ok(apply.checkpoints > 0 && agent.status().log.start > 0, "the log was freed");
  assert.ok(agent.notices().some(({ code }) => code === "reserve_missing"));

  faults.bytesMax = Number.POSITIVE_INFINITY;
  await pass(clock, 2 * limits.reserveRestMs, () => reserve.isWhole);
  assert.ok(reserve.isWhole, "it is made again");
  await clock.pass(2_000);
  assert.equal(agent.status().state, "running");
  assert.ok(!agent.notices().some(({ code }) => code === "reserve_missing"));
  await close(gateway);
  assert.ok(agent.ledger().balanced);
  assert.equal(agent.ledger().pipelines[0]?.accepted, READINGS);
});

test("without a reserve it waits, acknowledges nobody, and goes on when there is room", async () => {
  const gateway = await started({ isKept: false });
  const { agent, clock, faults } = gateway;
  await clock.pass(2_000);
  fill(gateway);
  const isDurable = feed(gateway, READINGS);
  await pass(clock, 120_000, isDurable);
  assert.ok(!isDurable());
  const { state, degraded, log } = agent.status();
  assert.equal(state, "degraded");
  assert.ok(degraded.some(({ name }) => name === "disk_full"));
  const logged = log.rowsAppended;
  await clock.pass(10_000);
  assert.equal(agent.status().log.rowsAppended, logged, "nothing moves");

  faults.bytesMax = Number.POSITIVE_INFINITY;
  await pass(clock, 120_000, isDurable);
  assert.ok(isDurable());
  await clock.pass(2_000);
  assert.equal(agent.status().state, "running");
  await close(gateway);
  assert.equal(agent.ledger().pipelines[0]?.accepted, READINGS);
});
