/**
 * Configurations in a compacted topic. Its key is the name of an agent, or a glob, so that the newest of
 * each stays; a session reads all that lies there, and then what comes. No place is kept: what was known
 * is known by its version.
 */

import type { Clock, Random } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { globOf } from "../../core/glob.ts";
import { limits } from "../../core/limits.ts";
import type { Cluster, FetchedRecord } from "../../sync/kafka/cluster.ts";
import { CommittedRecords } from "../../sync/kafka/upstream/committed-records.ts";
import type { KafkaUplinkConfig } from "../config/kafka-config.ts";
import type { KafkaDoor } from "../doors/kafka.ts";
import { Channel } from "./channel.ts";
import { kept } from "./judge.ts";
import type { Offer } from "./remote-status.ts";

export type KafkaChannelOptions = {
  readonly agent: string;
  readonly topic: string;
  readonly pollMs: number;
  /** As the local file has it. */
  readonly uplink: KafkaUplinkConfig;
  readonly kafka: KafkaDoor;
  readonly clock: Clock;
  readonly random: Random;
  /** Those that matter among any number, at most `limits.remoteWaitingMax`. */
  readonly sift: (offers: readonly Offer[]) => readonly Offer[];
  readonly offer: (offer: Offer) => void;
};

export function openKafkaChannel(options: KafkaChannelOptions): Channel {
  const { topic, clock, random } = options;
  return new Channel({
    kind: "kafka",
    topic,
    clock,
    random,
    session: async ({ onOpen, closing }) => {
      const cluster = await connect(options);
      let isClosing = false;
      const stopped = closing.then(async () => {
        isClosing = true;
        await cluster.close();
      });
      try {
        await follow(cluster, options, { onOpen, closing, isClosing: () => isClosing });
      } catch (error) {
        if (!isClosing) throw error;
      } finally {
        if (isClosing) await stopped;
        else await cluster.close();
      }
    },
  });
}

async function connect({ agent, uplink, kafka }: KafkaChannelOptions): Promise<Cluster> {
  const { brokers, addresses, connectMs, requestMs, security } = uplink;
  return await kafka.connect({
    bootstrap: brokers,
    ...(addresses === undefined ? {} : { addresses }),
    clientId: `weir-${agent}-remote`,
    requestTimeoutMs: requestMs,
    connectTimeoutMs: connectMs,
    ...(await kafka.credentials(security).read()),
  });
}

async function follow(
  cluster: Cluster,
  options: KafkaChannelOptions,
  life: {
    readonly onOpen: () => void;
    readonly closing: Promise<void>;
    readonly isClosing: () => boolean;
  },
): Promise<void> {
  const { topic, agent, clock, pollMs, sift, offer } = options;
  const count = (await cluster.partitionsOf([topic])).get(topic);
  if (count === undefined) throw missing(topic);
  const partitions: { readonly records: CommittedRecords; readonly end: number }[] = [];
  for (let partition = 0; partition < Math.min(count, limits.commandPartitionsMax); partition++) {
    const at = { topic, partition };
    const { first: from, end } = await cluster.offsets(at);
    const bytesMax = limits.commandsFetchBytesMax;
    const takes = (record: FetchedRecord): boolean => isOurs(record, agent);
    partitions.push({ records: new CommittedRecords(cluster, { at, from, bytesMax, takes }), end });
  }
  let history: readonly Offer[] = [];
  for (const { records, end } of partitions) {
    while (records.offset < end && !life.isClosing()) {
      const next = valuesOf(await records.next()).map((bytes) =>
        kept({ bytes, from: "kafka", isHistory: true, isShared: true }),
      );
      history = sift([...history, ...next]);
    }
  }
  if (life.isClosing()) return;
  life.onOpen();
  for (const each of history) offer(each);
  while (!life.isClosing()) {
    for (const { records } of partitions) {
      for (const bytes of valuesOf(await records.next())) {
        offer({ bytes, from: "kafka", isHistory: false, isShared: true });
      }
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(pollMs, resolve);
    await Promise.race([promise, life.closing]);
    cancel();
  }
}

/** By its key, which anybody may have written: it saves work, and decides nothing. */
function isOurs({ key }: FetchedRecord, agent: string): boolean {
  if (key === undefined || key.length === 0) return true;
  return globOf(Buffer.from(key).toString("latin1"))(agent);
}

function valuesOf(records: readonly FetchedRecord[]): readonly Uint8Array[] {
  return records.flatMap(({ value }) => (value === undefined || value.length === 0 ? [] : [value]));
}

function missing(topic: string): Fault {
  return new Fault(
    "UPLINK_REFUSED",
    `the cluster has no topic ${topic} for configurations: create it, compacted (cleanup.policy=compact), or take remote.kafka out of the configuration`,
    { facts: { topic } },
  );
}
