/** What `weir store` prints for people. */

import { counted } from "../../core/counted.ts";
import type { Verification } from "../../store/care/verify-store.ts";
import { type Listing, readingsOf } from "../../store/tables/listing/quarantine.ts";
import type { ListedTable } from "../../store/tables/listing/table-list.ts";
import { tableText } from "./ledger-text.ts";

export function verificationText({ findings, log, state, tables }: Verification): string {
  return [
    `log          ${counted(log.segments, "segment")}, ${log.bytes} bytes`,
    `state store  ${counted(state.values, "value")}, ${state.bytes} bytes, ${counted(state.definitions, "definition")}`,
    `tables       ${counted(tables.tables, "table")}, ${tables.bytes} bytes, ${counted(tables.blocks, "block")}, ${counted(tables.rows, "row")}`,
    "",
    ...findings.map(({ part, problem, remedy }) => `${part}: ${problem}: ${remedy}`),
    findings.length === 0 ? "nothing is wrong" : counted(findings.length, "problem"),
  ].join("\n");
}

export function listingText({ head, tables, quarantined }: Listing): string {
  const rows = tables.map((table) => [
    String(table.id),
    String(table.level),
    table.run,
    table.class ?? "-",
    table.partition === undefined ? "several" : dayOf(table),
    String(table.readings),
    String(table.bytes),
    perReadingText(table),
    table.resolutions.map(resolutionText).join(" "),
    timeText(table.timeFirst),
    timeText(table.timeLast),
  ]);
  const { flushed, expired, erased, lost } = head.counts;
  return [
    tableText({
      head: [
        "table",
        "level",
        "run",
        "class",
        "day",
        "readings",
        "bytes",
        "bytes/reading",
        "sections",
        "from",
        "to",
      ],
      rows,
    }),
    "",
    `written to tables: ${counted(flushed, "reading")}, of which ${readingsOf(tables)} are there, ${expired} expired, ${erased} erased, ${lost} lost`,
    ...quarantined.map(
      ({ why, reason, table }) =>
        `quarantine: table ${table.id} with ${counted(table.readings, "reading")}, ${why}: ${reason}`,
    ),
  ].join("\n");
}

function dayOf({ timeFirst }: ListedTable): string {
  return timeText(timeFirst).slice(0, 10);
}

export function perReadingText({
  bytes,
  readings,
}: {
  readonly bytes: number;
  readonly readings: number;
}): string {
  return readings === 0 ? "-" : (bytes / readings).toFixed(2);
}

/** ISO 8601; the number where no calendar reaches. */
export function timeText(time: number): string {
  return Math.abs(time) <= 8.64e15 ? new Date(time).toISOString() : String(time);
}

export function resolutionText(resolution: number): string {
  return resolution === 0 ? "readings" : `${resolution / 1_000}s`;
}
