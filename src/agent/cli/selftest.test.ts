import assert from "node:assert/strict";
import { mkdtempDisposableSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { weir } from "../../../test/support/weir-command.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { stateStore } from "./selftest/state-store.ts";

test("everything runs here, and nothing is left behind", async () => {
  using folder = mkdtempDisposableSync(`${tmpdir()}/weir-test-`);
  const { code, out, output } = await weir("selftest", "--json", "--directory", folder.path);
  assert.equal(code, 0, output);
  const { failed, checks } = JSON.parse(out) as {
    readonly failed: number;
    readonly checks: readonly { readonly check: string; readonly passed: boolean }[];
  };
  assert.equal(failed, 0);
  assert.deepEqual(
    checks.map(({ check, passed }) => [check, passed]),
    ["state store", "agent", "kafka", "tls"].map((check) => [check, true]),
  );
  assert.deepEqual(readdirSync(folder.path), []);
});

test("a folder that is not there is named, with the option", async () => {
  const { code, error } = await weir("selftest", "--directory", "/nowhere/at/all");
  assert.equal(code, 1);
  assert.match(error, /cannot make a folder in \/nowhere\/at\/all; name another with --directory/);
});

test("a store that has something else fails the check", async () => {
  using folder = mkdtempDisposableSync(`${tmpdir()}/weir-test-`);
  const kv = openKvLmdb({ path: `${folder.path}/selftest.mdb`, bytesMax: 16_777_216 });
  await kv.commit([{ key: "selftest/0000005", value: Uint8Array.of(1) }]);
  await kv.close();
  await assert.rejects(stateStore(folder.path), {
    name: "SelftestFailed",
    message: "LMDB has 1001 of 1000 values after reopening",
  });
});
