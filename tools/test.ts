/**
 * `npm test`: the set-up step, then every test under node:test, two files at a time (several start
 * an agent of their own). `npm test -- src/store test/crash` runs these folders or files only;
 * options such as `--test-name-pattern=torn` go to node.
 */

import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join, resolve } from "node:path";

const root = resolve(import.meta.dirname, "..");
const folders = ["src", "firmware-sim", "test", "bench", "tools"];
const testMsMax = 300_000;

const given = process.argv.slice(2);
const options = given.filter((word) => word.startsWith("-"));
const places = given.filter((word) => !word.startsWith("-"));

process.exitCode = node(["tools/test-setup.ts"]) || node(testArgs());

function testArgs(): string[] {
  return [
    "--test",
    "--import=./tools/test-limit.ts",
    "--test-concurrency=2",
    `--test-timeout=${testMsMax}`,
    "--test-reporter=./tools/test-reporter.ts",
    ...options,
    ...(places.length > 0 ? places : folders).map(testsIn),
  ];
}

function testsIn(place: string): string {
  const isFolder = statSync(join(root, place), { throwIfNoEntry: false })?.isDirectory() ?? false;
  return isFolder ? `${place.replace(/\/$/, "")}/**/*.test.ts` : place;
}

/** Runs the pinned node; daemons are kept where the PATH of a plain user does not look. */
function node(args: readonly string[]): number {
  const env = { ...process.env, PATH: `${process.env["PATH"] ?? ""}:/usr/local/sbin:/usr/sbin` };
  return spawnSync(process.execPath, args, { cwd: root, stdio: "inherit", env }).status ?? 1;
}
