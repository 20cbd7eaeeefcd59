/** What the front counts and shows: every counter only grows unless it says otherwise. */

import type { AccessCounters } from "../access/access.ts";
import type { ProtocolFault } from "../packet/parser.ts";

export type FrontCounters = {
  /** Now. */
  connections: number;
  connectionsAccepted: number;
  /** Beyond the limit of connections. */
  connectionsRefused: number;
  /** From an address that had enough connections, or opened them too fast. */
  connectionsLimited: number;
  loginsRefused: number;
  connectTimeouts: number;
  keepAliveCloses: number;
  /** Clients that did not read what they were sent. */
  slowReaderCloses: number;
  /** Clients closed because split packets filled the memory for them. */
  splitPacketCloses: number;
  bytesIn: number;
  bytesOut: number;
  /** PUBLISH packets received without the broker. */
  packetsFast: number;
  /** Packets passed to the broker. */
  packetsBroker: number;
  /** Received packets that subscribers were also given. */
  packetsForwarded: number;
  pings: number;
  pubacks: number;
  /** Acknowledgements whose connection was gone. */
  pubacksDropped: number;
  /** Now: bytes that wait because the batch, or a bound, is full. */
  heldBytes: number;
  /** Now: bytes of QoS 2 messages and wills that wait for the broker or the disk. */
  messageBytes: number;
  /** Now: bytes of split packets. */
  splitBytes: number;
  /** Now: bytes that clients have not read yet. */
  outboundBytes: number;
  /** Now. */
  socketsPaused: number;
  socketPauses: number;
  /** Times a connection waited for its rate. */
  rateWaits: number;
  /** Messages for sessions that are away, dropped at their bound. */
  waitingDropped: number;
  retainedDropped: number;
  qos2Refused: number;
  subscriptionsRefused: number;
  /** Messages and wills to the broker's own topics (`$SYS/`), which nobody is given. */
  messagesPassedOver: number;
  /** Messages not given to a client because they were past their expiry (MQTT 5). */
  messagesExpired: number;
  /** Messages not given to a client that does not take packets so large (MQTT 5). */
  packetsTooLargeForClient: number;
  /** Failures inside the broker that no client was told of. */
  brokerErrors: number;
};

/** What of FrontStatus can fall, being what there is now; the rest only grows. */
export const frontLevels: readonly Exclude<keyof FrontStatus, "protocolErrors">[] = [
  "connections",
  "heldBytes",
  "loginsWaiting",
  "messageBytes",
  "messagesHeld",
  "outboundBytes",
  "sessions",
  "socketsPaused",
  "splitBytes",
  "subscriptions",
  "users",
];

export type FaultCounts = Record<ProtocolFault, number>;

/** All that the front counts, as it is shown. */
export type FrontStatus = Readonly<FrontCounters> &
  AccessCounters & {
    /** Peers that could not be accepted: no file descriptor left. */
    readonly acceptErrors: number;
    /** Now. */
    readonly subscriptions: number;
    /** Now: sessions of MQTT 5 clients, here or away. */
    readonly sessions: number;
    /** Now: QoS 2 messages and wills that are not durable yet. */
    readonly messagesHeld: number;
    readonly protocolErrors: Readonly<FaultCounts>;
  };

export function createFaultCounts(): FaultCounts {
  return {
    length_malformed: 0,
    packet_too_large: 0,
    packet_truncated: 0,
    packet_too_long: 0,
    packet_unexpected: 0,
    flags_invalid: 0,
    qos_invalid: 0,
    packet_id_zero: 0,
    topic_invalid: 0,
    topic_missing: 0,
    property_malformed: 0,
    property_invalid: 0,
    alias_invalid: 0,
    alias_bytes_exceeded: 0,
    receive_maximum_exceeded: 0,
    filters_missing: 0,
    filter_malformed: 0,
    options_invalid: 0,
    connect_expected: 0,
    connect_repeated: 0,
    connect_invalid: 0,
    client_id_missing: 0,
    protocol_unsupported: 0,
  };
}

export function createFrontCounters(): FrontCounters {
  return {
    connections: 0,
    connectionsAccepted: 0,
    connectionsRefused: 0,
    connectionsLimited: 0,
    loginsRefused: 0,
    connectTimeouts: 0,
    keepAliveCloses: 0,
    slowReaderCloses: 0,
    splitPacketCloses: 0,
    bytesIn: 0,
    bytesOut: 0,
    packetsFast: 0,
    packetsBroker: 0,
    packetsForwarded: 0,
    pings: 0,
    pubacks: 0,
    pubacksDropped: 0,
    heldBytes: 0,
    messageBytes: 0,
    splitBytes: 0,
    outboundBytes: 0,
    socketsPaused: 0,
    socketPauses: 0,
    rateWaits: 0,
    waitingDropped: 0,
    retainedDropped: 0,
    qos2Refused: 0,
    subscriptionsRefused: 0,
    messagesPassedOver: 0,
    messagesExpired: 0,
    packetsTooLargeForClient: 0,
    brokerErrors: 0,
  };
}
