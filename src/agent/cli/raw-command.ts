/**
 * `weir raw`: asks a running agent to send raw readings upstream, lists what was asked for, cancels it; or
 * does so from the side of Kafka, through the topic that an agent reads commands from.
 */

import { rawPath } from "../http/raw-routes.ts";
import type { RawStatus } from "../raw/raw-request.ts";
import {
  addressOf,
  agentAt,
  agentOptions,
  type AgentAddress,
  unknownAgent,
} from "./agent-client.ts";
import { ColumnText } from "./column-text.ts";
import { exitCodes, parseOptions, UsageError, withTimes } from "./command.ts";
import { type KafkaValues, kafkaOptions } from "./kafka-target.ts";
import { type AskByKafka, askByKafka, cancelByKafka } from "./raw-by-kafka.ts";
import { timeText } from "./store-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(withTimes(args), {
    ...kafkaOptions,
    ...agentOptions,
    expires: { type: "string" },
    id: { type: "string" },
    from: { type: "string" },
    to: { type: "string" },
    priority: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [verb = "", ...rest] = positionals;
  if (values.kafka !== undefined) return await runByKafka(verb, { ...values, rest });
  if (values.expires !== undefined) throw new UsageError("--expires goes with --kafka");
  const address = await addressOf(values);
  switch (verb) {
    case "ask":
      return await ask(address, { ...values, selectors: rest });
    case "list":
      if (rest.length > 0) throw new UsageError("raw list takes no arguments");
      return await list(address, values.json);
    case "cancel":
      return await cancel(address, rest);
    default:
      throw new UsageError("say ask, list or cancel");
  }
}

async function runByKafka(
  verb: string,
  { rest, json, ...values }: KafkaValues & Omit<AskByKafka, "selectors"> & Rest,
): Promise<number> {
  if (values.url !== undefined) throw new UsageError("say either --url or --kafka");
  if (verb === "ask") {
    if (rest.length === 0) throw noSelector();
    const id = await askByKafka(values, { ...values, selectors: rest });
    console.log(json ? JSON.stringify({ id }) : id);
  } else if (verb === "cancel") await cancelByKafka(values, oneId(rest));
  else
    throw new UsageError(
      "at Kafka say ask or cancel: what came of it are manifests in the topic of raw readings",
    );
  return exitCodes.ok;
}

type Rest = {
  readonly rest: readonly string[];
  readonly json: boolean;
  readonly url?: string | undefined;
};

function noSelector(): UsageError {
  return new UsageError("say which series, as in '{device=p1}'");
}

function oneId([id, second]: readonly string[]): string {
  if (id === undefined || second !== undefined) throw new UsageError("say the id of one request");
  return id;
}

type AskValues = {
  readonly selectors: readonly string[];
  readonly id?: string;
  readonly from?: string;
  readonly to?: string;
  readonly priority?: string;
  readonly json: boolean;
};

async function ask(
  address: AgentAddress,
  { selectors, json, ...values }: AskValues,
): Promise<number> {
  if (selectors.length === 0) throw noSelector();
  const search = new URLSearchParams(selectors.map((selector) => ["select", selector]));
  for (const name of ["id", "from", "to", "priority"] as const) {
    const value = values[name];
    if (value !== undefined) search.set(name, value);
  }
  const answer = await agentAt(address, "POST")(`${rawPath}?${search.toString()}`);
  if (!hasId(answer)) throw unknownAgent(address);
  console.log(json ? JSON.stringify(answer) : answer.id);
  return exitCodes.ok;
}

async function cancel(address: AgentAddress, ids: readonly string[]): Promise<number> {
  const id = oneId(ids);
  await agentAt(address, "DELETE")(`${rawPath}?${new URLSearchParams({ id }).toString()}`);
  return exitCodes.ok;
}

async function list(address: AgentAddress, json: boolean): Promise<number> {
  const answer = await agentAt(address)(rawPath);
  if (!isList(answer)) throw unknownAgent(address);
  if (json) {
    console.log(JSON.stringify(answer.requests));
    return exitCodes.ok;
  }
  const titles = ["id", "state", "from", "to", "priority", "parts", "readings", "selectors"];
  const table = new ColumnText(titles, (text) => console.log(text));
  for (const request of answer.requests) table.add(cellsOf(request));
  table.flush();
  return exitCodes.ok;
}

function cellsOf(request: RawStatus): readonly string[] {
  const { id, state, from, to, priority, parts, readings, select, reason } = request;
  const why = reason === "" ? state : `${state}: ${reason}`;
  return [
    id,
    why,
    timeText(from),
    timeText(to),
    priority,
    `${parts}`,
    `${readings}`,
    select.join(" "),
  ];
}

function hasId(answer: unknown): answer is { readonly id: string } {
  return typeof answer === "object" && answer !== null && "id" in answer;
}

/** By what tells it from other programs; an agent of this version is trusted with the rest. */
function isList(answer: unknown): answer is { readonly requests: readonly RawStatus[] } {
  return typeof answer === "object" && answer !== null && "requests" in answer;
}
