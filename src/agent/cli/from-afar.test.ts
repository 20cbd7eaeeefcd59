/** What is known of configurations from afar lies on a disk that may be full, or have a file in its way. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempDisposableSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { freePort, startAgentProcess } from "../../../test/support/agent-process.ts";
import { mountSmallDisk } from "../../../test/support/small-disk.ts";
import { diskTrouble } from "../degraded.ts";
import { lockDirectory } from "../doors/directory-lock.ts";
import { systemDisk } from "../doors/disk.ts";
import { newKey, privateKeyIn, signDocument } from "../remote/document.ts";
import { remotePaths } from "../remote/known.ts";
import { writeRemoteState } from "../remote/remote-state.ts";
import { dataPaths } from "../start.ts";
import type { Status } from "../status.ts";
import { readConfig } from "./configured.ts";
import { openFromAfar, type FromAfar } from "./from-afar.ts";

const key = newKey();

function textOf(data: string, ports = { mqtt: 0, http: 0 }): string {
  return `version: 1
agent: gw1
data: ${data}
mqtt: { port: ${ports.mqtt} }
http: { port: ${ports.http} }
sources: [{ name: p, topics: [p] }]
brokers: [{ name: site, urls: ["mqtt://127.0.0.1:1"] }]
store: { budget: 600MiB, freeSpace: 0B }
remote: { keys: [{ name: ops, key: "${key.publicKey}" }], mqtt: { broker: site, topic: t } }
`;
}

async function opened(data: string, folder: string): Promise<FromAfar> {
  const file = join(folder, "weir.yaml");
  const text = textOf(data);
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

/** A read-only root with a place to mount a disk on, on which version 7 is proven. */
function disksOf(
  t: TestContext,
): { readonly place: string; readonly mount: (data: string) => Promise<void> } | undefined {
  const root = mountSmallDisk(t, { kind: "tmpfs", mib: 1 });
  const disk = mountSmallDisk(t, { kind: "tmpfs", mib: 96 });
  if (root === undefined || disk === undefined) return undefined;
  const place = join(root.path, "disk");
  mkdirSync(place);
  root.remount("ro");
  return {
    place,
    mount: async (data) => {
      execFileSync("mount", ["--bind", disk.path, place]); // goes with the root
      const { remote } = dataPaths(data);
      mkdirSync(remote, { recursive: true });
      const privateKey = privateKeyIn(Buffer.from(key.pem));
      assert.ok(privateKey);
      const body = "limits: { series: 777 }\n";
      const issued = "2026-11-29T11:00:00Z";
      const about = { agent: "gw1", version: 7, issued, expires: undefined, mayDelete: true, body };
      const good = Buffer.from(signDocument(about, privateKey)).toString();
      const state = { highest: 7, digest: "of version 7", good };
      await writeRemoteState(systemDisk, remotePaths(remote).state, state);
    },
  };
}

test("before the disk is there nothing is known and nothing locked; then both, before an agent runs", async (t) => {
  for (const below of ["", "weir"]) {
    const disks = disksOf(t);
    if (disks === undefined) return;
    const data = join(disks.place, below);
    const folder = folderOf(t);
    const isTrouble = (error: unknown): boolean => diskTrouble(error) === "disk_read_only";
    for (let process = 0; process < 2; process++) {
      await assert.rejects(opened(data, folder), isTrouble);
    }
    await disks.mount(data);
    await using afar = await opened(data, folder);
    await assert.rejects(opened(data, folder), { code: "DIRECTORY_IN_USE" });
    assert.equal(afar.status?.highest, 7);
    assert.equal((await afar.remote.begin()).seriesMax, 777);
  }
});

test("a process waits for its disk, and begins with what is in force there", async (t) => {
  const disks = disksOf(t);
  if (disks === undefined) return;
  const data = join(disks.place, "weir");
  const file = join(folderOf(t), "weir.yaml");
  const ports = { mqtt: await freePort(), http: await freePort() };
  writeFileSync(file, textOf(data, ports));
  const agent = await startAgentProcess(["run", "-c", file], /weir: waiting http=/);
  t.after(() => agent.kill("SIGKILL"));
  const get = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${ports.http}${path}`);
  assert.match(await (await get("/readyz")).text(), /"degraded":\["disk_read_only"\]/);
  await disks.mount(data);
  while (!agent.output().includes("weir: started")) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const status = (await (await get("/v1/status")).json()) as Status;
  assert.equal(status.remote?.inForce?.version, 7);
  assert.doesNotMatch(agent.output(), /weir: configuring/);
  assert.equal(await agent.kill("SIGTERM"), 0);
});

test("a process that waits for its disk ends as it is asked to", async (t) => {
  const disks = disksOf(t);
  if (disks === undefined) return;
  const file = join(folderOf(t), "weir.yaml");
  writeFileSync(file, textOf(disks.place, { mqtt: 0, http: await freePort() }));
  const agent = await startAgentProcess(["run", "-c", file], /weir: waiting http=/);
  t.after(() => agent.kill("SIGKILL"));
  assert.equal(await agent.kill("SIGTERM"), 0);
  assert.match(agent.output(), /weir: ending why=SIGTERM/);
});
