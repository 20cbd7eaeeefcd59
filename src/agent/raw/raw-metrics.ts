/** Requests for raw readings as Prometheus families; see metrics.ts. */

import type { Family } from "../metrics/exposition.ts";
import type { RawSideCounters } from "./raw-side-counters.ts";

export function rawFamilies(counters: RawSideCounters): Family[] {
  const { open, readings, ended, trouble, unasked, commands } = counters;
  return [
    {
      name: "weir_raw_requests_open",
      type: "gauge",
      help: "Requests for raw readings whose answer is not whole.",
      samples: [{ value: open }],
    },
    {
      name: "weir_raw_requests_total",
      type: "counter",
      help: "Requests for raw readings that ended, by how.",
      samples: Object.entries(ended).map(([end, value]) => ({ labels: { end }, value })),
    },
    {
      name: "weir_raw_readings_total",
      type: "counter",
      help: "Raw readings that were put into the outbox.",
      samples: [{ value: readings }],
    },
    {
      name: "weir_raw_trouble",
      type: "gauge",
      help: "1 while nothing can be read for requests.",
      samples: [{ value: Number(trouble !== undefined) }],
    },
    {
      name: "weir_raw_alerts_unasked_total",
      type: "counter",
      help: "Alerts that asked for no raw readings because others had their share.",
      samples: [{ value: unasked }],
    },
    {
      name: "weir_commands_total",
      type: "counter",
      help: "Records read from the topic of commands, by what became of them.",
      samples:
        commands === undefined
          ? []
          : (["taken", "refused", "elsewhere", "unreadable", "gone"] as const).map((outcome) => ({
              labels: { outcome },
              value: commands[outcome],
            })),
    },
  ];
}
