import assert from "node:assert/strict";
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemDisk } from "../doors/disk.ts";
import { newKey, privateKeyIn, signDocument } from "../remote/document.ts";
import { writeRemoteState } from "../remote/remote-state.ts";
import { readConfig } from "./configured.ts";
import { overlaysInForce, readConfigInForce } from "./in-force.ts";

test("what a command goes by is what the next start of the agent would go by", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-in-force-"));
  const { pem, publicKey } = newKey();
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  const file = join(folder.path, "weir.yaml");
  writeFileSync(
    file,
    `version: 1
agent: gw1
data: ${join(folder.path, "data")}
sources: [{ name: p, topics: [p] }]
brokers: [{ name: site, urls: ["mqtt://h"] }]
remote: { keys: [{ name: ops, key: "${publicKey}" }], mqtt: { broker: site, topic: t }, tries: 2 }
`,
  );
  mkdirSync(join(folder.path, "data/remote"), { recursive: true });
  const path = join(folder.path, "data/remote/state.json");
  const issued = "2026-11-29T11:00:00Z";
  const signed = (version: number, body: string): string =>
    signDocument({ agent: "gw*", version, issued, expires: undefined, body }, key).toString();
  const good = signed(7, "limits: { series: 7 }\n");
  for (const { text, tries, series } of [
    { text: signed(8, "limits: { series: 8 }\n"), tries: 1, series: 8 },
    { text: signed(8, "limits: { series: 8 }\n"), tries: 2, series: 7 },
    { text: signed(8, "limits: { nothing: 8 }\n"), tries: 1, series: 7 },
    { text: signed(8, "limits: { series: 8 }\n").replace("8 }", "9 }"), tries: 1, series: 7 },
  ]) {
    const trial = { text, tries, stops: 0, troubles: [] };
    await writeRemoteState(systemDisk, path, { highest: 8, digest: "d", good, trial });
    assert.equal((await readConfigInForce(file)).seriesMax, series);
  }
  const trial = { text: signed(8, "limits: { series: 8 }\n"), tries: 2, stops: 0, troubles: [] };
  await writeRemoteState(systemDisk, path, { highest: 8, digest: "d", good, trial });
  const names = (await overlaysInForce(await readConfig(file), { isRunning: true })).map(
    ({ name }) => name,
  );
  assert.deepEqual(names, ["version 8", "version 7"], "the agent that runs has its last try");
});
