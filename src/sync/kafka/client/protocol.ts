/**
 * The Kafka client, reduced to what we use of it: its protocol functions and its connection. This is
 * the only file that knows the package. It is loaded when the first session is opened, since an
 * agent that delivers to files should not pay for it.
 *
 * Its producer, consumer and admin are left alone: they retry, refresh and renew on their own, and
 * exactly-once delivery is the art of knowing what was asked and what was answered. InitProducerId
 * of its producer does not even begin a new incarnation (it sends producer 0, epoch 0).
 */

import type * as client from "@platformatic/kafka";
import type { Compression } from "../message/record-batch.ts";

export type {
  Connection,
  ConnectionOptions,
  Reader,
  SASLCustomAuthenticator,
  SASLOptions,
  Writer,
} from "@platformatic/kafka";

export type Protocol = typeof client;

export type MetadataResponse = ReturnType<Protocol["metadataV9"]["parseResponse"]>;

export async function loadProtocol(): Promise<Protocol> {
  return await import("@platformatic/kafka");
}

/** The codecs that the client brings; those of node:zlib are in compression.ts. */
export async function loadCodecs(): Promise<Readonly<Record<"snappy" | "lz4", Compression>>> {
  const { compressionsAlgorithms } = await loadProtocol();
  const { snappy, lz4 } = compressionsAlgorithms;
  return {
    snappy: { attribute: 2, compress: (bytes) => snappy.compressSync(bufferOver(bytes)) },
    lz4: { attribute: 3, compress: (bytes) => lz4.compressSync(bufferOver(bytes)) },
  };
}

/** The same bytes as the Buffer that the client asks for; nothing is copied. */
export function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
