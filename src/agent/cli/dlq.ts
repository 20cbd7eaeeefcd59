/**
 * `weir dlq`: the messages that could not be decoded. Reads the state store of the data directory,
 * beside a running agent or without one; or asks a running agent, where the options say how.
 */

import { existsSync } from "node:fs";
import { Fault } from "../../core/faults.ts";
import type { DeadLetterReason } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import { readDefinitions } from "../../store/state/catalog-store.ts";
import { readCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { deadLetterViews } from "../dead-letter-views.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { isZonelessAt } from "../ingest/decode/places.ts";
import type { DeadLettersAsked, DeadLetterView } from "../status.ts";
import { actAsOwner } from "./act-as-owner.ts";
import { addressOf, agentAt, agentOptions, unknownAgent } from "./agent-client.ts";
import { exitCodes, wholeOption, parseOptions, UsageError } from "./command.ts";
import { printable } from "./column-text.ts";
import { readConfig } from "./configured.ts";
import { tableText } from "./ledger-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    ...agentOptions,
    data: { type: "string" },
    limit: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [action, which] = positionals;
  if (action === "list") {
    const limit = wholeOption(values.limit, {
      name: "--limit",
      fallback: 20,
      min: 1,
      max: limits.deadLettersKeptMax,
    });
    const letters = await lettersOf(values, { limit });
    console.log(values.json ? JSON.stringify(letters.map(asJson)) : listText(letters));
    return exitCodes.ok;
  }
  if (action === "show" && which !== undefined) {
    const number = wholeOption(which, { name: "NUMBER", fallback: 0, min: 0 });
    const [letter] = await lettersOf(values, { limit: 1, before: number + 1 });
    if (letter?.number !== number) {
      // Whether it was there before is not told.
      const message = `no dead letter ${number} can be shown: none of this number is kept, or it is damaged; weir dlq list shows those that can`;
      throw new Fault("INPUT_INVALID", message);
    }
    console.log(values.json ? JSON.stringify(asJson(letter)) : letterText(letter));
    return exitCodes.ok;
  }
  throw new UsageError("say list, or show NUMBER");
}

type Values = Parameters<typeof addressOf>[0] & { readonly data?: string };

/** Who says how an agent is asked means a running one; its data lies on another machine, as a rule. */
async function lettersOf(
  values: Values,
  asked: DeadLettersAsked,
): Promise<readonly DeadLetterView[]> {
  const { url, ca, "token-file": tokenFile, data, config = "weir.yaml" } = values;
  if (url === undefined && ca === undefined && tokenFile === undefined) {
    return await lettersIn(data ?? (await readConfig(config)).dataDirectory, asked);
  }
  if (data !== undefined) {
    throw new UsageError("say either --data, or how a running agent is asked (--url)");
  }
  return await lettersAt(values, asked);
}

async function lettersAt(
  values: Values,
  { limit, before }: DeadLettersAsked,
): Promise<readonly DeadLetterView[]> {
  const address = await addressOf(values);
  const below = before === undefined ? "" : `&before=${before}`;
  const answer = await agentAt(address)(`/v1/dead-letters?limit=${limit}${below}`);
  if (!hasLetters(answer)) throw unknownAgent(address);
  if (before !== undefined && answer.deadLetters.some(({ number }) => number >= before)) {
    const message = `the agent at ${address.url} is of another version, which cannot be asked for one dead letter; weir dlq list --json shows the newest, with what they are`;
    throw new Fault("AGENT_UNREACHABLE", message);
  }
  return answer.deadLetters;
}

/** By what tells it from other programs; an agent of this version is trusted with the rest. */
function hasLetters(
  answer: unknown,
): answer is { readonly deadLetters: readonly DeadLetterView[] } {
  if (typeof answer !== "object" || answer === null || !("deadLetters" in answer)) return false;
  return Array.isArray(answer.deadLetters);
}

async function lettersIn(
  directory: string,
  asked: DeadLettersAsked,
): Promise<readonly DeadLetterView[]> {
  actAsOwner(directory);
  const { state } = dataPaths(directory);
  if (!existsSync(state)) {
    throw new Fault(
      "INPUT_INVALID",
      `${directory} is not the data directory of an agent; point to one with --data or -c, or ask one that runs elsewhere with --url`,
    );
  }
  await checkStateFile(state);
  const kv = readCheckedKv(openKvLmdb({ path: state, bytesMax: limits.kvBytesMax }));
  try {
    const sources = readDefinitions(kv).filter((definition) => definition.kind === "source");
    const nameOf = (source: number): string =>
      sources.find(({ id }) => id === source)?.name ?? `source ${source}`;
    return deadLetterViews(kv, nameOf, asked);
  } finally {
    await kv.close();
  }
}

function asJson({ payloadBase64, ...letter }: DeadLetterView): Readonly<Record<string, unknown>> {
  return { ...letter, payload: payloadBase64 };
}

function listText(letters: readonly DeadLetterView[]): string {
  if (letters.length === 0) return "no dead letters";
  return tableText({
    head: ["number", "arrived", "source", "topic", "reason", "field", "at byte", "bytes"],
    rows: letters.map((letter) => [
      String(letter.number),
      new Date(letter.arrived).toISOString(),
      letter.source,
      letter.topic,
      letter.reason,
      fieldText(letter),
      String(letter.offset),
      String(letter.payloadBytes),
    ]),
  });
}

function letterText(letter: DeadLetterView): string {
  const payload = Buffer.from(letter.payloadBase64, "base64");
  return [
    `number   ${letter.number}`,
    `arrived  ${new Date(letter.arrived).toISOString()}`,
    `source   ${letter.source}`,
    `topic    ${printable(letter.topic)}`,
    `reason   ${letter.reason} ${letter.payloadBytes === 0 ? "(the payload is empty)" : `at byte ${letter.offset} of ${letter.payloadBytes}`}`,
    ...(letter.field === undefined ? [] : [`field    ${fieldText(letter)}`]),
    ...meaningOf(letter, payload),
    "",
    ...hexLines(payload),
  ].join("\n");
}

function fieldText({ field = "" }: DeadLetterView): string {
  const text = printable(field);
  return text.length > FIELD_SHOWN ? `${text.slice(0, FIELD_SHOWN)}...` : text;
}

/** What a reason says, and what helps; nothing for one of another version. */
function meaningOf(letter: DeadLetterView, payload: Uint8Array): readonly string[] {
  const { reason, field, offset } = letter;
  const name = fieldText(letter);
  let meaning = Object.hasOwn(meanings, reason) ? meanings[reason as DeadLetterReason] : undefined;
  if (field !== undefined && reason === "shape_unsupported") {
    meaning = `what ${name} holds gives no readings, as an array of numbers: add ${name} to the source's ignore`;
  } else if (field !== undefined && reason === "number_invalid") {
    meaning = `what ${name} holds is not finite, or too large for a double: have the device leave it out or send null, or add ${name} to the source's ignore`;
  } else if (reason === "time_invalid" && isZonelessAt(payload, offset)) {
    meaning = `the time in ${name} has no zone: if it is UTC, set timezone: utc at the source; else have the device send one (Z, +02:00)`;
  }
  return meaning === undefined ? [] : [`         ${meaning}`];
}

const meanings: Readonly<Record<DeadLetterReason, string>> = {
  json_invalid: "no JSON from there on",
  cbor_invalid: "no CBOR from there on",
  number_invalid:
    "no number or word from there on, or a number too large for a double; a source of JSON has format auto or json",
  time_invalid:
    "what stands in the time field is no time: a number since 1970, or RFC 3339 with a zone (2024-05-01T12:30:15Z)",
  time_missing: "no time field, and the source says time.required",
  shape_unsupported:
    "a shape that gives no readings, as an array of numbers: name its field in ignore",
  too_many_readings: `more than ${limits.readingsPerMessageMax} readings in one message: send them in several`,
  payload_too_large: "longer than payloads may be",
};

const HEX_WIDTH = 16;
const FIELD_SHOWN = 60;

/** Offset, bytes, and what of them is printable ASCII. */
function hexLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_WIDTH) {
    const row = bytes.subarray(at, at + HEX_WIDTH);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.toString("latin1").replaceAll(/[^\x20-\x7e]/g, ".");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex.padEnd(HEX_WIDTH * 3)} ${text}`);
  }
  return lines;
}
