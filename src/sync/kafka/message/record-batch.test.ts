import assert from "node:assert/strict";
import { test } from "node:test";
import {
  compressionsAlgorithms,
  Reader,
  type RecordsBatch,
  readRecordsBatch,
} from "@platformatic/kafka";
import fc from "fast-check";
import { fast, small } from "./compression.ts";
import { crc32c } from "./crc32c.ts";
import {
  type BatchOptions,
  type BatchRecord,
  batchHeaderBytes,
  type Compression,
  encodeRecordBatch,
  noCompression,
  recordBytesMax,
} from "./record-batch.ts";

const options: BatchOptions = {
  producer: { id: 7n, epoch: 3 },
  sequence: 0,
  isTransactional: true,
  timeMs: 1_764_000_000_000,
  compression: noCompression,
};

const { snappy, lz4 } = compressionsAlgorithms;
const compressions: Readonly<Record<string, Compression>> = {
  none: noCompression,
  gzip: fast.gzip,
  "gzip small": small.gzip,
  snappy: { attribute: 2, compress: (bytes) => snappy.compressSync(Buffer.from(bytes)) },
  lz4: { attribute: 3, compress: (bytes) => lz4.compressSync(Buffer.from(bytes)) },
  zstd: fast.zstd,
  "zstd small": small.zstd,
};

/** The batch as the client's own code reads it, once its checksum and lengths are right. */
function read(bytes: Uint8Array): RecordsBatch {
  const reader = Reader.from(Buffer.from(bytes));
  const batch = readRecordsBatch(reader);
  assert.equal(reader.remaining, 0, "the batch was read to its end");
  assert.equal(batch.length, bytes.length - 12);
  assert.equal(batch.magic, 2);
  assert.equal(batch.crc, crc32c(bytes, 21));
  assert.equal(batch.firstOffset, 0n);
  assert.equal(batch.partitionLeaderEpoch, -1);
  return batch;
}

function recordOf(text: string, headers: Readonly<Record<string, string>> = {}): BatchRecord {
  return {
    key: Buffer.from("key"),
    value: Buffer.from(text),
    headers: Object.entries(headers).map(([name, value]) => ({
      name: Buffer.from(name),
      value: Buffer.from(value),
    })),
  };
}

/** As the client's code gives it, for comparison. */
const plain = ({ key, value, headers }: BatchRecord): unknown => ({
  key: Buffer.from(key),
  value: Buffer.from(value),
  headers: headers.map(({ name, value: of }) => [Buffer.from(name), Buffer.from(of)]),
});

const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 80 }),
  fc.nat(9_000).map((length) => new Uint8Array(length).fill(length)),
);
const records = fc.array(
  fc.record({
    key: bytes,
    value: bytes,
    headers: fc.array(fc.record({ name: bytes, value: bytes }), { maxLength: 9 }),
  }),
  { minLength: 1, maxLength: 80 },
);

for (const [name, compression] of Object.entries(compressions)) {
  test(`${name}: any records read back as they were, in order`, () => {
    fc.assert(
      fc.property(records, (drawn) => {
        const batch = read(encodeRecordBatch(drawn, { ...options, compression }));
        assert.deepEqual(
          batch.records.map(({ key, value, headers }) => ({ key, value, headers })),
          drawn.map(plain),
        );
        assert.deepEqual(
          batch.records.map(({ offsetDelta }) => offsetDelta),
          drawn.map((_, i) => i),
        );
        assert.ok(batch.records.every((record) => record.timestampDelta === 0n));
        assert.equal(batch.lastOffsetDelta, drawn.length - 1);
      }),
      { numRuns: 40 },
    );
  });

  test(`${name}: a batch of records that resemble each other says how it is compressed`, () => {
    const alike = Array.from({ length: 200 }, (_, i) => recordOf(`{"device":"p1","count":${i}}`));
    const encoded = encodeRecordBatch(alike, { ...options, compression });
    assert.equal(read(encoded).attributes & 7, compression.attribute);
    assert.equal(read(encoded).records.length, 200);
  });
}

test("a batch is never larger than its header and its records' bounds", () => {
  fc.assert(
    fc.property(records, fc.constantFrom(...Object.values(compressions)), (drawn, compression) => {
      const bound = drawn.reduce((sum, record) => sum + recordBytesMax(record), batchHeaderBytes);
      const { length } = encodeRecordBatch(drawn, { ...options, compression });
      assert.ok(length <= bound, `${length} <= ${bound}`);
    }),
  );
});

test("what does not shrink is stored as it is, and says so", () => {
  const batch = read(encodeRecordBatch([recordOf("x")], { ...options, compression: fast.zstd }));
  assert.equal(batch.attributes & 7, 0);
  assert.equal(batch.records[0]?.value?.toString(), "x");
});

test("producer, sequence, time and transaction are where the client's code looks for them", () => {
  fc.assert(
    fc.property(
      fc.record({
        producer: fc.record({ id: fc.bigInt(0n, 2n ** 62n), epoch: fc.nat(32_767) }),
        sequence: fc.nat(2 ** 31 - 1),
        isTransactional: fc.boolean(),
        timeMs: fc.integer({ min: 0, max: 2 ** 50 }),
      }),
      (drawn) => {
        const batch = read(encodeRecordBatch([recordOf("x")], { ...options, ...drawn }));
        assert.equal(batch.producerId, drawn.producer.id);
        assert.equal(batch.producerEpoch, drawn.producer.epoch);
        assert.equal(batch.firstSequence, drawn.sequence);
        assert.equal(batch.attributes, drawn.isTransactional ? 16 : 0);
        assert.equal(batch.firstTimestamp, BigInt(drawn.timeMs));
        assert.equal(batch.maxTimestamp, BigInt(drawn.timeMs));
      },
    ),
  );
});

test("a batch without a producer has none of its numbers", () => {
  const without = { ...options, producer: undefined, sequence: 5, isTransactional: false };
  const batch = read(encodeRecordBatch([recordOf("x")], without));
  assert.deepEqual([batch.producerId, batch.producerEpoch, batch.firstSequence], [-1n, -1, -1]);
});

test("sequences go from 2^31 - 1 to 0, as Kafka's do", () => {
  const sequenceOf = (sequence: number): number =>
    read(encodeRecordBatch([recordOf("x")], { ...options, sequence })).firstSequence;
  assert.equal(sequenceOf(2 ** 31 - 1), 2 ** 31 - 1);
  assert.equal(sequenceOf(2 ** 31), 0);
  assert.equal(sequenceOf(3 * 2 ** 31 + 4), 4);
});

test("a batch stays as it is when the next one is encoded", () => {
  const first = encodeRecordBatch([recordOf("first")], options);
  const copy = first.slice();
  encodeRecordBatch([recordOf("second"), recordOf("third")], options);
  assert.deepEqual(first, copy);
});

test("a batch larger than the memory that is kept reads back too", () => {
  const large = Array.from({ length: 30 }, (_, i) => recordOf(`${i}`.padEnd(70_000, "abc")));
  const batch = read(encodeRecordBatch(large, options));
  assert.equal(batch.records.length, 30);
  assert.equal(batch.records[29]?.value?.length, 70_000);
});
