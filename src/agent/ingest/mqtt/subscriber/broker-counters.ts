/** What is counted and shown of one external broker: counters only grow. */

import type { CanaryCounters } from "./canary.ts";

export type BrokerCounters = {
  /** Messages taken as readings or dead letters. */
  received: number;
  /** Answers sent: PUBACK, PUBREC. */
  acknowledged: number;
  /** Answers that were due when their connection went; the broker sends those messages again. */
  acknowledgementsDropped: number;
  /** QoS 2 messages sent again that were known already. */
  resent: number;
  /** Messages kept at the broker that came with a subscription: no new readings. */
  retainedIgnored: number;
  /** Messages that no source wants. */
  unwanted: number;
  /** Messages larger than a packet may be, passed over. */
  tooLarge: number;
  /** Connections the broker welcomed. */
  connected: number;
  /** Of these all but the first. */
  reconnects: number;
  /** Tries that ended before the broker welcomed us. */
  connectFailures: number;
  /** Of these: the broker said no. */
  refused: number;
  /** The broker had forgotten our session: what it kept for us is gone. */
  sessionsLost: number;
  /** Connections that died without a word. */
  halfOpen: number;
  /** The broker ended the connection with a reason. */
  disconnects: number;
  /** Of these: another client has our client id. */
  takenOver: number;
  /** Connections closed because what came was not MQTT, or not then. */
  protocolErrors: number;
  /** Times the broker was not read because enough waits. */
  pauses: number;
  bytesIn: number;
  bytesOut: number;
};

export function createBrokerCounters(): BrokerCounters {
  return {
    received: 0,
    acknowledged: 0,
    acknowledgementsDropped: 0,
    resent: 0,
    retainedIgnored: 0,
    unwanted: 0,
    tooLarge: 0,
    connected: 0,
    reconnects: 0,
    connectFailures: 0,
    refused: 0,
    sessionsLost: 0,
    halfOpen: 0,
    disconnects: 0,
    takenOver: 0,
    protocolErrors: 0,
    pauses: 0,
    bytesIn: 0,
    bytesOut: 0,
  };
}

/**
 * connecting: to the address; greeting: CONNECT is sent; subscribing; running; waiting: for the next
 * try; stopped.
 */
export type BrokerState =
  | "connecting"
  | "greeting"
  | "subscribing"
  | "running"
  | "waiting"
  | "stopped";

export const brokerStates: readonly BrokerState[] = [
  "connecting",
  "greeting",
  "subscribing",
  "running",
  "waiting",
  "stopped",
];

export type BrokerStatus = {
  readonly name: string;
  readonly state: BrokerState;
  /** The address in use, or tried last. */
  readonly url: string;
  /** Wall clock, ms; undefined while there is no connection. */
  readonly connectedSince: number | undefined;
  /** Wall clock, ms; undefined while the connection is well. */
  readonly awaySince: number | undefined;
  /** Whether the broker still had our session when we connected last. */
  readonly sessionPresent: boolean | undefined;
  /** How long the broker keeps our session, ms, where that is less than we asked. */
  readonly sessionCutToMs: number | undefined;
  /** Now: messages that are not acknowledged yet. */
  readonly inFlight: number;
  /** Now: how many of them the broker is thought to send at most. */
  readonly sendQuota: number;
  /** Now: filters the broker took, and those it refused with its reason. */
  readonly subscriptions: number;
  readonly subscriptionsRefused: readonly string[];
  /** Those it took with a lower QoS than we asked, each with that. */
  readonly subscriptionsLowered: readonly string[];
  readonly counters: Readonly<BrokerCounters>;
  /** Messages that the whole broker dropped since we listen, for all its clients; undefined where it does not say. */
  readonly brokerDropped: number | undefined;
  readonly canary: (Readonly<CanaryCounters> & { readonly isMute: boolean }) | undefined;
  /** The last topic that no source wanted. */
  readonly unwantedTopic: string | undefined;
  /** What went wrong last, and when; it may be over. */
  readonly trouble: { readonly message: string; readonly at: number } | undefined;
  /** Connections in a row that did not last. */
  readonly shortLived: number;
};
