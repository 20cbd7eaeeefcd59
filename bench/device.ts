/**
 * How much does the card take for a reading? A thousand series at 1 Hz for an hour, with windows of a
 * minute, at several commit waits: the whole agent on its real disk and state store, whose clock
 * jumps from one timer to the next. See quiet-doors.ts and device-process.ts.
 *
 *   data directory   state.mdb: LMDB, all that commits and checkpoints write
 *   ../log           frames, one write and one sync each; new segments
 *   ../tables        flushes and compactions
 *
 * Each is a file system (ext4, noatime) of its own on a private loop device; bytes are the sectors
 * that the kernel counted there, journal and all. What is made once is not in the hour: it begins
 * when the agent has run for some minutes. An hour does not fill sixteen tables, which is when they
 * are merged: the last run is as long as that takes.
 */

import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { DeviceFigures, DeviceProcess } from "./device-process.ts";
import { makeDevices } from "./loop-device.ts";
import { bundleProcesses, type Bundles, rounded, start } from "./process.ts";

export type DeviceOptions = {
  readonly series: number;
  readonly waitsMs: readonly number[];
  readonly warmupMinutes: number;
  readonly minutes: number;
  /** Of the run with compaction, at the last of the waits. */
  readonly longMinutes: number;
};

export const defaults: DeviceOptions = {
  series: 1_000,
  waitsMs: [200, 1_000, 5_000],
  warmupMinutes: 60,
  minutes: 60,
  longMinutes: 300,
};
export const tinyOptions: DeviceOptions = {
  series: 20,
  waitsMs: [5_000],
  warmupMinutes: 1,
  minutes: 1,
  longMinutes: 1,
};

/** Bytes on the device for a reading, by where they were written. */
export type DeviceBytes = {
  readonly all: number;
  readonly log: number;
  readonly lmdb: number;
  readonly tables: number;
  /** Of what was written into files: frames, new segments, tables by flush and by compaction. */
  readonly files: {
    readonly frames: number;
    readonly zeros: number;
    readonly flushed: number;
    readonly compacted: number;
  };
  readonly appends: number;
  readonly commits: number;
  readonly checkpoints: number;
  readonly flushes: number;
  readonly compactions: number;
};

export type DeviceResult = {
  /** By the commit wait in seconds. */
  readonly device_bytes_per_reading: Readonly<Record<string, number>>;
  readonly device: {
    readonly hours: Readonly<Record<string, DeviceBytes>>;
    readonly with_compaction: DeviceBytes & {
      readonly minutes: number;
      readonly write_amplification: number;
    };
  };
};

export type Skipped = { readonly kind: "skipped"; readonly reason: string };

export async function runDevice(
  options: DeviceOptions,
): Promise<{ readonly kind: "figures"; readonly figures: DeviceResult } | Skipped> {
  using bundles = await bundleProcesses(["device-process"]);
  const hours: Record<string, DeviceBytes> = {};
  const { series, warmupMinutes, minutes, longMinutes, waitsMs } = options;
  for (const waitMs of waitsMs) {
    const run = await runOnDevices(bundles, { series, waitMs, warmupMinutes, minutes });
    if (run.kind === "skipped") return run;
    hours[String(waitMs / 1_000)] = bytesOf(run.figures);
  }
  const waitMs = waitsMs.at(-1)!;
  const run = { series, waitMs, warmupMinutes, minutes: longMinutes };
  const long = await runOnDevices(bundles, run);
  if (long.kind === "skipped") return long;
  const { flushed, compacted } = long.figures;
  const all = Object.entries(hours).map(([wait, bytes]) => [wait, bytes.all] as const);
  const figures: DeviceResult = {
    device_bytes_per_reading: Object.fromEntries(all),
    device: {
      hours,
      with_compaction: {
        minutes: longMinutes,
        ...bytesOf(long.figures),
        write_amplification: rounded((flushed + compacted) / flushed),
      },
    },
  };
  return { kind: "figures", figures };
}

type Run = Pick<DeviceProcess, "series" | "waitMs" | "warmupMinutes" | "minutes">;

async function runOnDevices(
  bundles: Bundles<"device-process">,
  run: Run,
): Promise<{ readonly kind: "run"; readonly figures: DeviceFigures } | Skipped> {
  const made = makeDevices(["log", "tables"]);
  if (made.kind === "none") return { kind: "skipped", reason: made.reason };
  using devices = made.devices;
  using uplink = mkdtempDisposableSync(`${tmpdir()}/weir-bench-`);
  const { directory, statFiles } = devices;
  const args: DeviceProcess = { ...run, directory, statFiles, uplink: uplink.path };
  await using running = start(nodeFlags, bundles.file("device-process"), [JSON.stringify(args)]);
  return { kind: "run", figures: (await running.event("done")) as DeviceFigures };
}

function bytesOf(run: DeviceFigures): DeviceBytes {
  const { readings, device, frames, zeros, flushed, compacted } = run;
  const { appends, commits, checkpoints, flushes, compactions } = run;
  const per = (bytes = 0): number => rounded(bytes / readings);
  return {
    all: per(Object.values(device).reduce((sum, bytes) => sum + bytes, 0)),
    log: per(device["log"]),
    lmdb: per(device[""]),
    tables: per(device["tables"]),
    files: {
      frames: per(frames),
      zeros: per(zeros),
      flushed: per(flushed),
      compacted: per(compacted),
    },
    appends,
    commits,
    checkpoints,
    flushes,
    compactions,
  };
}
