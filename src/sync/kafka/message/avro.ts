/**
 * Summaries and alerts in Avro, gaps and completeness markers among them, framed as the clients of a Confluent-compatible
 * schema registry expect it:
 *
 *   0  u8   magic, 0
 *   1  u32  id of the schema in the registry, big-endian
 *   5       Avro binary of weir.Summary or weir.Alert
 *
 * The ids are given: a gateway that is offline could not ask. The schemas below are those of
 * schema/weir.summary.avsc and schema/weir.alert.avsc, and docs/format/kafka.md says how their fields
 * follow from the JSON record. Every union is one type or null, and no field is an enum, so that
 * ClickHouse, Flink and readers of every earlier or later version can take them: a new field has a
 * default, and none changes its type (FULL_TRANSITIVE).
 */

import type { Schema } from "avsc";
import {
  bytesOf,
  damaged,
  numberOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "../../../store/state/stored-json.ts";

/** Ids of the two schemas, as the registry gave them: whole numbers below 2^32. */
export type AvroOptions = { readonly schemaIds: Readonly<Record<"summary" | "alert", number>> };

/**
 * The value of a record as the outbox holds it, a new buffer. `place` is where it was read. Faults:
 * STORE_FAILED, naming place and field. About 4 us.
 */
export type AvroEncoder = (record: Uint8Array, place: string) => Uint8Array;

/** An Avro record schema, as far as ours go. */
export type RecordSchema = {
  readonly type: "record";
  readonly name: string;
  readonly namespace: string;
  readonly doc: string;
  readonly fields: readonly {
    readonly name: string;
    readonly type: unknown;
    readonly default?: unknown;
  }[];
};

const time = { type: "long", logicalType: "timestamp-millis" };
const tags = { type: "map", values: "string" };
const optionalNumber = { type: ["null", "double"], default: null };
const optionalWhole = { type: ["null", "long"], default: null };
const optionalBytes = { type: ["null", "bytes"], default: null };
const optionalText = { type: ["null", "string"], default: null };
const optionalTime = { type: ["null", time], default: null };

export const summarySchema: RecordSchema = {
  type: "record",
  name: "Summary",
  namespace: "weir",
  doc: "A mergeable aggregate of one key in one half-open window [start, end).",
  fields: [
    { name: "id", type: "string" },
    { name: "agent", type: "string" },
    { name: "pipeline", type: "string" },
    { name: "key", type: tags },
    { name: "start", type: time },
    { name: "end", type: time },
    { name: "resolution", type: "long" },
    { name: "revision", type: "long" },
    { name: "count", type: "long" },
    { name: "sum", ...optionalNumber },
    { name: "sumError", ...optionalNumber },
    { name: "mean", ...optionalNumber },
    { name: "min", ...optionalNumber },
    { name: "max", ...optionalNumber },
    { name: "variance", ...optionalNumber },
    { name: "first", ...optionalNumber },
    { name: "firstTime", ...optionalTime },
    { name: "last", ...optionalNumber },
    { name: "lastTime", ...optionalTime },
    { name: "arrivalTimed", type: "long" },
    { name: "merged", ...optionalWhole },
    { name: "gapRecords", ...optionalWhole },
    { name: "gapReadings", ...optionalWhole },
    { name: "completeReadings", ...optionalWhole },
    { name: "p50", ...optionalNumber },
    { name: "p90", ...optionalNumber },
    { name: "p95", ...optionalNumber },
    { name: "p99", ...optionalNumber },
    { name: "quantiles", ...optionalBytes },
  ],
};

export const alertSchema: RecordSchema = {
  type: "record",
  name: "Alert",
  namespace: "weir",
  doc: "A reading out of control, or a symbol that is too frequent or too rare.",
  fields: [
    { name: "id", type: "string" },
    { name: "agent", type: "string" },
    { name: "pipeline", type: "string" },
    { name: "key", type: tags },
    { name: "time", type: time },
    { name: "reason", type: "string" },
    { name: "value", ...optionalNumber },
    { name: "symbol", ...optionalText },
    { name: "score", type: "double" },
    { name: "expected", type: "double" },
    { name: "limit", type: "double" },
    { name: "gapStart", ...optionalTime },
    { name: "gapRecords", ...optionalWhole },
  ],
};

const frameBytes = 5;

/** Loads the Avro library, about 6 MB of memory, and compiles the schemas. */
export async function openAvro({ schemaIds }: AvroOptions): Promise<AvroEncoder> {
  const { default: avro } = await import("avsc");
  const typeOf = (schema: RecordSchema): AvroType => avro.Type.forSchema(schema as Schema);
  const encodeSummary = frameEncoder(typeOf(summarySchema), schemaIds.summary);
  const encodeAlert = frameEncoder(typeOf(alertSchema), schemaIds.alert);
  return (bytes, place) => {
    const record = parse(bytes, place);
    const kind = textOf(record, "kind");
    const isGap = kind === "gap";
    const isMarker = kind === "complete";
    const isSummary =
      kind === "summary" || isMarker || (isGap && textOf(record, "lane") === "summaries");
    const fields = isGap ? gapAs(record) : isMarker ? markerAs(record) : record;
    const value = (isSummary ? summaryOf : alertOf)(fields);
    try {
      return isSummary ? encodeSummary(value) : encodeAlert(value);
    } catch (cause) {
      throw damaged(place, "a field does not fit its Avro schema", cause);
    }
  };
}

/**
 * Reads the binary of a record, without its frame, by each of the schemas: what fits to the last byte.
 * For tools: about 10 us.
 */
export async function openAvroReaders(
  schemas: readonly RecordSchema[],
): Promise<readonly ((bytes: Uint8Array) => Readonly<Record<string, unknown>> | undefined)[]> {
  const { default: avro } = await import("avsc");
  return schemas.map((schema) => {
    const type: { fromBuffer(bytes: Buffer): unknown } = avro.Type.forSchema(schema as Schema);
    return (bytes) => {
      try {
        const value = type.fromBuffer(Buffer.from(bytes));
        return isObject(value) ? value : undefined;
      } catch {
        return undefined;
      }
    };
  });
}

// ---- the fields ----

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** As decodeJson, without copying the object: that would be a fifth of the time. */
function parse(bytes: Uint8Array, place: string): StoredObject {
  let value: unknown;
  try {
    value = JSON.parse(utf8.decode(bytes));
  } catch (cause) {
    throw damaged(place, "it is not valid JSON", cause);
  }
  if (!isObject(value)) throw damaged(place, "it is not an object");
  return { place, fields: value };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}

function summaryOf(record: StoredObject): object {
  const start = wholeMs(record, "start");
  const end = wholeMs(record, "end");
  return {
    id: textOf(record, "id"),
    agent: textOf(record, "agent"),
    pipeline: textOf(record, "pipeline"),
    key: record.fields["key"],
    start,
    end,
    resolution: end - start,
    revision: wholeOf(record, "revision"),
    count: wholeOf(record, "count"),
    sum: optional(numberOf, record, "sum"),
    sumError: optional(numberOf, record, "sumError"),
    mean: optional(numberOf, record, "mean"),
    min: optional(numberOf, record, "min"),
    max: optional(numberOf, record, "max"),
    variance: optional(numberOf, record, "variance"),
    first: optional(numberOf, record, "first"),
    firstTime: optional(wholeMs, record, "firstTime"),
    last: optional(numberOf, record, "last"),
    lastTime: optional(wholeMs, record, "lastTime"),
    arrivalTimed: wholeOf(record, "arrivalTimed"),
    merged: optional(wholeOf, record, "merged"),
    gapRecords: optional(wholeOf, record, "gapRecords"),
    gapReadings: optional(wholeOf, record, "gapReadings"),
    completeReadings: optional(wholeOf, record, "completeReadings"),
    p50: optional(numberOf, record, "p50"),
    p90: optional(numberOf, record, "p90"),
    p95: optional(numberOf, record, "p95"),
    p99: optional(numberOf, record, "p99"),
    quantiles: optional(bufferOf, record, "quantiles"),
  };
}

/**
 * A gap with the fields of the kind whose topic it is in: a summary without readings, or an alert of
 * the reason `gap`. A topic has one schema.
 */
function gapAs(record: StoredObject): StoredObject {
  const { id, agent, pipeline, start, end, records, readings } = record.fields;
  const ofSummary = { revision: 0, count: 0, arrivalTimed: 0, gapReadings: readings };
  const ofAlert = { time: end, reason: "gap", score: 0, expected: 0, limit: 0 };
  const fields = { id, agent, pipeline, key: {}, start, end, ...ofSummary, ...ofAlert };
  return { place: record.place, fields: { ...fields, gapRecords: records, gapStart: start } };
}

/** A completeness marker as a summary without readings; from where it counts to where, if not all. */
function markerAs(record: StoredObject): StoredObject {
  const { id, agent, pipeline, key, through, from = through, readings } = record.fields;
  const none = { revision: 0, count: 0, arrivalTimed: 0 };
  const fields = { id, agent, pipeline, key, start: from, end: through, ...none };
  return { place: record.place, fields: { ...fields, completeReadings: readings } };
}

function alertOf(record: StoredObject): object {
  const reason = textOf(record, "reason");
  const isSymbol = reason === "heavy_symbol" || reason === "rare_symbol";
  return {
    id: textOf(record, "id"),
    agent: textOf(record, "agent"),
    pipeline: textOf(record, "pipeline"),
    key: record.fields["key"],
    time: wholeMs(record, "time"),
    reason,
    value: isSymbol || reason === "gap" ? undefined : numberOf(record, "value"),
    symbol: isSymbol ? textOf(record, "value") : undefined,
    score: numberOf(record, "score"),
    expected: numberOf(record, "expected"),
    limit: numberOf(record, "limit"),
    gapStart: optional(wholeMs, record, "gapStart"),
    gapRecords: optional(wholeOf, record, "gapRecords"),
  };
}

function optional<Value>(
  read: (record: StoredObject, name: string) => Value,
  record: StoredObject,
  name: string,
): Value | undefined {
  return record.fields[name] === undefined ? undefined : read(record, name);
}

/** Bytes as the library takes them. */
function bufferOf(record: StoredObject, name: string): Buffer {
  return Buffer.from(bytesOf(record, name));
}

/** A time, its fraction of a millisecond cut off towards the past. */
function wholeMs(record: StoredObject, name: string): number {
  return Math.floor(numberOf(record, name));
}

// ---- the frame ----

/** What is used of the library's types. */
type AvroType = {
  /** Writes at `offset` and returns where it ended, or minus the bytes that were missing. */
  encode(value: unknown, bytes: Buffer, offset: number): number;
};

function frameEncoder(type: AvroType, schemaId: number): (value: object) => Uint8Array {
  let scratch = Buffer.alloc(1_024);
  return (value) => {
    let end = type.encode(value, scratch, frameBytes);
    if (end < 0) {
      scratch = Buffer.alloc(2 * (scratch.length - end));
      end = type.encode(value, scratch, frameBytes);
    }
    const frame = new Uint8Array(end);
    frame.set(scratch.subarray(0, end));
    new DataView(frame.buffer).setUint32(1, schemaId);
    return frame;
  };
}
