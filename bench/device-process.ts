/**
 * The agent that writes to the counted devices: a thousand sensors a second each, windows of a
 * minute, an uplink whose files lie elsewhere, so that records pass through the outbox but what is
 * counted is the store. Nothing listens: messages are fed.
 *
 *   node device-process.js '{"directory":"/mnt/x","waitMs":1000,"hours":1,...}'
 *
 * Prints {"event":"done", ...}: bytes by device from the end of the warm-up on.
 */

import { join } from "node:path";
import { openAgent } from "../src/agent/agent.ts";
import {
  commitDefaults,
  configOf,
  fileUplinkDefaults,
  rowsEagerFor,
  sourceDefaults,
} from "../src/agent/config/config.ts";
import { systemDisk } from "../src/agent/doors/disk.ts";
import { systemHashing } from "../src/agent/doors/hashing.ts";
import { systemNet } from "../src/agent/doors/net.ts";
import { systemRandom } from "../src/agent/doors/random.ts";
import { dataPaths } from "../src/agent/start.ts";
import { limits } from "../src/core/limits.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { bytesWritten, syncAll } from "./loop-device.ts";
import { JumpingClock, quietDisk, quietKv, UnderWay } from "./quiet-doors.ts";
import { Sensors, seriesPerDevice, startMs } from "./sensors.ts";

export type DeviceProcess = {
  /** Where the devices are mounted. */
  readonly directory: string;
  readonly statFiles: Readonly<Record<string, string>>;
  /** Of the uplink's files. */
  readonly uplink: string;
  readonly series: number;
  readonly waitMs: number;
  readonly warmupMinutes: number;
  readonly minutes: number;
};

export type DeviceFigures = {
  readonly readings: number;
  /** Written to each device, by the name of its folder. */
  readonly device: Readonly<Record<string, number>>;
  /** Written into files of the log: frames, and what new segments are filled with. */
  readonly frames: number;
  readonly zeros: number;
  readonly flushed: number;
  readonly compacted: number;
  readonly flushes: number;
  readonly compactions: number;
  readonly commits: number;
  readonly checkpoints: number;
  readonly appends: number;
  readonly tables: number;
  readonly table_bytes: number;
};

const options = JSON.parse(process.argv[2] ?? "{}") as DeviceProcess;
const { directory, uplink } = options;
const underWay = new UnderWay();
const clock = new JumpingClock(startMs, underWay);
const written = { frames: 0, zeros: 0 };
const paths = dataPaths(directory);
const disk = quietDisk(systemDisk, underWay, (path, bytes) => {
  if (!path.startsWith(paths.log)) return;
  // Segments are made ready a MiB at a time; a frame of a thousand sensors is far smaller.
  written[bytes >= 1_048_576 ? "zeros" : "frames"] += bytes;
});
const kv = openKvLmdb({ path: paths.state, bytesMax: limits.kvBytesMax });
const agent = await openAgent({
  config: configOf({
    agent: "bench",
    dataDirectory: directory,
    sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{device}/state"] }],
    pipelines: [
      {
        kind: "window",
        name: "minutes",
        where: { sources: [], metrics: [], tags: {} },
        key: ["device", "metric"],
        window: { kind: "tumbling", sizeMs: 60_000 },
        aggregate: ["count", "sum", "mean", "min", "max", "variance"],
        allowedLatenessMs: 0,
      },
    ],
    uplinks: [{ ...fileUplinkDefaults, directory: uplink }],
    commit: {
      ...commitDefaults,
      waitMs: options.waitMs,
      rowsEager: rowsEagerFor(options.waitMs),
    },
  }),
  doors: {
    clock,
    random: systemRandom(),
    hashing: systemHashing,
    disk,
    net: systemNet(),
    kv: quietKv(kv, underWay),
  },
  logDirectory: paths.log,
  tablesDirectory: paths.tables,
  listen: false,
  onFailed: (fault) => {
    console.error(fault.message);
    process.exit(1);
  },
  onClosed: () => kv.close(),
});

const sensors = new Sensors(options.series);
const values = new Float64Array(seriesPerDevice);
const devices = options.series / seriesPerDevice;
let second = 0;

await feedFor(options.warmupMinutes);
const before = look();
await feedFor(options.minutes);
const after = look();
const closing = agent.close();
await clock.passTo(clock.monotonic() + 60_000);
await closing;
const figures: DeviceFigures = {
  ...differences(after.counts, before.counts),
  device: differences(after.device, before.device),
  tables: after.tables,
  table_bytes: after.tableBytes,
};
process.stdout.write(`${JSON.stringify({ event: "done", ...figures })}\n`, () => process.exit(0));

/** A message a device and second, as it is due. */
async function feedFor(minutes: number): Promise<void> {
  const end = second + Math.round(minutes * 60);
  for (; second < end; second++) {
    const messages: {
      readonly at: number;
      readonly topic: string;
      readonly payload: Uint8Array;
    }[] = [];
    for (let device = 0; device < devices; device++) {
      const at = sensors.read(device, second, values);
      const readings = Array.from(values, (value, i) => `"m${i}":${value}`).join(",");
      const payload = Buffer.from(`{"ts":${at},${readings}}`);
      messages.push({ at, topic: `plant/d${String(device).padStart(5, "0")}/state`, payload });
    }
    for (const { at, topic, payload } of messages.toSorted((a, b) => a.at - b.at)) {
      await clock.passTo(at - startMs + 5);
      await agent.feeder.feed(topic, payload);
    }
    await clock.passTo((second + 1) * 1_000);
  }
}

function look(): {
  readonly counts: Omit<DeviceFigures, "device" | "tables" | "table_bytes">;
  readonly device: Readonly<Record<string, number>>;
  readonly tables: number;
  readonly tableBytes: number;
} {
  for (const folder of Object.keys(options.statFiles)) syncAll(join(directory, folder));
  const { tables, log, apply } = agent.status();
  return {
    counts: {
      readings: log.rowsAppended,
      ...written,
      flushed: tables.bytesFlushed,
      compacted: tables.bytesCompacted,
      flushes: tables.flushes,
      compactions: tables.compactions,
      commits: apply.commits,
      checkpoints: apply.checkpoints,
      appends: log.framesAppended,
    },
    device: Object.fromEntries(
      Object.entries(options.statFiles).map(([name, file]) => [name, bytesWritten(file)]),
    ),
    tables: tables.tables,
    tableBytes: tables.bytes,
  };
}

function differences<Counts extends Readonly<Record<string, number>>>(
  after: Counts,
  before: Counts,
): Counts {
  const names = Object.keys(after);
  return Object.fromEntries(names.map((name) => [name, after[name]! - before[name]!])) as Counts;
}
