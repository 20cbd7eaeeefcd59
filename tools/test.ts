/**
 * `npm test`: the set-up step, then every test under node:test. `npm test -- src/store test/crash`
 * runs these folders or files only, `--long` those that have a long form, in it; options such as
 * `--test-name-pattern=torn` go to the node of each file.
 *
 *   files that measure ─▶ one at a time ───────────────────────────────┐
 *   files that compute ─▶ one at a time, two where none waits ─────────┼─▶ one report
 *   files that wait ────▶ one beside those that measure, then three ───┘
 *
 * For two processors: what starts agents and brokers, kills them and stalls their disks mostly waits
 * for them, and takes little from those beside it; but with three of those a benchmark had seconds without
 * a message. What Node makes of a source file is kept: a test, and each agent that it starts, loads the
 * same few hundred files before it begins.
 */

import { spawnSync } from "node:child_process";
import { globSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { run } from "node:test";
import type { TestEvent } from "node:test/reporters";
import report from "./test-reporter.ts";

const root = resolve(import.meta.dirname, "..");
const folders = ["src", "firmware-sim", "flows", "test", "bench", "tools"];
const waitingFolders = ["test/crash", "test/broker", "test/e2e", "test/outage"];
const measuringFolder = "bench";
/** First of those that compute: at the end it would have the processors for itself. */
const longest = "test/simulation";
const testMsMax = 300_000;
const coverage = "--experimental-test-coverage";

const given = process.argv.slice(2);
const isLong = given.includes("--long");
const options = given.filter((word) => word.startsWith("-") && word !== "--long");
const places = given.filter((word) => !word.startsWith("-"));

process.chdir(root);
if (isLong) process.env["WEIR_TEST_LONG"] = "1";
// Daemons are kept where the PATH of a plain user does not look.
process.env["PATH"] = `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin`;
process.env["NODE_COMPILE_CACHE"] ??= join(root, "node_modules/.cache/compiled");

const setUp = spawnSync(process.execPath, ["tools/test-setup.ts"], { stdio: "inherit" });
if (setUp.status === 0) await runTests();
else process.exitCode = 1;

async function runTests(): Promise<void> {
  const found = [...new Set((places.length > 0 ? places : folders).flatMap(testsIn))];
  const files = isLong ? found.filter(hasLongForm) : found;
  const events = new PassThrough({ objectMode: true });
  const done = runAll(files, events).finally(() => events.end());
  for await (const text of report(events)) process.stdout.write(text);
  await done;
}

async function runAll(files: readonly string[], events: PassThrough): Promise<void> {
  // It is that of one run.
  if (options.includes(coverage)) return await runFiles(files, events);
  const measuring = files.filter(isIn(measuringFolder));
  const waiting = inTurn(waitingFolders.map((folder) => files.filter(isIn(folder))));
  const others = files.filter((file) => !measuring.includes(file) && !waiting.includes(file));
  const computing = [
    ...others.filter(isIn(longest)),
    ...others.filter((file) => !isIn(longest)(file)),
  ];
  const measured = work([measuring], events);
  const afterwards = measured.then(() =>
    Promise.all([work([waiting], events), work([waiting], events)]),
  );
  await Promise.all([
    work([computing, waiting], events),
    work([waiting, computing], events),
    afterwards,
  ]);
}

/** One file after another, from the first queue that has one. */
async function work(queues: readonly string[][], events: PassThrough): Promise<void> {
  const next = (): string | undefined => queues.find(({ length }) => length > 0)?.shift();
  for (let file = next(); file !== undefined; file = next()) await runFiles([file], events);
}

async function runFiles(files: readonly string[], events: PassThrough): Promise<void> {
  const stream: AsyncIterable<TestEvent> = run({
    files,
    concurrency: 2,
    execArgv: [
      "--import=./tools/test-limit.ts",
      `--test-timeout=${testMsMax}`,
      ...options.filter((option) => option !== coverage),
    ],
    coverage: options.includes(coverage),
  });
  for await (const event of stream) {
    if (event.type === "test:summary" && !event.data.success) process.exitCode = 1;
    events.write(event);
  }
}

function testsIn(place: string): readonly string[] {
  const found = statSync(place, { throwIfNoEntry: false });
  if (found?.isFile() === true) return [place];
  const files = globSync(found === undefined ? place : join(place, "**/*.test.ts"));
  if (files.length === 0) throw new Error(`no tests in ${place}`);
  return files.toSorted();
}

function hasLongForm(file: string): boolean {
  return /\/support\/(long-form|seeds)\.ts"/.test(readFileSync(file, "utf8"));
}

function isIn(folder: string): (file: string) => boolean {
  return (file) => file.startsWith(`${folder}/`);
}

/** The first of each, the second of each: those of one folder want much of the same. */
function inTurn(lists: readonly (readonly string[])[]): string[] {
  const most = Math.max(...lists.map(({ length }) => length));
  const turns = Array.from({ length: most }, (_, turn) => lists.map((list) => list[turn]));
  return turns.flat().filter((file) => file !== undefined);
}
