import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { scratchDirectory } from "./scratch-directory.ts";

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "weir-scratch-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

const demo = { madeBy: "weir demo", fresh: false };

test("a directory that a command made is continued, or emptied when asked", async (t) => {
  const directory = join(await folder(t), "data");
  assert.equal(await scratchDirectory(directory, demo), false);
  await writeFile(join(directory, "something"), "");
  assert.equal(await scratchDirectory(directory, demo), true);
  assert.equal(await scratchDirectory(directory, { ...demo, fresh: true }), false);
  assert.deepEqual(await readdir(directory), ["weir-scratch.json"]);
});

test("a directory of somebody else is neither emptied nor written to", async (t) => {
  const directory = await folder(t);
  await writeFile(join(directory, "state.mdb"), "precious");
  await assert.rejects(scratchDirectory(directory, { ...demo, fresh: true }), {
    code: "DIRECTORY_NOT_WRITABLE",
  });
  assert.deepEqual(await readdir(directory), ["state.mdb"]);
});

test("what another command made is somebody else's", async (t) => {
  const directory = join(await folder(t), "data");
  await scratchDirectory(directory, demo);
  await assert.rejects(scratchDirectory(directory, { madeBy: "weir replay", fresh: true }), {
    code: "DIRECTORY_NOT_WRITABLE",
  });
});
