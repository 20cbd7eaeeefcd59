/**
 * `npm run check`: types, lint, format and house rules, side by side; `npm run fix` (`--fix`)
 * formats and applies the linter's safe fixes.
 *
 * The linters bring platform binaries that some registries lack, which would make the workspace's
 * lockfile incomplete. They live in tools/lint and are installed here when one is missing or has
 * another version than the pinned one.
 */

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";

type Step = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
};

type Outcome = {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
};

const root = resolve(import.meta.dirname, "..");
const lintDir = join(root, "tools/lint");
const env = { ...process.env, OXLINT_TSGOLINT_PATH: bin(lintDir, "tsgolint") };

const checks: readonly Step[] = [
  { name: "types", command: bin(root, "tsc"), args: ["-p", ".", "--noEmit"] },
  { name: "lint", command: bin(lintDir, "oxlint"), args: ["--type-aware", "--deny-warnings"] },
  { name: "format", command: bin(lintDir, "biome"), args: ["format"] },
  { name: "house rules", command: process.execPath, args: ["tools/house-rules.ts"] },
];

const fixes: readonly Step[] = [
  {
    name: "lint",
    command: bin(lintDir, "oxlint"),
    args: ["--type-aware", "--deny-warnings", "--fix"],
  },
  { name: "format", command: bin(lintDir, "biome"), args: ["format", "--write"] },
];

process.exitCode = (await main(process.argv.includes("--fix"))) ? 0 : 1;

async function main(fix: boolean): Promise<boolean> {
  if (!lintersInstalled()) {
    const install = await run(
      {
        name: "install linters",
        command: "npm",
        args: ["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund"],
      },
      lintDir,
    );
    report(install);
    if (!install.ok) return false;
  }
  if (fix) return await inTurn(fixes);
  const outcomes = await Promise.all(checks.map((step) => run(step, root)));
  for (const outcome of outcomes) report(outcome);
  return outcomes.every((outcome) => outcome.ok);
}

/** The formatter has the last word, so the fixes do not run side by side. */
async function inTurn(steps: readonly Step[]): Promise<boolean> {
  let ok = true;
  for (const step of steps) {
    const outcome = await run(step, root);
    report(outcome);
    ok &&= outcome.ok;
  }
  return ok;
}

function lintersInstalled(): boolean {
  const wanted = versionsIn(join(lintDir, "package.json"), "devDependencies");
  return Object.entries(wanted).every(([name, version]) => {
    const manifest = join(lintDir, "node_modules", name, "package.json");
    return versionsIn(manifest)["version"] === version;
  });
}

/** The string fields of a manifest (or of one of its objects); empty when there is no such file. */
function versionsIn(path: string, field?: string): Readonly<Record<string, unknown>> {
  try {
    const manifest = JSON.parse(readFileSync(path, "utf8"));
    return field === undefined ? manifest : manifest[field];
  } catch {
    return {};
  }
}

function run(step: Step, cwd: string): Promise<Outcome> {
  const startedAt = performance.now();
  return new Promise((done) => {
    let output = "";
    const child = spawn(step.command, step.args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const end = (ok: boolean): void =>
      done({ name: step.name, ok, seconds: (performance.now() - startedAt) / 1000, output });
    child.on("error", (error) => {
      output += `${step.command}: ${error.message}\n`;
      end(false);
    });
    child.on("close", (code) => end(code === 0));
  });
}

function report({ name, ok, seconds, output }: Outcome): void {
  if (!ok) console.log(output.trimEnd());
  console.log(`${ok ? "ok  " : "FAIL"} ${name} (${seconds.toFixed(1)} s)`);
}

function bin(folder: string, name: string): string {
  return join(folder, "node_modules/.bin", name);
}
