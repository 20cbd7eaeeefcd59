/** The `weir-summaries` node: windows of an agent as they close, and as they are corrected. */

import { registerStream } from "../../node/stream-node.ts";
import type { Red } from "../../red.ts";
import { migrations } from "./migrations.ts";

export function register(RED: Red): void {
  registerStream(RED, {
    type: "weir-summaries",
    migrations,
    kinds: "summaries",
    messageOf: (record) => ({
      topic: record["pipeline"],
      payload: record,
      key: record["key"],
      time: record["end"],
    }),
  });
}
