/** What is known of configurations from afar lies on a disk that may be full, or have a file in its way. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { mountSmallDisk } from "../../../test/support/small-disk.ts";
import { lockDirectory } from "../doors/directory-lock.ts";
import { newKey } from "../remote/document.ts";
import { readConfig } from "./configured.ts";
import { openFromAfar, type FromAfar } from "./from-afar.ts";

async function opened(data: string, folder: string): Promise<FromAfar> {
  const file = join(folder, "weir.yaml");
  const text = `version: 1
agent: gw1
data: ${data}
sources: [{ name: p, topics: [p] }]
brokers: [{ name: site, urls: ["mqtt://h"] }]
remote: { keys: [{ name: ops, key: "${newKey().publicKey}" }], mqtt: { broker: site, topic: t } }
`;
  writeFileSync(file, text);
  const afar = await openFromAfar(await readConfig(file), { file, text, say: () => undefined });
  assert.ok(afar);
  return afar;
}

function folderOf(t: TestContext): string {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-from-afar-"));
  t.after(() => folder[Symbol.dispose]());
  return folder.path;
}

test("a file in the place of what is known is said; the local configuration is in force, and a second process is kept out", async (t) => {
  const folder = folderOf(t);
  const data = join(folder, "data");
  mkdirSync(data);
  writeFileSync(join(data, "remote"), "");
  {
    await using afar = await opened(data, folder);
    assert.equal((await afar.remote.begin()).agent, "gw1");
    assert.match(afar.status?.trouble ?? "", /a file is in the way of .*remote: move it/);
    await assert.rejects(opened(data, folder), { code: "DIRECTORY_IN_USE" });
    await (await lockDirectory(data))(); // the agent's own lock is another
  }
  rmSync(join(data, "remote"));
  await using again = await opened(data, folder);
  assert.equal(again.status?.trouble, undefined);
});

test("so is a disk that is read-only", async (t) => {
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 1 });
  if (disk === undefined) return;
  const data = join(disk.path, "data");
  mkdirSync(data);
  disk.remount("ro");
  await using afar = await opened(data, folderOf(t));
  assert.equal((await afar.remote.begin()).agent, "gw1");
  assert.match(afar.status?.trouble ?? "", /cannot be written: E/);
  await assert.rejects(opened(data, folderOf(t)), { code: "DIRECTORY_IN_USE" });
});
