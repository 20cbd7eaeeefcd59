/**
 * The Kafka uplink: each lane with a transactional id, a topic, a cursor and connections of its own
 * (kafka-lane.ts). Nothing of the client is loaded before a lane first connects.
 */

import type { Clock, Random } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import { byLane, type Lane, type Queue, queueOf } from "../../store/outbox/lane.ts";
import type { LaneRead } from "../../store/outbox/lane-reading.ts";
import type { LaneOf } from "../../store/outbox/standings.ts";
import type { Via } from "../link/via.ts";
import { laneBatchBytes, type Uplink } from "../uplink.ts";
import type { AvroEncoder } from "./message/avro.ts";
import type { Cluster } from "./cluster.ts";
import { type Encoding, KafkaLane } from "./kafka-lane.ts";
import { createMessageEncoder } from "./message/message.ts";
import { type Compression, noCompression } from "./message/record-batch.ts";
import type { Guarantee } from "./session.ts";
import type { TopicOptions } from "./topics.ts";

export type CompressionName = "none" | "zstd" | "lz4" | "snappy" | "gzip";

export type KafkaUplinkOptions = {
  /** Unique among the uplinks. */
  readonly name: string;
  readonly agent: string;
  /** Version of weir. */
  readonly version: string;
  readonly delivery: Guarantee;
  /** Topic names: one per queue, and the cursors'. */
  readonly lanes: Readonly<Record<Queue, string>>;
  readonly cursorTopic: string;
  readonly topics: TopicOptions;
  readonly headers: "cloudevents" | "minimal";
  readonly compression: CompressionName;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly recordBytesMax: number;
  readonly transactionMs: number;
  readonly clock: Clock;
  readonly random: Random;
  /** A new session with the cluster, in the name of a client. */
  readonly connect: (clientId: string, lane: Lane) => Promise<Cluster>;
  /** The links it goes over. */
  readonly over?: Via | undefined;
  /** See Uplink.freshForMs. */
  readonly freshForMs?: number;
  /** What makes Avro of records, where that is the format; asked until it succeeds. */
  readonly avro: (() => Promise<AvroEncoder>) | undefined;
  /** Whether what the client's last session logged in with was replaced. */
  readonly isOutdated: ((clientId: string) => Promise<boolean>) | undefined;
  /** Reads from the state store. */
  readonly get: (key: string) => Uint8Array | undefined;
  readonly read: (
    at: LaneOf,
    options: { readonly from: number; readonly bytesMax: number },
  ) => LaneRead;
};

/** The uplink; it touches nothing before its lanes are opened. */
export function openKafkaUplink(options: KafkaUplinkOptions): Uplink {
  const { name, agent, lanes, random, connect, isOutdated, lingerMs, over: via, ...rest } = options;
  const { freshForMs = limits.freshForMs } = options;
  const randomHex = (bytes: number): string => hexOf(random, bytes);
  const boot = randomHex(8);
  const encoding = encodingOf(options);
  return {
    name,
    via,
    freshForMs,
    lanes: byLane((lane) => {
      const clientId = `weir-${agent}-${lane}`;
      return new KafkaLane({
        ...rest,
        agent,
        lane,
        uplink: name,
        topic: lanes[queueOf(lane)],
        batchBytesMax: laneBatchBytes(lane, rest.batchBytesMax),
        lingerMs: lane === "summaries" ? lingerMs : 0,
        boot,
        randomHex,
        encoding,
        connect: () => connect(clientId, lane),
        isOutdated: isOutdated && (() => isOutdated(clientId)),
      });
    }),
  };
}

/** Made once for all lanes; after a failure it is tried again. */
function encodingOf(options: KafkaUplinkOptions): () => Promise<Encoding> {
  let made: Promise<Encoding> | undefined;
  return async () => {
    made ??= makeEncoding(options);
    try {
      return await made;
    } catch (error) {
      made = undefined;
      throw error;
    }
  };
}

async function makeEncoding(options: KafkaUplinkOptions): Promise<Encoding> {
  const { agent, headers, compression, avro, over } = options;
  const format = avro === undefined ? "json" : await avro();
  return {
    encode: createMessageEncoder({ agent, headers, format }),
    compression: await compressionOf(compression, over?.areBytesDear === true),
  };
}

/** Codecs are loaded when they are first wanted. */
export async function compressionOf(
  name: CompressionName,
  areBytesDear: boolean,
): Promise<Compression> {
  switch (name) {
    case "none":
      return noCompression;
    case "zstd":
    case "gzip": {
      const { fast, small } = await import("./message/compression.ts");
      return (areBytesDear ? small : fast)[name];
    }
    case "lz4":
    case "snappy":
      return (await (await import("./client/protocol.ts")).loadCodecs())[name];
  }
}

/** A random hex text of so many bytes, a multiple of 4. */
export function hexOf(random: Random, bytes: number): string {
  const words = Array.from({ length: bytes / 4 }, () => random.uint32());
  return words.map((word) => word.toString(16).padStart(8, "0")).join("");
}
