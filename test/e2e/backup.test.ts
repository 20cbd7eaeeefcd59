/** A backup of an agent that goes on receiving, flushing and merging, and an agent that goes on from it. */

import assert from "node:assert/strict";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { Agent } from "../../src/agent/agent.ts";
import { type Config, configOf, sourceDefaults } from "../../src/agent/config/config.ts";
import { lockDirectory } from "../../src/agent/doors/directory-lock.ts";
import { startAgent } from "../../src/agent/start.ts";
import { secondsPipeline } from "../support/pipelines.ts";
import { lacking } from "../support/require-tool.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { weir } from "../support/weir-command.ts";

const startMs = 1_764_000_000_000;

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "weir-backup-"));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

function configIn(dataDirectory: string): Config {
  return configOf({
    agent: "gateway",
    dataDirectory,
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{line}/{device}/state"] }],
    pipelines: [secondsPipeline],
    http: { host: "127.0.0.1", port: 0 },
  });
}

async function started(config: Config): Promise<Agent> {
  return await startAgent(config, {
    memoryRowsMax: 500,
    onFailed: (fault) => {
      throw fault;
    },
  });
}

/** Sends readings one after another until told to stop; counts those that are durable. */
function feeding(agent: Agent): { readonly durable: () => number; stop(): Promise<void> } {
  let sent = 0;
  let durable = 0;
  let isOver = false;
  const done = (async () => {
    while (!isOver) {
      for (let n = 0; n < 50; n++, sent++) {
        const payload = new TextEncoder().encode(`{"ts":${startMs + sent * 100},"v":${sent}}`);
        await agent.feeder.feed(`plant/a/d${sent % 5}/state`, payload);
      }
      await agent.feeder.settled();
      durable = sent;
    }
  })();
  return {
    durable: () => durable,
    stop: async () => {
      isOver = true;
      await done;
    },
  };
}

/** The values of all stored readings, ascending. */
async function storedIn(agent: Agent): Promise<readonly number[]> {
  const range = `from=${startMs}&to=${startMs + 1e9}&limit=100000&format=ndjson`;
  const url = `http://127.0.0.1:${agent.httpPort}/v1/readings?metric=v&${range}`;
  const lines = (await (await fetch(url)).text()).trim().split("\n");
  const values = lines.flatMap((line) => {
    const value: unknown = JSON.parse(line).value;
    return typeof value === "number" ? [value] : [];
  });
  return values.toSorted((a, b) => a - b);
}

function acceptedOf(agent: Agent): number {
  return agent.ledger().sources[0]?.readings.accepted ?? 0;
}

test("a backup made while an agent receives has everything that was durable before, and runs", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  const agent = await started(configIn(data));
  const feed = feeding(agent);
  while (feed.durable() < 3_000) await new Promise((resolve) => setImmediate(resolve));
  const before = feed.durable();
  const made = await weir("backup", join(home, "copy"), "--data", data, "--json");
  assert.equal(made.code, 0, made.output);
  await feed.stop();
  await agent.close();
  assert.ok(readdirSync(join(home, "copy", "tables")).length > 0, "there were tables to copy");

  const restored = await weir("restore", join(home, "copy"), "--data", join(home, "restored"));
  assert.equal(restored.code, 0, restored.output);
  const second = await started(configIn(join(home, "restored")));
  const accepted = acceptedOf(second);
  assert.ok(accepted >= before, `${accepted} of at least ${before} readings`);
  assert.ok(accepted <= acceptedOf(agent));
  assert.ok(second.ledger().balanced);
  const stored = await storedIn(second);
  assert.deepEqual(
    stored,
    Array.from({ length: accepted }, (_, n) => n),
    "each once",
  );
  assert.deepEqual(second.status().log.damage.places, []);
  await second.close();
});

test("a client of a stream is told that what it streams from now on is a restored past", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  const streamOf = async (agent: Agent, after?: string): Promise<string> => {
    const headers = after === undefined ? {} : { "Last-Event-ID": after };
    const response = await fetch(`http://127.0.0.1:${agent.httpPort}/v1/stream`, { headers });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes("\n\n")) text += (await reader.read()).value;
    if (after !== undefined && !text.includes("missed")) text += (await reader.read()).value;
    await reader.cancel();
    return text;
  };
  const agent = await started(configIn(data));
  const [, id = ""] = /"id":"([^"]+)"/.exec(await streamOf(agent)) ?? [];
  assert.equal((await weir("backup", join(home, "copy"), "--data", data)).code, 0);
  await agent.close();
  const restored = await weir("restore", join(home, "copy"), "--data", join(home, "back"));
  assert.equal(restored.code, 0, restored.output);
  const second = await started(configIn(join(home, "back")));
  assert.match(await streamOf(second, id), /event: missed\ndata: .*"reason":"other_history"/);
  await second.close();
});

test("a backup that was changed is refused by the name of the file, and nothing is restored", async (t) => {
  const home = folder(t);
  const agent = await started(configIn(join(home, "data")));
  await agent.close();
  const copy = join(home, "copy");
  assert.equal((await weir("backup", copy, "--data", join(home, "data"))).code, 0);
  const again = await weir("backup", copy, "--data", join(home, "data"));
  assert.equal(again.code, 1);
  assert.match(again.output, /copy is there and not empty/);
  const state = readFileSync(join(copy, "state.mdb"));
  state[100]! ^= 1;
  writeFileSync(join(copy, "state.mdb"), state);
  const restored = await weir("restore", copy, "--data", join(home, "restored"));
  assert.equal(restored.code, 1);
  assert.match(restored.output, /state\.mdb is not as it was backed up/);
  assert.ok(!readdirSync(home).includes("restored"));
  const none = await weir("restore", home, "--data", join(home, "restored"));
  assert.match(none.output, /is not a backup/);
});

test("a data directory remembers its backups, and a restored one where it came from", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  await (await started(configIn(data))).close();
  const listOf = async (
    directory: string,
  ): Promise<{ backups: { now: string; target: string }[] }> =>
    JSON.parse((await weir("backup", "--list", "--data", directory, "--json")).output);
  assert.deepEqual(await listOf(data), { backups: [], forgotten: 0, damaged: 0 });

  for (const name of ["one", "two"]) {
    const made = await weir("backup", join(home, name), "--data", data, "--json");
    assert.equal(JSON.parse(made.output).noted, true);
  }
  rmSync(join(home, "one"), { recursive: true });
  const states = async (directory: string): Promise<readonly (readonly string[])[]> =>
    (await listOf(directory)).backups.map(({ target, now }) => [target, now]);
  const two = [join(home, "two"), "there"];
  assert.deepEqual(await states(data), [[join(home, "one"), "absent"], two]);
  const { output } = await weir("backup", "--list", "--data", data);
  assert.match(output, /^made +version +now +folder\n.*absent.*one\n.*there.*two\n$/s);

  await weir("restore", join(home, "two"), "--data", join(home, "restored"));
  assert.deepEqual(await states(join(home, "restored")), [two]);
});

test("a data directory that cannot take the note has a backup all the same, and says so", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  await (await started(configIn(data))).close();
  mkdirSync(join(data, "backups.ndjson")); // nothing is renamed over a folder
  const made = await weir("backup", join(home, "copy"), "--data", data);
  assert.equal(made.code, 0, made.output);
  assert.match(made.output, /could not note that there is a backup in/);
  assert.equal((await weir("restore", join(home, "copy"), "--data", join(home, "back"))).code, 0);
});

test("root's backup is noted as the owner of the data, who can read it", async (t) => {
  if (process.getuid?.() !== 0) {
    lacking(t, "needs root");
    return;
  }
  const home = folder(t);
  const data = join(home, "data");
  await (await started(configIn(data))).close();
  assert.equal((await weir("backup", join(home, "one"), "--data", data)).code, 0);
  const nobody = 65_534;
  chmodSync(home, 0o755);
  for (const name of [".", ...readdirSync(data, { recursive: true, encoding: "utf8" })]) {
    chownSync(join(data, name), nobody, nobody);
  }
  const { code, output } = await weir("backup", join(home, "two"), "--data", data);
  assert.equal(code, 0, output);
  assert.match(output, /as the owner of .*, user 65534/);
  assert.doesNotMatch(output, /could not note/);
  assert.equal(statSync(join(data, "backups.ndjson")).uid, nobody);
  assert.match((await weir("backup", "--list", "--data", data)).out, /one\n.*two\n$/);
});

test("a medium that is full, or read-only, is said so in a sentence, and is empty for the next try", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  const agent = await started(configIn(data));
  const feed = feeding(agent);
  while (feed.durable() < 200) await new Promise((resolve) => setImmediate(resolve));
  await feed.stop();
  await agent.close();
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 8 }); // a segment has 16
  if (disk === undefined) return;
  const copy = join(disk.path, "copy");
  const full = await weir("backup", copy, "--data", data);
  assert.equal(full.code, 1);
  assert.match(full.output, /^weir: could not write to \S+ \(ENOSPC\): there is no space left/);
  assert.deepEqual(readdirSync(copy), []);
  disk.remount("ro");
  const readOnly = await weir("savepoint", "create", "x", "--data", data, "--dir", disk.path);
  assert.equal(readOnly.code, 1);
  assert.match(readOnly.output, /^weir: could not write to \S+ \(EROFS\): it is read-only/);
});

test("two backups of one data directory at the same time: the second is refused in a sentence", async (t) => {
  const home = folder(t);
  const data = join(home, "data");
  await (await started(configIn(data))).close();
  const unlock = await lockDirectory(join(data, "log"));
  const refused = await weir("backup", join(home, "copy"), "--data", data);
  await unlock();
  assert.equal(refused.code, 1);
  assert.match(refused.output, /another backup of .* is being made/);
});
