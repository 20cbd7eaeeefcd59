/** The pipeline of tests that count: every numeric `v` of the plant, per device and second. */

import type { WindowPipelineSpec } from "../../src/edge-ops/spec.ts";

export const secondsPipeline: WindowPipelineSpec = {
  kind: "window",
  name: "seconds",
  where: { sources: [], metrics: ["v"], tags: {} },
  key: ["device", "line", "metric"],
  window: { kind: "tumbling", sizeMs: 1_000 },
  aggregate: ["count", "sum"],
  allowedLatenessMs: 10_000,
};
