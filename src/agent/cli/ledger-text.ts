/** The ledger as a table for people: every reading accounted for, or the line that does not balance. */

import type { LedgerView } from "../../edge-ops/ledger.ts";
import { printable } from "./column-text.ts";

const digits = new Intl.NumberFormat("en-US");

type Table = { readonly head: readonly string[]; readonly rows: readonly (readonly string[])[] };

/** Lines without a trailing newline. */
export function ledgerText(ledger: LedgerView): string {
  const sources: Table = {
    head: [
      "source",
      "messages",
      "dead-lettered",
      "shed",
      "readings",
      "accepted",
      "duplicate",
      "quarantined",
      "rejected",
      "balances",
    ],
    rows: ledger.sources.map(({ source, messages, readings, balanced }) => [
      source,
      count(messages.received),
      count(messages.deadLettered),
      count(messages.shed),
      count(readings.decoded),
      count(readings.accepted),
      count(readings.duplicate),
      count(readings.quarantined),
      count(readings.rejected),
      yesOrNo(balanced),
    ]),
  };
  const pipelines: Table = {
    head: [
      "pipeline",
      "accepted",
      "filtered",
      "refused",
      "late",
      "open",
      "closed",
      "windows",
      "corrections",
      "alerts",
      "balances",
    ],
    rows: ledger.pipelines.map((row) => [
      row.pipeline,
      count(row.accepted),
      count(row.filtered),
      count(row.refused),
      count(row.late),
      count(row.open),
      count(row.closed),
      count(row.windows),
      count(row.corrections),
      count(row.alerts),
      yesOrNo(row.balanced),
    ]),
  };
  return `${tableText(sources)}\n\n${tableText(pipelines)}`;
}

function yesOrNo(balanced: boolean): string {
  return balanced ? "yes" : "NO";
}

function count(value: number): string {
  return digits.format(value);
}

/** First column left, the rest right. */
export function tableText({ head, rows: found }: Table): string {
  const rows = found.map((row) => row.map(printable));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!),
        )
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
