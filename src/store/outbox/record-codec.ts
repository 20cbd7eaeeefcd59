/**
 * Summaries, alerts, gaps and completeness markers as they leave the gateway: one flat JSON object each, fields always in the
 * same order, so that the same record is the same bytes. Documented in docs/format/records.md. Raw readings
 * and their manifests: raw-codec.ts.
 *
 *   {"v":1,"kind":"summary","id":"gw1/temp/device=p1/1764000000000/10000/0","agent":"gw1",
 *    "pipeline":"temp","key":{"device":"p1"},"start":1764000000000,"end":1764000010000,
 *    "resolution":10000,"revision":0,"count":10,"sum":..,"arrivalTimed":0}
 *
 * Numbers are written as the shortest decimal that reads back as the same double, -0 as `-0`, what
 * JSON has no number for as "NaN", "Infinity", "-Infinity". The id is the record's identity: its
 * parts are percent-encoded, so `/` only separates them.
 */

import { Fault } from "../../core/faults.ts";
import type { Tags } from "../../core/frame.ts";
import type {
  Alert,
  AlertReason,
  Complete,
  Gap,
  Manifest,
  Raw,
  Summary,
  SummaryFields,
} from "../../core/record.ts";
import { type Millis, millis } from "../../core/units.ts";
import { nameOfTags } from "../../core/catalog.ts";
import { decodeManifest, decodeRaw } from "./raw-codec.ts";
import { jsonNumber, percentEncoded } from "./record-text.ts";
import {
  bytesOf,
  damaged,
  decodeJson,
  numberOf,
  objectOf,
  type StoredObject,
  textOf,
  wholeOf,
} from "../state/stored-json.ts";

/** Optional numbers of a summary in the order in which they are written; then its sketch. */
const summaryFieldNames = [
  "sum",
  "sumError",
  "mean",
  "min",
  "max",
  "variance",
  "first",
  "firstTime",
  "last",
  "lastTime",
  "p50",
  "p90",
  "p95",
  "p99",
] as const satisfies readonly (keyof SummaryFields)[];

const alertReasons: readonly AlertReason[] = [
  "ewma_high",
  "ewma_low",
  "heavy_symbol",
  "rare_symbol",
];

/** Whatever stands in a lane. */
export type OutboxRecord = Summary | Alert | Gap | Complete | Raw | Manifest;

export type DecodedRecord = {
  readonly id: string;
  readonly agent: string;
  readonly record: OutboxRecord;
};

/** The bytes of a summary, a new buffer; about 2 us. `agent` is the name of this gateway. */
export function encodeSummary(agent: string, summary: Summary): Uint8Array {
  const { pipeline, key, start, end, revision, count, fields } = summary;
  const named = namesOf(agent, pipeline, key);
  const resolution = end - start;
  let json =
    `{"v":1,"kind":"summary","id":"${named.id}/${start}/${resolution}/${revision}",${named.json}` +
    `,"start":${start},"end":${end},"resolution":${resolution}` +
    `,"revision":${revision},"count":${count}`;
  for (const name of summaryFieldNames) {
    const value = fields[name];
    if (value !== undefined) json += `,"${name}":${jsonNumber(value)}`;
  }
  if (fields.quantiles !== undefined) json += `,"quantiles":"${base64Of(fields.quantiles)}"`;
  json += `,"arrivalTimed":${summary.arrivalTimed}`;
  return utf8Of(summary.merged === undefined ? `${json}}` : `${json},"merged":${summary.merged}}`);
}

/** The bytes of an alert, a new buffer. `last` part of its id, where that is not to be its value. */
export function encodeAlert(agent: string, alert: Alert, last?: string): Uint8Array {
  const { pipeline, key, time, reason, value } = alert;
  const named = namesOf(agent, pipeline, key);
  const isNumber = typeof value === "number";
  const valuePart = isNumber ? jsonNumber(value).replaceAll('"', "") : percentEncoded(value);
  return utf8Of(
    `{"v":1,"kind":"alert","id":"${named.id}/${time}/${reason}/${last ?? valuePart}",${named.json}` +
      `,"time":${time},"reason":"${reason}"` +
      `,"value":${isNumber ? jsonNumber(value) : JSON.stringify(value)}` +
      `,"score":${jsonNumber(alert.score)},"expected":${jsonNumber(alert.expected)}` +
      `,"limit":${jsonNumber(alert.limit)}}`,
  );
}

/** The bytes of a gap, a new buffer. Its id has `gap:<last>` where that of a summary has the key. */
export function encodeGap(agent: string, gap: Gap): Uint8Array {
  const { pipeline, lane, last, start, end, records, readings } = gap;
  const id = `${percentEncoded(agent)}/${percentEncoded(pipeline)}/gap:${last}`;
  return utf8Of(
    `{"v":1,"kind":"gap","id":"${id}/${start}/${end - start}/${records}"` +
      `,"agent":${JSON.stringify(agent)},"pipeline":${JSON.stringify(pipeline)}` +
      `,"lane":"${lane}","last":${last},"start":${start},"end":${end}` +
      `,"records":${records},"readings":${readings}}`,
  );
}

/** The bytes of a completeness marker, a new buffer. Its id has `complete` where that of a summary has the start. */
export function encodeComplete(agent: string, marker: Complete): Uint8Array {
  const { pipeline, key, from, through, readings } = marker;
  const named = namesOf(agent, pipeline, key);
  return utf8Of(
    `{"v":1,"kind":"complete","id":"${named.id}/complete/${through}/${readings}",${named.json}` +
      (from === undefined ? "" : `,"from":${from}`) +
      `,"through":${through},"readings":${readings}}`,
  );
}

/** Reads a record back, for tools and tests. Faults: STORE_FAILED, naming `place` and the field. */
export function decodeRecord(bytes: Uint8Array, place: string): DecodedRecord {
  const stored = decodeJson(bytes, place);
  if (wholeOf(stored, "v") !== 1) throw damaged(place, "it is of a later version");
  const record = recordOf(stored, textOf(stored, "kind"));
  return { id: textOf(stored, "id"), agent: textOf(stored, "agent"), record };
}

/** End of a summary's window or of a gap, time of an alert, what a marker goes through, of raw readings the last; undefined where the bytes are no record. */
export function timeOfRecord(bytes: Uint8Array): Millis | undefined {
  try {
    const { record } = decodeRecord(bytes, "a record");
    return timeOf(record);
  } catch (error) {
    if (error instanceof Fault) return undefined;
    throw error;
  }
}

function timeOf(record: OutboxRecord): Millis | undefined {
  switch (record.kind) {
    case "summary":
    case "gap":
      return record.end;
    case "alert":
      return record.time;
    case "complete":
      return record.through;
    case "raw":
      return record.times.at(-1);
    case "manifest":
      return record.to;
  }
}

// ---- encoding ----

type Names = {
  readonly agent: string;
  readonly pipeline: string;
  /** agent/pipeline/key name, percent-encoded. */
  readonly id: string;
  /** The fields agent, pipeline and key. */
  readonly json: string;
};

/** What every record of a key begins with; operators keep one Tags object per key. */
const namesByKey = new WeakMap<Tags, Names>();

function namesOf(agent: string, pipeline: string, key: Tags): Names {
  const known = namesByKey.get(key);
  if (known?.agent === agent && known.pipeline === pipeline) return known;
  const tags = key.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const names = {
    agent,
    pipeline,
    id: [agent, pipeline, nameOfTags(key)].map(percentEncoded).join("/"),
    json:
      `"agent":${JSON.stringify(agent)},"pipeline":${JSON.stringify(pipeline)}` +
      `,"key":{${tags.join(",")}}`,
  };
  namesByKey.set(key, names);
  return names;
}

function base64Of({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

function utf8Of(json: string): Uint8Array {
  return Buffer.from(json, "utf8");
}

// ---- decoding ----

function recordOf(stored: StoredObject, kind: string): DecodedRecord["record"] {
  if (kind === "summary") return summaryOf(stored);
  if (kind === "alert") return alertOf(stored);
  if (kind === "gap") return gapOf(stored);
  if (kind === "complete") return completeOf(stored);
  if (kind === "raw") return decodeRaw(stored);
  if (kind === "manifest") return decodeManifest(stored);
  throw damaged(stored.place, `its kind is ${kind}`);
}

function gapOf(stored: StoredObject): Gap {
  const lane = textOf(stored, "lane");
  if (lane !== "alerts" && lane !== "summaries") throw damaged(stored.place, `its lane is ${lane}`);
  return {
    kind: "gap",
    pipeline: textOf(stored, "pipeline"),
    lane,
    last: wholeOf(stored, "last"),
    start: millis(numberOf(stored, "start")),
    end: millis(numberOf(stored, "end")),
    records: wholeOf(stored, "records"),
    readings: wholeOf(stored, "readings"),
  };
}

function completeOf(stored: StoredObject): Complete {
  return {
    kind: "complete",
    pipeline: textOf(stored, "pipeline"),
    key: tagsOf(stored),
    ...("from" in stored.fields ? { from: millis(numberOf(stored, "from")) } : {}),
    through: millis(numberOf(stored, "through")),
    readings: wholeOf(stored, "readings"),
  };
}

function summaryOf(stored: StoredObject): Summary {
  const fields: { [name in (typeof summaryFieldNames)[number]]?: number } = {};
  for (const name of summaryFieldNames) {
    if (name in stored.fields) fields[name] = numberOf(stored, name);
  }
  const { firstTime, lastTime, ...values } = fields;
  return {
    kind: "summary",
    pipeline: textOf(stored, "pipeline"),
    key: tagsOf(stored),
    start: millis(numberOf(stored, "start")),
    end: millis(numberOf(stored, "end")),
    revision: wholeOf(stored, "revision"),
    count: wholeOf(stored, "count"),
    fields: {
      ...values,
      ...(firstTime === undefined ? {} : { firstTime: millis(firstTime) }),
      ...(lastTime === undefined ? {} : { lastTime: millis(lastTime) }),
      ...("quantiles" in stored.fields ? { quantiles: bytesOf(stored, "quantiles") } : {}),
    },
    arrivalTimed: wholeOf(stored, "arrivalTimed"),
    ...("merged" in stored.fields ? { merged: wholeOf(stored, "merged") } : {}),
  };
}

function alertOf(stored: StoredObject): Alert {
  const named = textOf(stored, "reason");
  const reason = alertReasons.find((known) => known === named);
  if (reason === undefined) throw damaged(stored.place, `its reason is ${named}`);
  const isSymbol = reason === "heavy_symbol" || reason === "rare_symbol";
  return {
    kind: "alert",
    pipeline: textOf(stored, "pipeline"),
    key: tagsOf(stored),
    time: millis(numberOf(stored, "time")),
    reason,
    value: isSymbol ? textOf(stored, "value") : numberOf(stored, "value"),
    score: numberOf(stored, "score"),
    expected: numberOf(stored, "expected"),
    limit: numberOf(stored, "limit"),
  };
}

/** Tags in the order of their names; JSON.parse moves names that look like numbers to the front. */
function tagsOf(stored: StoredObject): Tags {
  const key = objectOf(stored.fields["key"], `${stored.place}, key`);
  return Object.keys(key.fields)
    .toSorted()
    .map((name) => [name, textOf(key, name)] as const);
}
