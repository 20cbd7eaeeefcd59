/**
 * The jars of the brokers and of the independent consumer: fetched once by Maven after pom.xml into
 * node_modules/.cache/weir-kafka, one folder for each set.
 *
 * A set is fetched beside its place and renamed into it, so half a set is never used; its marker
 * holds the digest of the pom.xml it came from, so a changed pom.xml fetches anew.
 */

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { findTool } from "../require-tool.ts";

/** Kafka's two lines that weir is tried against. */
export type KafkaVersion = "3.9" | "4";

export type JarSet = KafkaVersion | "reader";

/** The sets, each with its profile in pom.xml and the folder that names its version. */
const sets: Readonly<Record<JarSet, { readonly profile: string; readonly folder: string }>> = {
  "3.9": { profile: "kafka-3.9", folder: "3.9.1" },
  "4": { profile: "kafka-4", folder: "4.4.0" },
  reader: { profile: "reader", folder: "reader" },
};

export const jarSets: readonly JarSet[] = ["3.9", "4", "reader"];

/** The oldest Java that runs every set. */
const javaMin = 17;

const pom = join(import.meta.dirname, "pom.xml");
const cache = resolve(import.meta.dirname, "../../../node_modules/.cache/weir-kafka");

/** The class path of a set; throws where the set was not fetched. */
export function classPathOf(set: JarSet): string {
  if (!hasJars(set)) {
    throw new Error(`the jars of Kafka ${set} are missing; node tools/test-setup.ts fetches them`);
  }
  return join(folderOf(set), "*");
}

/** The full version of Kafka in a set, such as 3.9.1. */
export function fullVersion(version: KafkaVersion): string {
  return sets[version].folder;
}

export function hasJars(set: JarSet): boolean {
  try {
    return readFileSync(join(folderOf(set), "complete"), "utf8") === pomDigest();
  } catch {
    return false;
  }
}

/** Fetches a set; what Maven said where it fails, `undefined` on success. Takes seconds. */
export function fetchJars(set: JarSet): string | undefined {
  mkdirSync(cache, { recursive: true });
  const fetched = mkdtempSync(join(cache, "fetching-"));
  try {
    const trouble = copyDependencies(set, fetched);
    if (trouble !== undefined) return trouble;
    writeFileSync(join(fetched, "complete"), pomDigest());
    putInPlace(set, fetched);
    return undefined;
  } finally {
    rmSync(fetched, { recursive: true, force: true });
  }
}

/** Why no broker can run here, in a few words; `undefined` where java is new enough. */
export function javaLack(): string | undefined {
  const java = findTool("java");
  if (java === undefined) return "java is missing";
  const { stderr } = spawnSync(java, ["-version"], { encoding: "utf8" });
  const major = Number(/version "(?:1\.)?(\d+)/.exec(stderr ?? "")?.[1] ?? 0);
  return major >= javaMin ? undefined : `java is older than ${javaMin}`;
}

function copyDependencies(set: JarSet, into: string): string | undefined {
  const goal = [
    "dependency:copy-dependencies",
    "-DincludeScope=runtime",
    `-DoutputDirectory=${into}`,
  ];
  const { status, stdout, error } = spawnSync(
    "mvn",
    ["-q", "-B", "-Dstyle.color=never", "-f", pom, "-P", sets[set].profile, ...goal],
    { encoding: "utf8" },
  );
  if (error !== undefined) return error.message;
  return status === 0 ? undefined : (stdout.trim().split("\n")[0] ?? "");
}

/** Another process may have been faster; then its set is as good as ours. */
function putInPlace(set: JarSet, fetched: string): void {
  if (hasJars(set)) return;
  rmSync(folderOf(set), { recursive: true, force: true });
  try {
    renameSync(fetched, folderOf(set));
  } catch (error) {
    if (!hasJars(set)) throw error;
  }
}

function folderOf(set: JarSet): string {
  return join(cache, sets[set].folder);
}

function pomDigest(): string {
  return createHash("sha256").update(readFileSync(pom)).digest("hex");
}
