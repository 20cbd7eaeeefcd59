import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { limits } from "../../../core/limits.ts";
import { fast } from "../message/compression.ts";
import {
  batchHeaderBytes,
  type BatchRecord,
  type Compression,
  encodeRecordBatch,
  noCompression,
} from "../message/record-batch.ts";
import { readRecords } from "./fetched-records.ts";
import { bufferOver, loadCodecs, loadProtocol } from "./protocol.ts";

const protocol = await loadProtocol();
const codecs = await loadCodecs();
const compressions: readonly Compression[] = [
  noCompression,
  fast.gzip,
  fast.zstd,
  codecs.snappy,
  codecs.lz4,
];

test("records come back as they were written, by any codec", () => {
  const bytes = fc.uint8Array({ maxLength: 300 });
  const headers = fc.array(fc.record({ name: bytes, value: bytes }), { maxLength: 3 });
  const record = fc.record({ key: bytes, value: bytes, headers });
  const records = fc.array(record, { minLength: 1, maxLength: 20 });
  fc.assert(
    fc.property(records, fc.constantFrom(...compressions), fc.nat(), (records, codec, first) => {
      const read = readRecords(batchOf(records, codec), first, protocol);
      assert.equal(read.length, records.length);
      read.forEach(({ offset, key, value, headers }, i) => {
        assert.equal(offset, first + i);
        assert.deepEqual(plain(key), records[i]!.key);
        assert.deepEqual(plain(value), records[i]!.value);
        const written = records[i]!.headers;
        assert.equal(headers.length, written.length);
        headers.forEach(({ name, value: of }, n) => {
          assert.deepEqual(plain(name), written[n]!.name);
          assert.deepEqual(plain(of), written[n]!.value);
        });
      });
    }),
  );
});

test("a key or value that is none is undefined, as in a tombstone", () => {
  // Length 6: attributes, time, offset 0, no key, no value, no headers.
  const read = readRecords(withRecords([12, 0, 0, 0, 1, 1, 0], { count: 1 }), 5, protocol);
  assert.deepEqual(read, [{ offset: 5, key: undefined, value: undefined, headers: [] }]);
});

test("records that lead out of their batch, or back into it, are refused", () => {
  const cases: readonly (readonly number[])[] = [
    [], // nothing at all
    [1], // a record of length -1
    [11, 0, 0, 0, 1, 1, 0], // of length -6
    [14, 0, 0, 0, 1, 1, 0], // one byte longer than there is
    [12, 0, 0, 0, 9, 1, 0], // a key of length -5
    [12, 0, 0, 0, 20, 1, 0], // a key longer than its record
    [12, 0, ...Array<number>(5).fill(0xff)], // a number that does not end
    [12, 0, 0, 0, 1, 1, 1], // -1 headers
    [12, 0, 0, 0, 1, 1, 4], // 2 headers that are not there
    [14, 0, 0, 0, 1, 1, 2, 9], // a header whose name has -5 bytes
    Array<number>(100_000).fill(0xff),
  ];
  for (const records of cases) {
    const batch = withRecords(records, { count: 1 });
    assert.throws(() => readRecords(batch, 0, protocol), { name: "Malformed" });
  }
  for (const count of [-1, 8, 2 ** 31 - 1]) {
    const batch = withRecords([12, 0, 0, 0, 1, 1, 0], { count });
    assert.throws(() => readRecords(batch, 0, protocol), { name: "Malformed" });
  }
});

test("nothing unpacks to more than an answer may have", () => {
  const zeros = Buffer.alloc(limits.kafkaAnswerBytesMax + 1);
  const { lz4, snappy } = protocol.compressionsAlgorithms;
  const raw = [0x80, 0x80, 0x80, 0x80, 0x04, 0, 1]; // Snappy that says 1 GiB
  const xerial = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1];
  const framed = lz4.compressSync(zeros);
  const bombs: readonly (readonly [codec: number, bytes: Uint8Array])[] = [
    [1, gzipSync(zeros)],
    [2, Buffer.from(raw)],
    [2, Buffer.from([...xerial, 0, 0, 0, raw.length, ...raw])],
    [2, snappy.compressSync(zeros)],
    [3, framed],
    [3, Buffer.concat([lz4.compressSync(Buffer.from("weir")), framed])],
    [4, zstdCompressSync(zeros)],
  ];
  const before = process.memoryUsage().rss;
  for (const [codec, bytes] of bombs) {
    assert.throws(
      () => readRecords(withRecords(bytes, { codec, count: 1 }), 0, protocol),
      String(codec),
    );
  }
  const grownMiB = (process.memoryUsage().rss - before) / 2 ** 20;
  assert.ok(grownMiB < 256, `${grownMiB} MiB`);
});

test("Snappy in the pieces that Java writes is read", () => {
  const { snappy } = protocol.compressionsAlgorithms;
  const record = Buffer.from([12, 0, 0, 0, 1, 1, 0]);
  const pieces = [record.subarray(0, 3), record.subarray(3)].map((part) => {
    const packed = snappy.compressSync(part);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(packed.length);
    return Buffer.concat([length, packed]);
  });
  const head = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
  const bytes = Buffer.concat([head, ...pieces]);
  assert.equal(readRecords(withRecords(bytes, { codec: 2, count: 1 }), 0, protocol).length, 1);
});

test("a codec that is not known is refused", () => {
  for (const codec of [5, 6, 7]) {
    assert.throws(() => readRecords(withRecords([0], { codec, count: 1 }), 0, protocol), {
      message: /not known here/,
    });
  }
});

function batchOf(records: readonly BatchRecord[], compression: Compression): Uint8Array {
  const producer = undefined;
  const times = { timeMs: Date.UTC(2026, 0, 1), sequence: 0, isTransactional: false };
  return encodeRecordBatch(records, { producer, ...times, compression });
}

/** A batch of what may be no records. */
function withRecords(
  records: Uint8Array | readonly number[],
  { codec = 0, count }: { readonly codec?: number; readonly count: number },
): Uint8Array {
  const batch = new Uint8Array(batchHeaderBytes + records.length);
  const view = new DataView(batch.buffer);
  view.setInt16(21, codec);
  view.setInt32(57, count);
  batch.set(records, batchHeaderBytes);
  return batch;
}

function plain(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined ? undefined : new Uint8Array(bufferOver(bytes));
}
