/** What a person should know of the table store: see notices.ts. */

import { counted } from "../../core/counted.ts";
import { bytesText, durationText, roughBytesText } from "../config/quantity.ts";
import type { DegradedName, DegradedReason } from "../degraded-reason.ts";
import type { Notice } from "./notice.ts";
import type { Status } from "../status.ts";

/** Of what the system said and nobody gave a name of its own: the disk is not well. */
const names: Readonly<Record<string, DegradedName>> = {
  DISK_FULL: "disk_full",
  DISK_READ_ONLY: "disk_read_only",
  STATE_STORE_FULL: "state_store_full",
  STORE_FAILED: "failed",
};

/** Why the agent is degraded, as far as the tables are the reason: one sentence each. */
export function tableReasons({
  trouble,
  unreadable,
}: Pick<Status["tables"], "trouble" | "unreadable">): readonly DegradedReason[] {
  const [first] = unreadable;
  return [
    ...(trouble === undefined
      ? []
      : [{ name: names[trouble.code] ?? "disk_failed", message: trouble.message }]),
    ...(first === undefined
      ? []
      : [
          {
            name: "tables_unreadable" as const,
            message: `${tablesText(unreadable)} cannot be read from the disk, among them ${first.reason}: check the disk; they are tried again by themselves`,
          },
        ]),
  ];
}

/** A disk that has no room for the reserve: the next time it is full may need a person. */
export function reserveNotices(reserve: Status["reserve"]): readonly Notice[] {
  if (reserve?.isRefused !== true) return [];
  const message = `of the reserve for a full disk only ${bytesText(reserve.bytes)} of ${bytesText(reserve.bytesMax)} are there: free ${bytesText(2 * reserve.bytesMax)} on the disk of the data directory, and it is made by itself`;
  return [{ code: "reserve_missing", message }];
}

export function tableNotices({ damaged, quarantined }: Status["tables"]): readonly Notice[] {
  const notices: Notice[] = [];
  const [part] = damaged;
  if (part !== undefined) {
    notices.push({
      code: "tables_damaged",
      message: `of ${tablesText(damaged)} a part is damaged; they are written again without it (${part.reason})`,
    });
  }
  const last = quarantined.at(-1);
  if (last !== undefined) {
    notices.push({
      code: "tables_quarantined",
      message: `${tablesText(quarantined)} turned out to be damaged or missing; what could be read of them was kept, and nothing is to be done (${last.reason})`,
    });
  }
  return notices;
}

/** What cannot be met is said. */
export function flashNotices(flash: Status["flash"]): readonly Notice[] {
  if (flash === undefined || !flash.isMissed) return [];
  const { capBytes, neededBytesPerDay = 0, waitMs } = flash;
  const [waits, raise] =
    waitMs === 0
      ? ["readings do not wait for each other", "set commit.wait"]
      : [`readings wait ${durationText(waitMs)} already`, "raise it or commit.waitMax"];
  const message = `${roughBytesText(neededBytesPerDay)} a day are written to the device at this rate, store.writesPerDay is ${roughBytesText(capBytes)}: ${waits}; take fewer readings, or ${raise}`;
  return [{ code: "writes_per_day_missed", message }];
}

function tablesText(tables: readonly { readonly readings: number }[]): string {
  const readings = tables.reduce((sum, table) => sum + table.readings, 0);
  return `${counted(tables.length, "table")} with ${counted(readings, "reading")}`;
}
