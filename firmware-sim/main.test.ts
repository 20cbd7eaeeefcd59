import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";

function run(...words: readonly string[]): { code: number | null; out: string; error: string } {
  const main = join(import.meta.dirname, "main.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...words], {
    encoding: "utf8",
  });
  return { code: status, out: stdout, error: stderr };
}

test("--help says how to use it and exits 0", () => {
  const { code, out } = run("--help");
  assert.equal(code, 0);
  assert.match(out, /--from-reading/);
  for (const line of out.split("\n")) assert.ok(line.length <= 100, line);
});

test("a wrong word exits 2 with a sentence", () => {
  const { code, error } = run("--faults", "all");
  assert.equal(code, 2);
  assert.equal(error, "--faults must be none, link, some or many\nTry --help.\n");
});

test("a password file that is not there exits 1 with a sentence and no stack", () => {
  const { code, error } = run("--username", "a", "--password-file", "/nonexistent");
  assert.equal(code, 1);
  assert.match(error, /^Cannot read the password from \/nonexistent: .*\n$/);
});
