import assert from "node:assert/strict";
import {
  chownSync,
  mkdirSync,
  mkdtempDisposableSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { lacking } from "../../../test/support/require-tool.ts";
import { weir } from "../../../test/support/weir-command.ts";
import { createBatch } from "../../core/batch.ts";
import { limits } from "../../core/limits.ts";
import { position } from "../../core/units.ts";
import { openCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { lockDirectory } from "../doors/directory-lock.ts";
import { dataPaths } from "../start.ts";
import { keepingPolicy, openOfflineStore } from "./offline-store.ts";
import { run } from "./store.ts";

const perTable = 3_000;

/** A data directory with three tables of one day, two series each. */
async function dataDirectory(t: TestContext): Promise<string> {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-store-"));
  t.after(() => folder[Symbol.dispose]());
  const { log, state, tables: directory } = dataPaths(folder.path);
  mkdirSync(log);
  const kv = await openCheckedKv(openKvLmdb({ path: state, bytesMax: limits.kvBytesMax }));
  const policy = keepingPolicy([60_000], undefined);
  const tables = await openOfflineStore(kv, { directory, policy });
  tables.start();
  for (let table = 0; table < 3; table++) {
    const batch = createBatch(perTable);
    batch.rows = perTable;
    const accepted = new Uint32Array(perTable);
    for (let row = 0; row < perTable; row++) {
      accepted[row] = row;
      batch.series[row] = row % 2;
      batch.time[row] = 20_000 * limits.partitionMs + (table * perTable + row) * 1_000;
      batch.value[row] = row % 97;
    }
    const at = position(table * (perTable + 1) + 1);
    const device = new Uint32Array(0);
    const watermark = new Float64Array(0);
    tables.take({ batch, at, accepted, acceptedCount: perTable, device, watermark });
    tables.wantFlush();
    await tables.settle();
  }
  await tables.close();
  await kv.close();
  return folder.path;
}

/** What a command printed, and its exit code. */
async function weirStore(
  t: TestContext,
  ...args: string[]
): Promise<{ readonly code: number; readonly text: string }> {
  const log = t.mock.method(console, "log", () => undefined);
  t.mock.method(console, "error", () => undefined);
  const code = await run(args);
  const text = log.mock.calls.map(({ arguments: said }) => said.join(" ")).join("\n");
  t.mock.restoreAll();
  return { code, text };
}

function tableFile(directory: string, id: number): string {
  return join(dataPaths(directory).tables, `table-${String(id).padStart(10, "0")}.tbl`);
}

function damage(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes.fill(0x5a, at < 0 ? bytes.length + at : at, at < 0 ? bytes.length : at + 8);
  writeFileSync(path, bytes);
}

test("a whole store is verified, listed and shown, beside an agent too", async (t) => {
  const directory = await dataDirectory(t);
  const unlock = await lockDirectory(directory);
  const verified = await weirStore(t, "verify", "--data", directory);
  assert.match(verified.text, /^tables +3 tables, \d+ bytes, 12 blocks, 9000 rows$/m);
  assert.match(verified.text, /nothing is wrong$/);
  assert.equal(verified.code, 0);
  const listed = await weirStore(t, "inspect", "--data", directory);
  assert.match(listed.text, /^1 +0 +main +- +2024-10-04 +3000 +\d+ +\d+\.\d\d +readings /m);
  assert.match(listed.text, /written to tables: 9000 readings, of which 9000 are there/);
  const shown = await weirStore(t, "inspect", "1", "--data", directory);
  assert.match(shown.text, /^readings: 2 series, 4 blocks, 3000 rows$/m);
  assert.match(shown.text, /^\(not known yet\) +0 +1500 +2 +\d+ +0 +96 /m);
  for (const action of ["repair", "compact"]) {
    await assert.rejects(run([action, "--data", directory]), { code: "DIRECTORY_IN_USE" });
  }
  await unlock();
});

test("damage is found with its place, repaired without the rest, and counted", async (t) => {
  const directory = await dataDirectory(t);
  damage(tableFile(directory, 1), 100);
  damage(tableFile(directory, 2), -700);
  writeFileSync(tableFile(directory, 77), "left behind");
  const found = await weirStore(t, "verify", "--data", directory, "--json");
  assert.equal(found.code, 1);
  const { ok, findings } = JSON.parse(found.text);
  assert.equal(ok, false);
  const extents = new Map(
    findings.map(({ table, extent }: { table?: number; extent?: string }) => [table, extent]),
  );
  assert.deepEqual(
    [...extents],
    [
      [1, "part"],
      [2, "whole"],
      [undefined, undefined],
    ],
  );
  assert.ok(findings.every(({ problem, remedy }: Record<string, string>) => problem && remedy));
  const repaired = await weirStore(t, "repair", "--data", directory, "--json");
  assert.equal(repaired.code, 0, repaired.text);
  const { lost, rewritten, quarantined } = JSON.parse(repaired.text);
  assert.equal(rewritten, 1);
  assert.ok(lost > perTable && lost <= perTable + limits.tableBlockRowsMax, `${lost} lost`);
  assert.deepEqual(
    quarantined.map(({ id, why }: Record<string, unknown>) => [id, why]),
    [
      [2, "damaged"],
      [1, "mended"],
    ],
  );
  const { tables } = dataPaths(directory);
  assert.equal(readdirSync(join(tables, "quarantine")).length, 2);
  assert.ok(!readdirSync(tables).includes("table-0000000077.tbl"));
  const after = await weirStore(t, "verify", "--data", directory);
  assert.equal(after.code, 0, after.text);
  const again = await weirStore(t, "repair", "--data", directory);
  assert.equal(again.text, "nothing is damaged");
});

test("damage that no reader meets costs nothing but a table that is written again", async (t) => {
  const directory = await dataDirectory(t);
  const path = tableFile(directory, 0);
  const { length } = readFileSync(path);
  damage(path, length - 200); // among the zeros between the trailers
  assert.equal((await weirStore(t, "verify", "--data", directory)).code, 1);
  const repaired = await weirStore(t, "repair", "--data", directory, "--json");
  assert.equal(repaired.code, 0);
  assert.equal(JSON.parse(repaired.text).lost, 0);
  assert.equal((await weirStore(t, "verify", "--data", directory)).code, 0);
});

test("the tables of a day become one", async (t) => {
  const directory = await dataDirectory(t);
  const { code, text } = await weirStore(t, "compact", "--data", directory);
  assert.match(text, /^3 tables of \d+ bytes before, 1 of \d+ bytes now \(1 merge\)$/);
  assert.equal(code, 0);
  assert.equal((await weirStore(t, "verify", "--data", directory)).code, 0);
  assert.equal(readdirSync(dataPaths(directory).tables).length, 1);
});

test("root works on somebody else's data as that user, who may go on with it", async (t) => {
  if (process.getuid?.() !== 0) {
    lacking(t, "needs root");
    return;
  }
  const directory = await dataDirectory(t);
  const nobody = 65_534;
  const everything = (): readonly string[] =>
    [".", ...readdirSync(directory, { recursive: true, encoding: "utf8" })].map((name) =>
      join(directory, name),
    );
  for (const path of everything()) chownSync(path, nobody, nobody);
  const { code, error } = await weir("store", "compact", "--data", directory);
  assert.equal(code, 0, error);
  assert.match(error, /as the owner of .*, user 65534/);
  for (const path of everything()) assert.equal(statSync(path).uid, nobody, path);
});

test("what is no data directory, and what is no action, is said", async (t) => {
  const directory = await dataDirectory(t);
  await assert.rejects(run(["verify", "--data", join(directory, "x")]), { code: "INPUT_INVALID" });
  await assert.rejects(run(["defrag", "--data", directory]), { name: "UsageError" });
  await assert.rejects(run(["repair", "1", "--data", directory]), { name: "UsageError" });
  await assert.rejects(run(["inspect", "9", "--data", directory]), /there is no table 9/);
});
