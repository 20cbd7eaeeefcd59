/**
 * What a POST carries: the records as files have them, one to a line, or a batch of CloudEvents 1.0 (JSON
 * format, batched content mode). The same records under the same numbers are the same bytes. Documented
 * in docs/format/http.md.
 */

import { gzipSync } from "node:zlib";
import type { Lane } from "../../store/outbox/lane.ts";
import { attributeMaker } from "../mqtt/bridge-message.ts";
import type { Post } from "./http-connection.ts";

export type HttpFormat = "ndjson" | "cloudevents";

/** Where records stand: their outbox, their lane there, and the number of the first. */
export type RangePlace = { readonly outbox: string; readonly lane: Lane; readonly first: number };

export type PostMaker = {
  /** Faults: STORE_FAILED where the bytes are not those of a record. */
  readonly make: (records: readonly Uint8Array[], at: RangePlace) => Post;
  /** Of a record in a body, at most, before compression. */
  readonly bytesOf: (record: Uint8Array) => number;
};

/** Of the attributes, but for subject and id, which are about as long as that of the record. */
const ATTRIBUTES_BYTES = 512;

export function createPostMaker({
  agent,
  format,
  compress,
}: {
  /** Name of this gateway. */
  readonly agent: string;
  readonly format: HttpFormat;
  readonly compress: "gzip" | "none";
}): PostMaker {
  const isEvents = format === "cloudevents";
  const bodyOf = isEvents ? eventMaker(agent) : linesOf;
  const fixed = {
    "content-type": isEvents
      ? "application/cloudevents-batch+json; charset=utf-8"
      : "application/x-ndjson",
    ...(compress === "gzip" ? { "content-encoding": "gzip" } : {}),
  };
  return {
    make: (records, at) => {
      const { outbox, lane, first } = at;
      const plain = bodyOf(records, at);
      return {
        headers: {
          ...fixed,
          "idempotency-key": `${outbox}:${lane}:${first}-${first + records.length}`,
          "weir-outbox": outbox,
          "weir-lane": lane,
          "weir-first": String(first),
        },
        body: compress === "gzip" ? gzipSync(plain) : plain,
      };
    },
    bytesOf: (record) => record.length + (isEvents ? ATTRIBUTES_BYTES : 1),
  };
}

const NEW_LINE = Buffer.from("\n");

function linesOf(records: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(records.flatMap((record) => [record, NEW_LINE]));
}

function eventMaker(agent: string): (records: readonly Uint8Array[], at: RangePlace) => Uint8Array {
  const attributesOf = attributeMaker(agent, "cloudevents");
  return (records, { outbox, lane, first }) => {
    const parts: Uint8Array[] = [];
    for (const [index, record] of records.entries()) {
      const attributes = JSON.stringify(attributesOf(record, { outbox, lane, seq: first + index }));
      const type = '"datacontenttype":"application/json","data":';
      parts.push(Buffer.from(`${index === 0 ? "[" : ","}${attributes.slice(0, -1)},${type}`));
      parts.push(record, CLOSE);
    }
    parts.push(Buffer.from("]"));
    return Buffer.concat(parts);
  };
}

const CLOSE = Buffer.from("}");
