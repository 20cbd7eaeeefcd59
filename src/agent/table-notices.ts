/** What a person should know of the table store: see notices.ts. */

import type { Notice } from "./notices.ts";
import type { Status } from "./status.ts";

/** Why the agent is degraded, as far as the tables are the reason: one sentence each. */
export function tableReasons({ trouble, unreadable }: Status["tables"]): readonly string[] {
  const [first] = unreadable;
  return [
    ...(trouble === undefined ? [] : [trouble.message]),
    ...(first === undefined
      ? []
      : [
          `${tablesText(unreadable)} cannot be read from the disk, among them ${first.reason}: check the disk; they are tried again by themselves`,
        ]),
  ];
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

function tablesText(tables: readonly { readonly readings: number }[]): string {
  const readings = tables.reduce((sum, table) => sum + table.readings, 0);
  return `${tables.length} ${tables.length === 1 ? "table" : "tables"} with ${readings} readings`;
}
