/** `weir backup` and `weir restore`: a whole data directory, copied while the agent runs, and back. */

import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { type Backup, makeBackup, restoreBackup } from "../../store/care/backup.ts";
import { copyKvLmdb, openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { bytesText } from "../config/quantity.ts";
import { systemClock } from "../doors/clock.ts";
import { systemDisk } from "../doors/disk.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { version } from "../version.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";

const options = {
  config: { type: "string", short: "c", default: "weir.yaml" },
  data: { type: "string" },
  json: { type: "boolean", default: false },
} as const;

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, options);
  const target = onlyFolder(positionals, "weir backup DIR");
  refuseFull(target, "the folder of a new backup must be empty or not there");
  const directory = resolve(values.data ?? (await readConfig(values.config)).dataDirectory);
  const from = dataPaths(directory);
  if (!existsSync(from.state)) {
    throw new Fault(
      "INPUT_INVALID",
      `${directory} is not the data directory of an agent; point to one with --data or -c`,
    );
  }
  await checkStateFile(from.state);
  const clock = systemClock();
  const backup = await makeBackup({
    disk: systemDisk,
    target,
    from,
    placesIn: dataPaths,
    copyState: copyKvLmdb,
    openState: (path) => openKvLmdb({ path, bytesMax: limits.kvBytesMax }),
    weir: version,
    created: clock.now(),
    onProgress: progress(),
  });
  tell(`backed up ${directory} to ${target}`, backup, values.json);
  return exitCodes.ok;
}

export async function restore(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, options);
  const backup = onlyFolder(positionals, "weir restore DIR");
  const target = resolve(values.data ?? (await readConfig(values.config)).dataDirectory);
  refuseFull(target, "restoring overwrites nothing: move the old data directory away first");
  const found = await restoreBackup({
    disk: systemDisk,
    backup,
    target,
    placesIn: dataPaths,
    onProgress: progress(),
  });
  tell(`restored ${backup} to ${target}`, found, values.json);
  return exitCodes.ok;
}

function onlyFolder(positionals: readonly string[], usage: string): string {
  const [folder, ...rest] = positionals;
  if (folder === undefined || rest.length > 0) throw new UsageError(`say one folder: ${usage}`);
  return resolve(folder);
}

function refuseFull(directory: string, why: string): void {
  if (!existsSync(directory) || readdirSync(directory).length === 0) return;
  throw new Fault("INPUT_INVALID", `${directory} is there and not empty; ${why}`, {
    facts: { directory },
  });
}

/** A line now and then on a terminal's stderr. */
function progress(): (file: { readonly bytes: number }) => void {
  const clock = systemClock();
  let bytes = 0;
  let files = 0;
  let told = clock.monotonic();
  return (file) => {
    bytes += file.bytes;
    files += 1;
    if (clock.monotonic() - told < PROGRESS_MS) return;
    told = clock.monotonic();
    console.error(`weir: ${files} files, ${bytesText(bytes)} copied so far`);
  };
}

const PROGRESS_MS = 2_000;

function tell(what: string, { files, ...backup }: Backup, json: boolean): void {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  console.log(
    json
      ? JSON.stringify({ ...backup, files: files.length, bytes })
      : `weir: ${what}: ${files.length} files, ${bytesText(bytes)}`,
  );
}
