/** What `weir remote status` shows of a data directory. */

import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";
import { systemDisk } from "../doors/disk.ts";
import { newKey, privateKeyIn, signDocument } from "../remote/document.ts";
import { writeRemoteState } from "../remote/remote-state.ts";

const body = "limits: { series: 7 }\npipelines: []\n";

test("it shows what is in force, or why it is the local file alone", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-known-"));
  const { pem, publicKey } = newKey();
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  const file = join(folder.path, "weir.yaml");
  const configure = (publicText: string): void => {
    writeFileSync(
      file,
      `version: 1
agent: gw1
data: data
sources: [{ name: p, topics: [p] }]
pipelines: []
brokers: [{ name: site, urls: ["mqtt://h"] }]
remote: { keys: [{ name: ops, key: "${publicText}" }], mqtt: { broker: site, topic: t } }
`,
    );
  };
  configure(publicKey);
  const status = ["remote", "status", "-c", file];
  const before = await weir(...status);
  assert.equal(before.code, 0, before.output);
  assert.match(before.out, /^in force  the local file alone; no agent has started in .*data yet\n/);

  const issued = "2026-11-29T11:00:00Z";
  const document = signDocument(
    { agent: "gw*", version: 7, issued, expires: undefined, body },
    key,
  );
  mkdirSync(join(folder.path, "data/remote"), { recursive: true });
  const path = join(folder.path, "data/remote/state.json");
  const text = document.toString();
  await writeRemoteState(systemDisk, path, { highest: 7, digest: "d", good: text });
  const proven = await weir(...status);
  assert.match(
    proven.out,
    /^in force  version 7 for gw\*, issued 2026-11-29T11:00:00Z, digest [0-9a-f]{16}: limits, pipelines\nproven    version 7/,
  );
  assert.equal((await weir(...status, "--body")).out, body);
  const { inForce } = JSON.parse((await weir(...status, "--json")).out) as {
    readonly inForce: Record<string, unknown>;
  };
  assert.deepEqual([inForce["version"], inForce["body"]], [7, body]);

  await writeRemoteState(systemDisk, path, {
    highest: 7,
    digest: "d",
    trial: { text, tries: 1, stops: 0, troubles: [] },
  });
  assert.match(
    (await weir(...status)).out,
    /^in force  version 7 .*: limits, pipelines, on trial, 1 start\n/,
  );

  configure(newKey().publicKey);
  const without = await weir(...status);
  assert.match(
    without.out,
    /^in force  the local file alone\nnot used  version 7: it is signed by [0-9a-f]+, which is none of remote\.keys\n/,
  );
  assert.equal((await weir(...status, "--body")).out, "");
});
