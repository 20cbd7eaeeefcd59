/** Limits of the kernel and the memory there is, for the agent that runs, or else for this process. */

import { limits } from "../../../core/limits.ts";
import type { Config } from "../../config/config.ts";
import { memoryEstimate } from "../../config/explain.ts";
import { roughBytesText } from "../../config/quantity.ts";
import { groupCeiling } from "../../doors/memory.ts";
import { memoryPlanOf } from "../../memory/memory-plan.ts";
import { advice, fault, type Finding, ok } from "./finding.ts";
import type { Machine } from "./machine.ts";

export type KernelOptions = {
  readonly machine: Machine;
  readonly config: Config | undefined;
  /** Process of the agent, where it runs and can be looked at. */
  readonly agentPid: number | undefined;
  /** The block device, such as mmcblk0, of data and, most likely, program; undefined: there is none. */
  readonly device: string | undefined;
};

export async function kernelFindings(options: KernelOptions): Promise<readonly Finding[]> {
  return [
    ...(await filesFindings(options)),
    ...(await addressSpaceFindings(options)),
    ...(await overcommitFindings(options)),
    ...(await memoryFindings(options)),
  ];
}

/** Whose limits these are. */
function whose({ agentPid }: KernelOptions): string {
  return agentPid === undefined ? "of this shell" : `of the agent, process ${agentPid}`;
}

// ---- limits of a process ----

/** The soft limit; Infinity where there is none. Lines: proc(5), limits. */
async function processLimit(
  { machine, agentPid }: KernelOptions,
  name: string,
): Promise<number | undefined> {
  const text = await machine.text(`proc/${agentPid ?? "self"}/limits`);
  const line = text?.split("\n").find((each) => each.startsWith(name));
  const soft = line?.slice(name.length).trim().split(/\s+/)[0];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}

async function filesFindings(options: KernelOptions): Promise<readonly Finding[]> {
  const files = await processLimit(options, "Max open files");
  if (files === undefined) return [];
  const about = { area: "kernel", place: "open files" };
  const { config } = options;
  const connections = config?.mqtt.quotas?.front?.connectionsMax ?? limits.connectionsMax;
  const wanted =
    connections + limits.httpConnectionsMax + limits.tablesOpenMax + limits.doctorFilesOther;
  const said = `${files === Infinity ? "any number" : files} may be open (${whose(options)})`;
  const figures = { wanted, ...(files === Infinity ? {} : { max: files }) };
  const remedy = `LimitNOFILE=${wanted} in the unit of systemd, or ulimit -n ${wanted} before the start`;
  if (files < limits.doctorFilesMin) {
    return [fault(about, `${said}: the store alone needs more with some devices`, remedy, figures)];
  }
  if (files < wanted) {
    return [
      advice(
        about,
        `${said}, fewer than ${wanted} for ${connections} connections, HTTP and tables: devices beyond are turned away`,
        remedy,
        figures,
      ),
    ];
  }
  return [ok(about, said, figures)];
}

async function addressSpaceFindings(options: KernelOptions): Promise<readonly Finding[]> {
  const bytes = await processLimit(options, "Max address space");
  if (bytes === undefined || bytes === Infinity) return [];
  return [
    fault(
      { area: "kernel", place: "address space" },
      `it is limited to ${roughBytesText(bytes)} (${whose(options)}): Node and the state store reserve far more than they use`,
      "remove the limit (LimitAS=, ulimit -v); limit the memory instead (MemoryMax=)",
      { max: bytes },
    ),
  ];
}

async function overcommitFindings({ machine }: KernelOptions): Promise<readonly Finding[]> {
  const mode = await machine.number("proc/sys/vm/overcommit_memory");
  if (mode === undefined) return [];
  const about = { area: "kernel", place: "vm.overcommit_memory" };
  if (mode !== 2) return [ok(about, `${mode}: address space may be reserved`)];
  return [
    advice(
      about,
      "2: what is reserved counts as used, and the agent reserves room for all its limits at once",
      "sysctl vm.overcommit_memory=0, or fewer limits.series and limits.keys",
    ),
  ];
}

// ---- memory ----

async function memoryFindings(options: KernelOptions): Promise<readonly Finding[]> {
  const { machine, config, agentPid } = options;
  const meminfo = await machine.text("proc/meminfo");
  const [totalBytes, availableBytes] = ["MemTotal", "MemAvailable"].map((name) =>
    kibibytesIn(meminfo ?? "", name),
  );
  if (totalBytes === undefined) return [];
  // As the agent looks for its ceiling.
  const group = groupCeiling({
    proc: machine.pathOf("proc"),
    groups: machine.pathOf("sys/fs/cgroup"),
    totalBytes,
    ...(agentPid === undefined ? {} : { pid: agentPid }),
  })?.bytes;
  const isLimited = group !== undefined;
  const bytes = group ?? totalBytes;
  const about = { area: "memory", place: isLimited ? "control group" : "machine" };
  const estimate = config === undefined ? undefined : memoryEstimate(config);
  const figures = {
    totalBytes,
    ...(availableBytes === undefined ? {} : { availableBytes }),
    ...(isLimited ? { limitBytes: group } : {}),
    ...estimate,
  };
  const said = isLimited
    ? `at most ${roughBytesText(group)} of ${roughBytesText(totalBytes)} (${whose(options)})`
    : `${roughBytesText(totalBytes)}, ${roughBytesText(availableBytes ?? 0)} available`;
  const ahead = await readAheadFindings(options, Math.min(bytes, ceilingIn(config)));
  if (estimate === undefined) return [ok(about, said, figures), ...ahead];
  const more = isLimited ? "raise the limit (MemoryMax=)" : "use a board with more";
  const findings: Finding[] = [];
  if (bytes < estimate.idleBytes) {
    const needs = `the agent needs about ${roughBytesText(estimate.idleBytes)} before any reading`;
    findings.push(fault(about, `${said}: ${needs}`, more, figures));
  } else if (bytes < estimate.limitBytes) {
    const may = `the configuration allows the agent about ${roughBytesText(estimate.limitBytes)}`;
    const remedy = `lower limits.series, limits.keys or the windows (weir check), or ${more}`;
    const keeps = isLimited
      ? `, which keeps to the limit and takes new series up to ${memoryPlanOf({ bytes: group, from: "" }).seriesMax}`
      : "";
    findings.push(advice(about, `${said}: ${may}${keeps}`, remedy, figures));
  } else findings.push(ok(about, said, figures));
  return [...findings, ...ahead];
}

function ceilingIn(config: Config | undefined): number {
  return typeof config?.memory === "number" ? config.memory : Infinity;
}

/** Program and data are read by pages, and what lies around them with each that is missing. */
async function readAheadFindings(
  { machine, device }: KernelOptions,
  memoryBytes: number,
): Promise<readonly Finding[]> {
  if (device === undefined || memoryBytes > limits.memoryOneHeapBytesMax) return [];
  const kilobytes = await machine.number(`sys/block/${device}/queue/read_ahead_kb`);
  if (kilobytes === undefined) return [];
  const about = { area: "memory", place: `read-ahead of ${device}` };
  const figures = { readAheadKb: kilobytes };
  if (kilobytes <= limits.doctorReadAheadKbMax) return [ok(about, `${kilobytes} KiB`, figures)];
  return [
    advice(
      about,
      `${kilobytes} KiB: with ${roughBytesText(memoryBytes)} each page of the program that is read pushes out others that are needed`,
      `echo 128 > /sys/block/${device}/queue/read_ahead_kb, for good by a rule of udev`,
      figures,
    ),
  ];
}

function kibibytesIn(meminfo: string, name: string): number | undefined {
  const [, kibibytes] = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(meminfo) ?? [];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1_024;
}
