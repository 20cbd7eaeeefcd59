/**
 * What a test needs from the machine: programs and recorded data. A lack is one clear skip line on
 * a laptop and a failure where `WEIR_TEST_REQUIRE_ALL=1` (set by .ci/run), so nothing is left out
 * there unseen.
 */

import { accessSync, constants, existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import type { TestContext } from "node:test";

const root = resolve(import.meta.dirname, "../..");

/** Programs that tests start, with the Debian package that brings each. */
export const debianPackages: Readonly<Record<string, string>> = {
  mosquitto: "mosquitto",
  mosquitto_pub: "mosquitto-clients",
  mosquitto_sub: "mosquitto-clients",
  kcat: "kcat",
  openssl: "openssl",
  chromium: "chromium",
  java: "openjdk-17-jre-headless",
  mvn: "maven",
  promtool: "prometheus",
  "systemd-analyze": "systemd",
};

/**
 * Whether the program is here; otherwise the test is skipped, or failed where everything is
 * required. `if (!requireTool(t, "mosquitto_pub")) return;`
 */
export function requireTool(t: TestContext, name: string): boolean {
  if (findTool(name) !== undefined) return true;
  const from = debianPackages[name];
  lacking(t, `needs ${name}${from === undefined ? "" : ` (Debian package ${from})`}`);
  return false;
}

/**
 * The path of a recorded data file or folder, `relativePath` counted from the data folder
 * (`WEIR_TEST_DATA`, else `../shared/data` beside the repository); `undefined` when it is not here,
 * and then the test is skipped or failed as in `requireTool`.
 */
export function requireData(t: TestContext, relativePath: string): string | undefined {
  const path = findData(relativePath);
  if (path === undefined) {
    lacking(t, `needs the data ${relativePath} (set WEIR_TEST_DATA to its folder)`);
  }
  return path;
}

/** The same without a test; `undefined` when it is not here. */
export function findData(relativePath: string): string | undefined {
  const folder = process.env["WEIR_TEST_DATA"] ?? join(root, "../shared/data");
  const path = join(folder, relativePath);
  return existsSync(path) ? path : undefined;
}

/** The absolute path of a program, looked up in PATH and where daemons are kept. */
export function findTool(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** Whether a missing tool or data set is a failure instead of a skip. */
export function everythingRequired(): boolean {
  return process.env["WEIR_TEST_REQUIRE_ALL"] === "1";
}

/** Skips the test, or fails it where everything is required; `what` completes "this test ...". */
export function lacking(t: TestContext, what: string): void {
  if (everythingRequired()) throw new Error(`${what}; everything is required here`);
  t.skip(what);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
