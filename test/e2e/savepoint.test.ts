/** An agent that goes on from a savepoint in another data directory, as if nothing had been. */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Agent } from "../../src/agent/agent.ts";
import {
  type Config,
  configOf,
  fileUplinkDefaults,
  sourceDefaults,
} from "../../src/agent/config/config.ts";
import { startAgent } from "../../src/agent/start.ts";
import { secondsPipeline } from "../support/pipelines.ts";
import { readUpstream, repeatedIds, type UpstreamRecord } from "../support/upstream.ts";
import { weir } from "../support/weir-command.ts";

const startMs = 1_764_000_000_000;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weir-savepoint-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function configIn(home: string, name: string, out = "out"): Config {
  return configOf({
    agent: "gateway",
    dataDirectory: join(home, name),
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
    pipelines: [secondsPipeline],
    uplinks: [{ ...fileUplinkDefaults, directory: join(home, out) }],
  });
}

async function started(config: Config): Promise<Agent> {
  return await startAgent(config, {
    listen: false,
    onFailed: (fault) => {
      throw fault;
    },
  });
}

/** Readings [from, to), ten to a window of each device. */
async function feed(agent: Agent, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) {
    const payload = new TextEncoder().encode(`{"ts":${startMs + n * 50},"v":${n}}`);
    await agent.feeder.feed(`plant/a/d${n % 2}/state`, payload);
    if (n % 20 === 19) await agent.feeder.settled();
  }
  await agent.feeder.settled();
}

/** All that tells records apart but the outbox they came from. */
function contentOf(records: readonly UpstreamRecord[]): readonly string[] {
  return records.map(({ id, key, start, count, sum, revision }) =>
    JSON.stringify({ id, key, start, count, sum, revision }),
  );
}

test("an agent goes on from a savepoint within a window: upstream is as if it had never stopped", async (t) => {
  const home = folder(t);
  const whole = await started(configIn(home, "whole", "whole-out"));
  await feed(whole, 0, 900);
  await whole.close();

  const first = await started(configIn(home, "data"));
  await feed(first, 0, 507);
  await first.close();
  const data = join(home, "data");
  const made = await weir("savepoint", "create", "before-move", "--data", data, "--json");
  assert.equal(made.code, 0, made.output);
  const { position, file } = JSON.parse(made.output);
  assert.ok(position > 507);
  const again = await weir("savepoint", "create", "before-move", "--data", data);
  assert.equal(again.code, 1);
  assert.match(again.output, /is there already/);

  const moved = join(home, "moved");
  const restored = await weir("savepoint", "restore", file, "--data", moved, "--json");
  assert.equal(restored.code, 0, restored.output);
  assert.equal(JSON.parse(restored.output).position, position);
  const second = await started(configIn(home, "moved"));
  const { log, apply, tables, state } = second.status();
  assert.deepEqual([log.start, log.end, apply.checkpointed], [position, position, position]);
  assert.deepEqual(log.damage, { tornBytes: 0, lostRows: 0, places: [] });
  assert.equal(state, "running");
  assert.deepEqual([tables.inTables, tables.counts.expired], [0, 507]);
  await feed(second, 500, 900); // the first seven once more: they are known
  assert.equal(second.ledger().sources[0]!.readings.duplicate, 7);
  assert.equal(second.ledger().sources[0]!.readings.accepted, 900);
  assert.ok(second.ledger().balanced);
  await second.close();

  const third = await started(configIn(home, "moved")); // replay is that of any directory
  assert.equal(third.ledger().sources[0]!.readings.accepted, 900);
  assert.deepEqual(third.status().log.damage.places, []);
  await third.close();
  const verified = await weir("store", "verify", "--data", moved);
  assert.equal(verified.code, 0, verified.output);

  const records = await readUpstream(join(home, "out"), "summaries");
  assert.deepEqual(repeatedIds(records), []);
  const expected = contentOf(await readUpstream(join(home, "whole-out"), "summaries"));
  assert.ok(expected.length > 50);
  assert.deepEqual(contentOf(records), expected);
});

test("a savepoint is refused of an agent that runs, of nothing, and into a directory that has something", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  const none = await weir("savepoint", "create", "x", "--data", data);
  assert.equal(none.code, 1);
  assert.match(none.output, /not the data directory/);
  const agent = await started(configIn(home, "data"));
  await feed(agent, 0, 40);
  const running = await weir("savepoint", "create", "x", "--data", data);
  assert.equal(running.code, 1);
  assert.match(running.output, /stop it/);
  await agent.close();
  assert.equal((await weir("savepoint", "create", "x", "--data", data)).code, 0);
  const full = await weir("savepoint", "restore", "x", "--data", data);
  assert.equal(full.code, 1);
  assert.match(full.output, /not empty/);
  for (const wrong of [["create"], ["create", "a/b"], ["list", "x"], ["make", "x"]]) {
    assert.equal((await weir("savepoint", ...wrong, "--data", data)).code, 2, wrong.join(" "));
  }
});

test("savepoints are listed as far as they are whole, and one that is not is not restored", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  const agent = await started(configIn(home, "data"));
  await feed(agent, 0, 40);
  await agent.close();
  const folderOf = join(data, "savepoints");
  assert.match((await weir("savepoint", "list", "--data", data)).output, /no savepoint is in/);
  for (const name of ["a", "b"]) await weir("savepoint", "create", name, "--data", data);
  const listed = await weir("savepoint", "list", "--data", data);
  assert.equal(listed.code, 0);
  assert.match(listed.output, /^name +made +version +position +size\na +.*\nb +.*\n$/);

  const file = join(folderOf, "b.savepoint");
  const bytes = readFileSync(file);
  bytes[Math.floor(bytes.length / 2)]! ^= 1;
  writeFileSync(file, bytes);
  const broken = await weir("savepoint", "list", "--data", data, "--json");
  assert.equal(broken.code, 1);
  const found = JSON.parse(broken.output);
  assert.deepEqual([found.savepoints.length, found.broken.length], [1, 1]);
  const target = join(home, "new");
  const refused = await weir("savepoint", "restore", file, "--data", target);
  assert.equal(refused.code, 1);
  assert.match(refused.output, /not a whole savepoint/);
  assert.ok(!existsSync(target) && !existsSync(`${target}.partial`));
});
