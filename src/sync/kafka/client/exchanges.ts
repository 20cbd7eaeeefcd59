/**
 * Requests that we write and read ourselves, each in the version that requests.ts names, after the
 * message definitions of Apache Kafka (clients/src/main/resources/common/message):
 *
 *   Produce             our record batches are bytes already, the client's function encodes messages
 *   AddPartitionsToTxn  its answer says which partition was refused, the client's error does not
 *   Fetch               the client reads records without looking at their checksums
 *
 * None of these versions is flexible: no compact lengths, no tagged fields. Answers are read through
 * bounds (answers.ts), so that no count or length leads beyond them.
 */

import { readCount } from "./answers.ts";
import type { Exchange } from "./broker.ts";
import type { FetchOptions, ProduceBatch, TopicPartition, TransactionOf } from "../cluster.ts";
import { bufferOver, type Reader } from "./protocol.ts";

export type ProducedPart = TopicPartition & {
  readonly code: number;
  readonly offset: number;
  readonly detail: string | undefined;
};

export function produceExchange(
  batches: readonly ProduceBatch[],
  options: { readonly transactionalId: string | undefined; readonly timeoutMs: number },
): Exchange<readonly ProducedPart[]> {
  const allReplicas = -1;
  return {
    write: (writer) =>
      writer
        .appendString(options.transactionalId, false)
        .appendInt16(allReplicas)
        .appendInt32(options.timeoutMs)
        .appendArray(
          byTopic(batches),
          (w, [topic, parts]) =>
            w
              .appendString(topic, false)
              .appendArray(
                parts,
                (w, { partition, bytes }) =>
                  w.appendInt32(partition).appendBytes(bufferOver(bytes), false),
                ...plainArray,
              ),
          ...plainArray,
        ),
    read: (reader) => readParts(reader, 36, readProduced),
  };
}

function readProduced(reader: Reader): Omit<ProducedPart, "topic"> {
  const partition = reader.readInt32();
  const code = reader.readInt16();
  const offset = Number(reader.readInt64());
  reader.skip(16); // time of appending, first offset of the log
  const ofRecords = readList(reader, 6, (r) => ({
    index: r.readInt32(),
    message: r.readNullableString(false),
  }));
  const message = reader.readNullableString(false);
  const record = ofRecords.find(({ message }) => message !== null);
  const detail =
    record === undefined ? message : `record ${record.index} of the batch: ${record.message}`;
  return { partition, code, offset, detail: detail ?? undefined };
}

export type AddedPart = TopicPartition & { readonly code: number };

export function addPartitionsExchange(
  { transactionalId, producer }: TransactionOf,
  partitions: readonly TopicPartition[],
): Exchange<readonly AddedPart[]> {
  return {
    write: (writer) =>
      writer
        .appendString(transactionalId, false)
        .appendInt64(producer.id)
        .appendInt16(producer.epoch)
        .appendArray(
          byTopic(partitions),
          (w, [topic, parts]) =>
            w
              .appendString(topic, false)
              .appendArray(parts, (w, { partition }) => w.appendInt32(partition), ...plainArray),
          ...plainArray,
        ),
    read: (reader) => {
      reader.skip(4); // throttle time
      return readParts(reader, 6, (r) => ({ partition: r.readInt32(), code: r.readInt16() }));
    },
  };
}

export type FetchedPart = TopicPartition & {
  readonly code: number;
  /** Record batches, the last perhaps cut short. */
  readonly records: Uint8Array;
};

export function fetchExchange(
  { topic, partition }: TopicPartition,
  { offset, bytesMax, waitMs = 0 }: FetchOptions,
): Exchange<{ readonly code: number; readonly parts: readonly FetchedPart[] }> {
  return {
    write: (writer) =>
      writer
        .appendInt32(-1) // no replica
        .appendInt32(waitMs)
        .appendInt32(1) // bytes to wait for
        .appendInt32(bytesMax)
        .appendInt8(0) // read uncommitted
        .appendInt32(0) // no fetch session
        .appendInt32(-1)
        .appendArray(
          [topic],
          (w) =>
            w.appendString(topic, false).appendArray(
              [partition],
              (w) =>
                w
                  .appendInt32(partition)
                  .appendInt32(-1) // any leader epoch
                  .appendInt64(BigInt(offset))
                  .appendInt64(-1n) // not a follower
                  .appendInt32(bytesMax),
              ...plainArray,
            ),
          ...plainArray,
        )
        .appendArray([], (w) => w, ...plainArray) // nothing to forget
        .appendString("", false), // no rack
    read: (reader) => {
      reader.skip(4); // throttle time
      const code = reader.readInt16();
      reader.skip(4); // fetch session
      return { code, parts: readParts(reader, 42, readFetched) };
    },
  };
}

function readFetched(reader: Reader): Omit<FetchedPart, "topic"> {
  const partition = reader.readInt32();
  const code = reader.readInt16();
  reader.skip(24); // high watermark, last stable offset, first offset
  reader.skip(16 * readCount(reader, 16)); // aborted transactions
  reader.skip(4); // preferred replica
  return { partition, code, records: reader.readBytes(false) };
}

/** How the client writes arrays that are neither compact nor followed by tags. */
const plainArray: readonly [compact: false, tags: false] = [false, false];

/** The parts of all topics, each of at least `bytesMin` bytes. */
function readParts<Part>(
  reader: Reader,
  bytesMin: number,
  readPart: (reader: Reader) => Part,
): (Part & { readonly topic: string })[] {
  return readList(reader, 6, (r) => {
    const topic = r.readString(false);
    return readList(r, bytesMin, (r) => ({ ...readPart(r), topic }));
  }).flat();
}

function readList<Entry>(
  reader: Reader,
  bytesMin: number,
  readEntry: (reader: Reader) => Entry,
): Entry[] {
  return Array.from({ length: readCount(reader, bytesMin) }, () => readEntry(reader));
}

function byTopic<Part extends TopicPartition>(parts: readonly Part[]): [string, Part[]][] {
  return [...Map.groupBy(parts, ({ topic }) => topic)];
}
