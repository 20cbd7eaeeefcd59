/**
 * One lane's files: numbered NDJSON files, the last of them open.
 *
 *   summaries-00000007.ndjson         closed: whole, synced, never touched again
 *   summaries-00000008.ndjson.open    appended to; ends at the cursor, or somewhere beyond it
 *
 * The cursor (next record, file number, its length) is stored in the state store after the bytes are
 * synced, so everything up to it is in the files and everything beyond it is not counted: what a
 * crash left there is cut, and written again. A file is closed by renaming it when it holds exactly
 * what the cursor says; the cursor then moves to the next number, which did not exist before. Where
 * a crash fell between the two, the closed file has the cursor's number and length, and the next
 * one is begun.
 *
 * A file that is gone, or shorter than the cursor says, is an incident: counted in the cursor, named
 * with the records it held, and then the next file is begun.
 */

import { assert } from "../core/assert.ts";
import type { Clock, Disk, DiskFile, KvWrite } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import { limits } from "../core/limits.ts";
import { uplinkKey } from "../store/state/kv-key.ts";
import type { Lane } from "../store/outbox/lane.ts";
import type { Range } from "../store/outbox/split.ts";
import { decodeJson, encodeJson, wholeOf } from "../store/state/stored-json.ts";
import { incidentOf } from "./incident.ts";
import type { Delivery, Incident, Incidents, LaneFacts, Receipt, UplinkLane } from "./uplink.ts";

export type FileLaneOptions = {
  readonly disk: Disk;
  readonly clock: Clock;
  /** Absolute; made where it is missing. */
  readonly directory: string;
  readonly uplink: string;
  readonly lane: Lane;
  /** A file is closed before it grows beyond this; one delivery may still be larger. */
  readonly fileBytesMax: number;
  /** An open file that holds records is closed after this. */
  readonly fileAgeMs: number;
  /** Reads from the state store. */
  readonly get: (key: string) => Uint8Array | undefined;
};

type Cursor = {
  /** Number of the next record. */
  readonly next: number;
  readonly file: number;
  /** Length of the file. */
  readonly bytes: number;
  /** Number of the file's first record. */
  readonly first: number;
  readonly incidents: number;
  readonly last: Incident | undefined;
};

export class FileLane implements UplinkLane {
  readonly lingerMs: number = 0;
  readonly batchBytesMax: number = limits.uplinkBatchBytesMax;
  readonly #options: FileLaneOptions;
  /** As stored, once open. */
  #cursor: Cursor | undefined;
  /** What the last receipt would store. */
  #pending: Cursor | undefined;
  #file: DiskFile | undefined;
  /** The last `prepare`. */
  #delivery: Delivery | undefined;
  /** The open file, once it holds a record, and since when (monotonic ms). */
  #age: { readonly file: number; readonly since: number } | undefined;
  #incidents: Incidents = { count: 0, last: undefined };

  constructor(options: FileLaneOptions) {
    this.#options = options;
  }

  /** As stored; those of a receipt that is not settled yet do not count. */
  get incidents(): Incidents {
    return this.#incidents;
  }

  get facts(): LaneFacts {
    const cursor = this.#cursor;
    return cursor === undefined ? {} : { file: cursor.file, fileBytes: cursor.bytes };
  }

  /** Until the open file is to be closed. */
  get tendMs(): number {
    if (this.#age === undefined) return Infinity;
    const { clock, fileAgeMs } = this.#options;
    return Math.max(0, this.#age.since + fileAgeMs - clock.monotonic());
  }

  /** What lies in a file beyond the cursor is cut before anything else is written. */
  get held(): number {
    return this.#readCursor()?.next ?? 0;
  }

  /** Brings files and cursor together; see the header. */
  async open(start: number): Promise<Receipt> {
    const { disk, directory, lane } = this.#options;
    await this.close();
    await disk.makeDirectory(directory);
    await disk.syncDirectory(directory.slice(0, directory.lastIndexOf("/")) || "/");
    // Names that an earlier try could not sync are there for good before the cursor goes by them.
    await disk.syncDirectory(directory);
    const names = new Set(await disk.list(directory));
    const stored = this.#readCursor();
    return this.#receipt(
      stored === undefined ? firstCursor(lane, start, names) : await this.#recover(stored, names),
    );
  }

  /** Nothing: the file is its own truth. */
  prepare(delivery: Delivery): readonly KvWrite[] {
    this.#delivery = delivery;
    return [];
  }

  /** Appends the records as lines and syncs them. */
  async deliver(): Promise<Receipt> {
    assert(this.#cursor !== undefined, "a lane is opened first");
    assert(this.#delivery !== undefined, "a delivery is prepared first");
    const { lost, first, records } = this.#delivery;
    const { fileBytesMax, lane } = this.#options;
    const lines = linesOf(records);
    let cursor = lost.reduce((known, range) => without(known, lane, range), this.#cursor);
    if (cursor.bytes > 0 && cursor.bytes + lines.length > fileBytesMax) {
      cursor = await this.#rotate(cursor);
    }
    this.#file ??= await this.#begin(cursor);
    await this.#file.write(lines, cursor.bytes);
    await this.#file.sync();
    const bytes = cursor.bytes + lines.length;
    await this.#checkName(cursor.file, bytes);
    return this.#receipt({ ...cursor, next: first + records.length, bytes });
  }

  /** Closes the open file, so that its readers see it; the next record begins another. */
  async tend(): Promise<Receipt> {
    assert(this.#cursor !== undefined, "a lane is opened first");
    return this.#receipt(await this.#rotate(this.#cursor));
  }

  settled(): void {
    assert(this.#pending !== undefined, "a receipt was given");
    const { incidents: count, last } = this.#pending;
    this.#cursor = this.#pending;
    this.#pending = undefined;
    this.#incidents = { count, last };
    const { file, bytes } = this.#cursor;
    if (bytes === 0) this.#age = undefined;
    else if (file !== this.#age?.file) this.#age = { file, since: this.#options.clock.monotonic() };
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    this.#cursor = this.#pending = undefined;
    await file?.close();
  }

  // ---- recovery ----

  async #recover(cursor: Cursor, names: ReadonlySet<string>): Promise<Cursor> {
    const { disk, directory } = this.#options;
    const closed = this.#name(cursor.file);
    const open = `${closed}.open`;
    if (names.has(open)) {
      const file = await disk.open(`${directory}/${open}`, { create: false });
      this.#file = file;
      const size = await file.size();
      if (size >= cursor.bytes) {
        if (size > cursor.bytes) await file.truncate(cursor.bytes);
        // Also where nothing was to be cut: what was cut before may have met a sync that failed.
        await file.sync();
        return cursor;
      }
      this.#file = undefined;
      await file.close();
      await disk.rename(`${directory}/${open}`, `${directory}/${closed}.damaged`);
      await disk.syncDirectory(directory);
      return this.#broken(cursor, `${closed}.open has ${size} bytes, not ${cursor.bytes}`);
    }
    if (names.has(closed)) {
      const size = await this.#sizeOf(closed);
      return cursor.bytes === 0 || size >= cursor.bytes
        ? nextFile(cursor)
        : this.#broken(cursor, `${closed} has ${size} bytes, not ${cursor.bytes}`);
    }
    return cursor.bytes === 0 ? cursor : this.#broken(cursor, `${open} is gone`);
  }

  #broken(cursor: Cursor, found: string): Cursor {
    const { lane, directory } = this.#options;
    return nextFile(
      withIncident(cursor, {
        first: cursor.first,
        next: cursor.next,
        what: `${directory}/${found}; it held ${lane} ${cursor.first} to ${cursor.next - 1}, which cannot be written again`,
      }),
    );
  }

  // ---- files ----

  /** Makes the cursor's file and its name durable; leftovers of a crash are cut. */
  async #begin(cursor: Cursor): Promise<DiskFile> {
    const { disk, directory } = this.#options;
    const path = `${directory}/${this.#name(cursor.file)}.open`;
    const file = await disk.open(path, { create: true });
    try {
      if ((await file.size()) > cursor.bytes) await file.truncate(cursor.bytes);
      await disk.syncDirectory(directory);
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Gives the open file its final name; it holds exactly what the stored cursor says. */
  async #rotate(cursor: Cursor): Promise<Cursor> {
    const { disk, directory } = this.#options;
    const file = this.#file;
    assert(file !== undefined, "a file that holds records is open");
    const closed = `${directory}/${this.#name(cursor.file)}`;
    this.#file = undefined;
    await file.close();
    await disk.rename(`${closed}.open`, closed);
    await disk.syncDirectory(directory);
    return nextFile(cursor);
  }

  /** Writing to a file that somebody removed succeeds: only its name tells. */
  async #checkName(number: number, bytes: number): Promise<void> {
    const name = `${this.#name(number)}.open`;
    const size = await this.#sizeOf(name);
    if (size === bytes) return;
    throw new Fault(
      "DISK_FAILED",
      `${this.#options.directory}/${name} was replaced while it was written: it has ${size} bytes, not ${bytes}; let readers move closed files only`,
      { facts: { name, size, bytes } },
    );
  }

  async #sizeOf(name: string): Promise<number> {
    const { disk, directory } = this.#options;
    const file = await disk.open(`${directory}/${name}`, { create: false });
    try {
      return await file.size();
    } finally {
      await file.close();
    }
  }

  #name(file: number): string {
    return fileName(this.#options.lane, file);
  }

  // ---- the cursor ----

  #receipt(cursor: Cursor): Receipt {
    const { uplink, lane } = this.#options;
    this.#pending = cursor;
    const value = encodeJson(cursor);
    return { next: cursor.next, writes: [{ key: uplinkKey(uplink, lane), value }] };
  }

  #readCursor(): Cursor | undefined {
    const { uplink, lane, get } = this.#options;
    const key = uplinkKey(uplink, lane);
    const value = get(key);
    if (value === undefined) return undefined;
    const stored = decodeJson(value, `the state store's ${key}`);
    const incident = stored.fields["last"];
    return {
      next: wholeOf(stored, "next"),
      file: wholeOf(stored, "file"),
      bytes: wholeOf(stored, "bytes"),
      first: wholeOf(stored, "first"),
      incidents: wholeOf(stored, "incidents"),
      last: incident === undefined ? undefined : incidentOf(incident, stored.place),
    };
  }
}

export function fileName(lane: Lane, file: number): string {
  return `${lane}-${String(file).padStart(8, "0")}.ndjson`;
}

function linesOf(records: readonly Uint8Array[]): Uint8Array {
  const bytes = records.reduce((sum, record) => sum + record.length + 1, 0);
  const lines = new Uint8Array(bytes);
  let offset = 0;
  for (const record of records) {
    lines.set(record, offset);
    offset += record.length;
    lines[offset++] = 0x0a;
  }
  return lines;
}

function nextFile(cursor: Cursor): Cursor {
  return { ...cursor, file: cursor.file + 1, bytes: 0, first: cursor.next };
}

/** A lane that has no cursor begins after the files that are there: those are never touched. */
function firstCursor(lane: Lane, start: number, names: ReadonlySet<string>): Cursor {
  const pattern = new RegExp(`^${lane}-(\\d{8,15})\\.ndjson`);
  const numbers = [...names].map((name) => Number(pattern.exec(name)?.[1] ?? 0));
  const highest = Math.max(0, ...numbers);
  const cursor = {
    next: start,
    file: highest + 1,
    bytes: 0,
    first: start,
    incidents: 0,
    last: undefined,
  };
  if (highest === 0) return cursor;
  return withIncident(cursor, {
    first: start,
    next: start,
    what: `files up to ${fileName(lane, highest)} are of another state store; their records may come again in later files`,
  });
}

/** The outbox no longer has these, or cannot read them. */
function without(cursor: Cursor, lane: Lane, { low, high }: Range): Cursor {
  const missing = withIncident(cursor, {
    first: low,
    next: high,
    what: `${lane} ${low} to ${high - 1} were no longer in the outbox, or not readable there`,
  });
  return { ...missing, next: high };
}

function withIncident(cursor: Cursor, last: Incident): Cursor {
  return { ...cursor, incidents: cursor.incidents + 1, last };
}
