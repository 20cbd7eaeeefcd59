/**
 * A link in words, for `weir check`: what it costs and when, and how long the summaries of a day take
 * over it. The estimate is for keys that have readings all the time, with what a summary took on the
 * wire in measurements (docs/performance.md): Kafka with compressed batches, and MQTT, which has none.
 */

import { counted } from "../../core/counted.ts";
import type { PipelineSpec } from "../../edge-ops/spec.ts";
import { lanes } from "../../store/outbox/lane.ts";
import type { LinkPolicy } from "../../sync/link/policy.ts";
import type { LocalWindow } from "../../sync/link/schedule.ts";
import type { Config, UplinkConfig } from "./config.ts";
import { weekdays } from "./link-section.ts";
import { bytesText, durationText, roughBytesText } from "./quantity.ts";

const DAY_MS = 86_400_000;
const PACKED_BYTES = 54;
const PLAIN_BYTES = 706;
const EXAMPLE_KEYS = 100;
const perDay = { day: 1, month: 30 };

type Row = readonly [name: string, value: string];

export function linkRows(link: LinkPolicy, config: Config): Row[] {
  const { bandwidth, quota, windows, metered, alerts, timezone, localAddress } = link;
  const uplinks = config.uplinks.filter(({ kind, ...rest }) =>
    kind === "file" ? false : ("via" in rest && rest.via?.includes(link.name)) === true,
  );
  const reserve =
    quota === undefined || quota.reserveBytes === 0
      ? "then everything waits"
      : `the last ${roughBytesText(quota.reserveBytes)} for alerts only`;
  return [
    ["used by", uplinks.map(nameOf).join(", ") || "no uplink"],
    [
      "bandwidth",
      bandwidth === undefined ? "as fast as it goes" : `${roughBytesText(bandwidth)} a second`,
    ],
    ["order", orderText(link)],
    [
      "quota",
      quota === undefined ? "none" : `${roughBytesText(quota.bytes)} a ${quota.per}, ${reserve}`,
    ],
    [
      "hours",
      windows.length === 0
        ? "always"
        : `${windows.map(windowText).join(", ")} (${timezone}); alerts ${alerts === "always" ? "always" : "then only"}`,
    ],
    ...(metered === undefined
      ? []
      : [
          [
            "metered",
            `summaries wait for ${bytesText(metered.minBatchBytes)} or ${durationText(metered.maxDelayMs)}`,
          ] as const,
        ]),
    ...(localAddress === undefined ? [] : [["from", localAddress] as const]),
    ...uplinks.flatMap((uplink) => dayRows(uplink, link, config)),
  ];
}

function nameOf(uplink: UplinkConfig): string {
  if (uplink.kind === "mqtt" || uplink.kind === "http") return uplink.url;
  return uplink.kind === "kafka" ? "kafka" : uplink.directory;
}

function orderText({ shares }: LinkPolicy): string {
  const shared = Object.entries(shares).map(([lane, share]) => `${lane} ${share * 100} %`);
  const first = `${lanes.join(" first, then ")}`;
  return shared.length === 0 ? first : `${first}; whoever waits has: ${shared.join(", ")}`;
}

function windowText({ from, to, days }: LocalWindow): string {
  const at = (minute: number): string =>
    `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;
  const on = days.length === 7 ? "" : `${days.map((day) => weekdays[day]).join(" ")} `;
  return `${on}${at(from)} to ${at(to)}`;
}

/** What a day of summaries comes to, and whether there is room for it. */
function dayRows(uplink: UplinkConfig, link: LinkPolicy, { pipelines }: Config): Row[] {
  const each = pipelines.reduce((sum, spec) => sum + summariesPerDay(spec), 0);
  if (each === 0) return [];
  const isPacked =
    (uplink.kind === "kafka" && uplink.compression !== "none") ||
    (uplink.kind === "http" && uplink.compress === "gzip");
  const recordBytes = isPacked ? PACKED_BYTES : PLAIN_BYTES;
  const bytes = each * EXAMPLE_KEYS * recordBytes;
  const { bandwidth, quota, windows } = link;
  const openMs = windows.length === 0 ? DAY_MS : openMsPerDay(windows);
  const room = [
    ...(bandwidth === undefined ? [] : [(bandwidth * openMs) / 1_000]),
    ...(quota === undefined ? [] : [(quota.bytes - quota.reserveBytes) / perDay[quota.per]]),
  ];
  const takes =
    bandwidth === undefined ? "" : `, ${roughTime((bytes / bandwidth) * 1_000)} at this bandwidth`;
  const keys = Math.floor(Math.min(...room) / (each * recordBytes));
  const enough =
    room.length === 0
      ? ""
      : keys === 0
        ? "; there is not room for one key"
        : `; there is room for some ${counted(keys, "key")}`;
  return [
    [
      "a day",
      `of ${EXAMPLE_KEYS} keys: ${each * EXAMPLE_KEYS} summaries, some ${roughBytesText(bytes)} to ${nameOf(uplink)}${takes}${enough}`,
    ],
  ];
}

/** Of one key; sessions depend on the readings and are not counted. */
function summariesPerDay(spec: PipelineSpec): number {
  if (spec.kind !== "window" || spec.window.kind === "session") return 0;
  const { window } = spec;
  return Math.round(DAY_MS / (window.kind === "tumbling" ? window.sizeMs : window.slideMs));
}

function openMsPerDay(windows: readonly LocalWindow[]): number {
  const ofWeek = windows.reduce(
    (sum, { from, to, days }) => sum + days.length * (((to - from + 1_439) % 1_440) + 1),
    0,
  );
  return Math.min(DAY_MS, (ofWeek * 60_000) / 7);
}

function roughTime(ms: number): string {
  const units = [
    ["days", DAY_MS],
    ["hours", 3_600_000],
    ["minutes", 60_000],
  ] as const;
  for (const [unit, size] of units) if (ms >= 2 * size) return `${Math.round(ms / size)} ${unit}`;
  return `${Math.max(1, Math.round(ms / 1_000))} seconds`;
}
