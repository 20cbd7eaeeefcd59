/**
 * The records of a fetched partition, batch by batch (layout: record-batch.ts). Others may have
 * written them, so every checksum is checked and a batch that a limit cut short is left out.
 *
 * A control batch holds one record whose key is two i16: version 0, then 0 for abort, 1 for commit.
 */

import { Fault } from "../../../core/faults.ts";
import type { Fetched, FetchedBatch, FetchedRecord, TopicPartition } from "../cluster.ts";
import { crc32c } from "../message/crc32c.ts";
import { batchHeaderBytes } from "../message/record-batch.ts";
import { Malformed } from "./answers.ts";
import { readRecords } from "./fetched-records.ts";
import type { Protocol } from "./protocol.ts";

/** Bytes before the field that counts from the leader epoch on, and that field. */
const headBytes = 12;
const magicAt = 16;
const crcAt = 17;
const checkedFrom = 21;
const attributesAt = 21;
const lastOffsetDeltaAt = 23;
const producerIdAt = 43;

const isTransactional = 1 << 4;
const isControl = 1 << 5;

type Place = TopicPartition & { readonly protocol: Protocol };

/** What `bytes` hold from `offset` on. */
export function readBatches(bytes: Uint8Array, at: Place & { readonly offset: number }): Fetched {
  const batches: FetchedBatch[] = [];
  let next = at.offset;
  for (const whole of wholeBatches(bytes, at)) {
    const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
    const first = Number(view.getBigInt64(0));
    const attributes = view.getInt16(attributesAt);
    const records = recordsOf(whole, first, at);
    const control = (attributes & isControl) !== 0;
    batches.push({
      producerId: view.getBigInt64(producerIdAt),
      isTransactional: (attributes & isTransactional) !== 0,
      control: control ? markerOf(records[0]?.key) : undefined,
      // A batch is sent whole when its middle is asked for.
      records: control ? [] : records.filter((record) => record.offset >= at.offset),
    });
    next = Math.max(next, first + view.getInt32(lastOffsetDeltaAt) + 1);
  }
  return { batches, next };
}

function recordsOf(batch: Uint8Array, first: number, place: Place): FetchedRecord[] {
  try {
    return readRecords(batch, first, place.protocol);
  } catch (error) {
    const why = error instanceof Malformed ? `: ${error.message}` : "";
    throw corrupt(place, `its records cannot be decoded${why}`, error);
  }
}

function* wholeBatches(bytes: Uint8Array, place: Place): Generator<Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; bytes.length - at > checkedFrom; ) {
    const end = at + headBytes + view.getInt32(at + 8);
    if (end > bytes.length) return;
    const batch = bytes.subarray(at, end);
    if (end < at + batchHeaderBytes || view.getInt8(at + magicAt) !== 2) {
      throw corrupt(place, "a batch is not of version 2");
    }
    if (crc32c(batch, checkedFrom) !== view.getUint32(at + crcAt)) {
      throw corrupt(place, "a batch does not match its checksum");
    }
    yield batch;
    at = end;
  }
}

function markerOf(key: Uint8Array | undefined): "commit" | "abort" | undefined {
  if (key === undefined || key.length < 4) return undefined;
  const type = new DataView(key.buffer, key.byteOffset, key.length).getInt16(2);
  return type === 0 ? "abort" : type === 1 ? "commit" : undefined;
}

function corrupt({ topic, partition }: TopicPartition, what: string, cause?: unknown): Fault {
  const facts = { error: "CORRUPT_MESSAGE", request: "Fetch", topic, partition };
  return new Fault("UPLINK_REFUSED", `${topic}/${partition} cannot be read: ${what}`, {
    facts,
    cause,
  });
}
