/**
 * The official Java consumer as a reader (consumer/ReadRecords.java), which also decodes values with
 * libraries that are not ours: Jackson for JSON, Apache Avro for Confluent's Avro.
 */

import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { classPathOf } from "./jars.ts";

/** A record as the Java side decoded it. */
export type DecodedRecord = {
  readonly partition: number;
  readonly offset: number;
  readonly key: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  /** `undefined` for a record without a value. */
  readonly encoding: "json" | "avro" | undefined;
  /**
   * JSON values as they are; Avro in Avro's own JSON, where a value of a union other than null is
   * an object of its branch, such as {"double": 1.5}.
   */
  readonly value: unknown;
};

type DecodeOptions = {
  readonly bootstrap: string;
  readonly topic: string;
  /** Paths of Avro schema files, by schema id. */
  readonly schemas?: Readonly<Record<number, string>>;
};

const program = join(import.meta.dirname, "consumer/ReadRecords.java");
const outputBytesMax = 256 * 1024 * 1024;

/**
 * Every record that is committed when it is called, by partition and offset. Takes about two
 * seconds, most of them Java's; throws with the Java exception where a value cannot be decoded.
 */
export async function readDecoded(options: DecodeOptions): Promise<readonly DecodedRecord[]> {
  const { bootstrap, topic, schemas = {} } = options;
  const files = Object.entries(schemas).map(([id, file]) => `${id}=${file}`);
  const flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
  const args = [...flags, "-cp", classPathOf("reader"), program, bootstrap, topic, ...files];
  const { stdout } = await promisify(execFile)("java", args, { maxBuffer: outputBytesMax });
  return stdout
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => decodedOf(JSON.parse(line)))
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset);
}

function decodedOf(line: unknown): DecodedRecord {
  if (!isObject(line)) throw new Error(`not a record of ReadRecords: ${JSON.stringify(line)}`);
  const { key, encoding, headers } = line;
  return {
    partition: Number(line["partition"]),
    offset: Number(line["offset"]),
    key: typeof key === "string" ? key : undefined,
    headers: Object.fromEntries(
      Object.entries(isObject(headers) ? headers : {}).map(([name, value]) => [
        name,
        String(value),
      ]),
    ),
    timestamp: Number(line["timestamp"]),
    encoding: encoding === "json" || encoding === "avro" ? encoding : undefined,
    value: line["value"],
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
