/**
 * The file uplink: records as NDJSON files in a folder, the embedded default. Each record is in the
 * files exactly once, across crashes at any point (see file-lane.ts); closed files are the readers'
 * to take away. It never removes a file: how many are kept is the affair of whoever reads them.
 */

import { limits } from "../core/limits.ts";
import { byLane } from "../store/outbox/lane.ts";
import { FileLane, type FileLaneOptions } from "./file-lane.ts";
import type { Uplink } from "./uplink.ts";

export type FileUplinkOptions = Pick<FileLaneOptions, "disk" | "clock" | "directory" | "get"> & {
  /** Unique among the uplinks; "files" unless there are several. */
  readonly name?: string;
  readonly fileBytesMax?: number;
  readonly fileAgeMs?: number;
};

/** The uplink; it touches nothing before its lanes are opened. */
export function openFileUplink({ name = "files", ...options }: FileUplinkOptions): Uplink {
  const bounds = { fileBytesMax: limits.uplinkFileBytesMax, fileAgeMs: limits.uplinkFileAgeMs };
  return {
    name,
    // A disk is never away for long, and readers of files have one order.
    freshForMs: Infinity,
    lanes: byLane((lane) => new FileLane({ ...bounds, ...options, lane, uplink: name })),
  };
}
