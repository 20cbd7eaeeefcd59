/**
 * `weir selftest`: does this file have all its parts, and do they run on this machine? Every part that
 * packing can lose or break is used once, for real, in a folder of its own that is removed again.
 */

import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { Fault } from "../../core/faults.ts";
import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { commit, version } from "../version.ts";
import { SelftestFailed } from "./selftest/expect.ts";

/** What a check found, for a person; it throws where something is wrong. */
export type Check = (directory: string) => Promise<string>;

type Outcome = {
  readonly check: string;
  readonly passed: boolean;
  readonly said: string;
  readonly ms: number;
};

/** In the order of what builds on what. */
const checks: Readonly<Record<string, () => Promise<Check>>> = {
  "state store": async () => (await import("./selftest/state-store.ts")).stateStore,
  agent: async () => (await import("./selftest/agent.ts")).agentRestarted,
  kafka: async () => (await import("./selftest/kafka.ts")).kafkaCodecs,
  tls: async () => (await import("./selftest/tls.ts")).tlsHandshake,
};

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    json: { type: "boolean", default: false },
    directory: { type: "string" },
  });
  refusePositionals(positionals);
  await using folder = await folderIn(values.directory ?? tmpdir());
  const outcomes: Outcome[] = [];
  for (const [check, load] of Object.entries(checks)) {
    const outcome = await outcomeOf(check, load, folder.path);
    outcomes.push(outcome);
    if (!values.json) console.log(lineOf(outcome));
  }
  const failed = outcomes.filter(({ passed }) => !passed).length;
  if (values.json) console.log(JSON.stringify({ ...platform(), failed, checks: outcomes }));
  else console.log(`${outcomes.length - failed} passed, ${failed} failed`);
  return failed === 0 ? exitCodes.ok : exitCodes.failed;
}

async function folderIn(directory: string): Promise<AsyncDisposable & { readonly path: string }> {
  try {
    return await mkdtempDisposable(join(directory, "weir-selftest-"));
  } catch (cause) {
    throw new Fault(
      "DIRECTORY_NOT_WRITABLE",
      `cannot make a folder in ${directory}; name another with --directory`,
      { cause },
    );
  }
}

async function outcomeOf(
  check: string,
  load: () => Promise<Check>,
  directory: string,
): Promise<Outcome> {
  const beganAt = performance.now();
  const after = () => Math.round(performance.now() - beganAt);
  try {
    const said = await (await load())(directory);
    return { check, passed: true, said, ms: after() };
  } catch (error) {
    // Whatever it was, the checks after it are wanted all the more.
    const said = error instanceof SelftestFailed ? error.message : inspect(error);
    return { check, passed: false, said, ms: after() };
  }
}

function lineOf({ check, passed, said, ms }: Outcome): string {
  return `${passed ? "ok  " : "FAIL"} ${check.padEnd(11)} ${said} (${ms} ms)`;
}

function platform() {
  const { version: node, platform: system, arch } = process;
  return { version, commit, node, platform: `${system}-${arch}` };
}
