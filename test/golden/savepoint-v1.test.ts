/**
 * A savepoint of version 1 as it stands on users' media: every later weir begins from it. It was made of
 * an agent with 507 readings of two devices, 50 ms apart, in the middle of a window of each, with 40
 * summaries in its outbox. The file never changes.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { type Agent, openAgent } from "../../src/agent/agent.ts";
import { configOf, sourceDefaults } from "../../src/agent/config/config.ts";
import { systemHashing } from "../../src/agent/doors/hashing.ts";
import { plainNet } from "../../src/agent/doors/net.ts";
import { restoreSavepoint } from "../../src/store/care/savepoint.ts";
import { writeWhole } from "../../src/store/care/whole-files.ts";
import { openCheckedKv } from "../../src/store/state/checked-kv.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { FaultDisk } from "../support/fault-disk.ts";
import { secondsPipeline } from "../support/pipelines.ts";
import { seededRandom } from "../support/seeded-random.ts";
import { SimulatedClock } from "../support/simulated-clock.ts";

const startMs = 1_764_000_000_000;

test("an agent goes on from a savepoint of version 1", async () => {
  const random = seededRandom(1);
  const disk = new FaultDisk(random).mount();
  const path = "/golden.savepoint";
  await writeWhole(disk, path, readFileSync(new URL("savepoint-v1.savepoint", import.meta.url)));
  const kv = new KvMemory();
  const found = await restoreSavepoint(disk, path, await openCheckedKv(kv));
  assert.deepEqual(found, {
    name: "golden",
    weir: "0.1.0",
    created: 1_795_889_795_103,
    position: 508,
    entries: 16,
    bytes: 54_522,
  });

  const clock = new SimulatedClock(startMs + 60_000);
  const agent = await openAgent({
    config: configOf({
      agent: "gateway",
      dataDirectory: "/data",
      seriesMax: 256,
      devicesMax: 256,
      keysMax: 256,
      sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
      pipelines: [secondsPipeline],
    }),
    doors: { clock, random, disk, net: plainNet(), kv, hashing: systemHashing },
    logDirectory: "/data/log",
    tablesDirectory: "/data/tables",
    segmentBytes: 65_536,
    listen: false,
    onFailed: (fault) => {
      throw fault;
    },
    onClosed: async () => {},
  });
  assert.deepEqual(agent.status().log.damage.places, []);
  assert.equal(agent.status().outbox["summaries"]?.next, 40);
  const fed = feed(agent);
  let isDone = false;
  void fed.then(() => (isDone = true));
  while (!isDone) await clock.pass(50);
  await clock.pass(5_000);
  const { sources, pipelines, balanced } = agent.ledger();
  const { accepted, duplicate } = sources[0]!.readings;
  assert.deepEqual([accepted, duplicate, balanced], [900, 7, true]);
  // Windows of ten readings; those that event time has not passed by 5 s are open.
  const { open, closed, windows, corrections } = pipelines[0]!;
  assert.ok(windows > 70, `${windows} windows`);
  assert.deepEqual([open + closed, closed, corrections], [900, 10 * windows, 0]);
  assert.equal(agent.status().outbox["summaries"]?.next, windows);
  const closing = agent.close();
  let isClosed = false;
  void closing.then(() => (isClosed = true));
  while (!isClosed) await clock.pass(50);
});

async function feed(agent: Agent): Promise<void> {
  for (let n = 500; n < 900; n++) {
    const payload = new TextEncoder().encode(`{"ts":${startMs + n * 50},"v":${n}}`);
    await agent.feeder.feed(`plant/a/d${n % 2}/state`, payload);
  }
  await agent.feeder.settled();
}
