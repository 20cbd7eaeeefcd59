/** How long a node that closes still takes messages. */

import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { flowLimits } from "../../src/core/flow-limits.ts";

/**
 * Until what the nodes before it had sent already has come. Node-RED passes a message on with each turn of
 * the process, and a busy one gets through few in any time: both are waited for.
 */
export async function linger(): Promise<void> {
  await wait(flowLimits.closeLingerMs);
  for (let turns = 0; turns < flowLimits.closeLingerTurns; turns++) await turn();
}
