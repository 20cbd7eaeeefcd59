/**
 * Follows topics: all that is committed, from the beginning or from now on, and whatever comes. Where
 * the session fails another one goes on at the same place.
 */

import type { Clock } from "../../../core/doors.ts";
import { isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { Cluster, FetchedRecord, TopicSource } from "../cluster.ts";
import { CommittedRecords } from "./committed-records.ts";
import { messageOf, type UpstreamMessage } from "./upstream-message.ts";

export type FollowOptions = {
  readonly topics: readonly string[];
  readonly takes: (record: FetchedRecord) => boolean;
  readonly from: "beginning" | "end";
  /** Ends with what was there when it began. */
  readonly endsThere: boolean;
  readonly connect: () => Promise<FollowedCluster>;
  readonly clock: Clock;
  /** At the beginning, where some of `topics` are not in the cluster: those are not followed. May throw. */
  readonly onMissing: (topics: readonly string[]) => void;
  /** The session failed; it is tried again. */
  readonly onTrouble: (error: Error) => void;
};

/** A session, which is closed in the end. */
export type FollowedCluster = TopicSource & Pick<Cluster, "close">;

type Followed = { readonly records: CommittedRecords; readonly end: number };

/** Rejects where the first session cannot be had. Ends when `isOver`, at the next answer. */
export async function* followTopics(
  options: FollowOptions,
  isOver: () => boolean,
): AsyncGenerator<UpstreamMessage> {
  const { clock, endsThere } = options;
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      clock.after(ms, resolve);
    });
  let cluster = await options.connect();
  try {
    const followed = await openAll(cluster, options);
    while (!isOver()) {
      let isQuiet = true;
      try {
        for (const { records, end } of followed) {
          if (endsThere && records.offset >= end) continue;
          const before = records.offset;
          const decided = await records.next();
          if (records.offset > before) isQuiet = false;
          for (const record of decided) {
            const message = messageOf(record, records.at);
            if (message !== undefined) yield message;
          }
          if (isOver()) return;
        }
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        options.onTrouble(error);
        await cluster.close();
        await wait(limits.uplinkRetryMsMin);
        cluster = await reconnected(options, { isOver, wait });
        for (const { records } of followed) records.use(cluster);
        continue;
      }
      if (endsThere && followed.every(({ records, end }) => records.offset >= end)) return;
      if (isQuiet) await wait(limits.tailPollMs);
    }
  } finally {
    await cluster.close();
  }
}

async function openAll(
  cluster: TopicSource,
  { topics, from, takes, onMissing }: FollowOptions,
): Promise<readonly Followed[]> {
  const followed: Followed[] = [];
  const there = await cluster.partitionsOf(topics);
  const missing = topics.filter((topic) => !there.has(topic));
  if (missing.length > 0) onMissing(missing);
  for (const [topic, count] of there) {
    for (let partition = 0; partition < count; partition++) {
      const at = { topic, partition };
      const { first, end } = await cluster.offsets(at);
      const records = new CommittedRecords(cluster, {
        at,
        from: from === "beginning" ? first : end,
        bytesMax: limits.kafkaFetchBytesMax,
        takes,
      });
      followed.push({ records, end });
    }
  }
  return followed;
}

async function reconnected(
  { connect, onTrouble }: FollowOptions,
  {
    isOver,
    wait,
  }: { readonly isOver: () => boolean; readonly wait: (ms: number) => Promise<void> },
): Promise<FollowedCluster> {
  for (let tries = 0; ; tries++) {
    try {
      return await connect();
    } catch (error) {
      if (!isEnvironmental(error) || isOver()) throw error;
      onTrouble(error);
      await wait(Math.min(limits.uplinkRetryMsMin * 2 ** tries, limits.uplinkRetryMsMax));
    }
  }
}
