/**
 * What all connections share, as one connection sees it: where its messages go, the bounds it keeps
 * within, and who calls it back when it may go on.
 */

import type { Receiver } from "../../receiver.ts";
import type { Acks } from "./acks.ts";
import type { Broker } from "../broker/broker.ts";
import type { Connection } from "./connection.ts";
import type { FaultCounts, FrontCounters } from "./front-counters.ts";
import type { PaceLimits } from "./pace.ts";
import type { OutboundHost } from "./outbound.ts";
import type { Sessions5 } from "./sessions-5.ts";

/**
 * What a connection waits for: CONNACK; room in the batch; its acknowledgements; the broker's
 * subscribers; the broker reading what it was given; its next turn, the next batch, or time, which
 * are its pace.
 */
export type Hold =
  | "nothing"
  | "connack"
  | "room"
  | "acks"
  | "backlog"
  | "broker"
  | "turn"
  | "share"
  | "rate";

export type ConnectionLimits = PaceLimits & {
  readonly turnBytesMax: number;
  readonly packetBytesMax: number;
  readonly connectBytesMax: number;
  readonly heldBytesPerConnectionMax: number;
  /** Of all connections together. */
  readonly heldBytesMax: number;
  readonly inFlightPerConnectionMax: number;
  readonly outboundBytesPerConnectionMax: number;
  /** Topic aliases of one client (MQTT 5), and the bytes they stand for. */
  readonly topicAliasesMax: number;
  readonly topicAliasBytesMax: number;
  readonly sessionExpirySecondsMax: number;
};

/** What all connections share. */
export interface ConnectionHost extends OutboundHost {
  readonly receiver: Receiver;
  readonly broker: Broker;
  readonly acks: Acks;
  readonly sessions: Sessions5;
  readonly limits: ConnectionLimits;
  readonly counters: FrontCounters;
  readonly faults: FaultCounts;
  /** Nobody is read from: the held bytes of all are at their bound. */
  readonly flooded: boolean;
  monotonic(): number;
  /** Number of the open batch. */
  readonly batch: number;
  /** A PUBLISH was refused for want of rights. */
  denied(connection: Connection, topic: string): void;
  /** The connection is read again when others had their turn. */
  rest(connection: Connection): void;
  /** A client id that nobody has. */
  makeClientId(): string;
  /** This connection is the one of its client id from now on; an older one ends. */
  arrived(connection: Connection, clientId: string): void;
  /** The connection waits; `resume` is called when there is a chance. Once per wait. */
  wait(connection: Connection, hold: Hold): void;
  /** What the connection waited for may be there: `resume` follows soon. */
  resumeSoon(connection: Connection): void;
  /** Bytes that this connection keeps have changed by so much. False: it must go. */
  account(kind: "held" | "split", change: number, bytes: number): boolean;
  closed(connection: Connection): void;
  /** It is closed, and nothing of it is in flight any more. */
  settled(connection: Connection): void;
}
