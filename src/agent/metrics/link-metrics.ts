/** Links as Prometheus families; see metrics.ts. */

import type { LinkStatus } from "../../sync/link/link.ts";
import type { Family, Sample } from "./exposition.ts";
import type { Status } from "../status.ts";

export function linkFamilies({ links, uplinks }: Pick<Status, "links" | "uplinks">): Family[] {
  const each = (of: (link: LinkStatus) => number | undefined): Sample[] =>
    links.flatMap((link) => {
      const value = of(link);
      return value === undefined ? [] : [{ labels: { link: link.name }, value }];
    });
  return [
    {
      name: "weir_link_sent_bytes_total",
      type: "counter",
      help: "Bytes sent over the link, TLS included.",
      samples: each(({ sentBytes }) => sentBytes),
    },
    {
      name: "weir_link_received_bytes_total",
      type: "counter",
      help: "Bytes received over the link, TLS included.",
      samples: each(({ receivedBytes }) => receivedBytes),
    },
    {
      name: "weir_link_bandwidth_bytes",
      type: "gauge",
      help: "Bytes that may be sent in a second.",
      samples: each(({ bandwidth }) => bandwidth),
    },
    {
      name: "weir_link_quota_used_bytes",
      type: "gauge",
      help: "Bytes of the quota that are used in this day or month.",
      samples: each(({ quota }) => quota?.usedBytes),
    },
    {
      name: "weir_link_quota_bytes",
      type: "gauge",
      help: "Bytes of the quota, the reserve for alerts among them.",
      samples: each(({ quota }) => quota?.bytes),
    },
    {
      name: "weir_link_closed",
      type: "gauge",
      help: "1 where the lane may not use the link now: out of its hours, or of quota.",
      samples: links.flatMap(({ name, held }) =>
        Object.entries(held).map(([lane, why]) => ({
          labels: { link: name, lane, reason: why },
          value: 1,
        })),
      ),
    },
    {
      name: "weir_uplink_paused",
      type: "gauge",
      help: "1 while somebody has the uplink paused.",
      samples: uplinks.map(({ name, paused }) => ({
        labels: { uplink: name },
        value: Number(paused !== undefined),
      })),
    },
    {
      name: "weir_link_up",
      type: "gauge",
      help: "Whether deliveries of the uplink over the link succeed, as far as they were tried.",
      samples: uplinks.flatMap(({ name, links: ways }) =>
        ways.map(({ link, isUp }) => ({ labels: { uplink: name, link }, value: Number(isUp) })),
      ),
    },
  ];
}

/** Savepoints that are sent for who replaces the gateway, and windows that one before it had sent. */
export function savepointFamilies({
  savepoints,
  outputs,
}: Pick<Status, "savepoints" | "outputs">): Family[] {
  const of = (value: number | undefined): Sample[] => (value === undefined ? [] : [{ value }]);
  return [
    {
      name: "weir_savepoints_sent_total",
      type: "counter",
      help: "Savepoints that are whole in Kafka, since this process began.",
      samples: of(savepoints?.published),
    },
    {
      name: "weir_savepoint_failures_total",
      type: "counter",
      help: "Tries to make or send one that failed, since this process began.",
      samples: of(savepoints?.failures),
    },
    {
      name: "weir_savepoint_made_timestamp_seconds",
      type: "gauge",
      help: "When the newest of them was made: what came since is lost with the gateway.",
      samples: of(savepoints?.last === undefined ? undefined : savepoints.last.made / 1_000),
    },
    {
      name: "weir_windows_held_back_total",
      type: "counter",
      help: "Windows not sent because hardware that had the name before has sent them.",
      samples: outputs.heldBack === 0 ? [] : of(outputs.heldBack),
    },
  ];
}
