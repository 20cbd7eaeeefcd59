/** All code in one CommonJS file, from which esbuild leaves out what the program cannot reach. */

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { build, type Metafile } from "esbuild";

export const root: string = resolve(import.meta.dirname, "../..");

const shims: Readonly<Record<string, string>> = {
  // Asks the file system for prebuilt natives; ours is an asset.
  "node-gyp-build-optional-packages": join(import.meta.dirname, "native-addon.ts"),
  // Its ES module builds functions from text that names its own variables, which a minifier renames.
  "ordered-binary": join(root, "node_modules/ordered-binary/dist/index.cjs"),
  // Reads its WebAssembly from a file beside itself; this entry has it inside.
  "@platformatic/wasm-utils": join(root, "node_modules/@platformatic/wasm-utils/dist/bundled.js"),
};

/**
 * `debug` asks for it and goes on without. It is there for what only develops with us, and would come into
 * the file from there.
 */
const absent = ["supports-color"];

export type Bundle = {
  /** Folders below the root of the packages whose code is in it. */
  readonly packages: ReadonlySet<string>;
};

/** Writes it to `outfile`. `commit`: see src/agent/version.ts. */
export async function bundle(outfile: string, commit: string | undefined): Promise<Bundle> {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: [join(import.meta.dirname, "entry.ts")],
    outfile,
    write: false,
    bundle: true,
    platform: "node",
    target: "node26",
    format: "cjs",
    minify: true,
    // Faults and errors are told apart by their names, and a stack should say where it was: see below.
    keepNames: true,
    metafile: true,
    alias: { ...shims },
    external: absent,
    banner: { js: 'const weirUrl=require("node:url").pathToFileURL(__filename).href;' },
    define: {
      "import.meta.url": "weirUrl",
      WEIR_COMMIT: commit === undefined ? "undefined" : JSON.stringify(commit),
    },
    logLevel: "warning",
  });
  const [made] = outputFiles;
  assert.ok(made !== undefined && outputFiles.length === 1, "all code is in one file");
  writeFileSync(outfile, withNamesOfClasses(made.text));
  return { packages: packagesOf(metafile) };
}

/**
 * Only classes keep their names, with those of their methods. esbuild gives each function its name when it
 * is made: every closure then has properties of its own, 256 bytes, which is 7 KB for each client of MQTT.
 * Throws where esbuild writes it in another way than is known here.
 */
export function withNamesOfClasses(code: string): string {
  const helper =
    /\bvar ([\w$]+)=(\(([\w$]+),([\w$]+)\)=>[\w$]+\(\3,"name",\{value:\4,configurable:!0\}\));/;
  const found = helper.exec(code);
  assert.ok(found !== null, "esbuild names functions by a helper");
  const [whole, name = "", named = "", of = ""] = found;
  const inClass = `static{${name}(this,"`;
  assert.ok(code.includes(inClass), "esbuild names classes in a static block");
  return code
    .replace(whole, () => `var ${name}=${of}=>${of},weirClass=${named};`)
    .replaceAll(inClass, () => 'static{weirClass(this,"');
}

function packagesOf({ inputs }: Metafile): ReadonlySet<string> {
  const found = Object.keys(inputs).flatMap((path) => {
    const match = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path);
    return match === null ? [] : [match[0]];
  });
  return new Set(found);
}
