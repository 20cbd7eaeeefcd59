/** What an agent is opened with. */

import type { Fault } from "../core/faults.ts";
import type { Reserve } from "../store/care/reserve.ts";
import type { Doors } from "./agent-doors.ts";
import type { Config } from "./config/config.ts";
import type { MemoryDoor } from "./memory/memory-side.ts";
import type { Status } from "./status.ts";

export type AgentOptions = {
  readonly config: Config;
  readonly doors: Doors;
  readonly logDirectory: string;
  readonly tablesDirectory: string;
  /** Where savepoints lie while they are sent upstream; absent: none are. */
  readonly savepointsDirectory?: string;
  /** Default as `memory` plans, or limits.memoryTableRowsMax; simulated agents want few. */
  readonly memoryRowsMax?: number | undefined;
  /** Whether memory has a ceiling, and how it is looked at; absent: there is none. */
  readonly memory?: MemoryDoor;
  /** Resolutions to which the outbox merges; default config.store.tiers. */
  readonly outboxTiers?: readonly number[];
  /** Default limits.segmentBytes; simulated disks want small ones. */
  readonly segmentBytes?: number;
  /** Gives its space up when the disk is full; absent: none is kept. */
  readonly reserve?: Reserve;
  /** Whether MQTT and HTTP listen. */
  readonly listen: boolean;
  /** Of configuration from afar; absent: none may come. */
  readonly remote?: () => Status["remote"];
  /** The agent cannot go on: close it. Called once. */
  readonly onFailed: (fault: Fault) => void;
  /** Everything but the doors is closed. */
  readonly onClosed: () => Promise<void>;
};
