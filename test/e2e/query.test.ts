/** From a device to an answer: a real agent, readings over MQTT, `weir query`, before and after a restart. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { freePort, startAgentProcess } from "../support/agent-process.ts";
import { Publisher } from "../support/publisher.ts";

const main = resolve(import.meta.dirname, "../../src/agent/cli/main.ts");
const start = Date.UTC(2025, 2, 1, 10);
const minutes = 120;

test("what devices sent is answered, also after a restart", { timeout: 60_000 }, async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-query-"));
  const config = join(folder.path, "weir.yaml");
  const [mqtt, http] = [await freePort(), await freePort()];
  writeFileSync(
    config,
    `version: 1
data: ./data
mqtt: { port: ${mqtt} }
http: { port: ${http} }
sources: [{ name: plant, topics: ["plant/{line}/{device}/state"] }]
`,
  );
  const query = async (...args: string[]): Promise<string> => {
    const command = [main, "query", "-c", config, ...args];
    return (await promisify(execFile)(process.execPath, command)).stdout;
  };
  const first = await startAgentProcess(["run", "-c", config]);
  const publisher = new Publisher({ port: mqtt, clientId: "pump", window: 1_000 });
  for (let minute = 0; minute < minutes; minute++) {
    for (const device of ["p1", "p2"]) {
      const state = { time: start + minute * 60_000, temperature: minute, door: minute % 2 === 0 };
      await publisher.publish(`plant/a/${device}/state`, JSON.stringify(state));
    }
  }
  await publisher.settled();
  publisher.close();
  const told = async (): Promise<void> => {
    const span = ["--from", "2025-03-01T10:00:00Z", "--to", "2025-03-01T12:00:00Z"];
    assert.equal(
      await query("temp*{device=p1}", ...span, "--step", "1h", "--aggregates", "count,min,max,sum"),
      `start                 count  min  max   sum  series                         source
2025-03-01T10:00:00Z     60    0   59  1770  temperature{device=p1,line=a}  plant
2025-03-01T11:00:00Z     60   60  119  5370  temperature{device=p1,line=a}  plant
`,
    );
    const readings = await query("door", ...span, "--readings", "--json");
    const lines = readings.trimEnd().split("\n");
    assert.equal(lines.length, 2 * minutes + 1);
    const head = '{"source":"plant","series":"door{device=p1,line=a}"';
    assert.equal(lines[1], `${head},"time":${start + 60_000},"value":"false"}`);
    assert.match(lines.at(-1)!, /"complete":true,"rows":240,"series":2/);
    assert.equal(
      await query("temperature", "--latest"),
      `time                  value  series                         source
2025-03-01T11:59:00Z    119  temperature{device=p1,line=a}  plant
2025-03-01T11:59:00Z    119  temperature{device=p2,line=a}  plant
`,
    );
  };
  await told();
  await first.kill("SIGKILL");
  const second = await startAgentProcess(["run", "-c", config]);
  await told();
  assert.equal(await second.kill("SIGTERM"), 0);
});
