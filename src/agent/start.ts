/** Starts an agent on the real doors: locks its directories, opens the state store, the rest. */

import { join } from "node:path";
import type { Clock, Disk } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { Reserve } from "../store/care/reserve.ts";
import { openKvLmdb } from "../store/state/kv-lmdb.ts";
import { type Agent, openAgent } from "./agent.ts";
import type { AgentOptions } from "./agent-options.ts";
import { budgetSharesOf } from "./config/budget-shares.ts";
import type { Doors } from "./agent-doors.ts";
import type { Config } from "./config/config.ts";
import { diskTrouble } from "./degraded.ts";
import { systemClock } from "./doors/clock.ts";
import { type DirectoryToLock, lockDirectories } from "./doors/directory-lock.ts";
import { readDeviceWrites } from "./doors/device-writes.ts";
import { systemDisk } from "./doors/disk.ts";
import { systemHashing } from "./doors/hashing.ts";
import { checkWritable, makeDataDirectory } from "./doors/data-directory.ts";
import { anonymousBytes, collectGarbage, groupCeiling } from "./doors/memory.ts";
import { systemNet } from "./doors/net.ts";
import { systemRandom } from "./doors/random.ts";
import type { MemoryCeiling } from "./memory/memory-plan.ts";
import { checkStateFile } from "./doors/state-file.ts";
import { systemUsersFile } from "./doors/users-file.ts";

export type { Agent };

/** Where things lie in a data directory. */
export function dataPaths(dataDirectory: string): {
  readonly log: string;
  readonly tables: string;
  readonly state: string;
  readonly reserve: string;
  readonly savepoints: string;
  /** What is known of backups of it. */
  readonly backups: string;
  /** What is known of configurations from afar. */
  readonly remote: string;
} {
  return {
    log: join(dataDirectory, "log"),
    tables: join(dataDirectory, "tables"),
    state: join(dataDirectory, "state.mdb"),
    savepoints: join(dataDirectory, "savepoints"),
    reserve: join(dataDirectory, "reserve"),
    remote: join(dataDirectory, "remote"),
    backups: join(dataDirectory, "backups.ndjson"),
  };
}

/**
 * Faults: DIRECTORY_IN_USE, DIRECTORY_NOT_WRITABLE, DISK_FULL, PORT_IN_USE, ADDRESS_UNAVAILABLE,
 * LISTENER_NOT_SECURED, STORE_FAILED, and those of `recover`; what was opened is closed again, and
 * where space was lacking the reserve is given up, so that the next start has some.
 */
export async function startAgent(config: Config, options: StartOptions): Promise<Agent> {
  return await openAgentOnDoors(config, { ...options, disk: systemDisk });
}

export type StartOptions = {
  /** The agent cannot go on; close it. */
  readonly onFailed: (fault: Fault) => void;
  /** Whether to open the listeners; a replayed file needs none. */
  readonly listen?: boolean;
  /** Of configuration from afar. */
  readonly remote?: AgentOptions["remote"];
  /** Readings in memory before they are flushed; default limits.memoryTableRowsMax. */
  readonly memoryRowsMax?: number;
};

/** The ceiling that is kept: what is set, or less where the control group allows less. */
export function ceilingOf({ memory = "auto" }: Pick<Config, "memory">): MemoryCeiling | undefined {
  if (memory === "off") return undefined;
  const group = groupCeiling();
  if (memory === "auto" || (group !== undefined && group.bytes < memory)) return group;
  return { bytes: memory, from: "limits.memory" };
}

/** The same with a disk of the caller's: benchmarks and tests make it slow. */
export async function openAgentOnDoors(
  config: Config,
  options: StartOptions & { readonly disk: Disk },
): Promise<Agent> {
  const paths = dataPaths(config.dataDirectory);
  const uplinks = uplinkDirectories(config);
  await makeDataDirectory([config.dataDirectory, paths.log, paths.tables, ...uplinks]);
  const { disk } = options;
  const opened = new AsyncDisposableStack();
  const reserve = new Reserve(disk, { path: paths.reserve, bytes: limits.reserveBytes });
  try {
    opened.defer(await lockDirectories(directoriesToLock(config)));
    await checkStateFile(paths.state);
    await reserve.open();
    await makeRoom(disk, { reserve, directory: config.dataDirectory });
    const kv = openKvLmdb({
      path: paths.state,
      bytesMax: budgetSharesOf(config).stateBytes,
      freeBytes: () => disk.freeBytes(config.dataDirectory),
      checkWritable: () => checkWritable(config.dataDirectory),
    });
    opened.defer(() => kv.close());
    await disk.syncDirectory(config.dataDirectory);
    const clock = systemClock();
    return await openAgent({
      config,
      doors: {
        clock,
        ...(await kafkaDoor(config, clock)),
        ...(await httpDoor(config, clock)),
        random: systemRandom(),
        hashing: systemHashing,
        readDeviceWrites: () => readDeviceWrites(config.dataDirectory),
        disk,
        net: systemNet(),
        kv,
        ...usersFileDoor(config),
      },
      logDirectory: paths.log,
      tablesDirectory: paths.tables,
      savepointsDirectory: paths.savepoints,
      reserve,
      listen: options.listen ?? true,
      memoryRowsMax: options.memoryRowsMax,
      memory: { ceiling: ceilingOf(config), anonymousBytes, collect: collectGarbage },
      ...(options.remote === undefined ? {} : { remote: options.remote }),
      onFailed: options.onFailed,
      onClosed: () => opened.disposeAsync(),
    });
  } catch (error) {
    try {
      // A quota is used up while the disk has space: it shows first where something is written.
      if (diskTrouble(error) === "disk_full") await reserve.giveUp();
    } finally {
      await opened.disposeAsync();
    }
    throw error;
  }
}

/** Gives the reserve up where a full disk leaves less than the start itself needs. Faults: DISK_FULL. */
async function makeRoom(
  disk: Disk,
  { reserve, directory }: { readonly reserve: Reserve; readonly directory: string },
): Promise<void> {
  if ((await disk.freeBytes(directory)) >= limits.startFreeBytesMin) return;
  await reserve.giveUp();
  const freeBytes = await disk.freeBytes(directory);
  if (freeBytes >= limits.startFreeBytesMin) return;
  throw new Fault(
    "DISK_FULL",
    `the disk of ${directory} is full; free some space and weir begins by itself`,
    { facts: { directory, freeBytes } },
  );
}

/** Two agents that wrote to one directory would overwrite each other's files. */
function directoriesToLock(config: Config): readonly DirectoryToLock[] {
  const { dataDirectory } = config;
  return [
    {
      directory: dataDirectory,
      inUse: `another weir is using ${dataDirectory}; stop it, or set another data directory`,
    },
    ...uplinkDirectories(config).map((directory) => ({
      directory,
      inUse: `another weir is using the uplink directory ${directory}; stop it, or set another directory for this uplink`,
    })),
  ];
}

function usersFileDoor({ mqtt: { usersFile } }: Config): Pick<Doors, "usersFile"> {
  return usersFile === undefined ? {} : { usersFile: systemUsersFile(usersFile) };
}

/** Loaded only where an uplink goes there. */
async function kafkaDoor({ uplinks }: Config, clock: Clock): Promise<Pick<Doors, "kafka">> {
  if (uplinks.every(({ kind }) => kind !== "kafka")) return {};
  return { kafka: (await import("./doors/kafka.ts")).systemKafka(clock) };
}

/** The same. */
async function httpDoor({ uplinks }: Config, clock: Clock): Promise<Pick<Doors, "http">> {
  if (uplinks.every(({ kind }) => kind !== "http")) return {};
  return { http: (await import("./doors/http-client.ts")).systemHttp(clock) };
}

function uplinkDirectories({ uplinks }: Config): readonly string[] {
  return uplinks.flatMap((uplink) => (uplink.kind === "file" ? [uplink.directory] : []));
}
