/**
 * The server of the compaction benchmark: the whole agent with its defaults, and in the same process,
 * on the same thread, a table store that has full tables of its own to merge. It merges them when a
 * line on standard input says so, as often as it is said: the list of what it has is put back each
 * time. The agent's own tables are beside the point: at the rates of a benchmark they take minutes
 * to fill.
 *
 *   node compaction-server.js '{"directory":"/tmp/x","tables":16,"readingsPerTable":1048576}'
 *
 * Prints {"event":"listening","port":n}, then for each line "merge" {"event":"merging-n"} and
 * {"event":"merged-n","ms":...}.
 */

import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { commitDefaults, configOf, sourceDefaults } from "../src/agent/config/config.ts";
import { openAgentOnDoors } from "../src/agent/start.ts";
import { systemDisk } from "../src/agent/doors/disk.ts";
import type { Disk } from "../src/core/doors.ts";
import { limits } from "../src/core/limits.ts";
import { position } from "../src/core/units.ts";
import type { TableStore } from "../src/store/tables/table-store.ts";
import { openMonthStore } from "./month-store.ts";
import { acceptedStep, Sensors } from "./sensors.ts";

export type CompactionServer = {
  readonly directory: string;
  readonly series: number;
  readonly tables: number;
  readonly readingsPerTable: number;
  readonly waitMs: number;
};

const { directory, series, tables, readingsPerTable, waitMs } = JSON.parse(
  process.argv[2] ?? "{}",
) as CompactionServer;
const full = join(directory, "full");
const work = join(directory, "work");
const bytesMax = Number.POSITIVE_INFINITY;

await fillTables();
let merging: TableStore | undefined;
const agent = await openAgentOnDoors(
  configOf({
    agent: "bench",
    dataDirectory: join(directory, "agent"),
    sources: [
      {
        ...sourceDefaults,
        name: "plant",
        topics: ["plant/{line}/{device}/state"],
        ignore: ["unit", "status", "rssi", "fw", "b"],
        futureMs: Number.MAX_SAFE_INTEGER,
      },
    ],
    pipelines: [
      {
        kind: "window",
        name: "minutes",
        where: { sources: [], metrics: [], tags: {} },
        key: ["device", "line", "metric"],
        window: { kind: "tumbling", sizeMs: 60_000 },
        aggregate: ["count", "mean", "min", "max"],
        allowedLatenessMs: 0,
      },
    ],
    commit: { ...commitDefaults, waitMs },
  }),
  {
    disk: appendsOf(systemDisk),
    onFailed: (fault) => {
      console.error(fault.message);
      process.exit(1);
    },
  },
);
say({ event: "listening", port: agent.mqttPort });
let merges = 0;
createInterface({ input: process.stdin }).on("line", () => void merge(merges++));
process.once("SIGTERM", () => void agent.close().then(() => process.exit(0)));

/** Tables that are not merged: there are never enough of them for this store. */
async function fillTables(): Promise<void> {
  await using opened = await openMonthStore(full, { bytesMax, mergeTablesMin: tables + 1 });
  opened.tables.start();
  const sensors = new Sensors(series);
  const step = acceptedStep(series);
  let at = 0;
  let second = 0;
  for (let table = 0; table < tables; table++) {
    for (let rows = 0; rows < readingsPerTable; rows += series) {
      step.batch.rows = 0;
      sensors.fill(step.batch, second++);
      opened.tables.take({ ...step, at: position(at) });
      at += series;
    }
    opened.tables.wantFlush();
    await opened.tables.settle();
  }
}

async function merge(n: number): Promise<void> {
  rmSync(work, { recursive: true, force: true });
  cpSync(full, work, { recursive: true });
  await using opened = await openMonthStore(work, {
    bytesMax,
    mergeTablesMin: tables,
    mergeShare: limits.mergeShare,
  });
  say({ event: `merging-${n}` });
  const begun = performance.now();
  merging = opened.tables;
  opened.tables.start();
  await opened.tables.settle();
  merging = undefined;
  const { compactions } = opened.tables.status;
  if (compactions !== 1) throw new Error(`${compactions} merges`);
  say({ event: `merged-${n}`, ms: performance.now() - begun });
}

/** The store that merges gives way to appends, as the agent's own does: it is told of them here. */
function appendsOf(disk: Disk): Disk {
  const open: Disk["open"] = async (path, how) => {
    const file = await disk.open(path, how);
    if (!path.endsWith(".seg")) return file;
    let over: () => void = () => undefined;
    return {
      ...file,
      write: (source, offset) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        over = resolve;
        merging?.giveWayTo(promise);
        return file.write(source, offset);
      },
      sync: () => file.sync().finally(() => over()),
    };
  };
  return { ...disk, open };
}

function say(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}
