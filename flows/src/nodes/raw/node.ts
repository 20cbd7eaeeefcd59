/** The `weir-raw` node: readings that somebody asked the agent for, part by part. */

import { registerStream } from "../../node/stream-node.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerStream(RED, {
    type: "weir-raw",
    migrations,
    kinds: "raw",
    // A manifest has no series: it says that the answer is complete.
    messageOf: (record) => ({
      topic: record["series"] ?? record["kind"],
      payload: record,
      request: record["request"],
    }),
  });
}
