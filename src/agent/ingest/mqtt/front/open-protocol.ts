/**
 * The first packet of a connection says which MQTT it speaks: what to make of it, and what the broker
 * is told.
 */

import { copyOf } from "../broker/broker-feed.ts";
import { connack5, readConnect5 } from "../packet/connect-5.ts";
import { readConnect } from "../packet/connect-packet.ts";
import type { ProtocolFault } from "../packet/parser.ts";
import { propertySection } from "../packet/properties.ts";
import type { Peer, Protocol } from "./protocol.ts";
import { Protocol4 } from "./protocol-4.ts";
import { Protocol5 } from "./protocol-5.ts";

export type Opened =
  | {
      readonly kind: "opened";
      readonly protocol: Protocol;
      readonly keepAliveSeconds: number;
      /** The CONNECT for the broker, with keep alive 0: the front sees to that. */
      readonly packet: Uint8Array;
    }
  /** `answer`: what the client is told, where its version has words for it. */
  | {
      readonly kind: "refused";
      readonly fault: ProtocolFault;
      readonly answer: Uint8Array | undefined;
    };

/** Reads the CONNECT in `bytes[start, end)` with its body at `body`. */
export function openProtocol(
  peer: Peer,
  bytes: Uint8Array,
  range: { readonly start: number; readonly body: number; readonly end: number },
): Opened {
  const connect = readConnect(bytes, range);
  if (connect.kind === "invalid") return refused("connect_invalid");
  if (connect.kind === "unsupported") return refused("protocol_unsupported", connect.answer);
  if (connect.kind === "unnamed") return refused("client_id_missing", connect.answer);
  if (connect.kind === "five") return openFive(peer, bytes, connect.flagsAt, range.end);
  const packet = copyOf(bytes, range.start, range.end);
  packet[connect.keepAliveAt - range.start] = 0;
  packet[connect.keepAliveAt - range.start + 1] = 0;
  // To the broker a bridge is a client as any: what makes it one is the front's affair.
  packet[connect.levelAt - range.start]! &= 0x7f;
  const { keepAliveSeconds, isBridge } = connect;
  const protocol = new Protocol4(peer, { hearsItself: !isBridge });
  return { kind: "opened", protocol, keepAliveSeconds, packet };
}

function openFive(peer: Peer, bytes: Uint8Array, flagsAt: number, end: number): Opened {
  const connect = readConnect5(bytes, flagsAt, end);
  if (connect.kind === "refused") {
    const options = { sessionPresent: false, properties: propertySection([]) };
    return refused("connect_invalid", connack5(connect.reason, options));
  }
  const protocol = new Protocol5(peer, connect, () => peer.host.makeClientId());
  const { keepAliveSeconds } = connect;
  return { kind: "opened", protocol, keepAliveSeconds, packet: protocol.connect4 };
}

function refused(fault: ProtocolFault, answer?: Uint8Array): Opened {
  return { kind: "refused", fault, answer };
}
