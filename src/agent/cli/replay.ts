/**
 * `weir replay`: the rows of a CSV or NDJSON file through the configured sources and pipelines, as
 * if they had arrived. It writes to a data directory of its own, so that a live agent's state stays
 * what it is.
 */

import { createReadStream } from "node:fs";
import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Fault } from "../../core/faults.ts";
import type { Config } from "../config/config.ts";
import { startAgent } from "../start.ts";
import { exitCodes, parseOptions, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { csvRow } from "./csv.ts";
import { ledgerText } from "./ledger-text.ts";
import { scratchDirectory } from "./scratch-directory.ts";

/** A file has no silence: a device without further rows for so long has none. */
const IDLE_MS = 1_000;
const PROGRESS_MS = 2_000;

type Row = Readonly<Record<string, unknown>>;

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
  const { topic, time } = values;
  await access(file).catch((cause: unknown) => {
    throw new Fault(
      "INPUT_INVALID",
      `cannot read ${file}; check the path and your right to read it`,
      {
        cause,
      },
    );
  });
  const data = resolve(values.data);
  const config = replayConfig(await readConfig(values.config), data);
  await scratchDirectory(data, { madeBy: "weir replay", fresh: true });

  let failure: Fault | undefined;
  const agent = await startAgent(config, { listen: false, onFailed: (fault) => (failure = fault) });
  const progress = setInterval(() => {
    if (!values.json) console.error(`weir replay: ${agent.feeder.taken} messages`);
  }, PROGRESS_MS);
  try {
    for await (const row of rowsOf(file, values.separator)) {
      if (failure !== undefined) throw failure;
      await agent.feeder.feed(topicOf(topic, row), payloadOf(row, { topic, time, config }));
    }
    await agent.feeder.settled();
    // Nothing more comes: silence closes what is open, as it does for a device that ended.
    await sleep(2 * IDLE_MS);
  } finally {
    clearInterval(progress);
    await agent.close();
  }
  const ledger = agent.ledger();
  if (values.json) console.log(JSON.stringify(ledger));
  else console.log(`${ledgerText(ledger)}\n\nSummaries and alerts: ${join(data, "upstream")}`);
  if (agent.feeder.unwanted > 0) {
    console.error(
      `weir: ${agent.feeder.unwanted} rows went to topics that no source takes; compare --topic with sources[].topics`,
    );
    return exitCodes.failed;
  }
  return ledger.balanced ? exitCodes.ok : exitCodes.failed;
}

function replayConfig(config: Config, data: string): Config {
  return {
    ...config,
    dataDirectory: data,
    http: undefined,
    sources: config.sources.map((source) => ({ ...source, idleMs: IDLE_MS })),
    uplinks: config.uplinks
      .slice(0, 1)
      .map((uplink) => ({ ...uplink, directory: join(data, "upstream") })),
  };
}

/** NDJSON where the first line begins an object, otherwise CSV with a header. */
async function* rowsOf(file: string, separatorOption: string | undefined): AsyncGenerator<Row> {
  const lines = createInterface({ input: createReadStream(file), crlfDelay: Infinity });
  let columns: readonly string[] | undefined;
  let separator = separatorOption ?? ",";
  let json: boolean | undefined;
  let number = 0;
  for await (const line of lines) {
    number += 1;
    if (line.trim() === "") continue;
    json ??= line.trimStart().startsWith("{");
    if (json) {
      yield parseLine(line, { file, number });
    } else if (columns === undefined) {
      separator = separatorOption ?? [";", "\t", ","].find((mark) => line.includes(mark)) ?? ",";
      columns = csvRow(line, separator);
    } else {
      const cells = csvRow(line, separator);
      yield Object.fromEntries(
        columns.map((column, index) => [column, valueOf(cells[index] ?? "")]),
      );
    }
  }
}

function parseLine(
  line: string,
  { file, number }: { readonly file: string; readonly number: number },
): Row {
  const isNot = (cause?: unknown): Fault =>
    new Fault("INPUT_INVALID", `${file}:${number} is not a JSON object; mend or remove the line`, {
      cause,
    });
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

function topicOf(template: string, row: Row): string {
  return template.replaceAll(/\{([^}]+)\}/g, (_, column: string) => {
    const value = row[column];
    if (value === undefined || value === null) {
      throw new Fault(
        "INPUT_INVALID",
        `--topic names the column ${JSON.stringify(column)}, which a row does not have`,
      );
    }
    return typeof value === "string" ? value : JSON.stringify(value);
  });
}

/** The row without the columns that are in the topic, its time under the name the source knows. */
function payloadOf(
  row: Row,
  {
    topic,
    time,
    config,
  }: { readonly topic: string; readonly time: string | undefined; readonly config: Config },
): Uint8Array {
  const timeField = config.sources[0]?.time[0] ?? "ts";
  const fields = Object.entries(row)
    .filter(([name]) => !topic.includes(`{${name}}`))
    .map(([name, value]) => [name === time ? timeField : name, value] as const);
  return new TextEncoder().encode(JSON.stringify(Object.fromEntries(fields)));
}
