/** The Kafka client and its codecs: a batch by each of them, read back, and the checksum of CRC-32C. */

import { crc32c } from "../../../sync/kafka/message/crc32c.ts";
import { fast, small } from "../../../sync/kafka/message/compression.ts";
import {
  batchHeaderBytes,
  type BatchRecord,
  type Compression,
  encodeRecordBatch,
  noCompression,
} from "../../../sync/kafka/message/record-batch.ts";
import { readRecords } from "../../../sync/kafka/client/fetched-records.ts";
import { loadCodecs, loadProtocol } from "../../../sync/kafka/client/protocol.ts";
import { expect } from "./expect.ts";

/** Of "123456789". Source: RFC 3720, appendix B.4, and every implementation since. */
const checkValue = 0xe3069283;

const record: BatchRecord = {
  key: Buffer.from("selftest"),
  value: Buffer.from("a reading ".repeat(50)),
  headers: [],
};

export async function kafkaCodecs(): Promise<string> {
  const sum = crc32c(Buffer.from("123456789"));
  expect(sum === checkValue, `CRC-32C of 123456789 is ${sum.toString(16)}`);
  const protocol = await loadProtocol();
  const codecs: Readonly<Record<string, Compression>> = {
    none: noCompression,
    ...fast,
    "zstd (small)": small.zstd,
    ...(await loadCodecs()),
  };
  for (const [name, compression] of Object.entries(codecs)) {
    const batch = encodeRecordBatch([record], {
      producer: undefined,
      sequence: 0,
      isTransactional: false,
      timeMs: 0,
      compression,
    });
    const packed = batch.length < batchHeaderBytes + record.value.length;
    expect(packed || name === "none", `${name} did not make a batch smaller`);
    const [read] = readRecords(batch, 0, protocol);
    const value = Buffer.from(read?.value ?? []);
    expect(value.equals(record.value), `a batch packed by ${name} does not come back`);
  }
  return `CRC-32C; batches by ${Object.keys(codecs).join(", ")}`;
}
