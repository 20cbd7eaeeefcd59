/** What the front counts, as one plain object; every counter only grows unless it says otherwise. */

import type { ProtocolFault } from "./parser.ts";

export type FrontCounters = {
  /** Now. */
  connections: number;
  connectionsAccepted: number;
  /** Beyond the limit of connections. */
  connectionsRefused: number;
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
  /** Now: bytes of QoS 2 messages and wills that wait for the disk. */
  messageBytes: number;
  /** Now: bytes of split packets. */
  splitBytes: number;
  /** Now: bytes that clients have not read yet. */
  outboundBytes: number;
  /** Now. */
  socketsPaused: number;
  socketPauses: number;
  /** Messages for sessions that are away, dropped at their bound. */
  waitingDropped: number;
  retainedDropped: number;
  qos2Refused: number;
  subscriptionsRefused: number;
};

const protocolFaults: readonly ProtocolFault[] = [
  "length_malformed",
  "packet_too_large",
  "packet_truncated",
  "packet_unexpected",
  "flags_invalid",
  "qos_invalid",
  "packet_id_zero",
  "topic_invalid",
  "connect_expected",
  "connect_repeated",
  "connect_invalid",
  "protocol_unsupported",
];

export type FaultCounts = Record<ProtocolFault, number>;

export function createFaultCounts(): FaultCounts {
  return Object.fromEntries(protocolFaults.map((fault) => [fault, 0])) as FaultCounts;
}

export function createFrontCounters(): FrontCounters {
  return {
    connections: 0,
    connectionsAccepted: 0,
    connectionsRefused: 0,
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
    waitingDropped: 0,
    retainedDropped: 0,
    qos2Refused: 0,
    subscriptionsRefused: 0,
  };
}
