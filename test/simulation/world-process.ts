/**
 * A process that simulates worlds, one after another: it is sent plans and answers with outcomes.
 * Started by run-plans.ts, which ends it where a world stands still.
 */

import type { Plan } from "./plan.ts";
import { simulate } from "./simulate.ts";
// What the agent loads late is loaded now: a world does not wait for files.
import "aedes";
import "../../src/agent/uplinks/uplink-to-kafka.ts";

export type PlanToRun = { readonly plan: Plan; readonly detailed: boolean };

process.on("message", (message: PlanToRun) => {
  void simulate(message.plan, message).then((outcome) => process.send?.(outcome));
});
// Whoever started it is gone.
process.on("disconnect", () => process.exit());
process.send?.("ready");
