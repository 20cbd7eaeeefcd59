/** A record of `weir tail` on one line. */

import { counted } from "../../core/counted.ts";
import type { DecodedRecord } from "../../store/outbox/record-codec.ts";
import { nameOfTags } from "../../core/catalog.ts";
import type { Summary } from "../../core/record.ts";
import type { Standing } from "../../sync/kafka/upstream/reader.ts";
import type { MessagePlace } from "../../sync/kafka/upstream/upstream-message.ts";
import { durationText } from "../config/quantity.ts";
import { timeText } from "./store-text.ts";

export type Tailed = DecodedRecord & {
  readonly at: MessagePlace;
  readonly lane: string;
  readonly standing: Standing;
};

export function tailLine(tailed: Tailed): string {
  const { agent, record } = tailed;
  const words = wordsOf(tailed);
  switch (record.kind) {
    case "summary": {
      const { pipeline, key, start, end } = record;
      const window = `${timeText(start)} +${durationText(end - start)}`;
      return `${window}  ${agent}/${pipeline} ${nameOfTags(key)}  ${valuesOf(record)}  ${words}`;
    }
    case "alert": {
      const { pipeline, key, time, reason, value, expected, limit } = record;
      const why = `${reason} ${value} (expected ${expected}, limit ${limit})`;
      return `${timeText(time)}  ${agent}/${pipeline} ${nameOfTags(key)}  ${why}  ${words}`;
    }
    case "gap": {
      const { pipeline, start, end, records, readings } = record;
      const what = `dropped unsent: ${counted(records, "record")} with ${counted(readings, "reading")}`;
      return `${timeText(start)} to ${timeText(end)}  ${agent}/${pipeline}  ${what}  ${words}`;
    }
    case "complete": {
      const { pipeline, key, through, readings } = record;
      const what = `${counted(readings, "reading")} in all windows until then`;
      return `${timeText(through)}  ${agent}/${pipeline} ${nameOfTags(key)}  ${what}  ${words}`;
    }
    case "raw": {
      const { request, part, source, series, times, erased } = record;
      const what =
        erased === undefined
          ? counted(times.length, "reading")
          : `${counted(erased, "reading")}, erased`;
      const at = timeText(times[0] ?? 0);
      return `${at}  ${agent} ${request}#${part} ${source} ${series}  ${what}  ${words}`;
    }
    case "manifest": {
      const { request, from, to, outcome, reason, parts, readings, series } = record;
      const what = `${outcome}: ${counted(readings, "reading")} of ${series.length} series in ${counted(parts, "part")}`;
      const why = reason === "" ? "" : ` (${reason})`;
      return `${timeText(from)} to ${timeText(to)}  ${agent} ${request}  ${what}${why}  ${words}`;
    }
  }
}

/** How it came, and what it is to whoever has read those before. */
function wordsOf({ lane, standing, record }: Tailed): string {
  const way = lane === "backfill" ? ["backfilled"] : [];
  switch (standing) {
    case "new":
      return way.length > 0 ? "backfilled" : "fresh";
    case "coarser": {
      const merged = record.kind === "summary" ? (record.merged ?? 0) : 0;
      return [...way, `coarser: in place of ${counted(merged, "window")}`].join(", ");
    }
    case "corrected":
      return [
        ...way,
        `corrected: revision ${record.kind === "summary" ? record.revision : 0}`,
      ].join(", ");
    case "withdrawn":
      return [...way, "withdrawn"].join(", ");
    case "known":
      return [...way, "known already"].join(", ");
    case "alert":
      return "alert";
    case "gap":
      return "gap";
    case "complete":
      return [...way, "complete"].join(", ");
    case "raw":
    case "manifest":
      return standing;
  }
}

function valuesOf({ count, fields }: Summary): string {
  const { sum, sumError = 0, mean, min, max, last, p50, p95, p99 } = fields;
  const total = sum === undefined ? undefined : sum + sumError;
  const values = { mean, min, max, p50, p95, p99, last, sum: total };
  const shown = Object.entries(values)
    .filter(([, value]) => value !== undefined)
    .slice(0, valuesShown)
    .map(([name, value]) => ` ${name} ${rounded(value ?? 0)}`);
  return `count ${count}${shown.join("")}`;
}

const valuesShown = 6;

function rounded(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toPrecision(6))) : String(value);
}
