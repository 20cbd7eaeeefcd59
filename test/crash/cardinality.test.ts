/**
 * Devices that make up a new name for every reading: what is beyond the limits is refused and
 * counted, in bounded memory, and the sensors that were known before go on.
 */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { LedgerView } from "../../src/edge-ops/ledger.ts";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { Publisher } from "../support/publisher.ts";
import { fractions } from "../support/seeded-random.ts";

const NAMES = Number(process.env["WEIR_TEST_NAMES"] ?? 100_000);
const CONNECTIONS = 10;
const SERIES_MAX = 1_000;
/** Every table of names at its limit, and what the heap grows to before it is collected. */
const RSS_BYTES_MAX = 400e6;

test(`${NAMES} random series names end in counted refusals, not in memory`, {
  timeout: 280_000,
}, async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "weir-names-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const [port, httpPort] = [await freePort(), await freePort()];
  const file = join(directory, "weir.yaml");
  await writeFile(file, configuration({ directory, port, httpPort }));
  const agent = await startAgentProcess(["run", "-c", file]);
  const random = fractions(1);
  let most = 0;
  const publishers = Array.from(
    { length: CONNECTIONS },
    (_, index) => new Publisher({ port, clientId: `names-${index}`, window: 200 }),
  );
  await Promise.all(
    publishers.map(async (publisher) => {
      for (let n = 0; n < NAMES / CONNECTIONS; n++) {
        const device = `d${random().toString(36).slice(2)}`;
        const metric = `m${random().toString(36).slice(2)}`;
        await publisher.publish(`plant/a/${device}/state`, `{"${metric}":${n}}`);
        if (n % 500 === 0) most = Math.max(most, await residentBytes(agent.child.pid!));
      }
      await publisher.settled();
    }),
  );
  const ledger = (await (
    await fetch(`http://127.0.0.1:${httpPort}/v1/ledger`)
  ).json()) as LedgerView;
  const { messages, readings } = ledger.sources[0]!;
  assert.equal(messages.received, NAMES, "every message is counted");
  assert.equal(readings.accepted, SERIES_MAX, "as many series as the limit says");
  assert.equal(readings.rejected, NAMES - SERIES_MAX, "the rest is refused and counted");
  assert.ok(ledger.balanced);
  for (const publisher of publishers) publisher.close();
  assert.equal(await agent.kill("SIGTERM"), 0);
  t.diagnostic(`RSS at most ${(most / 1e6).toFixed(0)} MB`);
  assert.ok(most < RSS_BYTES_MAX, `RSS was ${most} bytes`);
});

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
}

function configuration({
  directory,
  port,
  httpPort,
}: {
  readonly directory: string;
  readonly port: number;
  readonly httpPort: number;
}): string {
  return `version: 1
agent: names
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: ${port}, anonymous: true }
http: { host: 127.0.0.1, port: ${httpPort} }
sources:
  - name: plant
    topics: ["plant/{line}/{device}/state"]
pipelines:
  - name: minutes
    key: [line, device, metric]
    window: { tumbling: 1m }
uplinks:
  - file: { directory: ${directory}/out }
limits: { series: ${SERIES_MAX} }
`;
}
