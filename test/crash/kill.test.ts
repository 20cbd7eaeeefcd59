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
import { Publisher } from "../support/publisher.ts";
import { fractions } from "../support/seeded-random.ts";
import { latestRevisions, readUpstream, repeatedIds } from "../support/upstream.ts";

const KILLS = Number(process.env["WEIR_TEST_KILLS"] ?? 30);
const SEED = Number(process.env["WEIR_TEST_SEED"] ?? 1);
const DEVICES = 8;
const WINDOW_MS = 1_000;
const STEP_MS = 20;

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
  const sent = new Map<string, number>();
  let sending = true;
  const startMs = Math.floor(Date.now() / WINDOW_MS) * WINDOW_MS - 60_000;
  const devices = Array.from({ length: DEVICES }, (_, index) => `d${index}`);
  const publishers = devices.map((device) => new Publisher({ port, clientId: device, window: 20 }));
  const senders = publishers.map(async (publisher, index) => {
    const device = devices[index]!;
    for (let n = 0; sending; n++) {
      const time = startMs + n * STEP_MS;
      await publisher.publish(
        `plant/a/${device}/state`,
        JSON.stringify({ ts: time, seq: n, v: n % 7 }),
      );
      const window = `${device}@${Math.floor(time / WINDOW_MS) * WINDOW_MS}`;
      sent.set(window, (sent.get(window) ?? 0) + 1);
      if (n % 10 === 0) await sleep(5 + random() * 10);
    }
    await publisher.settled();
  });

  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(100 + random() * 900);
    await agent.kill("SIGKILL");
    agent = await startAgentProcess(["run", "-c", file]);
  }
  sending = false;
  await Promise.all(senders);
  await sleep(4_000); // longer than the idle timeout: silent devices let their windows close
  for (const publisher of publishers) publisher.close();
  assert.equal(await agent.kill("SIGTERM"), 0, `a clean end: ${agent.output()}`);

  const summaries = await readUpstream(join(directory, "out"), "summaries");
  assert.deepEqual(repeatedIds(summaries), [], "each record id is upstream once");
  const counted = new Map<string, number>();
  for (const summary of latestRevisions(summaries)) {
    const { device } = summary["key"] as { device: string };
    counted.set(`${device}@${String(summary["start"])}`, Number(summary["count"]));
  }
  assert.deepEqual(counted, sent);
  const total = [...sent.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(
    publishers.reduce((sum, publisher) => sum + publisher.acknowledged, 0),
    total,
  );
  assert.equal(
    publishers.reduce((sum, publisher) => sum + publisher.strayAcks, 0),
    0,
  );
  t.diagnostic(
    `${total} readings acknowledged over ${KILLS} kills, ${summaries.length} records upstream`,
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
