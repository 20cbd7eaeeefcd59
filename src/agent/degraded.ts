/** What degrades an agent: failures by their causes, tables, uplinks and the outbox. */

import { Fault } from "../core/faults.ts";
import type { UplinkStatus } from "../sync/drain.ts";
import type { DegradedName, DegradedReason } from "./degraded-reason.ts";
import type { Status } from "./status.ts";
import { tableReasons } from "./notices/table-notices.ts";

/** What system calls say, by Node's names and, from LMDB, by the numbers of Linux. */
const diskNames: ReadonlyMap<unknown, DegradedName> = new Map<unknown, DegradedName>([
  ["ENOSPC", "disk_full"],
  [28, "disk_full"],
  ["EDQUOT", "disk_full"],
  [122, "disk_full"],
  ["EROFS", "disk_read_only"],
  [30, "disk_read_only"],
  ["EIO", "disk_failed"],
  [5, "disk_failed"],
  ["ENXIO", "disk_failed"],
  [6, "disk_failed"],
  ["ENODEV", "disk_failed"],
  [19, "disk_failed"],
  ["ESHUTDOWN", "disk_failed"],
  [108, "disk_failed"],
  ["EUCLEAN", "disk_failed"],
  [117, "disk_failed"],
]);

/** All there are at the moment. */
export function degradedReasons({
  loop,
  tables,
  uplinks,
  outboxFull,
}: {
  readonly loop: { readonly troubles: readonly DegradedReason[] };
  readonly tables: Status["tables"];
  readonly uplinks: readonly UplinkStatus[];
  readonly outboxFull: boolean;
}): readonly DegradedReason[] {
  const reasons = [
    ...loop.troubles,
    ...tableReasons(tables),
    ...uplinks.flatMap(({ name, state, trouble }): readonly DegradedReason[] =>
      state === "halted"
        ? [{ name: "uplink_halted", message: `uplink ${name} is halted: ${trouble ?? ""}` }]
        : [],
    ),
  ];
  if (!outboxFull) return reasons;
  const message = "the outbox is full: readings wait until an uplink takes records";
  return [...reasons, { name: "outbox_full", message }];
}

/** What a failure is called. */
export function degradedBy(error: Error): DegradedReason {
  const name = diskTrouble(error) ?? limitOf(error) ?? "failed";
  return { name, message: error.message };
}

/** The disk's part in a failure, by its causes; undefined where it has none. */
export function diskTrouble(error: unknown): DegradedName | undefined {
  let cause = error;
  // LMDB calls a lack of space an input/output error: whoever made the fault knows better.
  if (isFault(cause, "DISK_FULL") && !isLogFull(cause)) return "disk_full";
  while (cause instanceof Error) {
    const name = "code" in cause ? diskNames.get(cause.code) : undefined;
    if (name !== undefined) return name;
    cause = cause.cause;
  }
  return undefined;
}

/** Bounds of our own that were reached. */
function limitOf(error: Error): DegradedName | undefined {
  if (isFault(error, "DISK_FULL") && isLogFull(error)) return "log_full";
  if (isFault(error, "OUTBOX_FULL")) return "outbox_full";
  return isFault(error, "STORE_FAILED") && "bytesMax" in error.facts
    ? "state_store_full"
    : undefined;
}

function isFault(error: unknown, code: Fault["code"]): error is Fault {
  return error instanceof Fault && error.code === code;
}

/** All its files are there: see segment-pool.ts. */
function isLogFull({ facts }: Fault): boolean {
  return "files" in facts;
}
