/**
 * `weir dlq`: the messages that could not be decoded. Reads the state store of the data directory,
 * beside a running agent or without one.
 */

import { existsSync } from "node:fs";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import {
  type KeptDeadLetter,
  readDeadLetter,
  readDeadLetters,
} from "../../store/state/dead-letters.ts";
import { readDefinitions } from "../../store/state/catalog-store.ts";
import { readCheckedKv } from "../../store/state/checked-kv.ts";
import { openKvLmdb } from "../../store/state/kv-lmdb.ts";
import { checkStateFile } from "../doors/state-file.ts";
import { dataPaths } from "../start.ts";
import { exitCodes, wholeOption, parseOptions, UsageError } from "./command.ts";
import { readConfig } from "./configured.ts";
import { tableText } from "./ledger-text.ts";

export async function run(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, {
    config: { type: "string", short: "c", default: "weir.yaml" },
    data: { type: "string" },
    limit: { type: "string" },
    json: { type: "boolean", default: false },
  });
  const [action, which] = positionals;
  const directory = values.data ?? (await readConfig(values.config)).dataDirectory;
  const { state } = dataPaths(directory);
  if (!existsSync(state)) {
    throw new Fault(
      "INPUT_INVALID",
      `${directory} is not the data directory of an agent; point to one with --data or -c`,
    );
  }
  await checkStateFile(state);
  const kv = readCheckedKv(openKvLmdb({ path: state, bytesMax: limits.kvBytesMax }));
  const sources = readDefinitions(kv).filter((definition) => definition.kind === "source");
  const sourceOf = (letter: KeptDeadLetter): string =>
    sources.find(({ id }) => id === letter.source)?.name ?? `source ${letter.source}`;
  try {
    if (action === "list") {
      const limit = wholeOption(values.limit, {
        name: "--limit",
        fallback: 20,
        min: 1,
        max: limits.deadLettersKeptMax,
      });
      const letters = readDeadLetters(kv, { limit });
      console.log(
        values.json
          ? JSON.stringify(letters.map((letter) => asJson(letter, sourceOf(letter))))
          : listText(letters, sourceOf),
      );
      return exitCodes.ok;
    }
    if (action === "show" && which !== undefined) {
      const letter = readDeadLetter(
        kv,
        wholeOption(which, { name: "NUMBER", fallback: 0, min: 0 }),
      );
      if (letter === undefined)
        throw new Fault(
          "INPUT_INVALID",
          `no dead letter ${which} is kept; weir dlq list shows those that are`,
        );
      console.log(
        values.json
          ? JSON.stringify(asJson(letter, sourceOf(letter)))
          : letterText(letter, sourceOf(letter)),
      );
      return exitCodes.ok;
    }
    throw new UsageError("say list, or show NUMBER");
  } finally {
    await kv.close();
  }
}

function asJson(letter: KeptDeadLetter, source: string): Readonly<Record<string, unknown>> {
  return { ...letter, source, payload: Buffer.from(letter.payload).toString("base64") };
}

function listText(
  letters: readonly KeptDeadLetter[],
  sourceOf: (letter: KeptDeadLetter) => string,
): string {
  if (letters.length === 0) return "no dead letters";
  return tableText({
    head: ["number", "arrived", "source", "topic", "reason", "at byte", "bytes"],
    rows: letters.map((letter) => [
      String(letter.number),
      new Date(letter.arrived).toISOString(),
      sourceOf(letter),
      letter.topic,
      letter.reason,
      String(letter.offset),
      String(letter.payloadBytes),
    ]),
  });
}

function letterText(letter: KeptDeadLetter, source: string): string {
  const payload = Buffer.from(letter.payload);
  return [
    `number   ${letter.number}`,
    `arrived  ${new Date(letter.arrived).toISOString()}`,
    `source   ${source}`,
    `topic    ${letter.topic}`,
    `reason   ${letter.reason} ${letter.payloadBytes === 0 ? "(the payload is empty)" : `at byte ${letter.offset} of ${letter.payloadBytes}`}`,
    "",
    ...hexLines(payload),
  ].join("\n");
}

const HEX_WIDTH = 16;

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
