/**
 * `weir store`: care of a data directory. verify and inspect only read, beside a running agent or
 * without one; repair and compact want it for themselves.
 */

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { counted } from "../../core/counted.ts";
import type { Kv } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { openCheckedKv, readCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { type Listing, readListing } from "../../store/tables/listing/quarantine.ts";
import { readWear } from "../../store/care/wear.ts";
import { type Verification, verifyStore } from "../../store/care/verify-store.ts";
import { storeDefaults } from "../config/config.ts";
import { systemClock } from "../doors/clock.ts";
import { lockDirectory } from "../doors/directory-lock.ts";
import { readingDisk } from "../doors/disk.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { parseSelector } from "../query/selector.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";
import { actAsOwner } from "./act-as-owner.ts";
import { readConfig } from "./configured.ts";
import { readConfigInForce } from "./in-force.ts";
import { erase, type EraseRequest } from "./erase.ts";
import { inspectTable } from "./inspect-table.ts";
import { keepingPolicy, openOfflineStore, settled } from "./offline-store.ts";
import { listingText, verificationText } from "./store-text.ts";
import { enduranceOf, forecastOf, forecastText } from "./wear-text.ts";

const actions = ["verify", "inspect", "repair", "compact", "wear", "erase"] as const;

type Place = {
  readonly directory: string;
  readonly tiers: readonly number[];
  readonly json: boolean;
};

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    data: { type: "string" },
    endurance: { type: "string" },
    device: { type: "string" },
    series: { type: "string" },
    yes: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const [first = "", which, ...rest] = positionals;
  const action = actions.find((known) => known === first);
  if (action === undefined) throw new UsageError(`say one of ${actions.join(", ")}`);
  if (rest.length > 0 || (which !== undefined && action !== "inspect")) {
    throw new UsageError(`${JSON.stringify(rest[0] ?? which)} is not understood here`);
  }
  if (action === "erase") return await erase(await eraseRequestOf(values));
  const endurance = values.endurance === undefined ? undefined : enduranceOf(values.endurance);
  const place = await placeOf(values);
  switch (action) {
    case "verify":
      return await beside(place, verify);
    case "inspect":
      return await beside(place, (kv) => inspect(readCheckedKv(kv), place, which));
    case "repair":
      return await alone(place, repair);
    case "compact":
      return await alone(place, compact);
    case "wear":
      return await beside(place, (kv) => showWear(readCheckedKv(kv), place, endurance));
  }
}

/** Reads the configuration: what is in the log is applied as an agent would. */
async function eraseRequestOf(values: {
  readonly config: string;
  readonly data?: string;
  readonly device?: string;
  readonly series?: string;
  readonly yes: boolean;
  readonly json: boolean;
}): Promise<EraseRequest> {
  const { device, series, data, yes, json } = values;
  if ((device === undefined) === (series === undefined)) {
    throw new UsageError("say --device NAME, or --series 'metric{tag=value}'");
  }
  if (device?.includes("*") === true) {
    throw new UsageError("--device takes one name; say --series '{device=p*}' for several");
  }
  const text = series ?? `{device=${JSON.stringify(device)}}`;
  const selector = parseSelector(text);
  if (selector.kind === "malformed") throw new UsageError(selector.message);
  const config = await readConfigInForce(values.config);
  return {
    config: data === undefined ? config : { ...config, dataDirectory: resolve(data) },
    chosen: { where: selector.where, text },
    isConfirmed: yes,
    json,
  };
}

/** Where only --data says it, tables are written with the resolutions that are the default. */
async function placeOf(values: {
  readonly config: string;
  readonly data?: string;
  readonly json: boolean;
}): Promise<Place> {
  const { data, json } = values;
  const config = data === undefined ? await readConfig(values.config) : undefined;
  const directory = data ?? config?.dataDirectory ?? "";
  actAsOwner(directory);
  if (!existsSync(dataPaths(directory).state)) {
    throw new Fault(
      "INPUT_INVALID",
      `${directory} is not the data directory of an agent; point to one with --data or -c`,
    );
  }
  return { directory, tiers: config?.store.tiers ?? storeDefaults.tiers, json };
}

type Action = (kv: Kv, place: Place, isInUse: boolean) => Promise<number>;

/** Beside a running agent, or with the lock, so that none starts meanwhile. */
async function beside(place: Place, action: Action): Promise<number> {
  const unlock = await lockDirectory(place.directory).catch((error: unknown) => {
    if (error instanceof Fault && error.code === "DIRECTORY_IN_USE") return undefined;
    throw error;
  });
  try {
    return await withState(place, action, unlock === undefined);
  } finally {
    await unlock?.();
  }
}

/** Faults: DIRECTORY_IN_USE. */
async function alone(place: Place, action: Action): Promise<number> {
  const unlock = await lockDirectory(place.directory);
  try {
    return await withState(place, action, false);
  } finally {
    await unlock();
  }
}

async function withState(place: Place, action: Action, isInUse: boolean): Promise<number> {
  const { state } = dataPaths(place.directory);
  await checkStateFile(state);
  const kv = openKvLmdb({ path: state, bytesMax: limits.kvBytesMax });
  try {
    return await action(kv, place, isInUse);
  } finally {
    await kv.close();
  }
}

async function verified(kv: Kv, { directory }: Place, isInUse: boolean): Promise<Verification> {
  const { log, tables } = dataPaths(directory);
  const clock = systemClock();
  let saidAt = clock.monotonic();
  return await verifyStore({
    disk: readingDisk,
    kv,
    logDirectory: log,
    tablesDirectory: tables,
    isInUse,
    pause: () => Promise.resolve(),
    onProgress: (doneBytes, allBytes) => {
      if (clock.monotonic() - saidAt < limits.progressMs) return;
      saidAt = clock.monotonic();
      console.error(`weir: ${Math.floor((100 * doneBytes) / allBytes)} % of the tables are read`);
    },
  });
}

async function verify(kv: Kv, place: Place, isInUse: boolean): Promise<number> {
  const verification = await verified(kv, place, isInUse);
  const isWhole = verification.findings.length === 0;
  console.log(
    place.json ? JSON.stringify({ ok: isWhole, ...verification }) : verificationText(verification),
  );
  return isWhole ? exitCodes.ok : exitCodes.failed;
}

async function inspect(kv: Kv, { directory, json }: Place, which?: string): Promise<number> {
  const listing = listingOf(kv);
  if (which === undefined) {
    console.log(json ? JSON.stringify(listing) : listingText(listing));
    return exitCodes.ok;
  }
  const listed = listing.tables.find(({ id }) => String(id) === which);
  if (listed === undefined) {
    const message = `there is no table ${which}; weir store inspect lists those there are`;
    throw new Fault("INPUT_INVALID", message);
  }
  console.log(await inspectTable(kv, { listed, directory: dataPaths(directory).tables, json }));
  return exitCodes.ok;
}

/** Sets aside and writes again what verification finds; everything else stays as it is. */
async function repair(raw: Kv, place: Place): Promise<number> {
  const { findings } = await verified(raw, place, false);
  const { tables: directory } = dataPaths(place.directory);
  const kv = await openCheckedKv(raw);
  const lostBefore = readListing(kv)?.head.counts.lost ?? 0;
  const policy = keepingPolicy(place.tiers, undefined);
  const tables = await openOfflineStore(kv, { directory, policy });
  try {
    const snapshot = tables.snapshot();
    for (const { table, extent, problem } of findings) {
      if (table === undefined || extent === undefined || extent === "unreadable") continue;
      snapshot.files.notes.noteDamage(table, { extent, reason: problem });
    }
    snapshot[Symbol.dispose]();
    await settled(tables, { onTurn: () => undefined });
    const { counts, quarantined, compactions } = tables.status;
    const done = {
      problems: findings.length,
      rewritten: compactions,
      lost: counts.lost - lostBefore,
      quarantined: quarantined.map(({ id, why, reason }) => ({ id, why, reason })),
    };
    console.log(place.json ? JSON.stringify(done) : repairText(done));
  } finally {
    await tables.close();
  }
  const left = (await verified(raw, place, false)).findings;
  for (const { problem, remedy } of left) console.error(`weir: still: ${problem}: ${remedy}`);
  return left.length === 0 ? exitCodes.ok : exitCodes.failed;
}

function repairText(done: {
  readonly problems: number;
  readonly rewritten: number;
  readonly lost: number;
  readonly quarantined: readonly { readonly id: number }[];
}): string {
  if (done.problems === 0) return "nothing is damaged";
  return `${counted(done.problems, "problem")}; tables written again: ${done.rewritten}, readings lost: ${done.lost}, damaged files in quarantine: ${done.quarantined.length}`;
}

/** Merges the tables of each day, however few they are. */
async function compact(raw: Kv, place: Place): Promise<number> {
  const { tables: directory } = dataPaths(place.directory);
  const kv = await openCheckedKv(raw);
  const tables = await openOfflineStore(kv, { directory, policy: keepingPolicy(place.tiers, 2) });
  try {
    const before = tables.status;
    await settled(tables, { onTurn: () => undefined });
    const { tables: count, bytes, compactions } = tables.status;
    const done = {
      merges: compactions,
      before: sizeOf(before),
      after: sizeOf({ tables: count, bytes }),
    };
    console.log(
      place.json
        ? JSON.stringify(done)
        : `${counted(done.before.tables, "table")} of ${done.before.bytes} bytes before, ${count} of ${bytes} bytes now (${counted(compactions, "merge")})`,
    );
    return exitCodes.ok;
  } finally {
    await tables.close();
  }
}

async function showWear(kv: Kv, { json }: Place, enduranceBytes?: number): Promise<number> {
  const wear = readWear(kv);
  if (wear === undefined) {
    throw new Fault(
      "INPUT_INVALID",
      "nothing is known of the device: the agent has not run with this version, its clock is not trusted, or the data directory is not on a device whose writes Linux counts",
    );
  }
  const forecast = forecastOf(wear, enduranceBytes);
  console.log(json ? JSON.stringify(forecast) : forecastText(forecast));
  return exitCodes.ok;
}

function sizeOf({ tables, bytes }: { readonly tables: number; readonly bytes: number }): {
  readonly tables: number;
  readonly bytes: number;
} {
  return { tables, bytes };
}

function listingOf(kv: Kv): Listing {
  const listing = readListing(kv);
  if (listing !== undefined) return listing;
  throw new Fault(
    "INPUT_INVALID",
    "there are no tables yet: the agent has not run with this version",
  );
}
