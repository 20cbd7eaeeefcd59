/** What keeps the work on tables from going on, for people. */

import { Fault, isEnvironmental } from "../../core/faults.ts";

/**
 * `code`: DISK_FULL, DISK_READ_ONLY, DISK_FAILED; STATE_STORE_FULL, where the disk has space;
 * STORE_FAILED for what is wrong with the state store alone; or that of another fault.
 */
export type TableTrouble = { readonly code: string; readonly message: string };

/** An environment failure in a sentence; a bug is thrown on. */
export function troubleOf(error: unknown): TableTrouble {
  if (error instanceof Fault) return { code: codeOf(error), message: error.message };
  if (!isEnvironmental(error)) throw error;
  const { code } = error;
  const full = code === "ENOSPC" || code === "EDQUOT";
  return full
    ? {
        code: "DISK_FULL",
        message:
          "there is no space left for tables of readings; free some space and they are written by themselves",
      }
    : {
        code: code === "EROFS" ? "DISK_READ_ONLY" : "DISK_FAILED",
        message: `tables of readings cannot be written (${code}); check the disk: it is tried again by itself`,
      };
}

function codeOf({ code, facts, cause }: Fault): string {
  if (code !== "STORE_FAILED") return code;
  if ("bytesMax" in facts) return "STATE_STORE_FULL";
  if (!(cause instanceof Error) || !("code" in cause)) return code;
  return cause.code === READ_ONLY ? "DISK_READ_ONLY" : "DISK_FAILED";
}

/** EROFS, as LMDB says it. */
const READ_ONLY = 30;
