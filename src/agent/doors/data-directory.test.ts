import assert from "node:assert/strict";
import { existsSync, mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeDataDirectory } from "./data-directory.ts";

test("directories are made with their parents, and those that are there are left", async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-directory-"));
  const deep = join(folder.path, "a/b/c");
  await makeDataDirectory([deep, join(deep, "log"), deep]);
  assert.ok(existsSync(join(deep, "log")));
});

test("what cannot be made is said, with what to do", { timeout: 10_000 }, async () => {
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-directory-"));
  const file = join(folder.path, "file");
  writeFileSync(file, "");
  await assert.rejects(makeDataDirectory([file]), {
    code: "DIRECTORY_NOT_WRITABLE",
    message: /\/file \(EEXIST\): a file of that name is in the way/,
  });
  await assert.rejects(makeDataDirectory([join(file, "data")]), { message: /\(ENOTDIR\)/ });
  // Where Node's own making of parents never comes back.
  await assert.rejects(makeDataDirectory(["/proc/nowhere/data"]), {
    code: "DIRECTORY_NOT_WRITABLE",
    message: /\/proc\/nowhere\/data \(ENOENT\): its file system does not let it be made/,
  });
});
