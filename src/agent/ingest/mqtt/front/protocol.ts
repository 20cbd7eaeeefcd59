/**
 * What differs between the versions of MQTT, and what of a connection a version may use. The broker
 * speaks 3.1.1, so each version is a translation to and from it:
 *
 *              readPublish, publish, packet
 *   client --> connection ---------------> protocol --3.1.1--> broker
 *          <-- connection <--------------- protocol <--3.1.1--
 *              farewell        fromBroker
 *
 * What is the same in all versions stays with the connection: framing, what waits for what, keep
 * alive, the fast path with its acknowledgements.
 */

import type { ConnectionHost, Hold } from "./connection-host.ts";
import type { ProtocolFault } from "../packet/parser.ts";
import type { Publish5Offsets } from "../packet/publish-5.ts";

/** Why a connection ends that the client did nothing wrong on. */
export type EndReason =
  /** The broker closed it: after DISCONNECT, a refused login, or a failure of its own. */
  | "broker-closed"
  /** Longer than one and a half times its keep alive. */
  | "silent"
  /** Its user is gone, or has another secret. */
  | "revoked"
  | "shutdown";

export interface Protocol {
  /** Fills `out` from a PUBLISH; five plain parameters as in `readPublish`. */
  readPublish(
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
    out: Publish5Offsets,
  ): ProtocolFault | undefined;
  /** Gives the received message in `offsets` to subscribers; `payload` is the broker's from now on. */
  forward(offsets: Publish5Offsets, payload: Uint8Array): void;
  /** Takes a PUBLISH that is the broker's affair: of no source, or QoS 2. False: it waits. */
  publish(bytes: Uint8Array, start: number, end: number, offsets: Publish5Offsets): boolean;
  /**
   * The client may not publish the message in `offsets`: answers as the version wants it, without
   * receiving it. False: the connection ended (MQTT-3.3.5-2).
   */
  deny(offsets: Publish5Offsets): boolean;
  /** Takes any other packet of a client that is ready. False: it waits, or the connection ends. */
  packet(type: number, bytes: Uint8Array, start: number, body: number, end: number): boolean;
  /** A DISCONNECT behind packets that are given up. */
  leave(bytes: Uint8Array, start: number, body: number, end: number): void;
  /** Takes what the broker wrote, which it owns from now on. */
  fromBroker(pieces: readonly Uint8Array[]): void;
  /** The client broke the protocol: ends the connection as the version wants it. */
  fail(fault: ProtocolFault): void;
  /** The last word before the connection ends, where the version has one. */
  farewell(reason: EndReason): void;
}

/** A connection as its protocol sees it. */
export interface Peer {
  readonly host: ConnectionHost;
  /** Sends whole packets to the client. */
  send(packets: Uint8Array): void;
  /** Gives the broker a packet in place. False: the broker is behind, the packet waits. */
  give(bytes: Uint8Array, start: number, end: number): boolean;
  /** Gives the broker a packet of its own, whatever it has not read. */
  push(packet: Uint8Array): void;
  /** The packet being taken waits, and all that follows it. */
  refuse(hold: Hold): false;
  /** The broker let the client in. */
  admitted(): void;
  turnedAway(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  destroy(): void;
}
