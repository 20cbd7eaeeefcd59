/**
 * The state store on disk: LMDB behind the Kv door, and the only import of lmdb.
 *
 * One commit is one batch of instructions that lmdb's writer thread carries out as one transaction:
 * pages, fdatasync, then the root page with O_DSYNC. That order is LMDB's own; lmdb-js would by
 * default resolve before the sync (`overlappingSync`), so it is switched off, and a resolved commit
 * is on the medium. The writer reads values where they lie, on its own thread: the Kv contract
 * (frozen buffers) comes from here.
 *
 * lmdb-js enlarges its memory map whenever it is full, whatever `mapSize` says, so the bound is ours:
 * before a commit the pages in use plus what the commit may need must stay within `bytesMax`. The
 * file can be somewhat longer than the pages in use, since LMDB reuses freed pages where they fit.
 * The map has room for all of that from the beginning: where it had been enlarged and then a write
 * failed, something of it stayed mapped behind the closing, and the failed disk could not be unmounted
 * while the agent waited for it (test/crash/bad-disk.test.ts sees that; enlarging alone does no harm).
 *
 * A write that fails is not LMDB's to find out where we can know it before: lmdb-js 3.5.6 then formats a
 * message of up to 118 bytes into 100 of the heap (mdb_page_flush), and the C library may end the process
 * for it. So a disk is asked at the last moment whether it takes writes, and one that was full before each
 * further try whether it has space.
 */

import { open, type RootDatabase } from "lmdb";
import { assert } from "../../core/assert.ts";
import type { Kv, KvRange, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { assertKvKey } from "./kv-key.ts";

export type KvLmdbOptions = {
  /** The file; its folder exists, and the caller syncs that folder once after opening. */
  readonly path: string;
  /** Bytes in use beyond which a commit is refused. */
  readonly bytesMax: number;
  /**
   * Free bytes of the disk (Disk.freeBytes of the folder). LMDB calls a write that found no space an
   * input/output error; with this the two are told apart.
   */
  readonly freeBytes?: () => Promise<number>;
  /** Throws, with a Node-style `code`, where nothing can be written to the folder. Asked before each commit. */
  readonly checkWritable?: () => void;
  /** The store is there already, and nothing is written to it: commits reject. */
  readonly readOnly?: boolean;
};

/** What a commit may put although the store is full, if it removes something: how room is made. */
const freeingPutBytesMax = 65_536;
/** Pages a commit changes beside those of its values: the path to the root, the list of free pages. */
const commitPagesExtra = 16;

const mapUnitBytes = 65_536;

/**
 * Address space, which costs no memory: a quarter more than may be in use, for a file that is longer. A
 * map that the system does not give ends the process, so a bound that is none asks for no more than
 * the largest store has, and lmdb-js enlarges that where it has to.
 */
function mapBytesOf(bytesMax: number): number {
  const bytes = 1.25 * Math.min(bytesMax, limits.kvBytesMax);
  return Math.ceil(bytes / mapUnitBytes) * mapUnitBytes;
}

/** Opens or makes the store. Faults: STORE_FAILED. About 12 MB RSS, nearly all for loading lmdb. */
export function openKvLmdb(options: KvLmdbOptions): Kv {
  try {
    return new KvLmdb(
      open<Uint8Array, string>({
        path: options.path,
        mapSize: mapBytesOf(options.bytesMax),
        noSubdir: true,
        overlappingSync: false,
        eventTurnBatching: false,
        encoding: "binary",
        cache: false,
        maxDbs: 1,
        readOnly: options.readOnly ?? false,
        keyEncoder: { writeKey: writeAsciiKey, readKey: readAsciiKey },
      }),
      options,
    );
  } catch (cause) {
    throw new Fault(
      "STORE_FAILED",
      `the state store ${options.path} cannot be opened (${messageOf(cause)}); check that the folder exists and is writable`,
      { cause, facts: { path: options.path } },
    );
  }
}

/**
 * Copies the store at `from` as of its last transaction, while another process may write to it. `openedAs`
 * is what surrounds its opening: from then on its files are not looked for by their names. Faults:
 * STORE_FAILED.
 */
export async function copyKvLmdb(
  from: string,
  to: string,
  openedAs: () => Disposable,
): Promise<void> {
  const place = { path: from, noSubdir: true, readOnly: true, encoding: "binary" } as const;
  const opened = (): RootDatabase<Uint8Array, string> => {
    using _as = openedAs();
    return open<Uint8Array, string>(place);
  };
  try {
    const db = opened();
    try {
      await db.backup(to, true);
    } finally {
      await db.close();
    }
  } catch (cause) {
    throw new Fault(
      "STORE_FAILED",
      `the state store ${from} cannot be copied to ${to} (${messageOf(cause)}); check that both are readable and that there is space`,
      { cause, facts: { from, to } },
    );
  }
}

class KvLmdb implements Kv {
  readonly #db: RootDatabase<Uint8Array, string>;
  readonly #options: KvLmdbOptions;
  #committing = false;
  /** A commit found no space, and none has been done since. */
  #wasFull = false;
  #closed = false;
  #failure: Fault | undefined;

  constructor(db: RootDatabase<Uint8Array, string>, options: KvLmdbOptions) {
    this.#db = db;
    this.#options = options;
  }

  get(key: string): Uint8Array | undefined {
    assert(!this.#closed, "a closed store is not read");
    assertKvKey(key);
    const value = this.#db.getBinary(key);
    return value === undefined ? undefined : plain(value);
  }

  range(range: KvRange): readonly { readonly key: string; readonly value: Uint8Array }[] {
    assert(!this.#closed, "a closed store is not read");
    const found: { key: string; value: Uint8Array }[] = [];
    const { from: start, to: end, limit } = range;
    const entries = this.#db.getRange({ start, end, ...(limit === undefined ? {} : { limit }) });
    for (const { key, value } of entries) found.push({ key, value: plain(value) });
    return found;
  }

  async commit(writes: readonly KvWrite[]): Promise<void> {
    assert(!this.#closed, "a closed store is not written");
    assert(!this.#committing, "one commit at a time");
    for (const { key } of writes) assertKvKey(key);
    if (this.#failure !== undefined) throw this.#failure;
    if (writes.length === 0) return;
    const neededBytes = this.#checkRoom(writes);
    this.#committing = true;
    try {
      if (this.#wasFull && !makesRoom(writes)) await this.#checkSpace(neededBytes);
      await this.#write(writes, neededBytes);
      this.#wasFull = false;
    } finally {
      this.#committing = false;
    }
  }

  async #write(writes: readonly KvWrite[], neededBytes: number): Promise<void> {
    try {
      this.#options.checkWritable?.();
      await this.#db.batch(() => {
        for (const { key, value } of writes) {
          if (value === undefined) void this.#db.remove(key);
          else void this.#db.put(key, value);
        }
      });
    } catch (error) {
      const cause = await causeOf(error);
      // Where nobody can say how much is free, LMDB's own word counts.
      const free = (await this.#options.freeBytes?.().catch(() => Infinity)) ?? Infinity;
      const isFull = noSpace.includes(errorNumberOf(cause)) || free < neededBytes;
      throw isFull ? this.#full(neededBytes, { cause }) : this.#failed(cause);
    }
  }

  /** Throws where a disk that was full still is. Small commits that remove may always try. */
  async #checkSpace(neededBytes: number): Promise<void> {
    const free = (await this.#options.freeBytes?.()) ?? Infinity;
    if (free < neededBytes) throw this.#full(neededBytes);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    assert(!this.#committing, "a store is closed after its last commit");
    this.#closed = true;
    await this.#db.close();
  }

  /** The bytes that the commit may need on the disk, when the store has room for them. */
  #checkRoom(writes: readonly KvWrite[]): number {
    const { path, bytesMax } = this.#options;
    const { pageSize, usedPages } = usageOf(this.#db);
    const neededBytes = (commitPagesExtra + pagesFor(writes, pageSize)) * pageSize;
    const usedBytes = usedPages * pageSize;
    if (usedBytes + neededBytes <= bytesMax || makesRoom(writes)) return neededBytes;
    throw new Fault(
      "STORE_FAILED",
      `the state store ${path} is full: ${usedBytes} of ${bytesMax} bytes are in use; let an uplink take what waits in the outbox, then start weir again`,
      { facts: { path, usedBytes, neededBytes, bytesMax } },
    );
  }

  /** Without space the transaction was given up whole and may be tried again. */
  #full(neededBytes: number, options: { readonly cause?: unknown } = {}): Fault {
    const { path } = this.#options;
    this.#wasFull = true;
    return new Fault(
      "DISK_FULL",
      `there is no space left on the disk of ${path}; free some space there and the commit is tried again by itself`,
      { ...options, facts: { path, neededBytes } },
    );
  }

  /** After any other failure nothing is known about the medium: no more is taken until it is reopened. */
  #failed(cause: unknown): Fault {
    const { path } = this.#options;
    this.#failure = new Fault(
      "STORE_FAILED",
      `the state store ${path} could not be written (${messageOf(cause)}); check the disk, then start weir again`,
      { cause, facts: { path } },
    );
    return this.#failure;
  }
}

// ---- keys ----

function writeAsciiKey(key: string, target: Buffer, start: number): number {
  return start + target.write(key, start, "latin1");
}

function readAsciiKey(target: Buffer, start: number, end: number): string {
  return target.toString("latin1", start, end);
}

// ---- room ----

type TreeStats = {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
};

/** Pages in use: two roots, the tree with its large values, the list of free pages. */
function usageOf(db: RootDatabase<Uint8Array, string>): { pageSize: number; usedPages: number } {
  const stats = db.getStats() as TreeStats & {
    readonly pageSize: number;
    readonly free: TreeStats;
  };
  return { pageSize: stats.pageSize, usedPages: 2 + pagesOf(stats) + pagesOf(stats.free) };
}

function pagesOf(tree: TreeStats): number {
  return tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages;
}

/** A commit that removes something and puts little: how a full store gets room again. */
function makesRoom(writes: readonly KvWrite[]): boolean {
  const putBytes = writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
  return putBytes <= freeingPutBytesMax && writes.some(({ value }) => value === undefined);
}

/** At most: a large value has pages of its own, small ones may leave leaves half empty. */
function pagesFor(writes: readonly KvWrite[], pageSize: number): number {
  let pages = 0;
  for (const { key, value } of writes) {
    const bytes = (value?.length ?? 0) + key.length + 24;
    pages += bytes > pageSize / 2 ? Math.ceil(bytes / pageSize) + 0.1 : (2 * bytes) / pageSize;
  }
  return Math.ceil(pages);
}

// ---- errors ----

const noSpace: readonly unknown[] = [28, 122]; // ENOSPC and EDQUOT, in the words of LMDB and of Linux

/** lmdb-js rejects with a general error and gives the reason by a second promise. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (reason) {
    return reason;
  }
}

function errorNumberOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** lmdb-js gives copies, as Buffers and some with a `length` of their own: the same bytes, plainly. */
function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}
