/**
 * Verification of a data directory: log, state store and tables, all of it, without changing anything.
 * It may run beside an agent: tables are immutable and the state store gives a consistent view; what
 * was replaced meanwhile is left out, and what looks wrong is looked at again.
 */

import type { Disk, Kv } from "../../core/doors.ts";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { readCheckedKv, surveyValues } from "../state/checked-kv.ts";
import { homeAssistantPrefix, postedPrefix, wearKey } from "../state/kv-key.ts";
import { readDefinitions } from "../state/catalog-store.ts";
import { readCheckpoint } from "../state/checkpoint-store.ts";
import { readEmitted } from "../state/emitted.ts";
import { readDeadLetters } from "../state/dead-letters.ts";
import { limits } from "../../core/limits.ts";
import { surveyLog } from "../log/log-recovery.ts";
import { queues } from "../outbox/lane.ts";
import { readOutbox } from "../outbox/outbox.ts";
import { readSpan } from "../outbox/queue-span.ts";
import { type ReadListing, readingsOf, readListing } from "../tables/listing/quarantine.ts";
import { tableIdOf, tablePath } from "../tables/listing/table-files.ts";
import type { ListedTable } from "../tables/listing/table-list.ts";
import { type TableVerdict, verifyTable } from "../tables/listing/verify-table.ts";

export type Finding = {
  readonly part: "log" | "state store" | "tables";
  /** What is wrong, and where. */
  readonly problem: string;
  readonly remedy: string;
  /** Of a table. */
  readonly table?: number;
  readonly extent?: NonNullable<TableVerdict["extent"]>;
};

export type Verification = {
  readonly findings: readonly Finding[];
  readonly log: { readonly segments: number; readonly bytes: number };
  readonly state: { readonly definitions: number; readonly values: number; readonly bytes: number };
  readonly tables: {
    readonly tables: number;
    readonly bytes: number;
    readonly blocks: number;
    readonly rows: number;
  };
};

export type VerifyOptions = {
  readonly disk: Pick<Disk, "open" | "list">;
  /** As it is on disk, below checksums. */
  readonly kv: Kv;
  readonly logDirectory: string;
  readonly tablesDirectory: string;
  /** Whether an agent works on it meanwhile. */
  readonly isInUse: boolean;
  /** Awaited between small steps. */
  readonly pause: () => Promise<void>;
  /** Bytes of tables done, of all. */
  readonly onProgress: (doneBytes: number, allBytes: number) => void;
};

/** Rejects with FORMAT_TOO_NEW. */
export async function verifyStore(options: VerifyOptions): Promise<Verification> {
  const findings: Finding[] = [];
  const state = await verifyState(options, findings);
  const log = await verifyLog(options, findings);
  const tables = await verifyTables(options, findings);
  return { findings, log, state, tables };
}

const starting = "it is contained and counted when the agent starts; nothing is to be done";
const repairing = "weir store repair";
const restoring = "restore the data directory from a backup, or start with a fresh one";
const mending = "it is written again when the agent starts; nothing is to be done";
/** Entries that an agent does without. */
const containedKeys = ["table/", "quarantine/", "dlq/", homeAssistantPrefix, postedPrefix, wearKey];

// ---- log ----

async function verifyLog(
  { disk, logDirectory, isInUse }: VerifyOptions,
  findings: Finding[],
): Promise<Verification["log"]> {
  try {
    const { segments, bytes, damage } = await surveyLog(disk, logDirectory);
    // A segment that the agent recycled meanwhile is no damage: what is is there again.
    const again =
      isInUse && damage.places.length > 0 ? (await surveyLog(disk, logDirectory)).damage : damage;
    for (const place of damage.places) {
      if (!again.places.includes(place)) continue;
      findings.push({ part: "log", problem: place, remedy: starting });
    }
    return { segments, bytes };
  } catch (error) {
    findings.push({ part: "log", problem: problemOf(error), remedy: "check the disk" });
    return { segments: 0, bytes: 0 };
  }
}

// ---- state store ----

async function verifyState(
  { kv: raw, pause }: VerifyOptions,
  findings: Finding[],
): Promise<Verification["state"]> {
  const counts = { definitions: 0, values: 0, bytes: 0 };
  const named = new Set<string>();
  const tryTo = async (read: () => void | Promise<void>): Promise<void> => {
    try {
      await read();
    } catch (error) {
      const problem = problemOf(error);
      // What has a value that is damaged cannot be read, which is the same problem.
      if (named.has(placeOf(error))) return;
      findings.push({ part: "state store", problem, remedy: restoring });
    }
  };
  await tryTo(async () => {
    for (const { key, extent } of surveyValues(raw)) {
      const place = `the state store's ${key}`;
      named.add(place);
      findings.push({ part: "state store", ...valueFinding(place, key, extent) });
      await pause();
    }
  });
  const kv = readCheckedKv(raw);
  await tryTo(async () => {
    for (let from = "!"; ; await pause()) {
      const entries = raw.range({ from, to: "~", limit: 64 });
      if (entries.length === 0) return;
      for (const { value } of entries) counts.bytes += value.length;
      counts.values += entries.length;
      from = `${entries.at(-1)!.key}!`;
    }
  });
  await tryTo(() => void readEmitted(kv));
  await tryTo(() => {
    counts.definitions = readDefinitions(kv).length;
  });
  await tryTo(() => {
    for (const _ of readCheckpoint(kv)?.checkpoint.chunks() ?? []) continue;
  });
  await tryTo(() => void readDeadLetters(kv, { limit: limits.deadLettersKeptMax }));
  for (const lane of queues) {
    await tryTo(async () => {
      const span = readSpan(kv, lane);
      for (let from = span.first; from < span.next; await pause()) {
        const { next, damaged } = readOutbox(kv, lane, { from, bytesMax: 262_144 });
        if (next <= from) return;
        if (damaged > 0) {
          findings.push({
            part: "state store",
            problem: `outbox ${lane}: ${damaged} records from number ${from} on cannot be read`,
            remedy: "uplinks pass over them and count them; nothing is to be done",
          });
        }
        from = next;
      }
    });
  }
  return counts;
}

function valueFinding(
  place: string,
  key: string,
  extent: "value" | "copy",
): Pick<Finding, "problem" | "remedy"> {
  if (extent === "copy") {
    return { problem: `${place}: one of its two copies is damaged`, remedy: mending };
  }
  const problem = `${place} is damaged: its checksum does not match`;
  const kind = containedKeys.find((prefix) => key.startsWith(prefix));
  return { problem, remedy: kind === undefined ? restoring : starting };
}

function placeOf(error: unknown): string {
  return error instanceof Fault ? String(error.facts["place"] ?? "") : "";
}

// ---- tables ----

async function verifyTables(
  options: VerifyOptions,
  findings: Finding[],
): Promise<Verification["tables"]> {
  const { disk, tablesDirectory, pause, onProgress, isInUse } = options;
  const counts = { tables: 0, bytes: 0, blocks: 0, rows: 0 };
  const kv = readCheckedKv(options.kv);
  let listing: ReadListing | undefined;
  try {
    listing = readListing(kv);
    if (listing === undefined) return counts;
    verifyCounts(listing, findings);
  } catch (error) {
    findings.push({ part: "tables", problem: problemOf(error), remedy: restoring });
    return counts;
  }
  const isListed = ({ id }: ListedTable): boolean =>
    readListing(kv)?.tables.some((table) => table.id === id) ?? false;
  const allBytes = listing.tables.reduce((sum, { bytes }) => sum + bytes, 0);
  for (const listed of listing.tables) {
    const path = tablePath(tablesDirectory, listed.id);
    const verdict = await verifyTable(disk, path, { listed, pause });
    counts.bytes += listed.bytes;
    onProgress(counts.bytes, allBytes);
    if (verdict.extent !== undefined && isInUse && !isListed(listed)) continue;
    counts.tables += 1;
    counts.blocks += verdict.blocks;
    counts.rows += verdict.rows;
    for (const problem of verdict.problems) findings.push(findingOf(listed, verdict, problem));
  }
  if (!isInUse) await verifyFiles(disk, tablesDirectory, listing, findings);
  return counts;
}

function findingOf({ id }: ListedTable, { extent }: TableVerdict, problem: string): Finding {
  const remedies = {
    figures: `${repairing} writes it again`,
    part: `${repairing} writes it again without what is damaged; a running agent does so when it is read`,
    whole: `${repairing} sets it aside; a running agent does so when it is read`,
    missing: "put the file back, or start the agent, which counts its readings as lost",
    unreadable: "check the disk; the table may be whole",
  } as const;
  const found = extent ?? "figures";
  return { part: "tables", problem, remedy: remedies[found], table: id, extent: found };
}

/** Every reading that was flushed is in a table or counted as gone. */
function verifyCounts({ head, tables, damagedTables }: ReadListing, findings: Finding[]): void {
  const { flushed, expired, erased, lost } = head.counts;
  const inTables = readingsOf(tables);
  if (damagedTables.length === 0 && flushed !== inTables + expired + erased + lost) {
    findings.push({
      part: "tables",
      problem: `the list has ${inTables} readings, ${expired} expired, ${erased} erased and ${lost} lost, of ${flushed} that were written`,
      remedy: "please report it: the list changes in one transaction, so this is a mistake of weir",
    });
  }
  for (const { id } of tables) {
    if (id < head.next) continue;
    const problem = `table ${id} is listed, but the next one is to be ${head.next}`;
    findings.push({ part: "tables", problem, remedy: "please report it" });
  }
}

async function verifyFiles(
  disk: Pick<Disk, "list">,
  directory: string,
  { tables, damagedTables }: ReadListing,
  findings: Finding[],
): Promise<void> {
  const listed = new Set([...tables.map(({ id }) => id), ...damagedTables]);
  let names: readonly string[] = [];
  try {
    names = await disk.list(directory);
  } catch (error) {
    findings.push({ part: "tables", problem: problemOf(error), remedy: "check the disk" });
  }
  for (const name of names) {
    const id = tableIdOf(name);
    if (id === undefined || listed.has(id)) continue;
    const remedy = "it is removed when the agent starts, or by weir store repair";
    findings.push({ part: "tables", problem: `${name} is not listed`, remedy });
  }
}

/** FORMAT_TOO_NEW and bugs are thrown on. */
function problemOf(error: unknown): string {
  if (error instanceof Fault && error.code === "FORMAT_TOO_NEW") throw error;
  if (!isEnvironmental(error)) throw error;
  return error.message;
}
