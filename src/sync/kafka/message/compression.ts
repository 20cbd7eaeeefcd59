/**
 * The codecs of record batches that node:zlib has; Snappy and LZ4 come from the Kafka client, and any
 * function on bytes makes a Compression.
 *
 * Per record of a batch of 200 summaries (a minute of a thousand series, CloudEvents headers, 601 bytes
 * each, as `bench wire` makes them), bytes and time on one core of an x86:
 *
 *              zstd 1   zstd 3   zstd 9   gzip 1   gzip 6
 *   bytes      39.2     37.2     31.3     48.4     39.6
 *   time, us    0.5      0.6      3.9      1.1      3.5
 *
 * Without compression the rest of the way of a record takes 12 us of that core. So where nothing is
 * said of a link, time counts; where its bytes are limited or paid for, 3.4 us for 8 bytes are cheap.
 */

import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import type { Compression } from "./record-batch.ts";

/** Where bytes cost nothing: the time of one core does. */
export const fast: Readonly<Record<"zstd" | "gzip", Compression>> = {
  zstd: zstdOf(1),
  gzip: gzipOf(1),
};

/** Where bytes cost: on a link with a bandwidth, a quota or a price. */
export const small: typeof fast = { zstd: zstdOf(9), gzip: gzipOf(6) };

function zstdOf(level: number): Compression {
  const params = { [constants.ZSTD_c_compressionLevel]: level };
  return {
    attribute: 4,
    compress: (bytes) =>
      zstdCompressSync(bytes, {
        params,
        pledgedSrcSize: bytes.length,
        chunkSize: outputBytes(bytes.length),
      }),
  };
}

function gzipOf(level: number): Compression {
  return {
    attribute: 1,
    compress: (bytes) => gzipSync(bytes, { level, chunkSize: outputBytes(bytes.length) }),
  };
}

/** Output is taken in pieces of about the size it will have; each is allocated whole. */
function outputBytes(inputBytes: number): number {
  return Math.max(1_024, Math.min(inputBytes >>> 2, 65_536));
}
