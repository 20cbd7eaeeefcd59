import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runInNewContext } from "node:vm";
import { build } from "esbuild";
import { bundle, root, withNamesOfClasses } from "./bundle.ts";

const source = `
  class Fault extends Error { static #made = 0; static made() { return ++Fault.#made; } }
  const closure = (value) => () => value;
  globalThis.seen = [Fault.name, new (class extends Fault {})("").constructor.name, closure(1)()];
  globalThis.own = Object.keys(Object.getOwnPropertyDescriptors(closure(1)));
`;

async function bundled(): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents: source },
    bundle: true,
    write: false,
    minify: true,
    keepNames: true,
    target: "node26",
  });
  return outputFiles[0]!.text;
}

test("classes keep their names, and closures get no properties for theirs", async () => {
  const code = await bundled();
  const context = { seen: [], own: [] };
  runInNewContext(withNamesOfClasses(code), context);
  assert.deepEqual([...context.seen], ["Fault", "", 1]);
  assert.doesNotMatch(code, /weirClass/);
});

test("code in which functions are named otherwise is refused", () => {
  assert.throws(() => withNamesOfClasses("var a=1;"), /esbuild names functions by a helper/);
});

test("nothing comes into the file that only develops with us", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-bundle-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { packages } = await bundle(join(folder, "weir.cjs"), undefined);
  const lockfile: { packages: Record<string, { dev?: boolean }> } = JSON.parse(
    readFileSync(join(root, "package-lock.json"), "utf8"),
  );
  const folders = [...packages];
  assert.ok(folders.includes("node_modules/yaml"));
  assert.deepEqual(
    folders.filter((path) => lockfile.packages[path]?.dev === true),
    [],
  );
});
