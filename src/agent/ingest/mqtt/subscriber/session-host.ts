/** What a session needs of whoever has its socket. */

import type { Receiver } from "../../receiver.ts";
import type { BrokerConfig } from "./subscriber-config.ts";
import type { BrokerCounters } from "./broker-counters.ts";
import type { SessionEnd } from "./session-end.ts";
import type { SessionMemory } from "./session-memory.ts";

export type SessionLimits = {
  readonly packetBytesMax: number;
  /** Bytes that may wait for room in the batch; then the broker is not read. */
  readonly heldBytesPerConnectionMax: number;
};

export type Welcome = {
  readonly sessionPresent: boolean;
  /** How long it keeps the session, where that is not what we asked. */
  readonly keptSeconds: number | undefined;
};

export interface SessionHost {
  readonly config: BrokerConfig;
  readonly limits: SessionLimits;
  readonly receiver: Receiver;
  readonly counters: BrokerCounters;
  readonly memory: SessionMemory;
  monotonic(): number;
  /** The bytes are the host's. */
  write(bytes: Uint8Array): void;
  /** Read no more, or again. */
  pause(paused: boolean): void;
  /** Nothing more comes before what was received is acknowledged: not to be waited for after `delayMs`. */
  hurry(delayMs: number): void;
  /** The broker welcomed us. */
  connected(welcome: Welcome): void;
  /** The connection is to be closed. */
  ended(end: SessionEnd): void;
}
