/** What a consumer reads upstream: of Kafka what is committed, of files every line. */

import type { ClusterModel } from "../../support/kafka/cluster-model.ts";
import type { FaultDisk } from "../../support/fault-disk.ts";
import type { Upstream } from "../oracle/evidence.ts";
import { topics } from "./gateway-config.ts";
import { otherAgent } from "./link.ts";

const lanes = ["summaries", "alerts"] as const;

export function readKafka(cluster: ClusterModel): readonly Upstream[] {
  return lanes.flatMap((lane) => {
    // A cluster that no agent ever reached has no topics.
    if (!cluster.hasTopic(topics[lane])) return [];
    return cluster
      .readCommitted(topics[lane])
      .filter(({ key }) => key !== otherAgent)
      .map(({ value = "", headers }) => ({
        place: "kafka" as const,
        lane,
        eventId: headers["ce_id"] ?? "",
        text: value,
        record: recordOf(value),
      }));
  });
}

export function readFiles(disk: FaultDisk, directory: string): readonly Upstream[] {
  return lanes.flatMap((lane) =>
    disk
      .paths()
      .filter((path) => path.startsWith(`${directory}/${lane}-`))
      .flatMap((path) => new TextDecoder().decode(disk.peek(path)).split("\n"))
      .filter((line) => line !== "")
      .map((text) => ({
        place: "files" as const,
        lane,
        eventId: undefined,
        text,
        record: recordOf(text),
      })),
  );
}

function recordOf(text: string): Upstream["record"] {
  return JSON.parse(text) as Upstream["record"];
}
