/** The `weir-alerts` node: alerts of an agent as they come. */

import { registerStream } from "../../node/stream-node.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerStream(RED, {
    type: "weir-alerts",
    migrations,
    kinds: "alerts",
    messageOf: (record) => ({
      topic: record["pipeline"],
      payload: record,
      key: record["key"],
      time: record["time"],
    }),
  });
}
