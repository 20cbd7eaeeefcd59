/**
 * The real agent on a real disk, killed at random while devices keep sending: afterwards every
 * acknowledged reading is in exactly one summary count, and upstream holds each record id once.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { DeviceLoad } from "../support/device-load.ts";
import { fractions } from "../support/seeded-random.ts";
import { latestRevisions, readUpstream, repeatedIds } from "../support/upstream.ts";

const KILLS = Number(process.env["WEIR_TEST_KILLS"] ?? 12);
const SEED = Number(process.env["WEIR_TEST_SEED"] ?? 1);

test(`nothing acknowledged is lost or counted twice over ${KILLS} kills`, {
  timeout: 280_000,
}, async (t) => {
  t.diagnostic(
    `replay with WEIR_TEST_SEED=${SEED} WEIR_TEST_KILLS=${KILLS} npm test -- test/crash`,
  );
  const directory = await mkdtemp(join(tmpdir(), "weir-kill-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const port = await freePort();
  const file = join(directory, "weir.yaml");
  await writeFile(file, configuration({ directory, port }));
  const random = fractions(SEED);

  let agent = await startAgentProcess(["run", "-c", file]);
  const load = new DeviceLoad({
    port,
    devices: 8,
    windowMs: 1_000,
    stepMs: 20,
    random: fractions(SEED + 1),
  });

  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(100 + random() * 900);
    await agent.kill("SIGKILL");
    agent = await startAgentProcess(["run", "-c", file]);
  }
  await load.stop();
  await sleep(4_000); // longer than the idle timeout: silent devices let their windows close
  assert.equal(await agent.kill("SIGTERM"), 0, `a clean end: ${agent.output()}`);

  const summaries = await readUpstream(join(directory, "out"), "summaries");
  assert.deepEqual(repeatedIds(summaries), [], "each record id is upstream once");
  const counted = new Map<string, number>();
  for (const summary of latestRevisions(summaries)) {
    const { device } = summary["key"] as { device: string };
    counted.set(`${device}@${String(summary["start"])}`, Number(summary["count"]));
  }
  assert.deepEqual(counted, load.sent);
  assert.equal(load.acknowledged, load.total);
  assert.equal(load.strayAcks, 0);
  t.diagnostic(
    `${load.total} readings acknowledged over ${KILLS} kills, ${summaries.length} records upstream`,
  );
});

function configuration({
  directory,
  port,
}: {
  readonly directory: string;
  readonly port: number;
}): string {
  return `version: 1
agent: killed
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true }
http: off
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
  - file: { directory: ${directory}/out, rotateBytes: 64KiB, rotateAge: 1h }
commit: { wait: 20ms, interval: 200ms, checkpoint: 2s }
`;
}
