/**
 * The step before the tests: are the programs here that tests start? What is missing is named, one
 * line each; as root under `WEIR_TEST_REQUIRE_ALL=1` it is installed from Debian, without starting
 * any service. Then Kafka's jars, which Maven fetches where it and Java are present, the older Node
 * and the older Node-RED. Running it again changes nothing.
 */

import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { fetchJars, hasJars, jarSets, javaLack } from "../test/support/kafka/jars.ts";
import { fetchOtherNode, hasOtherNode } from "../test/support/other-node.ts";
import { fetchNodeRed4, hasNodeRed4 } from "../test/support/node-red/programs.ts";
import { packagesFor, runnerOf, stripOf } from "./package/foreign.ts";
import { architectures } from "./package/parts.ts";
import { debianPackages, everythingRequired, findTool } from "../test/support/require-tool.ts";

const missing = Object.keys(debianPackages).filter((tool) => findTool(tool) === undefined);
/** What packed files are made and tried with; npm test needs none of it. */
const forPacking = everythingRequired()
  ? architectures.filter((one) => runnerOf(one) === undefined || stripOf(one) === undefined)
  : [];

if (missing.length + forPacking.length > 0) {
  const canInstall = process.getuid?.() === 0 && findTool("apt-get") !== undefined;
  if (everythingRequired() && canInstall) {
    const names = [
      ...missing.map((tool) => debianPackages[tool]!),
      ...forPacking.flatMap(packagesFor),
    ];
    const packages = [...new Set(names)];
    console.log(`set-up: installing ${packages.join(", ")}`);
    withoutStartingServices(() => install(packages));
  } else {
    for (const tool of missing) {
      console.log(`set-up: ${tool} is missing (Debian package ${debianPackages[tool]})`);
    }
  }
}

fetchKafka();
fetchNode();
fetchNodeRed();

function fetchNodeRed(): void {
  if (hasNodeRed4()) return;
  console.log("set-up: fetching the line of Node-RED before the newest");
  const trouble = fetchNodeRed4();
  if (trouble !== undefined) console.log(`set-up: npm failed; its test will say so: ${trouble}`);
}

function fetchNode(): void {
  if (hasOtherNode()) return;
  console.log("set-up: fetching the oldest Node that weir runs on");
  const trouble = fetchOtherNode();
  if (trouble !== undefined) console.log(`set-up: npm failed; its tests will say so: ${trouble}`);
}

function fetchKafka(): void {
  const sets = jarSets.filter((set) => !hasJars(set));
  if (sets.length === 0 || findTool("mvn") === undefined || findTool("java") === undefined) return;
  const lack = javaLack();
  if (lack !== undefined) return console.log(`set-up: ${lack}; no Kafka brokers for the tests`);
  console.log(`set-up: fetching Kafka's jars with Maven (${sets.join(", ")})`);
  for (const set of sets) {
    const trouble = fetchJars(set);
    if (trouble === undefined) continue;
    return console.log(`set-up: mvn failed; tests with Kafka brokers will say so: ${trouble}`);
  }
}

function install(packages: readonly string[]): void {
  if (aptGet(["install", "-y", "--no-install-recommends", ...packages])) return;
  aptGet(["update"]);
  if (aptGet(["install", "-y", "--no-install-recommends", ...packages])) return;
  console.log("set-up: apt-get failed; the tests that need these programs will say so");
}

function aptGet(args: readonly string[]): boolean {
  const { status, stderr } = spawnSync("apt-get", ["-qq", ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    encoding: "utf8",
  });
  if (status !== 0) console.log(`set-up: apt-get ${args[0]}: ${(stderr ?? "").trim()}`);
  return status === 0;
}

/** Debian asks policy-rc.d before a package starts its daemon; 101 means "not allowed". */
function withoutStartingServices(body: () => void): void {
  const policy = "/usr/sbin/policy-rc.d";
  if (existsSync(policy)) return body();
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    body();
  } finally {
    rmSync(policy, { force: true });
  }
}
