/**
 * `npm test`: the set-up step, then every test under node:test. `npm test -- src/store test/crash`
 * runs these folders or files only; options such as `--test-name-pattern=torn` go to the node of
 * each file.
 *
 *   files that compute ──▶ two at a time ─┐
 *                                         ├─▶ one report
 *   files that wait ─────▶ one at a time ─┘
 *
 * What kills agents, brokers and disks mostly waits for them, and takes little from those beside it.
 * Files that take long are begun first, so that none of them is left over for one processor at the
 * end. And what Node makes of a source file is kept: a test, and each agent that it starts, loads the
 * same few hundred files before it begins.
 */

import { spawnSync } from "node:child_process";
import { globSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import report from "./test-reporter.ts";

const root = resolve(import.meta.dirname, "..");
const folders = ["src", "firmware-sim", "test", "bench", "tools"];
/** Of those that compute. */
const longest = ["test/simulation", "test/e2e", "bench"];
const waitingPlaces = ["test/crash", "test/broker"];
const coverage = "--experimental-test-coverage";
const testMsMax = 300_000;

const given = process.argv.slice(2);
const options = given.filter((word) => word.startsWith("-"));
const places = given.filter((word) => !word.startsWith("-"));

process.chdir(root);
// Daemons are kept where the PATH of a plain user does not look.
process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin`;
process.env["NODE_COMPILE_CACHE"] ??= join(root, "node_modules/.cache/compiled");

const setUp = spawnSync(process.execPath, ["tools/test-setup.ts"], { stdio: "inherit" });
if (setUp.status === 0) await runTests();
else process.exitCode = 1;

async function runTests(): Promise<void> {
  const files = [...new Set((places.length > 0 ? places : folders).flatMap(testsIn))];
  const [computing = [], waiting = []] = [false, true].map((waits) =>
    files.filter((file) => isIn(waitingPlaces, file) === waits),
  );
  const streams = [
    start(computing.toSorted(longestFirst), { concurrency: 2 }),
    start(waiting, { concurrency: 1 }),
  ];
  const events = new PassThrough({ objectMode: true });
  for (const stream of streams) stream.pipe(events, { end: false });
  void Promise.all(streams.map((stream) => finished(stream))).then(() => events.end());
  for await (const text of report(events)) process.stdout.write(text);
}

function start(files: readonly string[], { concurrency }: { readonly concurrency: number }) {
  const events = run({
    files,
    concurrency,
    execArgv: [
      "--import=./tools/test-limit.ts",
      `--test-timeout=${testMsMax}`,
      ...options.filter((option) => option !== coverage),
    ],
    coverage: options.includes(coverage),
  });
  return events.on("test:summary", ({ success }) => {
    if (!success) process.exitCode = 1;
  });
}

function testsIn(place: string): readonly string[] {
  const found = statSync(place, { throwIfNoEntry: false });
  if (found?.isFile() === true) return [place];
  const files = globSync(found === undefined ? place : `${place}/**/*.test.ts`);
  if (files.length === 0) throw new Error(`no tests in ${place}`);
  return files.toSorted();
}

function isIn(places: readonly string[], file: string): boolean {
  return places.some((place) => file.startsWith(`${place}/`));
}

function longestFirst(a: string, b: string): number {
  const rank = (file: string): number => {
    const at = longest.findIndex((place) => file.startsWith(`${place}/`));
    return at < 0 ? longest.length : at;
  };
  return rank(a) - rank(b);
}
