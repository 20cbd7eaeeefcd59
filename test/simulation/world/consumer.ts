/** What a consumer reads upstream: of Kafka what is committed, of files every line. */

import type { ClusterModel } from "../../support/kafka/cluster-model.ts";
import { otherAgent } from "../../support/kafka/stuck-transaction.ts";
import type { FaultDisk } from "../../support/fault-disk.ts";
import type { Upstream } from "../oracle/evidence.ts";
import { topics } from "./gateway-config.ts";

const lanes = ["summaries", "alerts"] as const;

export function readKafka(cluster: ClusterModel): readonly Upstream[] {
  return lanes.flatMap((lane) => {
    // A cluster that no agent ever reached has no topics.
    if (!cluster.hasTopic(topics[lane])) return [];
    return cluster
      .readCommitted(topics[lane])
      .filter(({ key }) => key !== otherAgent)
      .map(({ partition, value = "", headers }) => ({
        place: "kafka" as const,
        lane,
        partition,
        eventId: headers["ce_id"] ?? "",
        text: value,
        record: recordOf(value),
      }));
  });
}

/** `place`: what the oracle calls the directory. */
export function readFiles(
  disk: FaultDisk,
  { directory, place }: { readonly directory: string; readonly place: "files" | "replayed" },
): readonly Upstream[] {
  return lanes.flatMap((lane) =>
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

/** What is no record has the identity of what it is. */
function recordOf(text: string): Upstream["record"] {
  try {
    return JSON.parse(text) as Upstream["record"];
  } catch {
    return { id: `no JSON: ${text}` };
  }
}
