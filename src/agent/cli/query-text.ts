/** Rows of answers to queries for people: which columns, what stands in them, and what is to be known. */

import { counted } from "../../core/counted.ts";
import { defaultAggregates } from "../query/requests.ts";

export const ways = ["series", "readings", "latest", "distinct"] as const;
/** What is asked for. */
export type Way = (typeof ways)[number] | "steps";

export type Row = { readonly [name in string]?: unknown };

/** Columns of an answer: times and numbers first, whose they are last. */
export function titlesOf(way: Way, aggregates: string | undefined): readonly string[] {
  if (way === "distinct") return ["count", "of"];
  const numbers =
    way === "steps"
      ? ["start", ...(aggregates ?? defaultAggregates).split(",")]
      : ["time", "value"];
  return [...numbers, "series", "source"];
}

export function cellsOf(row: Row, titles: readonly string[]): readonly string[] {
  return titles.map((title) => cellOf(title, row[title]));
}

/** What is computed has digits that nobody measured. */
const digitsOf: { readonly [title in string]?: number } = { mean: 7, variance: 7, sum: 12 };

function cellOf(title: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "number") return "";
  if (title === "time" || title === "start") return timeText(value);
  const digits = digitsOf[title];
  return String(digits === undefined ? value : Number(value.toPrecision(digits)));
}

/** What is to be known of an answer, as sentences. `known`: where it `isOfNone`, the first series that there are, and their end. */
export function notesOf(end: Row, known: readonly Row[]): readonly string[] {
  const { coarser, damaged, damagedReadings, limited, next, message, cost } = end;
  return [
    ...nothingOf(end, known),
    ...listOf(coarser).map(
      ({ from, to, finest }) =>
        `from ${timeText(from)} to ${timeText(to)} there are only steps of ${Number(finest) / 1_000} s left`,
    ),
    ...listOf(damaged).map(
      ({ table, from, to, reason }) =>
        `table ${String(table)} (from ${timeText(from)} to ${timeText(to)}) is damaged: ${String(reason)}`,
    ),
    ...(typeof damagedReadings === "number" && damagedReadings > 0
      ? [`${counted(damagedReadings, "row")} cannot be read`]
      : []),
    ...(limited === true || next !== undefined ? ["there are more rows than --limit"] : []),
    ...(typeof message === "string" ? [message] : []),
    ...(cost === undefined ? [] : [`cost: ${costText(cost)}`]),
  ];
}

/** It has no rows because no series is meant. */
export function isOfNone({ rows, series, damaged, error }: Row): boolean {
  return rows === 0 && series === 0 && damaged === undefined && error === undefined;
}

/** Why there are no rows, where nothing else says it. */
function nothingOf(end: Row, known: readonly Row[]): readonly string[] {
  if (isOfNone(end)) return [`no series is meant by that: ${knownText(known)}`];
  if (end["rows"] !== 0 || end["damaged"] !== undefined || end["error"] !== undefined) return [];
  return ["of these series nothing is kept in that span: --from and --to choose another"];
}

function knownText(known: readonly Row[]): string {
  const names = known.flatMap(({ series, source }) =>
    typeof series === "string" ? [`${series} of ${String(source)}`] : [],
  );
  if (names.length === 0) return "there is none yet, because no reading was kept";
  const end = known.at(-1)?.["end"];
  const more = isRow(end) && end["next"] !== undefined;
  return more
    ? `there are ${names.join(", ")} and others: weir query --series lists all`
    : `there is no other than ${names.join(", ")}`;
}

function costText(cost: unknown): string {
  const parts = typeof cost === "object" && cost !== null ? Object.entries(cost) : [];
  return parts.map(([name, count]) => `${String(count)} ${name}`).join(", ");
}

function listOf(value: unknown): readonly Row[] {
  return Array.isArray(value) ? value.filter((item) => isRow(item)) : [];
}

export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `2026-11-28T10:00:00Z`; milliseconds where there are any, and what is no such time as it is. */
function timeText(time: unknown): string {
  if (typeof time !== "number" || Math.abs(time) > 8.64e15) return String(time);
  return new Date(time).toISOString().replace(".000Z", "Z");
}
