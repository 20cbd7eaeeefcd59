/** Configurations from a compacted topic of a real cluster, written by a client of another make. */

import assert from "node:assert/strict";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { newKey, privateKeyIn, signDocument } from "../../src/agent/remote/document.ts";
import type { Status } from "../../src/agent/status.ts";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { oneBroker, openCluster } from "../support/kafka/failure-rig.ts";
import { writeRecord } from "../support/kafka/kcat.ts";
import { weir } from "../support/weir-command.ts";

const topic = "fleet.config";
const broker = oneBroker({ version: "4" });

test("the newest of what lies in the topic is tried and proven, later ones too, and forged ones are refused", {
  timeout: 180_000,
}, async (t) => {
  const rig = await broker(t);
  if (rig === undefined) return;
  const { bootstrap } = rig.kafka;
  const cluster = await openCluster(bootstrap);
  t.after(() => cluster.close());
  const config = { "cleanup.policy": "compact" };
  await cluster.createTopic({ topic, partitions: 2, replication: 1, config });
  const key = newKey();
  const write = async (version: number, pem = key.pem, agent = "gw1"): Promise<void> => {
    const privateKey = privateKeyIn(Buffer.from(pem));
    assert.ok(privateKey);
    const body = `limits: { series: ${version} }\n`;
    const about = {
      agent,
      version,
      issued: "2026-11-29T11:00:00Z",
      expires: undefined,
      mayDelete: true,
    };
    const value = signDocument({ ...about, body }, privateKey);
    await writeRecord({ bootstrap, topic }, { key: agent, value });
  };
  await write(4);
  await write(9, key.pem, "gw2");
  await write(5);
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-remote-"));
  t.after(() => folder.remove());
  const file = join(folder.path, "weir.yaml");
  const http = await freePort();
  writeFileSync(
    file,
    `version: 1
agent: gw1
data: data
mqtt: { port: off }
http: { port: ${http} }
sources: [{ name: p, topics: [p] }]
uplinks: [{ kafka: { brokers: ["${bootstrap}"] } }]
remote: { keys: [{ name: ops, key: "${key.publicKey}" }], kafka: { topic: ${topic}, poll: 1s }, watch: 1s }
`,
  );
  const agent = await startAgentProcess(["run", "-c", file]);
  t.after(() => agent.kill("SIGKILL"));
  const until = async (
    what: string,
    holds: (remote: NonNullable<Status["remote"]>) => boolean,
  ): Promise<Status> => {
    const deadline = performance.now() + 60_000;
    while (performance.now() < deadline) {
      const answer = await fetch(`http://127.0.0.1:${http}/v1/status`).catch(() => undefined);
      const status = (await answer?.json().catch(() => undefined)) as Status | undefined;
      if (status?.remote !== undefined && holds(status.remote)) return status;
      await wait(100);
    }
    return assert.fail(`${what}: ${agent.output()}`);
  };
  const isProven =
    (version: number) =>
    (remote: NonNullable<Status["remote"]>): boolean =>
      remote.inForce?.version === version && remote.trial === undefined;
  const first = await until("version 5 is proven", isProven(5));
  assert.deepEqual(
    first.remote?.audit.map(({ kind, version, from }) => [kind, version, from]),
    [
      ["accepted", 5, "kafka"],
      ["proven", 5, undefined],
    ],
    "version 4 is history, and nothing is said of another's",
  );
  await write(6, newKey().pem);
  await until("the forged one is refused", ({ counters }) => counters.refused["unknown_key"] === 1);
  await write(3);
  await until("the old one is refused", ({ counters }) => counters.refused["replayed"] === 1);
  await write(7, key.pem, "gw*");
  await until("version 7 is proven", isProven(7));
  const doctor = await weir("doctor", "-c", file);
  assert.match(
    doctor.out,
    /ok +uplinks +kafka .*: cluster \S+ (has all 3 topics|has no topic .*the agent makes them)/,
  );
  assert.match(doctor.out, /agent gw1, version 7 from afar/);
});
