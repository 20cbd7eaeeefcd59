/**
 * The disk stalls under full load: memory grows by a stated bound at most, clients that only ping
 * are answered, nothing acknowledged is lost, and publishers go on when the disk does.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { connectAsync } from "mqtt";
import { isLong } from "../support/long-form.ts";
import { Publisher } from "../support/publisher.ts";
import { latestRevisions, readUpstream, repeatedIds } from "../support/upstream.ts";

/** Longer than it takes to fill what may be held, and than a client that pings may be left unanswered. */
const STALL_MS = isLong ? 30_000 : 16_000;
const PUBLISHERS = 50;
/** Held bytes 16.8 MB, two batches 1.9 MB, the buffer of the log 4.2 MB, and as much again for the heap. */
const GROWTH_BYTES_MAX = 48e6;

test(`a disk that stalls for ${STALL_MS / 1_000} s costs bounded memory and nothing else`, {
  timeout: 150_000,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "weir-stall-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const agent = spawn(
    process.execPath,
    [
      fileURLToPath(new URL("../support/stalling-agent.ts", import.meta.url)),
      JSON.stringify({ directory, stallMs: STALL_MS }),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(() => agent.kill("SIGKILL"));
  const lines = createInterface({ input: agent.stdout })[Symbol.asyncIterator]();
  const { port } = JSON.parse((await lines.next()).value as string) as { port: number };

  let disconnects = 0;
  // Well within the stall; but it shares this process with publishers that leave it little time.
  const keepalive = 8;
  const quiet = await connectAsync({ host: "127.0.0.1", port, keepalive, reconnectPeriod: 100 });
  t.after(() => quiet.end(true));
  quiet.on("close", () => {
    disconnects += 1;
  });

  let sending = true;
  t.after(() => {
    sending = false;
  });
  const sent = new Map<string, number>();
  const publishers = Array.from(
    { length: PUBLISHERS },
    (_, n) => new Publisher({ port, clientId: `p${n}`, window: 200 }),
  );
  t.after(() => {
    for (const publisher of publishers) publisher.close();
  });
  // An hour of event time ends after two windows, whatever the time of day: markers come, too.
  const startMs = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 3_600_000 - 2_000;
  const senders = publishers.map(async (publisher, index) => {
    for (let n = 0; sending; n++) {
      const time = startMs + n;
      await publisher.publish(`plant/a/d${index}/state`, `{"ts":${time},"seq":${n},"v":${n % 5}}`);
      const window = `d${index}@${Math.floor(time / 1000) * 1000}`;
      sent.set(window, (sent.get(window) ?? 0) + 1);
      if (n % 200 === 199) await sleep(1);
    }
    await publisher.settled();
  });

  await sleep(4_000);
  const before = await residentBytes(agent.pid!);
  agent.kill("SIGUSR2");
  await sleep(1_000);
  const acknowledgedEarly = acknowledged(publishers);
  let most = 0;
  for (let second = 1; second < STALL_MS / 1000 - 2; second++) {
    most = Math.max(most, await residentBytes(agent.pid!));
    await sleep(1_000);
  }
  const acknowledgedLate = acknowledged(publishers);
  assert.equal(
    acknowledgedLate,
    acknowledgedEarly,
    "nothing is acknowledged while the disk stalls",
  );
  await sleep(6_000);
  assert.ok(acknowledged(publishers) > acknowledgedLate, "publishers go on when the disk does");
  sending = false;
  await Promise.all(senders);
  assert.equal(disconnects, 0, "a client that only pings stays connected");
  t.diagnostic(
    `RSS ${(before / 1e6).toFixed(1)} MB before, at most ${(most / 1e6).toFixed(1)} MB during the stall`,
  );
  assert.ok(most - before <= GROWTH_BYTES_MAX, `RSS grew by ${most - before} bytes`);

  await sleep(4_000); // idle devices let their windows close
  await quiet.endAsync();
  for (const publisher of publishers) publisher.close();
  agent.kill("SIGTERM");
  await once(agent, "exit");
  const summaries = await readUpstream(join(directory, "out"), "summaries");
  assert.deepEqual(repeatedIds(summaries), []);
  const counted = new Map(
    latestRevisions(summaries).map((summary) => [
      `${(summary["key"] as { device: string }).device}@${String(summary["start"])}`,
      Number(summary["count"]),
    ]),
  );
  assert.deepEqual(counted, sent);
  t.diagnostic(`${acknowledged(publishers)} readings acknowledged, each counted once`);
});

function acknowledged(publishers: readonly Publisher[]): number {
  return publishers.reduce((sum, publisher) => sum + publisher.acknowledged, 0);
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}
