/** What an agent is made of, for whoever looks after many: nothing of it is secret. */

import { createHash } from "node:crypto";
import { type Config, dataflowSpecOf } from "./config/config.ts";
import { commit } from "./version.ts";

export type Inventory = {
  /** As Node names them: "linux-arm64". */
  readonly platform: string;
  /** Version of Node. */
  readonly node: string;
  /** The commit it was built of; absent where it runs from its sources. */
  readonly commit?: string;
  /**
   * 16 hexadecimal digits that are the same for two agents that compute the same: of sources and pipelines
   * and their limits as they are in force, wherever they came from.
   */
  readonly dataflow: string;
};

export function inventoryOf(config: Config): Inventory {
  const spec = JSON.stringify(dataflowSpecOf(config));
  return {
    platform: `${process.platform}-${process.arch}`,
    node: process.version,
    ...(commit === undefined ? {} : { commit }),
    dataflow: createHash("sha256").update(spec).digest("hex").slice(0, 16),
  };
}
