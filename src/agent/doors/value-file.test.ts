import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { limits } from "../../core/limits.ts";
import { readValueFile } from "./value-file.ts";

function folderOf(t: TestContext): string {
  const folder = mkdtempDisposableSync(join(tmpdir(), "weir-value-"));
  t.after(() => folder.remove());
  return folder.path;
}

const main = join(import.meta.dirname, "../cli/main.ts");

test("a file is read whole, and a long one no further than it takes to see that", (t) => {
  const file = join(folderOf(t), "secret");
  const { secretCharactersMax: max } = limits;
  for (const text of ["", "geheim\n", "ä".repeat(max), "😀".repeat(max / 2)]) {
    writeFileSync(file, text);
    assert.equal(readValueFile(file), text);
  }
  writeFileSync(file, "😀".repeat(4 * max));
  const cut = readValueFile(file);
  assert.ok(cut.length > max && cut.length <= 2 * max + 2, `${cut.length} characters`);
});

test("a pipe, a device and a folder are an error of the line that names them, and nobody waits", (t) => {
  const folder = folderOf(t);
  const pipe = join(folder, "pipe");
  assert.equal(spawnSync("mkfifo", [pipe]).status, 0);
  const file = join(folder, "weir.yaml");
  for (const path of [pipe, "/dev/zero", folder]) {
    writeFileSync(
      file,
      `version: 1\nagent: gw1\nsources: [{ name: p, topics: [p] }]\nhttp:\n  token: "\${file:${path}}"\n`,
    );
    const args = [main, "check", "-c", file];
    const { status, stderr } = spawnSync(process.execPath, args, {
      encoding: "utf8",
      timeout: 20_000,
    });
    assert.match(stderr, /weir\.yaml:5:10: http\.token: .* is no regular file/, path);
    assert.equal(status, 78, path);
  }
});
