/** `weir savepoint create|restore|list`: operator state in one file, and an agent that begins from it. */

import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import type { Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import {
  readSavepoint,
  restoreSavepoint,
  type WholeSavepoint,
  writeSavepoint,
} from "../../store/care/savepoint.ts";
import { ifThere } from "../../store/care/whole-files.ts";
import { openCheckedKv, readCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { bytesText } from "../config/quantity.ts";
import { systemClock } from "../doors/clock.ts";
import { lockDirectory } from "../doors/directory-lock.ts";
import { readingDisk, systemDisk } from "../doors/disk.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { version } from "../version.ts";
import { actAsOwner, asOwner, inOwned } from "./act-as-owner.ts";
import { ColumnText, printable } from "./column-text.ts";
import { exitCodes, parseOptions, refusePositionals, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { writingTo } from "./writing.ts";
import { timeText } from "./store-text.ts";

const ENDING = ".savepoint";

type Place = { readonly data: string; readonly folder: string; readonly json: boolean };

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    data: { type: "string" },
    dir: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [action = "", named, ...rest] = positionals;
  if (!["create", "restore", "list"].includes(action)) {
    throw new UsageError("say one of create, restore, list");
  }
  refusePositionals(rest);
  const data = resolve(values.data ?? (await readConfig(values.config)).dataDirectory);
  const folder = resolve(values.dir ?? dataPaths(data).savepoints);
  const place = { data, folder, json: values.json };
  if (action === "create") {
    const name = nameIn(named, "create NAME");
    // Elsewhere the folder may be root's.
    if (values.dir === undefined) actAsOwner(data);
    return await writingTo(folder, () => inOwned(data, () => create(name, place)));
  }
  if (action === "restore") {
    const name = nameIn(named, "restore FILE");
    return await writingTo(data, () => restore(name, place));
  }
  if (named !== undefined) throw new UsageError("list takes no name");
  if (values.dir === undefined) actAsOwner(data);
  return await inOwned(data, () => list(place));
}

function nameIn(named: string | undefined, usage: string): string {
  if (named === undefined) throw new UsageError(`say which: weir savepoint ${usage}`);
  return named;
}

/** Of a stopped agent: one that runs is past its checkpoint. */
async function create(name: string, { data, folder, json }: Place): Promise<number> {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,63}$/.test(name)) {
    throw new UsageError("a name has letters, digits, dots, hyphens and underscores, 64 at most");
  }
  const path = join(folder, `${name}${ENDING}`);
  if (!existsSync(dataPaths(data).state)) {
    throw new Fault("INPUT_INVALID", `${data} is not the data directory of an agent`);
  }
  if (existsSync(path)) {
    throw new Fault("INPUT_INVALID", `${path} is there already; choose another name`);
  }
  const unlock = await lockDirectory(data);
  try {
    mkdirSync(folder, { recursive: true });
    const made = await withState(await openOwnState(data), async (raw) => {
      const about = { kv: readCheckedKv(raw), name, weir: version, created: systemClock().now() };
      const partial = `${path}.partial`;
      await ifThere(() => systemDisk.remove(partial));
      try {
        const written = await writeSavepoint(systemDisk, partial, about);
        await systemDisk.rename(partial, path);
        await systemDisk.syncDirectory(folder);
        return written;
      } finally {
        await ifThere(() => systemDisk.remove(partial));
      }
    });
    tell("made", path, made, json);
  } finally {
    await unlock();
  }
  return exitCodes.ok;
}

async function restore(named: string, { data, folder, json }: Place): Promise<number> {
  const path = existsSync(named) ? resolve(named) : join(folder, `${named}${ENDING}`);
  if (existsSync(data) && readdirSync(data).length > 0) {
    throw new Fault(
      "INPUT_INVALID",
      `${data} is there and not empty; a savepoint is restored into an empty data directory`,
    );
  }
  if (!existsSync(path)) {
    throw new Fault(
      "INPUT_INVALID",
      `${path} is not there; name the file itself, or its folder with --dir: weir savepoint list shows those there are`,
    );
  }
  const partial = `${data}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const places = dataPaths(partial);
  for (const directory of [partial, places.log, places.tables]) {
    await systemDisk.makeDirectory(directory);
  }
  try {
    const found = await withState(await openState(places.state), async (raw) =>
      restoreSavepoint(readingDisk, path, await openCheckedKv(raw)),
    );
    await systemDisk.syncDirectory(partial);
    renameSync(partial, data);
    await systemDisk.syncDirectory(join(data, ".."));
    tell(`restored to ${data}`, path, found, json);
    return exitCodes.ok;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
}

async function openOwnState(data: string): Promise<Kv> {
  using _owner = asOwner(data);
  return await openState(dataPaths(data).state);
}

async function openState(path: string): Promise<Kv> {
  await checkStateFile(path);
  return openKvLmdb({ path, bytesMax: limits.kvBytesMax });
}

async function withState<Value>(kv: Kv, use: (kv: Kv) => Promise<Value>): Promise<Value> {
  try {
    return await use(kv);
  } finally {
    await kv.close();
  }
}

type Listed = WholeSavepoint & { readonly file: string };
type Broken = { readonly file: string; readonly problem: string };

/** Reads each to its end: what is listed is whole. Exit 1 where one is not. */
async function list({ folder, json }: Place): Promise<number> {
  const files = existsSync(folder)
    ? readdirSync(folder)
        .filter((name) => name.endsWith(ENDING))
        .toSorted()
    : [];
  const savepoints: Listed[] = [];
  const broken: Broken[] = [];
  for (const name of files) {
    const file = join(folder, name);
    try {
      savepoints.push({ file, ...(await readSavepoint(readingDisk, file, async () => {})) });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      broken.push({ file, problem: error.message });
    }
  }
  if (json) console.log(JSON.stringify({ savepoints, broken }));
  else listText({ savepoints, broken }, folder);
  return broken.length === 0 ? exitCodes.ok : exitCodes.failed;
}

function listText(
  {
    savepoints,
    broken,
  }: { readonly savepoints: readonly Listed[]; readonly broken: readonly Broken[] },
  folder: string,
): void {
  const text = new ColumnText(["name", "made", "version", "position", "size"], (line) =>
    console.log(line),
  );
  for (const { name, created, weir, position, bytes } of savepoints) {
    text.add([name, timeText(created), weir, String(position), bytesText(bytes)]);
  }
  text.flush();
  for (const { problem } of broken) console.log(printable(problem));
  if (savepoints.length + broken.length === 0) console.log(`no savepoint is in ${folder}`);
}

function tell(what: string, file: string, savepoint: WholeSavepoint, json: boolean): void {
  const { name, position, entries, bytes } = savepoint;
  console.log(
    json
      ? JSON.stringify({ file, ...savepoint })
      : `weir: savepoint ${name} ${what}: position ${position}, ${counted(entries, "value")}, ${bytesText(bytes)}${what === "made" ? ` in ${file}` : ""}`,
  );
}
