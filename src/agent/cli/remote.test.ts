/** What `weir remote sign` does not sign. */

import assert from "node:assert/strict";
import { existsSync, mkdtempDisposableSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";

const pipelines =
  "pipelines: [{ name: w, key: [device], window: { tumbling: 5s }, aggregate: [count, mean] }]\n";

test("what no agent would take is not signed, and said with its place", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-sign-"));
  const [key, body, out] = ["ops.pem", "body.yaml", "signed"].map((name) =>
    join(folder.path, name),
  );
  assert.ok(key !== undefined && body !== undefined && out !== undefined);
  await weir("remote", "keygen", "--out", key);
  const sign = [
    "remote",
    "sign",
    body,
    "--key",
    key,
    "--agent",
    "gw1",
    "--version",
    "3",
    "-o",
    out,
  ];
  for (const [text, said] of [
    ["data: elsewhere\n", /body\.yaml:1:1: data: cannot be set from afar/],
    [
      'sources:\n  - { name: p, topics: ["${file:/etc/passwd}"] }\n',
      /body\.yaml:2:25: .*stands for secrets only/,
    ],
    [pipelines.replace("5s", "5"), /body\.yaml:1:\d+: .*tumbling: expected a duration/],
    [pipelines.replace("mean", "p96"), /body\.yaml:1:\d+: .*aggregate\[1\]: .*"p96"/],
    [pipelines.replace("]", ""), /body\.yaml:1:\d+: this \[ is not closed before line 1/],
  ] as const) {
    writeFileSync(body, text);
    const { code, error } = await weir(...sign);
    assert.equal(code, 78, error);
    assert.match(error, said);
    assert.match(error, /1 error in .*body\.yaml: no agent would take it/);
  }
  writeFileSync(body, pipelines);
  const late = await weir(...sign, "--expires", "2026-01-31");
  assert.equal(late.code, 2);
  assert.match(late.error, /--expires 2026-01-31 has passed/);
  assert.equal((await weir("remote", "sign", body)).code, 2);
  assert.ok(!existsSync(out));
  assert.equal((await weir(...sign, "--expires", "30d")).code, 0);
  assert.match(readFileSync(out, "utf8").split("\n")[1] ?? "", /"expires":"[^"]+"\}$/);
  assert.equal((await weir(...sign, "--may-delete")).code, 0);
  assert.match(readFileSync(out, "utf8").split("\n")[1] ?? "", /,"mayDelete":true\}$/);
});
