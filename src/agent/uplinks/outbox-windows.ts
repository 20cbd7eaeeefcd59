/** What the outbox is told of the pipelines, so that it can merge and drop their summaries. */

import type { DataflowState } from "../../edge-ops/spec.ts";
import type { PipelineWindow } from "../../store/outbox/outbox-rollup-plan.ts";

/**
 * The windows in force, by the name that records have: `temp`, `temp@2`. Sessions and sliding windows
 * have no tiers: their size is 0.
 */
export function outboxWindowsOf({
  pipelines,
  generations = {},
}: DataflowState): ReadonlyMap<string, PipelineWindow> {
  const windows = new Map<string, PipelineWindow>();
  for (const pipeline of pipelines) {
    if (pipeline.kind !== "window") continue;
    const generation = generations[pipeline.name] ?? 1;
    const name = generation === 1 ? pipeline.name : `${pipeline.name}@${generation}`;
    const sizeMs = pipeline.window.kind === "tumbling" ? pipeline.window.sizeMs : 0;
    windows.set(name, { sizeMs, latenessMs: pipeline.allowedLatenessMs });
  }
  return windows;
}
