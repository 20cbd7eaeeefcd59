/**
 * The package as npm packs it, installed into a fresh user directory of the real Node-RED: it loads
 * without a warning, its nodes are in the palette, and every example starts.
 */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { nodeNames, packageDir } from "../build.ts";

const program = createRequire(import.meta.url).resolve("node-red/red.js");
const startMsMax = 60_000;

/** Keeps it on this machine; the log as JSON, a line each. */
const settings = `module.exports = {
  uiHost: "127.0.0.1", uiPort: 0, credentialSecret: false, flowFile: "flows.json",
  telemetry: { enabled: false, updateNotification: false },
  editorTheme: { tours: false, palette: { catalogues: [] }, projects: { enabled: false } },
  logging: { console: { level: "off" }, lines: { level: "info", metrics: false, handler: () => (entry) =>
    console.log(JSON.stringify({ level: entry.level, text: String(entry.msg), type: entry.type })) } },
};
`;

const WARN = 30;

test("the packed package loads in a fresh Node-RED, and its examples start", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "weir-node-red-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  install(folder);
  const examples = readdirSync(join(packageDir, "examples"));
  const flows = examples.flatMap((name): object[] =>
    JSON.parse(readFileSync(join(packageDir, "examples", name), "utf8")),
  );
  writeFileSync(join(folder, "settings.js"), settings);
  writeFileSync(join(folder, "flows.json"), JSON.stringify(flows));

  const child = spawn(process.execPath, [program, "--userDir", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const lines: { level: number; text: string }[] = [];
  let address = "";
  const signal = AbortSignal.timeout(startMsMax);
  for await (const line of createInterface({ input: child.stdout, signal })) {
    if (!line.startsWith("{")) continue;
    const entry: { level: number; text: string } = JSON.parse(line);
    lines.push(entry);
    address = /http:\/\/127\.0\.0\.1:\d+/.exec(entry.text)?.[0] ?? address;
    if (address !== "" && /Started flows/.test(lines.map(({ text }) => text).join("\n"))) break;
  }
  const warnings = lines.filter(({ level, text }) => level <= WARN && !isOfNodeRed(text));
  assert.deepEqual(warnings, []);

  const response = await fetch(`${address}/nodes`, { headers: { accept: "application/json" } });
  const sets = (await response.json()) as { module: string; types: string[]; err?: string }[];
  const ours = sets.filter(({ module }) => module === "@weir-edge/node-red-weir");
  assert.deepEqual(
    ours.flatMap(({ types }) => types).toSorted(),
    nodeNames().map((name) => `weir-${name}`),
  );
  assert.deepEqual(
    ours.filter(({ err }) => err !== undefined),
    [],
  );
  child.kill("SIGTERM");
  await once(child, "exit");
});

/** What it says of itself, whatever is installed. */
function isOfNodeRed(text: string): boolean {
  return text === "Using unencrypted credentials" || text.startsWith("Projects disabled");
}

function install(folder: string): void {
  const options = { encoding: "utf8", stdio: "pipe" } as const;
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", folder], {
    ...options,
    cwd: packageDir,
  });
  // The build says nothing, so that this is all of it.
  const [{ filename, files }]: [{ filename: string; files: { path: string }[] }] =
    JSON.parse(packed);
  const published = /^(dist|examples)\/|^(LICENSE|README\.md|package\.json)$/;
  assert.deepEqual(
    files.filter(({ path }) => !published.test(path)),
    [],
    "what is published is built code, examples and texts, and no more",
  );
  writeFileSync(join(folder, "package.json"), '{ "name": "node-red-project", "private": true }\n');
  execFileSync("npm", ["install", "--offline", "--no-audit", "--no-fund", join(folder, filename)], {
    ...options,
    cwd: folder,
  });
}
