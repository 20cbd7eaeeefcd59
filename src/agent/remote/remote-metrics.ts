/** Configuration from afar as Prometheus families; see metrics/metrics.ts. */

import type { Family } from "../metrics/exposition.ts";
import type { Status } from "../status.ts";
import { noRefusals } from "./remote-status.ts";

/** None where nothing may come from afar. */
export function remoteFamilies(remote: Status["remote"]): Family[] {
  if (remote === undefined) return [];
  const { inForce, trial, highest, counters, channels, trouble } = remote;
  const { accepted, proven, rolledBack, refused, elsewhere, unwritten } = counters;
  return [
    {
      name: "weir_remote_version",
      type: "gauge",
      help: "Version of the remote configuration that is in force; 0: the local file alone.",
      samples: [{ value: inForce?.version ?? 0 }],
    },
    {
      name: "weir_remote_version_highest",
      type: "gauge",
      help: "Highest version that was ever accepted.",
      samples: [{ value: highest }],
    },
    {
      name: "weir_remote_trial",
      type: "gauge",
      help: "1 while the version in force is not proven.",
      samples: [{ value: Number(trial !== undefined) }],
    },
    {
      name: "weir_remote_configurations_total",
      type: "counter",
      help: "Remote configurations, by what became of them.",
      samples: [
        { labels: { outcome: "accepted" }, value: accepted },
        { labels: { outcome: "proven" }, value: proven },
        { labels: { outcome: "rolled_back" }, value: rolledBack },
        { labels: { outcome: "elsewhere" }, value: elsewhere },
      ],
    },
    {
      name: "weir_remote_refused_total",
      type: "counter",
      help: "Remote configurations that were refused, by why.",
      // From the start: a series that begins with its first event has nothing to rise from.
      samples: Object.entries<number>({ ...noRefusals, ...refused }).map(([code, value]) => ({
        labels: { code },
        value,
      })),
    },
    {
      name: "weir_remote_refused_unwritten_total",
      type: "counter",
      help: "Of these, those without an entry of their own in the audit log.",
      samples: [{ value: unwritten }],
    },
    {
      name: "weir_remote_reading",
      type: "gauge",
      help: "1 while the topic is read.",
      samples: channels.map(({ kind, topic, state }) => ({
        labels: { kind, topic },
        value: Number(state === "reading"),
      })),
    },
    {
      name: "weir_remote_trouble",
      type: "gauge",
      help: "1 while what is decided cannot be written down.",
      samples: [{ value: Number(trouble !== undefined) }],
    },
  ];
}
