/** The main job as a person runs it: it ends by itself, exits 0, and its ledger balances. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readUpstream, repeatedIds } from "../support/upstream.ts";

const main = fileURLToPath(new URL("../../src/agent/cli/main.ts", import.meta.url));
const SECONDS = "16";

async function demo(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [
    main,
    "demo",
    "--plain",
    ...args,
  ]);
  return stdout;
}

async function folder(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "weir-demo-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "data");
}

/** The numbers of a row of the final ledger. */
function ledgerRow(output: string, name: string): readonly number[] {
  const line = output.split("\n").find((text) => text.startsWith(`${name} `));
  assert.ok(line !== undefined, `${name} has a row in:\n${output}`);
  assert.match(line, / yes$/, "it balances");
  return [...line.matchAll(/ (\d[\d,]*)/g)].map(([, digits]) =>
    Number(digits!.replaceAll(",", "")),
  );
}

// Each waits for windows to close, most of its time.
describe("the demo", { concurrency: true }, () => {
  test("streams, closes windows, exits 0 with a ledger that balances, and goes on", {
    timeout: 90_000,
  }, async (t) => {
    const data = await folder(t);
    const options = ["--data", data, "--seconds", SECONDS, "--devices", "60"];
    const first = ledgerRow(await demo(options), "plant");
    assert.ok(first[0]! > 100, "messages were received");
    const second = ledgerRow(await demo(options), "plant");
    assert.ok(second[0]! > first[0]! + 100, "the second run continues the first one's ledger");
    const summaries = await readUpstream(join(data, "upstream"), "summaries");
    assert.ok(summaries.length > 50, "windows went upstream");
    assert.deepEqual(repeatedIds(summaries), []);
    const fresh = ledgerRow(await demo([...options, "--fresh", "--seconds", "5"]), "plant");
    assert.ok(fresh[0]! < second[0]!, "--fresh begins anew");
  });

  test("on recorded data shows alerts beside their labels", {
    timeout: 60_000,
  }, async (t) => {
    const output = await demo(["--real", "--data", await folder(t), "--seconds", SECONDS]);
    assert.ok(ledgerRow(output, "motes")[0]! > 100, "messages were received");
    assert.match(output, /mote +labelled episodes +with an alert/);
  });

  test("says that nobody is where it should send to, and exits 1", {
    timeout: 60_000,
  }, async (t) => {
    const data = await folder(t);
    const nobody = ["--kafka", "127.0.0.1:1", "--seconds", "3", "--devices", "10"];
    const ended = await demo([...nobody, "--data", data]).catch((error: unknown) => error);
    assert.ok(ended instanceof Error && "code" in ended && "stderr" in ended, String(ended));
    assert.equal(ended.code, 1);
    assert.match(String(ended.stderr), /what waits in .* did not go upstream/);
  });
});
