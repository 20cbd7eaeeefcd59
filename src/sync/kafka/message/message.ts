/**
 * What a record of the outbox is in Kafka: key, value, headers, and what decides its partition.
 * Documented in docs/format/kafka.md. The headers are those of CloudEvents 1.0 (Kafka protocol
 * binding, binary content mode).
 *
 *   {"v":1,"kind":"summary","id":"gw1/temp/device=p1/1764000000000/10000/0",...
 *                                 └────────────────┘                        partition key
 *                                 └──────────────────────────────┘          key
 *                                     └────────────┘                        ce_subject
 *                                                    └─────────────────┘    end of the window: ce_time
 *
 * A completeness marker has `complete` where a window has its start: the last of a key has its own key.
 * A window has one key through all its revisions, so a compacted topic keeps the last; all windows of
 * a pipeline's key lie in one partition, in order. The id is read by its offsets, and key, subject and
 * JSON value are views of the record: tens of thousands a second leave no other garbage than what is
 * theirs alone.
 */

import type { Fault } from "../../../core/faults.ts";
import type { Lane } from "../../../store/outbox/lane.ts";
import { damaged } from "../../../store/state/stored-json.ts";
import type { AvroEncoder } from "./avro.ts";
import type { Header } from "../cluster.ts";
import type { BatchRecord } from "./record-batch.ts";
import { rfc3339 } from "./rfc3339.ts";

export type Message = BatchRecord & {
  /** What decides the partition: agent/pipeline/key, the beginning of the key. */
  readonly partitionKey: Uint8Array;
};

export type MessageOptions = {
  /** Name of this gateway. */
  readonly agent: string;
  /** `minimal` is `ce_id` alone, which whoever looks for duplicates needs. */
  readonly headers: "cloudevents" | "minimal";
  readonly format: "json" | AvroEncoder;
};

/** Where a record stands: its outbox, in ASCII, its lane there, and its number in the lane. */
export type OutboxPlace = {
  readonly outbox: string;
  readonly lane: Lane;
  readonly seq: number;
  /** `<outbox>:<seq>` of the last record before this outbox parted from another. */
  readonly forkedFrom?: string | undefined;
};

/**
 * The message of a record as the outbox holds it. Its parts are views of `record` or new. Faults:
 * STORE_FAILED, naming place and field, where the bytes are not those of a record.
 */
export type MessageEncoder = (record: Uint8Array, at: OutboxPlace) => Message;

export function createMessageEncoder(options: MessageOptions): MessageEncoder {
  const { format } = options;
  const headersOf = options.headers === "minimal" ? minimalHeaders : cloudEventHeaders(options);
  return (record, at) => {
    const id = readId(record, at);
    return {
      key: record.subarray(id.start, id.timeEnd),
      partitionKey: record.subarray(id.start, id.nameEnd),
      value: format === "json" || isAsked(id) ? record : format(record, placeOf(at)),
      headers: headersOf(record, id, at),
    };
  };
}

// ---- headers ----

type HeadersOf = (record: Uint8Array, id: Id, at: OutboxPlace) => readonly Header[];

const names = {
  id: ascii("ce_id"),
  subject: ascii("ce_subject"),
  time: ascii("ce_time"),
  forkedFrom: ascii("weir-forked-from"),
};

function minimalHeaders(_record: Uint8Array, _id: Id, at: OutboxPlace): readonly Header[] {
  return at.forkedFrom === undefined ? [idHeader(at)] : [idHeader(at), forkHeader(at.forkedFrom)];
}

function cloudEventHeaders({ agent, format }: MessageOptions): HeadersOf {
  const fixed = [
    header("ce_specversion", "1.0"),
    header("ce_source", `/weir/${percentEncoded(agent)}`),
  ];
  const json = header("content-type", "application/json");
  const type = format === "json" ? json : header("content-type", "application/avro");
  const asked = [...fixed, json];
  fixed.push(type);
  const fixedOf = {
    summary: [...fixed, header("ce_type", "weir.summary.v1")],
    alert: [...fixed, header("ce_type", "weir.alert.v1")],
    gap: [...fixed, header("ce_type", "weir.gap.v1")],
    complete: [...fixed, header("ce_type", "weir.complete.v1")],
    raw: [...asked, header("ce_type", "weir.raw.v1")],
    manifest: [...asked, header("ce_type", "weir.manifest.v1")],
  };
  // Windows end together, so most records have the time of the one before.
  let time: Header | undefined;
  let timeMs = Number.NaN;
  return (record, id, at) => {
    if (id.timeMs !== timeMs) {
      timeMs = id.timeMs;
      const value = rfc3339(timeMs);
      time = value && { name: names.time, value };
    }
    const subject = record.subarray(id.agentEnd + 1, id.nameEnd);
    const headers = [...fixedOf[id.kind], idHeader(at), { name: names.subject, value: subject }];
    if (time !== undefined) headers.push(time);
    if (at.forkedFrom !== undefined) headers.push(forkHeader(at.forkedFrom));
    return headers;
  };
}

function idHeader({ outbox, lane, seq }: OutboxPlace): Header {
  return { name: names.id, value: ascii(`${outbox}:${lane}:${seq}`) };
}

function forkHeader(forkedFrom: string): Header {
  return { name: names.forkedFrom, value: ascii(forkedFrom) };
}

function header(name: string, value: string): Header {
  return { name: ascii(name), value: ascii(value) };
}

function ascii(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** As the parts of an id are, so that source and id name the agent alike. */
function percentEncoded(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replaceAll(/%(3D|2C|3A|40)/g, decodeURIComponent);
}

// ---- the id of a record ----

/** Offsets in the record: of the id, and of the ends of its first parts. */
type Id = {
  readonly kind: "summary" | "alert" | "gap" | "complete" | "raw" | "manifest";
  readonly start: number;
  readonly agentEnd: number;
  readonly nameEnd: number;
  readonly timeEnd: number;
  /** Event time: the end of the window or the gap, what a marker goes through, the time of the alert's reading, of the last raw one, the end of what was asked for; ms since 1970. */
  readonly timeMs: number;
};

const beginnings = {
  summary: ascii('{"v":1,"kind":"summary","id":"'),
  alert: ascii('{"v":1,"kind":"alert","id":"'),
  gap: ascii('{"v":1,"kind":"gap","id":"'),
  complete: ascii('{"v":1,"kind":"complete","id":"'),
  raw: ascii('{"v":1,"kind":"raw","id":"'),
  manifest: ascii('{"v":1,"kind":"manifest","id":"'),
};

const slash = 0x2f;
const quote = 0x22;

function readId(record: Uint8Array, at: OutboxPlace): Id {
  const kind = kindOf(record);
  if (kind === undefined) throw damagedBeginning(record, at);
  const start = beginnings[kind].length;
  const end = record.indexOf(quote, start);
  const agentEnd = partEnd(record, start, end);
  const pipelineEnd = partEnd(record, agentEnd + 1, end);
  const nameEnd = partEnd(record, pipelineEnd + 1, end);
  const timeEnd = partEnd(record, nameEnd + 1, end);
  const fifthEnd = partEnd(record, timeEnd + 1, end);
  const isWhole = fifthEnd < end && partEnd(record, fifthEnd + 1, end) === end;
  const timeMs = timeIn(record, kind, { nameEnd, timeEnd, fifthEnd, end });
  if (!isWhole || Number.isNaN(timeMs)) {
    throw damaged(placeOf(at), `id does not have the form of kind ${kind}`);
  }
  return { kind, start, agentEnd, nameEnd, timeEnd, timeMs };
}

/** By the last parts of the id; NaN where they are not of its form. */
function timeIn(
  record: Uint8Array,
  kind: Id["kind"],
  at: {
    readonly nameEnd: number;
    readonly timeEnd: number;
    readonly fifthEnd: number;
    readonly end: number;
  },
): number {
  switch (kind) {
    case "alert":
      return numberIn(record, at.nameEnd + 1, at.timeEnd);
    case "complete":
      return numberIn(record, at.timeEnd + 1, at.fifthEnd);
    case "raw":
    case "manifest":
      return numberIn(record, at.fifthEnd + 1, at.end);
    case "summary":
    case "gap":
      return (
        numberIn(record, at.nameEnd + 1, at.timeEnd) + numberIn(record, at.timeEnd + 1, at.fifthEnd)
      );
  }
}

/** What was asked for is JSON, whatever the format is. */
function isAsked({ kind }: Id): boolean {
  return kind === "raw" || kind === "manifest";
}

function kindOf(record: Uint8Array): Id["kind"] | undefined {
  if (startsWith(record, beginnings.summary)) return "summary";
  if (startsWith(record, beginnings.alert)) return "alert";
  if (startsWith(record, beginnings.gap)) return "gap";
  if (startsWith(record, beginnings.complete)) return "complete";
  if (startsWith(record, beginnings.raw)) return "raw";
  return startsWith(record, beginnings.manifest) ? "manifest" : undefined;
}

/** Where the next `/` before `end` is; `end` or beyond where there is none. */
function partEnd(record: Uint8Array, start: number, end: number): number {
  let i = start;
  while (i < end && record[i] !== slash) i++;
  return i;
}

/** The number whose text is record[start, end); NaN where it is none. */
function numberIn(record: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = start; i < end; i++) {
    const digit = record[i]! - 0x30;
    if (digit < 0 || digit > 9 || end - start > 15) return uncommonNumber(record, start, end);
    value = value * 10 + digit;
  }
  return end > start ? value : Number.NaN;
}

/** Before 1970, with a fraction of a millisecond, or with an exponent. */
function uncommonNumber(record: Uint8Array, start: number, end: number): number {
  const text = Buffer.from(record.subarray(start, end)).toString("latin1");
  return /^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(text) ? Number(text) : Number.NaN;
}

function startsWith(record: Uint8Array, beginning: Uint8Array): boolean {
  if (record.length < beginning.length) return false;
  for (let i = 0; i < beginning.length; i++) if (record[i] !== beginning[i]) return false;
  return true;
}

function damagedBeginning(record: Uint8Array, at: OutboxPlace): Fault {
  const text = Buffer.from(record.subarray(0, 64)).toString("latin1");
  const known = /^\{"v":1,("kind":"(summary|alert|gap|complete|raw|manifest)",)?/.exec(text);
  if (known === null) return damaged(placeOf(at), "v is not 1");
  if (known[1] === undefined)
    return damaged(placeOf(at), "kind is none of summary, alert, gap, complete, raw and manifest");
  return damaged(placeOf(at), "id does not follow its kind");
}

function placeOf({ outbox, lane, seq }: OutboxPlace): string {
  return `record ${seq} of ${lane} in outbox ${outbox}`;
}
