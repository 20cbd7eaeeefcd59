/** What a consumer reads upstream: of Kafka what is committed, of files every line. */

import type { Clock } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import { millis } from "../../../src/core/units.ts";
import { sentenceOf } from "../../../src/sync/kafka/upstream/break.ts";
import { verifyUpstream } from "../../../src/sync/kafka/upstream/verify-upstream.ts";
import type { ClusterModel } from "../../support/kafka/cluster-model.ts";
import { otherAgent } from "../../support/kafka/stuck-transaction.ts";
import type { FaultDisk } from "../../support/fault-disk.ts";
import type { Upstream } from "../oracle/evidence.ts";
import { topics } from "./gateway-config.ts";

const queues = ["summaries", "alerts", "raw"] as const;

export function readKafka(cluster: ClusterModel): readonly Upstream[] {
  return queues.flatMap((lane) => {
    // A cluster that no agent ever reached has no topics.
    if (!cluster.hasTopic(topics[lane])) return [];
    return cluster
      .readCommitted(topics[lane])
      .filter(({ key }) => key !== otherAgent)
      .map(({ partition, value = "", headers }) => ({
        place: "kafka" as const,
        lane: laneIn(headers["ce_id"], lane),
        partition,
        eventId: headers["ce_id"] ?? "",
        text: value,
        record: recordOf(value),
      }));
  });
}

/**
 * What `weir upstream verify` has against what is in Kafka: a sentence, or undefined. It is part of the
 * agent's code: the oracle asks the same in its own ways.
 */
export async function verifiedKafka(cluster: ClusterModel): Promise<string | undefined> {
  if (!cluster.hasTopic(topics.cursor)) return undefined;
  cluster.fate = () => "answer";
  const { alerts, summaries, raw, cursor: cursorTopic } = topics;
  const session = cluster.connect();
  try {
    const verdict = await verifyUpstream(session, {
      topics: [summaries, alerts, raw].filter((topic) => cluster.hasTopic(topic)),
      cursorTopic,
      agent: undefined,
      mayBeginLater: false,
      clock: impatient(),
    });
    return verdict.kind === "broken" ? sentenceOf(verdict.first) : undefined;
  } catch (error) {
    // An agent that never sent anything has no cursor.
    if (error instanceof Fault && error.code === "INPUT_INVALID") return undefined;
    throw error;
  } finally {
    await session.close();
  }
}

/** For whom every wait is over at once. */
function impatient(): Clock {
  let elapsedMs = 0;
  return {
    now: () => millis(elapsedMs),
    monotonic: () => (elapsedMs += 1_000),
    after: (_delayMs, run) => {
      queueMicrotask(run);
      return () => undefined;
    },
    soon: (run) => queueMicrotask(run),
  };
}

/** `place`: what the oracle calls the directory. */
export function readFiles(
  disk: FaultDisk,
  { directory, place }: { readonly directory: string; readonly place: "files" | "replayed" },
): readonly Upstream[] {
  return queues.flatMap((lane) =>
    disk
      .paths()
      .filter((path) => path.startsWith(`${directory}/${lane}-`))
      .flatMap((path) => new TextDecoder().decode(disk.peek(path)).split("\n"))
      .filter((line) => line !== "")
      .map((text) => ({
        place,
        lane,
        partition: 0,
        eventId: undefined,
        text,
        record: recordOf(text),
      })),
  );
}

/** The lane of a record in a topic: its id says so. */
function laneIn(eventId = "", topic: (typeof queues)[number]): Upstream["lane"] {
  return eventId.split(":")[1] === "backfill" ? "backfill" : topic;
}

/** What is no record has the identity of what it is. */
function recordOf(text: string): Upstream["record"] {
  try {
    return JSON.parse(text) as Upstream["record"];
  } catch {
    return { id: `no JSON: ${text}` };
  }
}
