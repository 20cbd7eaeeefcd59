/** What `weir upstream verify` has proven, in lines for a person. */

import { countedInGroups } from "../../core/counted.ts";
import type { PipelineCount } from "../../sync/kafka/upstream/count-proof.ts";
import type { LaneProven } from "../../sync/kafka/upstream/lane-proof.ts";
import type { AgentProven } from "../../sync/kafka/upstream/verify-upstream.ts";

export function provenText({ agent, lanes, pipelines, answers, forks }: AgentProven): string {
  return [
    ...lanes.map((lane) => `${agent}: ${laneText(lane)}`),
    ...forks.map(
      ({ lane, outbox, from }) =>
        `${agent}: ${lane} ${short(outbox)} parted from ${short(from.outbox)} at ${from.number}: what that one sent beyond is another history, and not counted`,
    ),
    ...pipelines.map((pipeline) => `${agent}: ${pipelineText(pipeline)}`),
    ...(answers.answers + answers.open === 0 ? [] : [`${agent}: ${answersText(answers)}`]),
  ].join("\n");
}

function laneText(lane: LaneProven): string {
  const { first, next, records, removed, newer, cursors, digestTo, topic } = lane;
  const numbers =
    records === 0
      ? "no records"
      : `${countedInGroups(records, "record")} ${first} to ${next - 1}, each once`;
  const gone = removed === 0 ? "" : `; ${removed} before them are no longer in the topic`;
  const later = newer === 0 ? "" : `; ${newer} of them came meanwhile`;
  const digest =
    digestTo === undefined
      ? "; their digest could not be compared with a cursor"
      : `; digest equal to ${countedInGroups(cursors, "cursor")}, the last at ${digestTo}`;
  return `${lane.lane} ${short(lane.outbox)} in ${topic}: ${numbers}${gone}${later}${digest}`;
}

function pipelineText(count: PipelineCount): string {
  const { pipeline, keys, windows, readings, merged, corrections, alerts, gaps } = count;
  const parts: string[] = [];
  if (keys > 0) {
    const coarser = merged === 0 ? "" : ` (${merged} of them merged)`;
    parts.push(
      `${countedInGroups(keys, "key")}, ${countedInGroups(windows, "window")}${coarser}, ${countedInGroups(readings, "reading")}, ${countedInGroups(corrections, "correction")}`,
    );
  }
  if (count.markers > 0) {
    parts.push(
      `sums as ${countedInGroups(count.markers, "completeness marker")} said, ${countedInGroups(count.markedReadings, "reading")} by the last of each key`,
    );
  }
  if (alerts > 0) parts.push(countedInGroups(alerts, "alert"));
  if (gaps > 0) {
    parts.push(
      `${countedInGroups(gaps, "gap")} for ${countedInGroups(count.missingRecords, "record")} with ${countedInGroups(count.missingReadings, "reading")}`,
    );
  }
  return `pipeline ${pipeline}: ${parts.join("; ")}`;
}

function answersText({ answers, readings, open }: AgentProven["answers"]): string {
  const rest = open === 0 ? "" : `; ${countedInGroups(open, "answer")} without a manifest yet`;
  return `raw readings: ${countedInGroups(answers, "answer")} as their manifests say, with ${countedInGroups(readings, "reading")}${rest}`;
}

function short(outbox: string): string {
  return outbox.slice(0, 8);
}
