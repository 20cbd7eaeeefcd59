/**
 * kcat (librdkafka) as the reader and writer that shares no code with the uplink.
 *
 * A read_committed reader stops before the first record of a transaction that is still open (the
 * last stable offset): what lies behind it is not missing, it is not yet decided.
 *
 * librdkafka before 2.6.1, which Debian 12 has, cannot log in with SCRAM at Kafka 4: it repeats its
 * nonce, and only Kafka 3 lets that pass. Read there by the plaintext listener.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposableSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A record of a topic; key and value as text (UTF-8), `undefined` where they are null. */
export type ReadRecord = {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | undefined;
  readonly value: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
};

type ReadOptions = {
  readonly bootstrap: string;
  readonly topic: string;
  /** Settings of librdkafka, such as security.protocol. */
  readonly settings?: Readonly<Record<string, string>>;
};

type RecordToWrite = {
  readonly key?: string;
  readonly value: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
};

/** librdkafka asks the broker to wait half a second for more at the end of each partition. */
const fetchWaitMs = "10";

/**
 * What a read_committed consumer gets from the beginning to the end, partition by partition, in
 * order of offsets. A header that comes twice keeps its last value.
 */
export async function readCommitted(options: ReadOptions): Promise<readonly ReadRecord[]> {
  const settings = {
    "fetch.wait.max.ms": fetchWaitMs,
    ...options.settings,
    "isolation.level": "read_committed",
  };
  const where = ["-t", options.topic, "-o", "beginning"];
  const output = await kcat({ ...options, settings }, ["-C", "-e", "-q", "-J", ...where]);
  return output
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => recordOf(JSON.parse(line)))
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

/** Writes one record; resolves when the broker has taken it. */
export async function writeRecord(options: ReadOptions, record: RecordToWrite): Promise<void> {
  const headers = Object.entries(record.headers ?? {}).flatMap(([name, value]) => [
    "-H",
    `${name}=${value}`,
  ]);
  const key = record.key === undefined ? [] : ["-k", record.key];
  // From standard input kcat takes lines; from a file, one record.
  using folder = mkdtempDisposableSync(join(tmpdir(), "weir-kcat-"));
  const file = join(folder.path, "value");
  writeFileSync(file, record.value);
  await kcat(options, ["-P", "-t", options.topic, ...key, ...headers, file]);
}

/** What kcat printed; throws with what it said when it fails. */
async function kcat(
  { bootstrap, settings = {} }: ReadOptions,
  args: readonly string[],
): Promise<string> {
  const given = Object.entries(settings).flatMap(([name, value]) => ["-X", `${name}=${value}`]);
  const child = spawn("kcat", ["-b", bootstrap, ...given, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  const parts: Buffer[] = [];
  let trouble = "";
  child.stdout.on("data", (part: Buffer) => parts.push(part));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (trouble += text));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`kcat ended with ${String(code)}: ${trouble.trim()}`);
  return Buffer.concat(parts).toString("utf8");
}

function recordOf(line: unknown): ReadRecord {
  if (!isObject(line)) throw new Error(`not a record of kcat: ${JSON.stringify(line)}`);
  return {
    partition: Number(line["partition"]),
    offset: Number(line["offset"]),
    key: textOf(line["key"]),
    value: textOf(line["payload"]),
    headers: headersOf(line["headers"]),
    timestamp: Number(line["ts"]),
  };
}

/** kcat prints headers as one list: name, value, name, value. */
function headersOf(list: unknown): Readonly<Record<string, string>> {
  const words = Array.isArray(list) ? list.map(String) : [];
  const names = words.filter((_, index) => index % 2 === 0);
  return Object.fromEntries(names.map((name, index) => [name, words[2 * index + 1] ?? ""]));
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
