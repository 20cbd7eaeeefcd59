/**
 * SUBSCRIBE, UNSUBSCRIBE and what answers them, in MQTT 5, and the same for the broker in 3.1.1;
 * further the acknowledgements and DISCONNECT, which a reason code and properties may follow.
 *
 *   SUBSCRIBE    packet id  properties  (filter  options)+      options: QoS, No Local,
 *   UNSUBSCRIBE  packet id  properties  filter+                 Retain As Published, Retain Handling
 *
 * Source: MQTT 5 (OASIS), 3.4 to 3.7, 3.8 to 3.11, 3.14, 4.7 topic filters, 4.8.2 shared ones.
 */

import type { ProtocolFault } from "./parser.ts";
import {
  MALFORMED,
  propertySet,
  type PropertySet,
  readProperties,
  REASON_STRING,
  SESSION_EXPIRY,
  stringEnd,
  SUBSCRIPTION_ID,
} from "./properties.ts";
import { isTopicFilter } from "./shape-4.ts";
import { packetOf, prefixed, twoBytes } from "./write-packet.ts";

export type SubscribedFilter = {
  readonly filter: string;
  readonly qos: number;
  readonly noLocal: boolean;
  readonly retainAsPublished: boolean;
  /** 0 send retained messages, 1 only for a new subscription, 2 never. */
  readonly retainHandling: number;
};

type Subscribe5 = {
  readonly packetId: number;
  /** 0: none. */
  readonly subscriptionId: number;
  readonly filters: readonly SubscribedFilter[];
};

type Unsubscribe5 = { readonly packetId: number; readonly filters: readonly string[] };

const subscribeProperties = propertySet([SUBSCRIPTION_ID]);
const unsubscribeProperties = propertySet([]);
const answerProperties = propertySet([REASON_STRING]);
const disconnectProperties = propertySet([SESSION_EXPIRY, REASON_STRING]);

/** Reads the SUBSCRIBE whose body is `bytes[body, end)`. */
export function readSubscribe5(
  bytes: Uint8Array,
  body: number,
  end: number,
): Subscribe5 | ProtocolFault {
  const head = readHead(bytes, body, end, subscribeProperties);
  if (typeof head === "string") return head;
  const filters: SubscribedFilter[] = [];
  for (let at = head.at; at < end; ) {
    const last = stringEnd(bytes, at, end, true);
    if (last === MALFORMED || last >= end) return "filter_malformed";
    const options = bytes[last]!;
    const qos = options & 3;
    const retainHandling = (options >> 4) & 3;
    // [MQTT-3.8.3-5]; QoS 3 and Retain Handling 3 are protocol errors.
    if (options > 0x3f) return "filter_malformed";
    if (qos === 3 || retainHandling === 3) return "options_invalid";
    const filter = textOf(bytes, at + 2, last);
    const noLocal = (options & 4) !== 0;
    // [MQTT-3.8.3-4]
    if (noLocal && isShared(filter)) return "options_invalid";
    filters.push({ filter, qos, noLocal, retainAsPublished: (options & 8) !== 0, retainHandling });
    at = last + 1;
  }
  if (filters.length === 0) return "filters_missing";
  return { packetId: head.packetId, subscriptionId: head.subscriptionId, filters };
}

/** Reads the UNSUBSCRIBE whose body is `bytes[body, end)`. */
export function readUnsubscribe5(
  bytes: Uint8Array,
  body: number,
  end: number,
): Unsubscribe5 | ProtocolFault {
  const head = readHead(bytes, body, end, unsubscribeProperties);
  if (typeof head === "string") return head;
  const filters: string[] = [];
  for (let at = head.at; at < end; ) {
    const last = stringEnd(bytes, at, end, true);
    if (last === MALFORMED) return "filter_malformed";
    filters.push(textOf(bytes, at + 2, last));
    at = last;
  }
  if (filters.length === 0) return "filters_missing";
  return { packetId: head.packetId, filters };
}

type Head = { readonly packetId: number; readonly subscriptionId: number; readonly at: number };

function readHead(
  bytes: Uint8Array,
  body: number,
  end: number,
  allowed: PropertySet,
): Head | ProtocolFault {
  if (body + 3 > end) return "packet_truncated";
  const packetId = (bytes[body]! << 8) | bytes[body + 1]!;
  if (packetId === 0) return "packet_id_zero";
  const properties = readProperties(bytes, body + 2, end, allowed);
  if (typeof properties === "string") return properties;
  const subscriptionId = properties.numbers.get(SUBSCRIPTION_ID) ?? 0;
  return { packetId, subscriptionId, at: properties.end };
}

/** Of PUBACK, PUBREC, PUBREL, PUBCOMP. */
type Answer5 = { readonly packetId: number; readonly reason: number };

/** Reads the acknowledgement whose body is `bytes[body, end)`. */
export function readAnswer5(bytes: Uint8Array, body: number, end: number): Answer5 | ProtocolFault {
  if (body + 2 > end) return "packet_truncated";
  const packetId = (bytes[body]! << 8) | bytes[body + 1]!;
  if (packetId === 0) return "packet_id_zero";
  const reason = body + 2 < end ? bytes[body + 2]! : 0;
  if (body + 3 < end) {
    const properties = readProperties(bytes, body + 3, end, answerProperties);
    if (typeof properties === "string") return properties;
    if (properties.end !== end) return "property_malformed";
  }
  return { packetId, reason };
}

type Disconnect5 = {
  readonly reason: number;
  readonly sessionExpirySeconds: number | undefined;
};

/** Reads the DISCONNECT whose body is `bytes[body, end)`. */
export function readDisconnect5(
  bytes: Uint8Array,
  body: number,
  end: number,
): Disconnect5 | ProtocolFault {
  const reason = body < end ? bytes[body]! : 0;
  if (body + 1 >= end) return { reason, sessionExpirySeconds: undefined };
  const properties = readProperties(bytes, body + 1, end, disconnectProperties);
  if (typeof properties === "string") return properties;
  if (properties.end !== end) return "property_malformed";
  return { reason, sessionExpirySeconds: properties.numbers.get(SESSION_EXPIRY) };
}

/** A SUBSCRIBE of 3.1.1. */
export function subscribeFor4(
  packetId: number,
  filters: readonly { readonly filter: string; readonly qos: number }[],
): Buffer {
  const parts = filters.flatMap(({ filter, qos }) => [
    prefixed(Buffer.from(filter)),
    Buffer.from([qos]),
  ]);
  return packetOf(0x82, twoBytes(packetId), ...parts);
}

/** An UNSUBSCRIBE of 3.1.1. */
export function unsubscribeFor4(packetId: number, filters: readonly string[]): Buffer {
  return packetOf(
    0xa2,
    twoBytes(packetId),
    ...filters.map((filter) => prefixed(Buffer.from(filter))),
  );
}

/** SUBACK (9) or UNSUBACK (11) of MQTT 5: a reason for each filter, no properties. */
export function subscribeAnswer5(
  type: 9 | 11,
  packetId: number,
  reasons: readonly number[],
): Buffer {
  return packetOf(type << 4, twoBytes(packetId), Buffer.from([0, ...reasons]));
}

/** Begins with `$share/`: a share of a subscription (4.8.2). */
export function isShared(filter: string): boolean {
  return filter.startsWith("$share/");
}

/** Levels in all that the broker takes in a topic or filter. */
export const LEVELS_MAX = 100;

/** Whether a text is a topic filter (4.7.1) whose levels are not too many. */
export function isFilter(filter: string): boolean {
  const bytes = Buffer.from(filter);
  return isTopicFilter(bytes, 0, bytes.length) && filter.split("/").length <= LEVELS_MAX;
}

function textOf(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
}
