/**
 * `weir replay`: the rows of a CSV or NDJSON file through the configured sources and pipelines, as
 * if they had arrived. It writes to a data directory of its own, so that a live agent's state stays
 * what it is.
 */

import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../../core/faults.ts";
import { type Config, fileUplinkDefaults } from "../config/config.ts";
import { startAgent } from "../start.ts";
import { counted } from "../../core/counted.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { csvRow } from "./csv.ts";
import { ledgerText } from "./ledger-text.ts";
import { scratchDirectory } from "./scratch-directory.ts";

/** A file has no silence: a device without further rows for so long has none. */
const IDLE_MS = 1_000;
const PROGRESS_MS = 2_000;

/** Columns that a message names; more would be no help. */
const COLUMNS_SHOWN = 30;

type Row = {
  /** `file:line`, for messages. */
  readonly place: string;
  readonly fields: Readonly<Record<string, unknown>>;
};

type Input = {
  readonly file: string;
  readonly topic: string;
  readonly time: string | undefined;
  readonly separator: string | undefined;
};

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    topic: { type: "string" },
    time: { type: "string" },
    separator: { type: "string" },
    data: { type: "string", default: "weir-replay-data" },
    json: { type: "boolean", default: false },
  });
  const [file] = positionals;
  if (file === undefined) throw new UsageError("say which FILE to replay");
  if (values.topic === undefined) throw new UsageError("say the topic of each row with --topic");
  if (values.separator === "") throw new UsageError("--separator must be a character");
  const { topic, time, separator } = values;
  await assertReadable(file);
  const data = resolve(values.data);
  const config = replayConfig(await readConfig(values.config), data);
  await scratchDirectory(data, { madeBy: "weir replay", fresh: true });

  let failure: Fault | undefined;
  const agent = await startAgent(config, {
    listen: false,
    onFailed: (fault) => {
      failure = fault;
      agent.feeder.abandon(); // whoever waits for room would wait for ever
    },
  });
  const progress = setInterval(() => {
    if (!values.json) console.error(`weir replay: ${counted(agent.feeder.taken, "message")}`);
  }, PROGRESS_MS);
  try {
    for await (const row of rowsOf({ file, topic, time, separator })) {
      await agent.feeder.feed(topicOf(topic, row), payloadOf(row, { topic, time, config }));
    }
    await agent.feeder.settled();
    // Nothing more comes: silence closes what is open, as it does for a device that ended.
    await sleep(2 * IDLE_MS);
  } catch (error) {
    throw failure ?? error;
  } finally {
    clearInterval(progress);
    await agent.close();
  }
  if (failure !== undefined) throw failure;
  const ledger = agent.ledger();
  if (values.json) console.log(JSON.stringify(ledger));
  else console.log(`${ledgerText(ledger)}\n\nSummaries and alerts: ${join(data, "upstream")}`);
  const { unwanted } = agent.feeder;
  if (unwanted > 0) {
    console.error(
      `weir: ${counted(unwanted, "row")} went to topics that no source takes; compare --topic with sources[].topics`,
    );
  }
  const deadLettered = ledger.sources.reduce((sum, row) => sum + row.messages.deadLettered, 0);
  if (deadLettered > 0) {
    console.error(
      `weir: ${counted(deadLettered, "row")} could not be decoded; see why with: weir dlq list --data ${values.data}`,
    );
  }
  const complete = unwanted === 0 && deadLettered === 0 && ledger.balanced;
  return complete ? exitCodes.ok : exitCodes.failed;
}

/** Before anything is started or emptied for it. */
async function assertReadable(file: string): Promise<void> {
  try {
    await access(file, constants.R_OK);
  } catch (cause) {
    throw cannotRead(file, cause);
  }
  if ((await stat(file)).isDirectory()) {
    throw new Fault("INPUT_INVALID", `${file} is a directory; name a CSV or NDJSON file in it`);
  }
}

function cannotRead(file: string, cause: unknown): Fault {
  const code = cause instanceof Error && "code" in cause ? ` (${String(cause.code)})` : "";
  const message = `cannot read ${file}${code}; check the path and your right to read it`;
  return new Fault("INPUT_INVALID", message, { cause });
}

function replayConfig(config: Config, data: string): Config {
  return {
    ...config,
    dataDirectory: data,
    http: undefined,
    brokers: [],
    // The file stands for the broker that a source would ask.
    sources: config.sources.map(({ broker: _, ...source }) => ({ ...source, idleMs: IDLE_MS })),
    uplinks: [{ ...fileUplinkDefaults, directory: join(data, "upstream") }],
  };
}

/**
 * NDJSON where the first line begins an object, otherwise CSV with a header. Faults name the line;
 * a time column that no row has is one too, for CSV before the first row.
 */
async function* rowsOf({ file, topic, time, separator: given }: Input): AsyncGenerator<Row> {
  let columns: readonly string[] | undefined;
  let separator = given ?? ",";
  const names = new Set<string>();
  let json: boolean | undefined;
  let number = 0;
  for await (const line of linesOf(file)) {
    number += 1;
    if (line.trim() === "") continue;
    const place = `${file}:${number}`;
    json ??= line.trimStart().startsWith("{");
    if (json) {
      const fields = fieldsOfJson(line, place);
      for (const name of Object.keys(fields)) {
        if (name === time || names.size < COLUMNS_SHOWN) names.add(name);
      }
      yield { place, fields };
    } else if (columns === undefined) {
      separator = given ?? [";", "\t", ","].find((mark) => line.includes(mark)) ?? ",";
      columns = cellsOf(line, { separator, place });
      for (const name of columns) names.add(name);
      assertNamed(time, names);
      for (const [, column = ""] of topic.matchAll(placeholder)) {
        if (!names.has(column)) throw noColumn(`--topic names the column`, column, names);
      }
    } else {
      yield { place, fields: fieldsOfCsv(line, { separator, place, columns }) };
    }
  }
  if (number > 0) assertNamed(time, names);
}

/** The lines of a file, without a byte order mark. */
async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file, "utf8");
  const lines = createInterface({ input, crlfDelay: Infinity });
  let isFirst = true;
  try {
    for await (const line of lines) {
      yield isFirst ? line.replace(/^\ufeff/, "") : line;
      isFirst = false;
    }
  } catch (cause) {
    throw cannotRead(file, cause);
  }
}

function assertNamed(time: string | undefined, names: ReadonlySet<string>): void {
  if (time !== undefined && !names.has(time))
    throw noColumn("--time names the column", time, names);
}

function noColumn(what: string, column: string, names: ReadonlySet<string>): Fault {
  const shown = [...names].slice(0, COLUMNS_SHOWN).map((name) => JSON.stringify(name));
  const more = names.size > shown.length ? ", ..." : "";
  return new Fault(
    "INPUT_INVALID",
    `${what} ${JSON.stringify(column)}, which no row has; there are ${shown.join(", ")}${more}`,
  );
}

function fieldsOfCsv(
  line: string,
  {
    separator,
    place,
    columns,
  }: {
    readonly separator: string;
    readonly place: string;
    readonly columns: readonly string[];
  },
): Row["fields"] {
  const cells = cellsOf(line, { separator, place });
  if (cells.length !== columns.length) {
    throw new Fault(
      "INPUT_INVALID",
      `${place} has ${cells.length} cells, but the header has ${columns.length}; mend the line, or name the separator with --separator`,
    );
  }
  return Object.fromEntries(columns.map((column, index) => [column, valueOf(cells[index]!)]));
}

function cellsOf(
  line: string,
  { separator, place }: { readonly separator: string; readonly place: string },
): readonly string[] {
  const cells = csvRow(line, separator);
  // One more separator begins one more cell, except within quotes.
  if (line.includes('"') && csvRow(line + separator, separator).length === cells.length) {
    throw new Fault(
      "INPUT_INVALID",
      `${place} has a quote that is not closed on its line; close it (cells cannot hold line breaks)`,
    );
  }
  return cells;
}

function fieldsOfJson(line: string, place: string): Row["fields"] {
  const isNot = (cause?: unknown): Fault =>
    new Fault("INPUT_INVALID", `${place} is not a JSON object; mend or remove the line`, { cause });
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw isNot(cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw isNot();
  return { ...value };
}

function valueOf(cell: string): unknown {
  if (cell === "") return null;
  if (cell === "true" || cell === "false") return cell === "true";
  const value = Number(cell);
  return Number.isFinite(value) && cell.trim() !== "" ? value : cell;
}

/** `{column}` in --topic. */
const placeholder = /\{([^}]+)\}/g;

function topicOf(template: string, { place, fields }: Row): string {
  return template.replaceAll(placeholder, (_, column: string) => {
    const value = fields[column];
    if (value === undefined || value === null) {
      throw new Fault(
        "INPUT_INVALID",
        `${place} has no value in the column ${JSON.stringify(column)}, which --topic names; mend or remove the line`,
      );
    }
    return typeof value === "string" ? value : JSON.stringify(value);
  });
}

/** The row without the columns that are in the topic, its time under the name the source knows. */
function payloadOf(
  { fields: all }: Row,
  {
    topic,
    time,
    config,
  }: { readonly topic: string; readonly time: string | undefined; readonly config: Config },
): Uint8Array {
  const timeField = config.sources[0]?.time[0] ?? "ts";
  const fields = Object.entries(all)
    .filter(([name]) => !topic.includes(`{${name}}`))
    .map(([name, value]) => [name === time ? timeField : name, value] as const);
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
}
