/**
 * Records out of the values of a topic, JSON or Avro, whichever each of them is. An Avro value names its
 * schema by the id that a registry gave it; without asking there, it is read by the schema that fits it
 * to its last byte: ours of today, or one of those before, which had fewer fields at the end.
 */

import { decodeRecord, type DecodedRecord } from "../../../store/outbox/record-codec.ts";
import { damaged, encodeJson } from "../../../store/state/stored-json.ts";
import { alertSchema, openAvroReaders, type RecordSchema, summarySchema } from "../message/avro.ts";

/** Faults: STORE_FAILED, naming `place`, where it is no record. */
export type RecordReader = (value: Uint8Array, place: string) => Promise<DecodedRecord>;

/** The Avro library is loaded at the first value that wants it. */
export function openRecordReader(): RecordReader {
  let avro: Promise<(value: Uint8Array, place: string) => DecodedRecord> | undefined;
  return async (value, place) => {
    if (value[0] !== avroMagic) return decodeRecord(value, place);
    avro ??= openAvroReader();
    return (await avro)(value, place);
  };
}

const avroMagic = 0;
const frameBytes = 5;
/** Fields of the first schemas. */
const summaryFieldsMin = 20;
const alertFieldsMin = 11;

type Kind = "summary" | "alert";
type Fields = Readonly<Record<string, unknown>>;
type Known = { readonly kind: Kind; readonly read: (bytes: Uint8Array) => Fields | undefined };

async function openAvroReader(): Promise<(value: Uint8Array, place: string) => DecodedRecord> {
  const all = [
    ...(await versions("summary", summarySchema, summaryFieldsMin)),
    ...(await versions("alert", alertSchema, alertFieldsMin)),
  ];
  const bySchema = new Map<number, Known>();
  return (value, place) => {
    if (value.length < frameBytes) throw damaged(place, "it is no Avro record");
    const schema = new DataView(value.buffer, value.byteOffset).getUint32(1);
    const bytes = value.subarray(frameBytes);
    const known = bySchema.get(schema);
    for (const each of known === undefined ? all : [known]) {
      const fields = each.read(bytes);
      if (fields === undefined || !isOfKind(each.kind, fields)) continue;
      bySchema.set(schema, each);
      return decodeRecord(encodeJson(jsonOf(each.kind, fields)), place);
    }
    throw damaged(place, `it fits none of our schemas (its own is ${schema})`);
  };
}

/** Of one kind: the newest first, then with ever fewer fields. */
async function versions(
  kind: Kind,
  schema: RecordSchema,
  fieldsMin: number,
): Promise<readonly Known[]> {
  const { length } = schema.fields;
  const schemas = Array.from({ length: length - fieldsMin + 1 }, (_, fewer) => ({
    ...schema,
    fields: schema.fields.slice(0, length - fewer),
  }));
  return (await openAvroReaders(schemas)).map((read) => ({ kind, read }));
}

/** The bytes of one kind may pass for another: the id has the time of the record as its fourth part. */
function isOfKind(kind: Kind, fields: Fields): boolean {
  const [, , , time, length] = String(fields["id"]).split("/");
  if (kind === "summary" && time === "complete")
    return Math.floor(Number(length)) === fields["end"];
  const begun = kind === "summary" ? fields["start"] : (fields["gapStart"] ?? fields["time"]);
  const isWhole = kind === "alert" || Number.isFinite(Number(length));
  return Math.floor(Number(time)) === begun && isWhole;
}

/** As the JSON record has it; see docs/format/kafka.md for the differences. */
function jsonOf(kind: Kind, fields: Fields): object {
  const { gapRecords, gapReadings, gapStart: _, completeReadings, symbol, ...own } = fields;
  const present = Object.fromEntries(
    Object.entries(own)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [name, jsonValue(value)]),
  );
  // The id has fractions of a millisecond still.
  const [, , , time, length] = String(own["id"]).split("/").map(Number);
  if (completeReadings !== null && completeReadings !== undefined) {
    const from = own["start"] === own["end"] ? {} : { from: own["start"] };
    return {
      v: 1,
      kind: "complete",
      ...present,
      ...from,
      through: length,
      readings: completeReadings,
    };
  }
  const window = { start: time, end: (time ?? 0) + (length ?? 0) };
  if (gapRecords === null || gapRecords === undefined) {
    const value = symbol === null || symbol === undefined ? {} : { value: symbol };
    return { v: 1, kind, ...present, ...value, ...(kind === "summary" ? window : {}) };
  }
  const last = Number(/\/gap:(\d+)\//.exec(String(own["id"]))?.[1] ?? 0);
  return {
    v: 1,
    kind: "gap",
    ...present,
    lane: kind === "summary" ? "summaries" : "alerts",
    last,
    ...window,
    records: gapRecords,
    readings: gapReadings ?? 0,
  };
}

function jsonValue(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}
