/** What the fleet wrote down (firmware-sim/README.md): what it sent, and what was acknowledged to it. */

import { readFile } from "node:fs/promises";
import { Fault } from "../../../core/faults.ts";

/** Readings of a device and metric in a window of device time. */
export type TruthWindow = {
  readonly start: number;
  readonly count: number;
  /** Of these; undefined where they are no numbers, which no window takes. */
  readonly numbers:
    | { readonly sum: number; readonly min: number; readonly max: number }
    | undefined;
  /** Sent, not acknowledged in the end. */
  readonly pending: number;
  /** The oldest of them was so old when it was acknowledged. */
  readonly ageMs: number;
};

export type FleetTotals = {
  readonly messages: number;
  readonly readings: number;
  readonly duplicates: number;
  readonly qos1: number;
  readonly acked: number;
  readonly dropped: number;
};

export type Truth = {
  readonly windowMs: number;
  /** By device and metric, each in the order of time. */
  readonly keys: ReadonlyMap<string, readonly TruthWindow[]>;
  readonly devices: ReadonlySet<string>;
  readonly totals: FleetTotals;
  /** No device stamps a wrong time. */
  readonly areClocksRight: boolean;
  /** Readings that were acknowledged, once each. */
  readonly acknowledged: number;
  readonly pending: number;
};

export function truthKey(device: string, metric: string): string {
  return `${device}/${metric}`;
}

export async function readTruth(files: {
  readonly windows: string;
  readonly truth: string;
}): Promise<Truth> {
  return truthOf(await linesOf(files.windows), await linesOf(files.truth));
}

type Line = Readonly<Record<string, unknown>>;

export function truthOf(windowLines: readonly Line[], truthLines: readonly Line[]): Truth {
  const windowMs = numberIn(windowLines.find(({ line }) => line === "options") ?? {}, "windowMs");
  const keys = new Map<string, TruthWindow[]>();
  const devices = new Set<string>();
  let acknowledged = 0;
  let pending = 0;
  for (const line of windowLines) {
    if (line["line"] !== "window") continue;
    const window = windowIn(line);
    acknowledged += window.count;
    pending += window.pending;
    devices.add(String(line["device"]));
    const key = truthKey(String(line["device"]), String(line["metric"]));
    const known = keys.get(key);
    if (known === undefined) keys.set(key, [window]);
    else known.push(window);
  }
  for (const windows of keys.values()) windows.sort((a, b) => a.start - b.start);
  const of = truthLines.filter(({ line }) => line === "device");
  const sum = (name: string): number => of.reduce((all, line) => all + numberIn(line, name), 0);
  const totals = {
    messages: sum("messages"),
    readings: sum("readings"),
    duplicates: sum("duplicates"),
    qos1: sum("qos1"),
    acked: sum("acked"),
    dropped: sum("dropped"),
  };
  const faults = truthLines.find(({ line }) => line === "options")?.["faults"];
  const areClocksRight = faults === "none" || faults === "link";
  return { windowMs, keys, devices, totals, areClocksRight, acknowledged, pending };
}

function windowIn(line: Line): TruthWindow {
  const count = numberIn(line, "count");
  const numbers =
    line["sum"] === undefined && count > 0
      ? undefined
      : {
          sum: count === 0 ? 0 : numberIn(line, "sum"),
          min: count === 0 ? Infinity : numberIn(line, "min"),
          max: count === 0 ? -Infinity : numberIn(line, "max"),
        };
  const [start, pending] = [numberIn(line, "start"), numberIn(line, "pending")];
  return { start, count, numbers, pending, ageMs: numberIn(line, "ageMs") };
}

function numberIn(line: Line, name: string): number {
  const value = line[name];
  if (typeof value === "number") return value;
  throw new Fault("INPUT_INVALID", `the fleet's truth has no ${name} where it should be`);
}

async function linesOf(file: string): Promise<readonly Line[]> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new Fault("INPUT_INVALID", `the fleet left no truth in ${file}`, { cause });
  });
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}
