/**
 * A savepoint: what an agent knows, without its readings, in one file that any later weir on any
 * machine can begin from.
 *
 *   {"format":1,"name":..,"weir":..,"created":ms,"position":n}     the first line
 *   {"key":"ledger","value":"<base64>"}                            a value of the state store
 *   ...                                                            in the order of their keys
 *   {"entries":n,"checksum":crc}                                   of all bytes before this line
 *
 * It holds the checkpoint, the catalog, the ledger, the outbox and how far each uplink is: an agent
 * that begins from it goes on with the same record numbers, so its uplinks know what they have. It does
 * not hold the log, tables, dead letters and wear. The log of that agent begins at the position.
 *
 * Outputs must not be ahead of the state: an agent that began from such a savepoint would emit again,
 * with other readings, what is upstream already. It is refused.
 */

import type { Disk, Kv, KvWrite } from "../../core/doors.ts";
import { checksumOf } from "../../core/checksum.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { position } from "../../core/units.ts";
import { decodeLedger } from "../../edge-ops/ledger.ts";
import { readCheckpoint } from "../state/checkpoint-store.ts";
import {
  behindKeys,
  checkpointKey,
  droppedKey,
  emittedKey,
  heldBackKey,
  isSplitKey,
  ledgerKey,
  outboxEndKey,
  rollupKey,
  savepointKey,
} from "../state/kv-key.ts";
import {
  decodeJson,
  encodeJson,
  type StoredObject,
  textOf,
  wholeOf,
} from "../state/stored-json.ts";
import { heldBackFormatWrites, rawFormatWrites, splitFormatWrites } from "../state/state-format.ts";
import { swapWrites } from "../tables/listing/table-list.ts";
import { opened } from "./whole-files.ts";

/** The first where summaries may be split between lanes: a weir that knows of none must not begin from it. */
const FORMAT_SPLIT = 2;
/** The first with a queue of raw readings. */
const FORMAT_RAW = 3;
/** The first with windows that are held back. */
const FORMAT_HELD_BACK = 4;
const FORMAT = FORMAT_HELD_BACK;

const keptKeys = [checkpointKey, droppedKey, emittedKey, heldBackKey, ledgerKey, rollupKey];
const keptPrefixes = ["catalog/", "outbox-end/", "outbox-start/", "outbox/", "state/", "uplink/"];

export type Savepoint = {
  readonly name: string;
  /** The version that made it. */
  readonly weir: string;
  /** Milliseconds since 1970. */
  readonly created: number;
  /** Everything below is in it; the log of an agent that begins from it begins here. */
  readonly position: number;
};

/** With what is only known at its end. */
export type WholeSavepoint = Savepoint & { readonly entries: number; readonly bytes: number };

/**
 * Writes a savepoint to a file that is not there yet; the caller syncs its folder. Nobody writes to `kv`
 * meanwhile. Of a running agent (`isBeside`): called right behind the commit of a checkpoint, with nothing
 * awaited between, and no commit of outputs until it resolves. What uplinks change meanwhile is read at
 * once, before anything else happens, and held in memory: the caller sees that the outbox is small. Such a
 * file is not synced: it does not outlive the process. `onWrite` is called before each write with what is
 * written and the bytes of all so far, it included; what it throws ends it. Faults: INPUT_INVALID where there is no state, or outputs are ahead of it.
 */
export async function writeSavepoint(
  disk: Pick<Disk, "open">,
  path: string,
  {
    kv,
    isBeside = false,
    onWrite,
    ...about
  }: Omit<Savepoint, "position"> & {
    readonly kv: Kv;
    readonly isBeside?: boolean;
    readonly onWrite?: (bytes: Uint8Array, total: number) => void;
  },
): Promise<WholeSavepoint> {
  const savepoint = { ...about, position: positionOf(kv) };
  const format = formatOf(kv);
  const all = isBeside ? entriesBeside(kv) : entriesOf(kv);
  await using file = await opened(disk, path, true);
  let bytes = 0;
  let checksum = 0;
  const write = async (line: object): Promise<void> => {
    const encoded = new TextEncoder().encode(`${JSON.stringify(line)}\n`);
    checksum = checksumOf(encoded, checksum);
    onWrite?.(encoded, bytes + encoded.length);
    await file.write(encoded, bytes);
    bytes += encoded.length;
  };
  const { name, weir, created, position: at } = savepoint;
  await write({ format, name, weir, created, position: at });
  let entries = 0;
  for (const { key, value } of all) {
    await write({ key, value: Buffer.from(value).toString("base64") });
    entries += 1;
  }
  await write({ entries, checksum });
  if (!isBeside) await file.sync();
  return { ...savepoint, entries, bytes };
}

/** Where operator state and outputs both stand. */
function positionOf(kv: Kv): number {
  const checkpoint = readCheckpoint(kv)?.checkpoint;
  const value = kv.get(emittedKey);
  if (checkpoint === undefined || value === undefined) {
    throw new Fault(
      "INPUT_INVALID",
      "there is no operator state yet: nothing has been received and checkpointed",
    );
  }
  const through = wholeOf(decodeJson(value, "the state store's emitted"), "through");
  if (through === checkpoint.at) return through;
  throw new Fault(
    "INPUT_INVALID",
    `outputs are durable up to position ${through}, operator state only up to ${checkpoint.at}: whoever began from it would send windows again; start the agent and stop it in good order, which makes a checkpoint`,
    { facts: { through, at: checkpoint.at } },
  );
}

function formatOf(kv: Kv): number {
  if (kv.get(heldBackKey) !== undefined) return FORMAT_HELD_BACK;
  return hasRaw(kv) ? FORMAT_RAW : hasSplit(kv) ? FORMAT_SPLIT : 1;
}

type Entry = { readonly key: string; readonly value: Uint8Array };

/** What of a state store a savepoint has, in the order of the keys. */
function* entriesOf(kv: Kv): Generator<Entry> {
  for (const range of keptRanges()) yield* entriesIn(kv, range);
}

/** The same, of which only what the next commit changes is read later than now. */
function entriesBeside(kv: Kv): Iterable<Entry> {
  const parts = keptRanges().map((range) =>
    commitPrefixes.includes(range.key) ? entriesIn(kv, range) : [...entriesIn(kv, range)],
  );
  return (function* () {
    for (const part of parts) yield* part;
  })();
}

/** Nobody but the loop writes there. */
const commitPrefixes = ["catalog/", "state/"];

type KeptRange = { readonly key: string; readonly from: string; readonly to: string };

function keptRanges(): readonly KeptRange[] {
  return [
    ...keptKeys.map((key) => ({ key, from: key, to: `${key}!` })),
    ...keptPrefixes.map((key) => ({ key, from: key, to: behindKeys(key) })),
  ].toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

function* entriesIn(kv: Kv, { from, to }: KeptRange): Generator<Entry> {
  let next = from;
  for (;;) {
    const entries = kv.range({ from: next, to, limit: limits.savepointEntriesPerRead });
    yield* entries;
    const last = entries.at(-1);
    if (last === undefined) return;
    next = `${last.key}!`;
  }
}

// ---- reading ----

/**
 * Reads a savepoint to its end; `take` is given each entry before it is known whether the file is whole.
 * Faults: INPUT_INVALID where it is not, FORMAT_TOO_NEW, as the disk does.
 */
export async function readSavepoint(
  disk: Pick<Disk, "open">,
  path: string,
  take: (entry: { readonly key: string; readonly value: Uint8Array }) => Promise<void>,
): Promise<WholeSavepoint> {
  let savepoint: Savepoint | undefined;
  let entries = 0;
  let bytes = 0;
  let checksum = 0;
  let isWhole = false;
  try {
    for await (const line of linesOf(disk, path)) {
      if (isWhole) throw notWhole(path, "something follows its end");
      const stored = decodeJson(line.subarray(0, -1), path);
      if (savepoint === undefined) {
        savepoint = savepointOf(stored, path);
      } else if ("entries" in stored.fields) {
        isWhole =
          wholeOf(stored, "entries") === entries && wholeOf(stored, "checksum") === checksum;
        if (!isWhole) throw notWhole(path, "its checksum does not match");
      } else {
        await take({
          key: textOf(stored, "key"),
          value: new Uint8Array(Buffer.from(textOf(stored, "value"), "base64")),
        });
        entries += 1;
      }
      checksum = checksumOf(line, checksum);
      bytes += line.length;
    }
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== "STORE_FAILED") throw error;
    throw notWhole(path, "a line of it is not one of a savepoint");
  }
  if (savepoint === undefined || !isWhole) throw notWhole(path, "its end is missing");
  return { ...savepoint, entries, bytes };
}

function savepointOf(stored: StoredObject, path: string): Savepoint {
  const format = wholeOf(stored, "format");
  if (format > FORMAT) {
    throw new Fault(
      "FORMAT_TOO_NEW",
      `${path} has format ${format}, this weir knows up to ${FORMAT}; restore it with the newer weir`,
      { facts: { path, format } },
    );
  }
  return {
    name: textOf(stored, "name"),
    weir: textOf(stored, "weir"),
    created: wholeOf(stored, "created"),
    position: wholeOf(stored, "position"),
  };
}

/** With their line ends; the last may have none. */
async function* linesOf(disk: Pick<Disk, "open">, path: string): AsyncGenerator<Uint8Array> {
  await using file = await opened(disk, path, false);
  const piece = new Uint8Array(limits.backupPieceBytes);
  let rest: Uint8Array = new Uint8Array(0);
  for (let offset = 0; ; ) {
    const read = await file.read(piece, offset);
    if (read === 0) break;
    offset += read;
    let found: Uint8Array = Buffer.concat([rest, piece.subarray(0, read)]);
    for (let end = found.indexOf(LINE_END); end >= 0; end = found.indexOf(LINE_END)) {
      yield found.subarray(0, end + 1);
      found = found.subarray(end + 1);
    }
    rest = found;
    if (rest.length > limits.savepointLineBytesMax)
      throw notWhole(path, "a line of it is too long");
  }
  if (rest.length > 0) yield rest;
}

const LINE_END = 10;

function notWhole(path: string, why: string): Fault {
  return new Fault(
    "INPUT_INVALID",
    `${path} is not a whole savepoint: ${why}; nothing was restored: use another one`,
    { facts: { path } },
  );
}

// ---- beginning from it ----

/**
 * Puts the state of a savepoint into a state store that is empty. Where it rejects the store is of no
 * use: the caller removes it. Faults: those of `readSavepoint` and of the store.
 */
export async function restoreSavepoint(
  disk: Pick<Disk, "open">,
  path: string,
  kv: Kv,
): Promise<WholeSavepoint> {
  let writes: KvWrite[] = [];
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const batch = writes;
    writes = [];
    bytes = 0;
    await kv.commit(batch);
  };
  const found = await readSavepoint(disk, path, async (entry) => {
    if (!isKept(entry.key)) throw notWhole(path, `no savepoint has ${entry.key}`);
    writes.push(entry);
    bytes += entry.value.length;
    if (bytes >= limits.backupPieceBytes) await flush();
  });
  await flush();
  if (positionOf(kv) !== found.position) throw notWhole(path, "its position is not its state's");
  const { name, weir, created, position: at } = found;
  const begun = { key: savepointKey, value: encodeJson({ name, weir, created, position: at }) };
  await kv.commit([begun, ...formatWrites(kv), ...readingsLeft(kv, at)]);
  return found;
}

function formatWrites(kv: Kv): readonly KvWrite[] {
  if (kv.get(heldBackKey) !== undefined) return heldBackFormatWrites();
  return hasRaw(kv) ? rawFormatWrites(kv) : hasSplit(kv) ? splitFormatWrites(kv) : [];
}

function hasSplit(kv: Kv): boolean {
  return kv
    .range({ from: "uplink/", to: behindKeys("uplink/") })
    .some(({ key }) => isSplitKey(key));
}

function isKept(key: string): boolean {
  return keptKeys.includes(key) || keptPrefixes.some((prefix) => key.startsWith(prefix));
}

/** The readings stayed where they were: here they count as expired. */
function readingsLeft(kv: Kv, at: number): readonly KvWrite[] {
  const ledger = decodeLedger(kv.get(ledgerKey) ?? new Uint8Array(0));
  const accepted = (ledger?.sources ?? []).reduce(
    (sum, { readings }) => sum + readings.accepted,
    0,
  );
  const counts = { flushed: accepted, expired: accepted, erased: 0, lost: 0 };
  const head = { next: 0, through: position(at), counts };
  return swapWrites({ head, added: [], removed: [] });
}

/** Where the log of a directory begins that was made from a savepoint; 0 where it was not. */
export function logBeginOf(kv: Kv): number {
  const value = kv.get(savepointKey);
  return value === undefined
    ? 0
    : wholeOf(decodeJson(value, "the state store's savepoint"), "position");
}

function hasRaw(kv: Kv): boolean {
  return kv.get(outboxEndKey("raw")) !== undefined;
}
