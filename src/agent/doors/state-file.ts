/**
 * Whether the state store's file is one that LMDB can open: LMDB itself ends the process on a file
 * that is not its own. Looked at are the two meta pages a file begins with; damage further on is not
 * seen here. Nor does it outlive a lock file that it may not open.
 *
 *   page 0 | 24 bytes header | magic u32 | version u32 | 16 bytes | page size u32 | ...
 *   page 1 | the same, at the page size
 *
 * Layout: MDB_meta of the LMDB that lmdb-js 3 brings along, little-endian, 64 bit.
 */

import { access, constants, type FileHandle, open } from "node:fs/promises";
import { Fault, isEnvironmental } from "../../core/faults.ts";
import { assertRegular, readFlags } from "./regular-file.ts";

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const MAGIC_AT = 24;
const PAGE_SIZE_AT = 48;
const META_BYTES = 52;

/** A missing or empty file is well: LMDB makes it. Faults: STORE_FAILED. */
export async function checkStateFile(path: string): Promise<void> {
  let isStore: boolean;
  try {
    await using file = await open(path, readFlags);
    const stats = await file.stat();
    assertRegular(stats, path);
    isStore = stats.size === 0 || (await hasMetaPages(file));
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return;
    throw new Fault(
      "STORE_FAILED",
      `the state store ${path} cannot be read (${cause instanceof Error ? cause.message : String(cause)}); check that it is a file which the user that runs weir may read`,
      { cause, facts: { path } },
    );
  }
  if (isStore) return await checkLockFile(`${path}-lock`);
  throw new Fault(
    "STORE_FAILED",
    `${path} is not a state store: its first bytes are not those of the LMDB file that weir writes. Restore the data directory from a backup; or remove this file: the log is then applied again from its start, and records that are already upstream are sent again`,
    { facts: { path } },
  );
}

/** Not opened where it can be asked for: closing it would let go of a lock that this process has on it. */
async function checkLockFile(path: string): Promise<void> {
  try {
    // Asked for is the real user, and opened by the effective one.
    if (process.getuid?.() === process.geteuid?.()) {
      await access(path, constants.R_OK | constants.W_OK);
    } else {
      await (await open(path, "r+")).close();
    }
  } catch (cause) {
    if (!isEnvironmental(cause) || cause.code !== "EACCES") return;
    throw new Fault(
      "STORE_FAILED",
      `${path} cannot be opened (EACCES); let the user that runs weir read and write it`,
      { cause, facts: { path } },
    );
  }
}

async function hasMetaPages(file: FileHandle): Promise<boolean> {
  const pageSize = await pageSizeAt(file, 0);
  return pageSize !== undefined && (await pageSizeAt(file, pageSize)) === pageSize;
}

/** What the meta page at the offset says; undefined if there is none. */
async function pageSizeAt(file: FileHandle, offset: number): Promise<number | undefined> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(META_BYTES), 0, META_BYTES, offset);
  if (bytesRead < META_BYTES || buffer.readUInt32LE(MAGIC_AT) !== MAGIC) return undefined;
  if (buffer.readUInt32LE(MAGIC_AT + 4) !== DATA_VERSION) return undefined;
  const pageSize = buffer.readUInt32LE(PAGE_SIZE_AT);
  return pageSize >= META_BYTES ? pageSize : undefined;
}
