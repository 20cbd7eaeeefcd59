/**
 * PUBLISH of MQTT 5 as offsets, beside `readPublish` of 3.1.1:
 *
 *   topic  packet id (QoS 1, 2)  properties  payload
 *
 * The topic may be empty where an alias stands for it. What decides the way of a message (alias,
 * expiry) is read; what is only carried on (format, content type, response topic, correlation data,
 * user properties) is checked and left where it is. Nothing is allocated.
 *
 * Source: MQTT 5 (OASIS), 3.3.
 */

import {
  createPublishOffsets,
  isTopicName,
  type ProtocolFault,
  type PublishOffsets,
} from "./parser.ts";
import {
  admitProperty,
  CONTENT_TYPE,
  CORRELATION_DATA,
  createProperty,
  firstProperty,
  MALFORMED,
  MESSAGE_EXPIRY,
  PAYLOAD_FORMAT,
  propertiesEnd,
  type PropertySet,
  propertySet,
  readProperty,
  RESPONSE_TOPIC,
  SUBSCRIPTION_ID,
  TOPIC_ALIAS,
} from "./properties.ts";

/** Filled again and again, as PublishOffsets is. */
export type Publish5Offsets = PublishOffsets & {
  /** 0 where the topic is written out and no alias is set. */
  topicAlias: number;
  /** Seconds the message is good for; -1 where it does not end. */
  expirySeconds: number;
  /** The properties, behind their length; they end where the payload begins. */
  propertiesStart: number;
  /** Among them are some that subscribers are to have. */
  hasCarried: boolean;
};

/** To be filled by `readPublish5`. */
export function createPublish5Offsets(): Publish5Offsets {
  return {
    ...createPublishOffsets(),
    topicAlias: 0,
    expirySeconds: -1,
    propertiesStart: 0,
    hasCarried: false,
  };
}

const carried = [PAYLOAD_FORMAT, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA];

/** What a client may send: subscription ids are the server's. */
export const publishFromClient: PropertySet = propertySet([
  ...carried,
  MESSAGE_EXPIRY,
  TOPIC_ALIAS,
]);
/** What a server may send. */
export const publishFromServer: PropertySet = propertySet(
  [...carried, MESSAGE_EXPIRY, TOPIC_ALIAS],
  [SUBSCRIPTION_ID],
);

const property = createProperty();
const seen = { low: 0, high: 0 };

/**
 * Fills `out` from the PUBLISH in `bytes[start, end)` with its body at `body`; the payload ends at
 * `end`. An empty topic passes with an alias: who calls puts the name in its place.
 */
export function readPublish5(
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
  out: Publish5Offsets,
  allowed: PropertySet,
): ProtocolFault | undefined {
  const flags = bytes[start]!;
  const qos = (flags >> 1) & 3;
  if (qos === 3) return "qos_invalid";
  // DUP is for messages that are answered (3.3.1.1).
  if (qos === 0 && (flags & 8) !== 0) return "flags_invalid";
  const topicStart = body + 2;
  if (topicStart > end) return "packet_truncated";
  const topicEnd = topicStart + ((bytes[body]! << 8) | bytes[body + 1]!);
  const propertiesAt = qos === 0 ? topicEnd : topicEnd + 2;
  if (propertiesAt >= end) return "packet_truncated";
  out.packetId = qos === 0 ? 0 : (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!;
  if (qos !== 0 && out.packetId === 0) return "packet_id_zero";
  out.topicAlias = 0;
  out.expirySeconds = -1;
  out.hasCarried = false;
  if (bytes[propertiesAt] === 0) {
    out.propertiesStart = out.payloadStart = propertiesAt + 1;
  } else {
    const fault = readPublishProperties(bytes, propertiesAt, end, out, allowed);
    if (fault !== undefined) return fault;
  }
  if (topicStart === topicEnd) {
    if (out.topicAlias === 0) return "topic_missing";
  } else if (!isTopicName(bytes, topicStart, topicEnd)) return "topic_invalid";
  out.names = bytes;
  out.qos = qos;
  out.retain = (flags & 1) === 1;
  out.topicStart = topicStart;
  out.topicEnd = topicEnd;
  return undefined;
}

function readPublishProperties(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Publish5Offsets,
  allowed: PropertySet,
): ProtocolFault | undefined {
  const last = propertiesEnd(bytes, at, end);
  if (last === MALFORMED) return "property_malformed";
  out.propertiesStart = firstProperty(bytes, at);
  out.payloadStart = last;
  seen.low = seen.high = 0;
  for (let next = out.propertiesStart; next < last; next = property.end) {
    const fault = readProperty(bytes, next, last, property);
    if (fault !== undefined) {
      const aliasZero = fault === "property_invalid" && property.id === TOPIC_ALIAS;
      return aliasZero ? "alias_invalid" : fault;
    }
    if (!admitProperty(property.id, allowed, seen)) return "property_invalid";
    // [MQTT-3.3.2-14]
    if (property.id === RESPONSE_TOPIC && !isTopicName(bytes, property.valueStart, property.end)) {
      return "topic_invalid";
    }
    if (property.id === TOPIC_ALIAS) out.topicAlias = property.value;
    else if (property.id === MESSAGE_EXPIRY) out.expirySeconds = property.value;
    else if (property.id !== SUBSCRIPTION_ID) out.hasCarried = true;
  }
  return undefined;
}
