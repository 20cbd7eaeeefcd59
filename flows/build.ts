/**
 * Builds the package into flows/dist, from one folder of src/nodes per node:
 *
 *   src/nodes/window/node.ts         ─┬▶ dist/weir.js            all nodes in one file, for Node 22.9
 *   src/nodes/<other>/node.ts        ─┘  dist/nodes/window.js    one line: its node of that file
 *   src/nodes/window/editor.{html,ts} ─▶ dist/nodes/window.html  form and script
 *   src/nodes/window/locales/<lang>.* ─▶ dist/nodes/locales/<lang>/window.*   on top of src/locales
 *   icons/                            ─▶ dist/nodes/icons/
 *
 * dist has a package.json of its own: in it files are CommonJS, which every Node-RED loads.
 *
 * `registerType("literal", { inline literals })` stays as it is written: the scorecard of Node-RED reads
 * the page without running it.
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { build as bundle } from "esbuild";

export const packageDir: string = import.meta.dirname;
const sources = join(packageDir, "src");

/** The oldest Node that Node-RED 5 runs on. */
export const targetNode = "node22.9";

/** Languages of Node-RED's editor that we have texts for; the first is what all others fall back to. */
export const languages = ["en-US", "de"] as const;

/** Names of the nodes; the node `window` is of the type `weir-window`. */
export function nodeNames(): readonly string[] {
  return readdirSync(join(sources, "nodes"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .toSorted();
}

/** Writes everything to `out`, which it empties first. */
export async function build(out: string): Promise<void> {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(join(out, "nodes"), { recursive: true });
  writeFileSync(join(out, "package.json"), '{ "type": "commonjs" }\n');
  await buildRuntime(out);
  for (const name of nodeNames()) {
    writeFileSync(
      join(out, "nodes", `${name}.js`),
      `module.exports = require("../weir.js")[${JSON.stringify(name)}];\n`,
    );
    writeFileSync(join(out, "nodes", `${name}.html`), await pageOf(name));
    for (const language of languages) writeTexts(out, name, language);
  }
  cpSync(join(packageDir, "icons"), join(out, "nodes/icons"), { recursive: true });
}

async function buildRuntime(out: string): Promise<void> {
  const exports = nodeNames().map(
    (name) => `  ${JSON.stringify(name)}: require("./nodes/${name}/node.ts").register,`,
  );
  await bundle({
    stdin: {
      contents: `module.exports = {\n${exports.join("\n")}\n};\n`,
      resolveDir: sources,
      sourcefile: "weir.js",
    },
    outfile: join(out, "weir.js"),
    bundle: true,
    platform: "node",
    target: targetNode,
    format: "cjs",
    // Faults are told apart by their names.
    keepNames: true,
    logLevel: "warning",
  });
}

async function pageOf(name: string): Promise<string> {
  const folder = join(sources, "nodes", name);
  const { outputFiles } = await bundle({
    entryPoints: [join(folder, "editor.ts")],
    bundle: true,
    write: false,
    platform: "browser",
    target: "es2022",
    format: "iife",
    charset: "utf8",
    logLevel: "warning",
  });
  const form = withIncludes(readFileSync(join(folder, "editor.html"), "utf8"));
  const script = outputFiles.map(({ text }) => text).join("");
  return `${form}<script type="text/javascript">\n${script}</script>\n`;
}

/** `<!-- include time.html -->` becomes src/editor/time.html. */
function withIncludes(html: string): string {
  return html.replace(/^ *<!-- include ([\w-]+\.html) -->\n/gm, (_, file: string) =>
    withIncludes(readFileSync(join(sources, "editor", file), "utf8")),
  );
}

function writeTexts(out: string, name: string, language: string): void {
  const folder = join(out, "nodes/locales", language);
  const own = join(sources, "nodes", name, "locales");
  mkdirSync(folder, { recursive: true });
  const texts = merged(
    readTexts(join(sources, "locales", `${language}.json`)),
    readTexts(join(own, `${language}.json`)),
  );
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(texts, null, 2)}\n`);
  cpSync(join(own, `${language}.html`), join(folder, `${name}.html`));
}

type Texts = { readonly [group: string]: { readonly [key: string]: string } };

function readTexts(path: string): Texts {
  return JSON.parse(readFileSync(path, "utf8"));
}

function merged(shared: Texts, own: Texts): Texts {
  const groups = new Set([...Object.keys(shared), ...Object.keys(own)]);
  return Object.fromEntries(
    [...groups].map((group) => [group, { ...shared[group], ...own[group] }]),
  );
}

if (import.meta.main) {
  await build(join(packageDir, "dist"));
  const license = resolve(packageDir, "../LICENSE");
  if (existsSync(license)) cpSync(license, join(packageDir, "LICENSE"));
}
