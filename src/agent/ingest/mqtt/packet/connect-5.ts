/**
 * CONNECT of MQTT 5, read whole (a client sends one), and the CONNECT of 3.1.1 that says the same
 * to the broker as far as that can.
 *
 *   "MQTT" 5 flags keepalive properties   id [will properties, topic, payload] [user] [password]
 *
 * Source: MQTT 5 (OASIS), 3.1; 3.1.1 (OASIS), 3.1 for what is written.
 */

import { isTopicName } from "./parser.ts";
import {
  AUTHENTICATION_DATA,
  AUTHENTICATION_METHOD,
  CONTENT_TYPE,
  CORRELATION_DATA,
  createProperty,
  firstProperty,
  MALFORMED,
  MAXIMUM_PACKET_SIZE,
  MESSAGE_EXPIRY,
  PAYLOAD_FORMAT,
  type Properties,
  propertySet,
  readProperties,
  readProperty,
  RECEIVE_MAXIMUM,
  REQUEST_PROBLEM_INFORMATION,
  REQUEST_RESPONSE_INFORMATION,
  RESPONSE_TOPIC,
  SESSION_EXPIRY,
  stringEnd,
  TOPIC_ALIAS_MAXIMUM,
  USER_PROPERTY,
  WILL_DELAY,
} from "./properties.ts";
import { BAD_AUTHENTICATION_METHOD, MALFORMED_PACKET, PROTOCOL_ERROR } from "./reason-codes.ts";
import { packetOf, prefixed, twoBytes } from "./write-packet.ts";

type Will5 = {
  readonly topic: Uint8Array;
  readonly payload: Uint8Array;
  readonly qos: number;
  readonly retain: boolean;
  readonly delaySeconds: number;
  /** -1 where it does not end. */
  readonly expirySeconds: number;
  /** What its subscribers are given as it is: ids and values. */
  readonly carried: Uint8Array;
};

export type Connect5 = {
  readonly kind: "accepted";
  readonly cleanStart: boolean;
  readonly keepAliveSeconds: number;
  /** Empty where the server shall give one. */
  readonly clientId: Uint8Array;
  readonly will: Will5 | undefined;
  readonly user: Uint8Array | undefined;
  readonly password: Uint8Array | undefined;
  readonly sessionExpirySeconds: number;
  readonly receiveMaximum: number;
  /** Infinity where the client takes any. */
  readonly packetBytesMax: number;
};

/** `reason`: what the CONNACK says. */
type Connect5Refused = { readonly kind: "refused"; readonly reason: number };

/** A session that never ends. */
export const NEVER = 0xffff_ffff;

const connectProperties = propertySet([
  SESSION_EXPIRY,
  RECEIVE_MAXIMUM,
  MAXIMUM_PACKET_SIZE,
  TOPIC_ALIAS_MAXIMUM,
  REQUEST_RESPONSE_INFORMATION,
  REQUEST_PROBLEM_INFORMATION,
  AUTHENTICATION_METHOD,
  AUTHENTICATION_DATA,
]);
const willProperties = propertySet([
  WILL_DELAY,
  PAYLOAD_FORMAT,
  MESSAGE_EXPIRY,
  CONTENT_TYPE,
  RESPONSE_TOPIC,
  CORRELATION_DATA,
]);

/** Reads the CONNECT in `bytes[.., end)` whose flags are at `flagsAt`, behind name and level. */
export function readConnect5(
  bytes: Uint8Array,
  flagsAt: number,
  end: number,
): Connect5 | Connect5Refused {
  const fields = new Fields(bytes, flagsAt + 3, end);
  if (flagsAt + 3 > end) return malformed();
  const flags = bytes[flagsAt]!;
  const hasWill = (flags & 0x04) !== 0;
  const willQos = (flags >> 3) & 3;
  const retain = (flags & 0x20) !== 0;
  // [MQTT-3.1.2-3], [MQTT-3.1.2-11] to [MQTT-3.1.2-13]
  if ((flags & 1) !== 0 || willQos === 3 || (!hasWill && (willQos > 0 || retain))) {
    return malformed();
  }
  const properties = fields.properties(connectProperties);
  if (properties === undefined) return fields.refusal;
  const { numbers, bytes: texts } = properties;
  if (texts.has(AUTHENTICATION_DATA) && !texts.has(AUTHENTICATION_METHOD)) return refused();
  if (texts.has(AUTHENTICATION_METHOD)) return refused(BAD_AUTHENTICATION_METHOD);
  const clientId = fields.field("text");
  const will = hasWill ? readWill(fields, bytes, { qos: willQos, retain }) : undefined;
  const user = (flags & 0x80) !== 0 ? fields.field("text") : undefined;
  const password = (flags & 0x40) !== 0 ? fields.field("binary") : undefined;
  if (clientId === undefined || fields.isBroken || fields.at !== end) return fields.refusal;
  return {
    kind: "accepted",
    cleanStart: (flags & 0x02) !== 0,
    keepAliveSeconds: (bytes[flagsAt + 1]! << 8) | bytes[flagsAt + 2]!,
    clientId,
    will,
    user,
    password,
    sessionExpirySeconds: numbers.get(SESSION_EXPIRY) ?? 0,
    receiveMaximum: numbers.get(RECEIVE_MAXIMUM) ?? 0xffff,
    packetBytesMax: numbers.get(MAXIMUM_PACKET_SIZE) ?? Number.POSITIVE_INFINITY,
  };
}

function readWill(
  fields: Fields,
  bytes: Uint8Array,
  { qos, retain }: { readonly qos: number; readonly retain: boolean },
): Will5 | undefined {
  const at = fields.at;
  const properties = fields.properties(willProperties);
  const topic = fields.field("text");
  const payload = fields.field("binary");
  if (properties === undefined || topic === undefined || payload === undefined) return undefined;
  if (!isTopicName(topic, 0, topic.length)) {
    fields.fail();
    return undefined;
  }
  return {
    topic,
    payload,
    qos,
    retain,
    delaySeconds: properties.numbers.get(WILL_DELAY) ?? 0,
    expirySeconds: properties.numbers.get(MESSAGE_EXPIRY) ?? -1,
    carried: carriedOf(bytes, firstProperty(bytes, at), properties.end),
  };
}

const property = createProperty();

/** The properties in `bytes[start, end)`, which are sound, that subscribers are given. */
export function carriedOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = start; at < end; at = property.end) {
    if (readProperty(bytes, at, end, property) !== undefined) break;
    if (isCarried(property.id)) parts.push(bytes.subarray(property.start, property.end));
  }
  return Buffer.concat(parts);
}

function isCarried(id: number): boolean {
  switch (id) {
    case PAYLOAD_FORMAT:
    case CONTENT_TYPE:
    case RESPONSE_TOPIC:
    case CORRELATION_DATA:
      return true;
    default:
      return id === USER_PROPERTY;
  }
}

/** The fields of a payload one after another, as copies; after the first that does not fit, none. */
class Fields {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  at: number;
  isBroken = false;
  refusal: Connect5Refused = malformed();

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  fail(): void {
    this.isBroken = true;
  }

  field(shape: "text" | "binary"): Uint8Array | undefined {
    if (this.isBroken) return undefined;
    const last = stringEnd(this.#bytes, this.at, this.#end, shape === "text");
    if (last === MALFORMED) {
      this.isBroken = true;
      return undefined;
    }
    const value = new Uint8Array(this.#bytes.subarray(this.at + 2, last));
    this.at = last;
    return value;
  }

  properties(allowed: Uint8Array): Properties | undefined {
    if (this.isBroken) return undefined;
    const read = readProperties(this.#bytes, this.at, this.#end, allowed);
    if (typeof read === "string") {
      this.isBroken = true;
      if (read === "property_invalid") this.refusal = refused();
      return undefined;
    }
    this.at = read.end;
    return read;
  }
}

function malformed(): Connect5Refused {
  return { kind: "refused", reason: MALFORMED_PACKET };
}

function refused(reason: number = PROTOCOL_ERROR): Connect5Refused {
  return { kind: "refused", reason };
}

/** The same in 3.1.1, with keep alive 0: the front sees to that. `clean`: as the broker shall take it. */
export function connectFor4(
  connect: Connect5,
  { clientId, clean }: { readonly clientId: Uint8Array; readonly clean: boolean },
): Buffer {
  const { will, password } = connect;
  // A password alone is allowed in 5 only.
  const user = connect.user ?? (password === undefined ? undefined : new Uint8Array());
  const flags =
    (clean ? 0x02 : 0) |
    (will === undefined ? 0 : 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0)) |
    (user === undefined ? 0 : 0x80) |
    (password === undefined ? 0 : 0x40);
  return packetOf(
    0x10,
    prefixed(Buffer.from("MQTT")),
    Buffer.from([4, flags, 0, 0]),
    prefixed(clientId),
    ...(will === undefined ? [] : [prefixed(will.topic), prefixed(will.payload)]),
    ...(user === undefined ? [] : [prefixed(user)]),
    ...(password === undefined ? [] : [prefixed(password)]),
  );
}

/** A CONNACK that refuses, or with a section of properties admits. */
export function connack5(
  reason: number,
  options: { readonly sessionPresent: boolean; readonly properties: Uint8Array },
): Buffer {
  return packetOf(0x20, Buffer.from([options.sessionPresent ? 1 : 0, reason]), options.properties);
}

/** DISCONNECT from a server. */
export function disconnect5(reason: number): Buffer {
  return packetOf(0xe0, Buffer.from([reason]));
}

/** PUBACK (4), PUBREC (5), PUBREL (6) or PUBCOMP (7); success in its short form. */
export function answer5(type: number, packetId: number, reason: number): Buffer {
  const first = (type << 4) | (type === 6 ? 2 : 0);
  if (reason === 0) return packetOf(first, twoBytes(packetId));
  return packetOf(first, twoBytes(packetId), Buffer.from([reason]));
}
