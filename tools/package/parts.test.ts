import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./bundle.ts";
import { architectures, lockedPackage, nodeVersion } from "./parts.ts";

test("the packed Node is the one that is developed with", () => {
  const manifest: unknown = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const { devDependencies } = manifest as { readonly devDependencies: { readonly node: string } };
  assert.equal(nodeVersion, devDependencies.node);
});

test("LMDB's native part is pinned for every architecture, in the version of its package", () => {
  const { version } = lockedPackage("lmdb");
  for (const architecture of architectures) {
    const part = lockedPackage(`@lmdb/lmdb-linux-${architecture}`);
    assert.equal(part.version, version);
    assert.match(part.integrity, /^sha512-/);
  }
});

test("a package that nobody pinned is an error", () => {
  assert.throws(() => lockedPackage("@lmdb/lmdb-plan9"), /package-lock.json does not have/);
});
