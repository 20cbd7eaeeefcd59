/** What the status says of the log, and of the loop that writes it. */

import type { Loop } from "./loop.ts";
import type { Recovery } from "./recovery.ts";
import type { Status } from "./status.ts";

export function logStatusOf(
  { log, damage }: Pick<Recovery, "log" | "damage">,
  { appendMs, counters }: Pick<Loop, "appendMs" | "counters">,
): Status["log"] {
  return {
    start: log.start,
    end: log.end,
    bytes: log.bytes,
    framesAppended: counters.framesAppended,
    rowsAppended: counters.rowsAppended,
    appendMs: {
      p50: appendMs.quantileMs(0.5),
      p99: appendMs.quantileMs(0.99),
      count: appendMs.count,
      sum: appendMs.sumMs,
      buckets: [...appendMs.counts],
    },
    damage: { tornBytes: damage.tornBytes, lostRows: damage.lostRows, places: damage.places },
  };
}
