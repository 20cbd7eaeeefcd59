/** The built package keeps the rules of Node-RED's scorecard, and the rules find what breaks them. */

import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { build, nodeNames, packageDir } from "../build.ts";
import type { Settings } from "../src/migrations.ts";
import {
  defaultsOf,
  fileFindings,
  manifestFindings,
  type PackageManifest,
} from "./package-rules.ts";

const manifest: PackageManifest = JSON.parse(
  readFileSync(join(packageDir, "package.json"), "utf8"),
);
const folder = mkdtempSync(join(tmpdir(), "weir-package-"));
after(() => rmSync(folder, { recursive: true, force: true }));
await build(join(folder, "dist"));
cpSync(join(packageDir, "examples"), join(folder, "examples"), { recursive: true });

test("the package keeps the rules of the scorecard", () => {
  assert.deepEqual(manifestFindings(manifest), []);
  assert.deepEqual(fileFindings(manifest, folder), []);
});

test("each folder of nodes is a node of the package", () => {
  const listed = Object.entries(manifest["node-red"]?.nodes ?? {});
  assert.deepEqual(
    listed.toSorted(([a], [b]) => (a < b ? -1 : 1)),
    nodeNames().map((name) => [name, `dist/nodes/${name}.js`]),
  );
});

test("an example has the agent's address in the agent's node alone", () => {
  const examples = readdirSync(join(packageDir, "examples"));
  const elsewhere = examples.flatMap((file) => {
    const flow: readonly { readonly type: string }[] = JSON.parse(
      readFileSync(join(packageDir, "examples", file), "utf8"),
    );
    const others = flow.filter(({ type }) => type !== "weir-agent");
    return others.some((node) => JSON.stringify(node).includes("127.0.0.1:8080")) ? [file] : [];
  });
  assert.ok(examples.length > 10);
  assert.deepEqual(elsewhere, []);
});

for (const name of nodeNames()) {
  test(`the form of ${name} begins with what a hand-written node has`, async () => {
    const { defaults, migrations }: { defaults: Settings; migrations: readonly unknown[] } =
      await import(`../src/nodes/${name}/migrations.ts`);
    const page = readFileSync(join(folder, "dist/nodes", `${name}.html`), "utf8");
    const { version, ...inForm } = Object.fromEntries(defaultsOf(page));
    assert.deepEqual(inForm, defaults);
    assert.equal(version, migrations.length);
  });

  test(`every text of ${name} is there in every language`, () => {
    const page = readFileSync(join(folder, "dist/nodes", `${name}.html`), "utf8");
    const used = [...page.matchAll(/data-i18n="(?:\[\w+\])?([\w.-]+)"/g)].map(([, key]) => key!);
    assert.ok(used.length > 2);
    for (const language of ["en-US", "de"]) {
      const path = join(folder, "dist/nodes/locales", language, `${name}.json`);
      const texts: Record<string, Record<string, string>> = JSON.parse(readFileSync(path, "utf8"));
      const missing = used.filter((key) => {
        const [group = "", one = ""] = key.split(".");
        return !texts[group]?.[one];
      });
      assert.deepEqual(missing, [], language);
      const help = readFileSync(path.replace(/json$/, "html"), "utf8");
      assert.match(help, new RegExp(`^<script type="text/html" data-help-name="weir-${name}">`));
    }
  });
}

const broken: readonly (readonly [PackageManifest, RegExp])[] = [
  [{ ...manifest, name: "node-red-weir" }, /P04/],
  [{ ...manifest, keywords: ["iot"] }, /P05/],
  [{ ...manifest, engines: { node: ">=26" } }, /P07/],
  [{ ...manifest, "node-red": { version: ">=5" } }, /P06/],
  [
    { ...manifest, dependencies: { a: "1", b: "1", c: "1", d: "1", e: "1", f: "1", g: "1" } },
    /D01/,
  ],
];

for (const [wrong, finding] of broken) {
  test(`a manifest that breaks ${finding.source} is found`, () => {
    const findings = manifestFindings(wrong);
    assert.equal(findings.length, 1);
    assert.match(findings[0]!, finding);
  });
}

const pages: readonly (readonly [string, string, RegExp])[] = [
  ["a computed type", 'const t = "weir-x"; RED.nodes.registerType(t, {});', /literal type/],
  [
    "defaults from elsewhere",
    'const d = {}; RED.nodes.registerType("weir-x", { category: "weir", color: "#fff", icon: "x.svg", inputs: 1, outputs: 1, defaults: d });',
    /defaults of weir-x is no literal/,
  ],
  ["another name", 'RED.nodes.registerType("edge-x", {});', /registers edge-x/],
];

for (const [what, script, finding] of pages) {
  test(`a page with ${what} is found`, (t) => {
    const other = mkdtempSync(join(tmpdir(), "weir-package-"));
    t.after(() => rmSync(other, { recursive: true, force: true }));
    mkdirSync(join(other, "dist/nodes"), { recursive: true });
    const page = `<script type="text/javascript">(() => { ${script} })();</script>`;
    writeFileSync(join(other, "dist/nodes/x.html"), page);
    const nodes = { "node-red": { nodes: { x: "dist/nodes/x.js" } } };
    const findings = fileFindings(nodes, other);
    assert.ok(
      findings.some((one) => finding.test(one)),
      findings.join("\n"),
    );
    assert.ok(findings.some((one) => one.includes("x.js is missing")));
  });
}
