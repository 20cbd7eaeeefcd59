/** Requests for raw readings as Prometheus families; see metrics.ts. */

import type { Family } from "../exposition.ts";
import type { RawCounters } from "./raw-answers.ts";

export function rawFamilies({ open, readings, ended, trouble }: RawCounters): Family[] {
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
  ];
}
