/**
 * `weir doctor`: is this machine fit for an agent, and what would make it fitter? Looks at clock, disk,
 * kernel, memory, ports, certificates, secrets, brokers and uplinks, beside a running agent or without
 * one. It changes nothing: the state store is only read, a disk is measured with a file that is gone
 * with this process.
 */

import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Millis } from "../../core/units.ts";
import { readWear, type Wear } from "../../store/care/wear.ts";
import { readCheckedKv } from "../../store/state/checked-kv.ts";
import { readEmitted } from "../../store/state/emitted.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { readPauses, type StoredPause } from "../../sync/pauses.ts";
import { pauseText } from "../notices/link-notices.ts";
import { type Config, storeDefaults, commitDefaults } from "../config/config.ts";
import type { Overlay } from "../config/overlay.ts";
import { tokenHashPattern } from "../config/http-schema.ts";
import { type ParsedConfig, parseConfig } from "../config/parse.ts";
import { readValueFile } from "../doors/value-file.ts";
import { systemClock } from "../doors/clock.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { asOwner, lookAsOwner } from "./act-as-owner.ts";
import { exitCodes, parseOptions, refusePositionals } from "./command.ts";
import { clockFindings } from "./doctor/clock.ts";
import { lookAtDisk } from "./doctor/disk.ts";
import { enduranceFindings } from "./doctor/endurance.ts";
import { advice, fault, type Finding, type Level, ok } from "./doctor/finding.ts";
import { folderFindings } from "./doctor/folders.ts";
import { kernelFindings } from "./doctor/kernel.ts";
import { Machine } from "./doctor/machine.ts";
import { portFindings } from "./doctor/ports.ts";
import { reachFindings } from "./doctor/reach.ts";
import { secretFindings } from "./doctor/secrets.ts";
import { type Holder, holderOfDirectory, holderText } from "./doctor/sockets.ts";
import { overlaysInForce } from "./in-force.ts";
import { enduranceOf } from "./wear-text.ts";

const defaultFile = "weir.yaml";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c" },
    endurance: { type: "string" },
    json: { type: "boolean", default: false },
  });
  refusePositionals(positionals);
  const enduranceBytes = values.endurance === undefined ? undefined : enduranceOf(values.endurance);
  const findings = await examine(values.config, enduranceBytes);
  const counts = countsOf(findings);
  if (values.json) console.log(JSON.stringify({ ...counts, findings }));
  else console.log(text(findings));
  return counts.fault === 0 ? exitCodes.ok : exitCodes.failed;
}

async function examine(
  file: string | undefined,
  enduranceBytes: number | undefined,
): Promise<readonly Finding[]> {
  const clock = systemClock();
  const machine = new Machine();
  const began = { now: clock.now(), monotonic: clock.monotonic() };
  const { config, findings: told, substituted, digests } = await configured(file, machine);
  const directory = config?.dataDirectory ?? process.cwd();
  const agent = await holderOfDirectory(machine, directory);
  const { newest, wear, findings: stored } = await knownIn(directory, began.now);
  const { freeBytes, writesPerDay } = config?.store ?? storeDefaults;
  const commit = config?.commit ?? commitDefaults;
  const { waitMs } = commit;
  const disk = await lookAsOwner(directory, () =>
    lookAtDisk({ clock, machine, directory, freeBytes, waitMs }),
  );
  const { device, bytesPerSync } = disk;
  const capBytes = writesPerDay;
  const found = [
    ...told,
    ...(config === undefined ? [] : [agentFinding(agent, directory)]),
    ...stored,
    ...disk.findings,
    ...(await enduranceFindings({
      machine,
      device,
      wear,
      capBytes,
      enduranceBytes,
      commit,
      bytesPerSync,
    })),
    ...(await kernelFindings({ machine, config, agentPid: agent?.pid, device })),
    ...(config === undefined ? [] : await portFindings({ machine, config, agent })),
    ...(config === undefined ? [] : await secretFindings({ clock, config, substituted, digests })),
    ...(config === undefined ? [] : await lookAsOwner(directory, () => folderFindings(config))),
    ...(config === undefined ? [] : await reachFindings(config, clock)),
  ];
  // Last, so that a clock that is set meanwhile is seen; told first, because all else is compared with it.
  return [...(await clockFindings({ clock, machine, newest, began })), ...found];
}

// ---- the configuration ----

type Configured = {
  /** Undefined where there is none to go by: the machine is looked at all the same. */
  readonly config: Config | undefined;
  readonly findings: readonly Finding[];
  /** Files that it named by ${file:...}. */
  readonly substituted: readonly string[];
  /** Those among them that hold digests of tokens. */
  readonly digests: ReadonlySet<string>;
};

async function configured(file: string | undefined, machine: Machine): Promise<Configured> {
  const path = resolve(file ?? defaultFile);
  const about = { area: "configuration", place: path };
  const without = (finding: Finding): Configured => ({
    config: undefined,
    findings: [finding],
    substituted: [],
    digests: new Set(),
  });
  if (file === undefined && !existsSync(path)) {
    const said = "there is none here: ports, certificates and uplinks are not looked at";
    return without(advice(about, said, "say where it is: -c FILE"));
  }
  const substituted = new Set<string>();
  const digests = new Set<string>();
  let parsed: ParsedConfig;
  let overlay: Overlay | undefined;
  try {
    const text = readFileSync(path, "utf8");
    const parse = async (over: { readonly overlay?: Overlay }): Promise<ParsedConfig> =>
      await parseConfig(text, {
        file: path,
        cwd: process.cwd(),
        env: process.env,
        readFile: (name) => {
          substituted.add(name);
          const text = readValueFile(name);
          if (tokenHashPattern.test(text.trim())) digests.add(name);
          return text;
        },
        ...over,
      });
    parsed = await parse({});
    const local = parsed.kind === "config" ? parsed.config : undefined;
    const isRunning =
      local !== undefined && (await holderOfDirectory(machine, local.dataDirectory)) !== undefined;
    for (const each of local === undefined ? [] : await overlaysInForce(local, { isRunning })) {
      const laid = await parse({ overlay: each });
      // Else the agent goes by what was before, too.
      if (laid.kind !== "config") continue;
      parsed = laid;
      overlay = each;
      break;
    }
  } catch (error) {
    if (error instanceof Fault) {
      const remedy = "then say weir doctor again, which has not looked at ports and uplinks";
      return without(fault(about, error.message, remedy));
    }
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return without(fault(about, `it cannot be read (${code})`, "say where it is: -c FILE"));
  }
  if (parsed.kind === "faults") {
    const [first] = parsed.faults;
    const { length } = parsed.faults;
    const what = `it has ${counted(length, "error")}${length > 1 ? ", the first of them" : ""}`;
    const remedy = `weir check -c ${path} tells all`;
    const { place, found } = placed(first?.text ?? "");
    return without(fault({ ...about, place }, `${what}: ${found}`, remedy));
  }
  const { config, warnings } = parsed;
  return {
    config,
    findings: [
      ok(
        about,
        `agent ${config.agent}${overlay === undefined ? "" : `, ${overlay.name} from afar`}`,
      ),
      ...warnings
        .map(placed)
        // What is open to the network is told with its port.
        .filter(({ found }) => !/^(mqtt(\.listeners\[\d+\])?|http)\.host: /.test(found))
        .map(({ place, found }) =>
          advice({ ...about, place }, found, "change it, unless it is meant so"),
        ),
    ],
    substituted: [...substituted],
    digests,
  };
}

/** What stands in a line of `weir check`: `file:line:column: what`. */
function placed(line: string): Pick<Finding, "place" | "found"> {
  const [, place = "", found = line] = /^(.*?:\d+:\d+): (.*)$/s.exec(line) ?? [];
  return { place, found };
}

function agentFinding(agent: Holder | undefined, directory: string): Finding {
  const about = { area: "agent", place: directory };
  if (agent === undefined) return ok(about, "no agent runs there now");
  return ok(about, `an agent runs there: ${holderText(agent)}`);
}

// ---- what the data directory knows ----

type Known = {
  readonly newest: Millis | undefined;
  readonly wear: Wear | undefined;
  readonly findings: readonly Finding[];
};

/** Read only. What no agent has opened yet stays so: its lock file would be ours. */
async function knownIn(directory: string, now: number): Promise<Known> {
  const path = dataPaths(directory).state;
  const nothing = { newest: undefined, wear: undefined, findings: [] };
  using _owner = asOwner(directory);
  if (!existsSync(path) || !existsSync(`${path}-lock`)) return nothing;
  try {
    await checkStateFile(path);
    const opened = openKvLmdb({ path, bytesMax: limits.kvBytesMax, readOnly: true });
    try {
      const kv = readCheckedKv(opened);
      const findings = pauseFindings(readPauses(kv), now);
      return { newest: readEmitted(kv)?.clock, wear: readWear(kv), findings };
    } finally {
      await opened.close();
    }
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const about = { area: "store", place: path };
    const remedy = "weir store verify tells what is damaged, weir restore takes a backup";
    return { ...nothing, findings: [fault(about, error.message, remedy)] };
  }
}

/** What is over is so when its agent looks at it. */
function pauseFindings(pauses: ReadonlyMap<string, StoredPause>, now: number): readonly Finding[] {
  return [...pauses].flatMap(([uplink, { since, until, forMs }]) => {
    if (until !== undefined && until <= now) return [];
    const about = { area: "uplinks", place: uplink };
    const found = `it is ${pauseText({ since, until, leftMs: forMs })}: what it is to send waits, alerts too`;
    return [advice(about, found, `weir link resume ${uplink}`)];
  });
}

// ---- text ----

function countsOf(findings: readonly Finding[]): Readonly<Record<Level, number>> {
  const of = (level: Level): number => findings.filter((each) => each.level === level).length;
  return { ok: of("ok"), advice: of("advice"), fault: of("fault") };
}

const words: Readonly<Record<Level, string>> = { ok: "ok", advice: "advice", fault: "FAULT" };

function text(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ area }) => area.length));
  const lines = findings.flatMap(({ area, level, place, found, remedy }) => {
    const begin = `${words[level].padEnd(6)}  ${area.padEnd(width)}  `;
    const first = `${begin}${place}: ${found}`;
    return remedy === undefined ? [first] : [first, `${" ".repeat(begin.length)}-> ${remedy}`];
  });
  const { ok: fine, advice: advised, fault: faults } = countsOf(findings);
  return [...lines, "", `${fine} ok, ${advised} advice, ${counted(faults, "fault")}`].join("\n");
}
