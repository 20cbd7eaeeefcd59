/** `weir query`: asks a running agent for readings, and prints rows as they come. */

import { addressOf, agentOptions, linesAt } from "./agent-client.ts";
import { exitCodes, parseOptions, UsageError, withTimes } from "./command.ts";
import { Fault } from "../../core/faults.ts";
import { ColumnText } from "./column-text.ts";
import {
  cellsOf,
  isOfNone,
  isRow,
  notesOf,
  type Row,
  titlesOf,
  type Way,
  ways,
} from "./query-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(withTimes(args), {
    ...agentOptions,
    series: { type: "boolean", default: false },
    latest: { type: "boolean", default: false },
    readings: { type: "boolean", default: false },
    distinct: { type: "string" },
    step: { type: "string" },
    points: { type: "string" },
    aggregates: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    source: { type: "string" },
    limit: { type: "string" },
    explain: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  });
  const chosen = ways.filter((way) => values[way] !== undefined && values[way] !== false);
  const [way = defaultWay(values), second] = chosen;
  if (second !== undefined) throw new UsageError(`say either --${way} or --${second}`);
  const search = new URLSearchParams({ format: "ndjson" });
  for (const selector of positionals) search.append("select", selector);
  for (const name of ["source", "from", "to", "step", "points", "aggregates", "limit"] as const) {
    const value = values[name];
    if (value !== undefined) search.set(name, value);
  }
  if (way === "latest") search.set("latest", "true");
  if (values.distinct !== undefined) search.set("distinct", values.distinct);
  if (values.explain) search.set("explain", "true");
  const path = { series: "series", readings: "readings" }[String(way)] ?? "query";
  const ask = linesAt(await addressOf(values));
  const lines = ask(`/v1/${path}?${search.toString()}`);
  if (values.json) return await printLines(lines);
  return await printTable(lines, {
    titles: titlesOf(way, values.aggregates),
    someSeries: () => rowsOf(ask(`/v1/series?format=ndjson&latest=false&limit=${SERIES_NAMED}`)),
  });
}

/** So many series are named to whoever asked for none that there is. */
const SERIES_NAMED = 5;

/** What bears on a span asks for steps. */
function defaultWay(values: { readonly [name in string]?: unknown }): Way {
  const spans = ["from", "to", "step", "points", "aggregates"];
  return spans.some((name) => values[name] !== undefined) ? "steps" : "latest";
}

async function printLines(lines: AsyncIterable<string>): Promise<number> {
  let end: Row | undefined;
  for await (const line of lines) {
    if (line.startsWith('{"end":')) end = endIn(rowOf(line));
    if (!process.stdout.writable) return exitCodes.ok;
    console.log(line);
  }
  return outcomeOf(end);
}

async function printTable(
  lines: AsyncIterable<string>,
  {
    titles,
    someSeries,
  }: { readonly titles: readonly string[]; readonly someSeries: () => Promise<readonly Row[]> },
): Promise<number> {
  const table = new ColumnText(titles, (text) => console.log(text));
  let end: Row | undefined;
  for await (const line of lines) {
    const row = rowOf(line);
    end = endIn(row);
    if (end !== undefined) break;
    // Whoever read this has seen enough.
    if (!process.stdout.writable) return exitCodes.ok;
    table.add(cellsOf(row, titles));
  }
  table.flush();
  if (end !== undefined) {
    const known = isOfNone(end) ? await someSeries() : [];
    for (const note of notesOf(end, known)) console.error(`weir: ${note}`);
  }
  return outcomeOf(end);
}

/** The rows of an answer, and its end, which says whether there are more. */
async function rowsOf(lines: AsyncIterable<string>): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for await (const line of lines) rows.push(rowOf(line));
  return rows;
}

function outcomeOf(end: Row | undefined): number {
  if (end === undefined) {
    const message = "the answer ends before its end: did the agent stop? ask again";
    throw new Fault("AGENT_UNREACHABLE", message);
  }
  const isWell = end["error"] === undefined && end["damaged"] === undefined;
  return isWell ? exitCodes.ok : exitCodes.failed;
}

/** What an agent says; another program that answers is told by this. */
function rowOf(line: string): Row {
  try {
    const row: unknown = JSON.parse(line);
    if (isRow(row)) return row;
  } catch {
    // Not ours, then.
  }
  throw new Fault(
    "AGENT_UNREACHABLE",
    "what answers is no agent that this weir knows: is it another program, or another version?",
  );
}

function endIn(row: Row): Row | undefined {
  const end = row["end"];
  return isRow(end) ? end : undefined;
}
