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

import type { Credential } from "../access/access.ts";
import type { ConnectionHost, Hold } from "./connection-host.ts";
import type { ProtocolFault } from "../packet/parser.ts";
import type { Publish5Offsets } from "../packet/publish-5.ts";
import type { LinkSession } from "../broker/broker-owner.ts";
import { BROKERS_OWN } from "../broker/filter.ts";

/** Why a connection ends that the client did nothing wrong on. */
export type EndReason =
  /** The broker closed it: after DISCONNECT, a refused login, or a failure of its own. */
  | "broker-closed"
  /** Another connection has its client id. */
  | "taken-over"
  /** Longer than one and a half times its keep alive. */
  | "silent"
  /** Its user is gone, or has another secret. */
  | "revoked"
  | "shutdown";

export interface Protocol extends LinkSession {
  /** The client logged in, with this id: its session is about to be looked at. */
  arrive(clientId: string): Promise<void> | undefined;
  /** Fills `out` from a PUBLISH; five plain parameters as in `readPublish`. */
  readPublish(
    bytes: Uint8Array,
    start: number,
    body: number,
    end: number,
    out: Publish5Offsets,
  ): ProtocolFault | undefined;
  /** Gives the received message in `offsets` of `bytes` to subscribers; `payload` is the broker's from now on. */
  forward(bytes: Uint8Array, offsets: Publish5Offsets, payload: Uint8Array): void;
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
  /** The connection is closed: the broker is let go of, now or later. */
  gone(): void;
}

/** A connection as its protocol sees it. */
export interface Peer {
  readonly host: ConnectionHost;
  /** Since its login. */
  readonly clientId: string | undefined;
  /** Sends whole packets to the client. */
  send(packets: Uint8Array): void;
  /** Gives the broker a packet in place. False: the broker is behind, the packet waits. */
  give(bytes: Uint8Array, start: number, end: number): boolean;
  /** The broker has not read what it was given: more should wait. */
  readonly isBehind: boolean;
  /** Messages taken and not yet acknowledged or given up. */
  readonly inFlight: number;
  /** As whom the client is connected. */
  readonly credential: Credential | undefined;
  /** Gives the broker a packet of its own, whatever it has not read. */
  push(packet: Uint8Array): void;
  /** The packet being taken waits, and all that follows it. */
  refuse(hold: Hold): false;
  /** What waits for the broker may go on. */
  goOn(): void;
  /** Counts the fault and ends the connection as its version wants it. */
  fail(fault: ProtocolFault): false;
  /** Counts bytes that wait here for the broker to ask about their message, as if it held them. */
  weigh(change: number): void;
  /** Counts bytes that wait here for the client, as if it had not read them. */
  keep(change: number): void;
  /** The broker let the client in. */
  admitted(): void;
  turnedAway(): void;
  /** Sends what is queued, then closes. */
  end(): void;
  destroy(): void;
  /** The broker hears that the client is gone. */
  letGo(): void;
  cancelWill(): void;
}

/** Topics that begin with it are the broker's, and no reading's. */
export const DOLLAR = 0x24;

const brokersOwn = Buffer.from(BROKERS_OWN);

/** Whether the message in `offsets` is on one of the topics that the broker keeps for itself. */
export function isBrokersOwn({ names, topicStart, topicEnd }: Publish5Offsets): boolean {
  return (
    topicEnd - topicStart >= brokersOwn.length &&
    brokersOwn.every((byte, i) => names[topicStart + i] === byte)
  );
}

/** The topic of the message in `offsets`. */
export function topicOf({ names, topicStart, topicEnd }: Publish5Offsets): string {
  return Buffer.from(names.buffer, names.byteOffset + topicStart, topicEnd - topicStart).toString();
}
