/** What `weir upstream verify` has proven, in lines for a person. */

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
      : `${counted(records, "record")} ${first} to ${next - 1}, each once`;
  const gone = removed === 0 ? "" : `; ${removed} before them are no longer in the topic`;
  const later = newer === 0 ? "" : `; ${newer} of them came meanwhile`;
  const digest =
    digestTo === undefined
      ? "; their digest could not be compared with a cursor"
      : `; digest equal to ${counted(cursors, "cursor")}, the last at ${digestTo}`;
  return `${lane.lane} ${short(lane.outbox)} in ${topic}: ${numbers}${gone}${later}${digest}`;
}

function pipelineText(count: PipelineCount): string {
  const { pipeline, keys, windows, readings, merged, corrections, alerts, gaps } = count;
  const parts: string[] = [];
  if (keys > 0) {
    const coarser = merged === 0 ? "" : ` (${merged} of them merged)`;
    parts.push(
      `${counted(keys, "key")}, ${counted(windows, "window")}${coarser}, ${counted(readings, "reading")}, ${counted(corrections, "correction")}`,
    );
  }
  if (count.markers > 0) {
    parts.push(
      `sums as ${counted(count.markers, "completeness marker")} said, ${counted(count.markedReadings, "reading")} by the last of each key`,
    );
  }
  if (alerts > 0) parts.push(counted(alerts, "alert"));
  if (gaps > 0) {
    parts.push(
      `${counted(gaps, "gap")} for ${counted(count.missingRecords, "record")} with ${counted(count.missingReadings, "reading")}`,
    );
  }
  return `pipeline ${pipeline}: ${parts.join("; ")}`;
}

function answersText({ answers, readings, open }: AgentProven["answers"]): string {
  const rest = open === 0 ? "" : `; ${counted(open, "answer")} without a manifest yet`;
  return `raw readings: ${counted(answers, "answer")} as their manifests say, with ${counted(readings, "reading")}${rest}`;
}

function counted(count: number, noun: string): string {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

function short(outbox: string): string {
  return outbox.slice(0, 8);
}
