/**
 * The rare packets of a client session: what it sends, and what a broker answers. PUBLISH from the
 * broker is not among them: the parser hands it out by offsets.
 *
 * Source: MQTT 3.1.1 and MQTT 5 (OASIS), 3.1 CONNECT, 3.2 CONNACK, 3.3 PUBLISH, 3.4 PUBACK,
 * 3.8 SUBSCRIBE, 3.9 SUBACK, 3.12 PINGREQ, 3.14 DISCONNECT.
 */

import type { QoS } from "./subscriber-config.ts";
import {
  ASSIGNED_CLIENT_ID,
  AUTHENTICATION_DATA,
  AUTHENTICATION_METHOD,
  MAXIMUM_PACKET_SIZE,
  MAXIMUM_QOS,
  type Properties,
  propertySection,
  propertySet,
  readProperties,
  REASON_STRING,
  RECEIVE_MAXIMUM,
  RESPONSE_INFORMATION,
  RETAIN_AVAILABLE,
  SERVER_KEEP_ALIVE,
  SERVER_REFERENCE,
  SESSION_EXPIRY,
  SHARED_AVAILABLE,
  SUBSCRIPTION_IDS_AVAILABLE,
  TOPIC_ALIAS_MAXIMUM,
  WILDCARD_AVAILABLE,
} from "../packet/properties.ts";
import { packetOf, prefixed, twoBytes } from "../packet/write-packet.ts";

type Level = 4 | 5;

export const PUBACK = 4;
export const PUBREL = 6;
export const SUBACK = 9;
export const PINGRESP = 13;

export const pingPacket: Uint8Array = Buffer.from([0xc0, 0]);

/** First two bytes of an answer to a message as they lie in a word; its packet id follows. */
export const PUBACK_WORD = 0x0240;
export const PUBREC_WORD = 0x0250;
export const PUBCOMP_WORD = 0x0270;

/** An answer of four bytes as a little-endian word: type, length, id high, id low. */
export function answerWord(kind: number, id: number): number {
  return (kind | ((id & 0xff00) << 8) | (id << 24)) >>> 0;
}

/** PUBACK, PUBREC or PUBCOMP, by its `..._WORD`: success, as both versions write it. */
export function answerBytes(kind: number, id: number): Uint8Array {
  return Buffer.from([kind & 0xff, 2, id >> 8, id & 0xff]);
}

/** The packet id in an `answerWord`. */
export function idOfWord(word: number): number {
  return ((word >>> 8) & 0xff00) | (word >>> 24);
}

// ---- out ----

type ConnectOptions = {
  readonly level: Level;
  readonly clientId: string;
  /** Whether an earlier session is thrown away. */
  readonly clean: boolean;
  readonly keepAliveSeconds: number;
  /** How long the broker keeps the session after the connection ends (level 5). */
  readonly sessionSeconds: number;
  /** Messages we take unacknowledged, and their largest size (level 5). */
  readonly receiveMax: number;
  readonly packetBytesMax: number;
  readonly user: string | undefined;
  readonly password: string | undefined;
};

const CLEAN = 0x02;
const PASSWORD = 0x40;
const USER = 0x80;

/** CONNECT without a will. Texts are at most 65,535 bytes of UTF-8; the configuration sees to that. */
export function connectPacket(options: ConnectOptions): Uint8Array {
  const { level, clientId, clean, keepAliveSeconds, user, password } = options;
  const flags =
    (clean ? CLEAN : 0) | (user === undefined ? 0 : USER) | (password === undefined ? 0 : PASSWORD);
  const properties = propertySection([
    [SESSION_EXPIRY, options.sessionSeconds],
    [RECEIVE_MAXIMUM, options.receiveMax],
    [MAXIMUM_PACKET_SIZE, options.packetBytesMax],
  ]);
  return packetOf(
    0x10,
    text("MQTT"),
    Buffer.from([level, flags]),
    twoBytes(keepAliveSeconds),
    ...(level === 5 ? [properties] : []),
    text(clientId),
    ...(user === undefined ? [] : [text(user)]),
    ...(password === undefined ? [] : [text(password)]),
  );
}

export type Subscription = {
  readonly filter: string;
  readonly qos: QoS;
  /** Whether messages that are kept at the broker are wanted too (level 5; before it they come anyway). */
  readonly retained: boolean;
};

/** Retain handling: send retained messages at subscribe, or do not. */
const SEND_RETAINED = 0x00;
const NO_RETAINED = 0x20;

/** SUBSCRIBE; its SUBACK has a code for each of `subscriptions`, in their order. */
export function subscribePacket(
  level: Level,
  id: number,
  subscriptions: readonly Subscription[],
): Uint8Array {
  return packetOf(
    0x82,
    twoBytes(id),
    noProperties(level),
    ...subscriptions.flatMap(({ filter, qos, retained }) => {
      const handling = level === 5 ? (retained ? SEND_RETAINED : NO_RETAINED) : 0;
      return [text(filter), Buffer.from([handling | qos])];
    }),
  );
}

/** A message of QoS 1. */
export function publishPacket(
  level: Level,
  { id, topic, payload }: { readonly id: number; readonly topic: string; readonly payload: string },
): Uint8Array {
  return packetOf(0x32, text(topic), twoBytes(id), noProperties(level), Buffer.from(payload));
}

/** An orderly end; in MQTT 5 with a reason where it is not ours to be content. */
export function disconnectPacket(level: Level, reason = 0): Uint8Array {
  if (level === 4 || reason === 0) return Buffer.from([0xe0, 0]);
  return Buffer.from([0xe0, 1, reason]);
}

/** A section of none, which 3.1.1 does not have. */
function noProperties(level: Level): Uint8Array {
  return level === 5 ? Buffer.from([0]) : Buffer.from([]);
}

function text(value: string): Uint8Array {
  return prefixed(Buffer.from(value));
}

// ---- in: the packet in `bytes[body, end)`; undefined where it is none ----

/** What the broker said besides its code. */
export type Said = { readonly reason: string | undefined; readonly server: string | undefined };

const nothing: Said = { reason: undefined, server: undefined };

type Connack = {
  readonly sessionPresent: boolean;
  /** 0 where we are welcome. */
  readonly code: number;
  readonly said: Said;
  /** What the broker wants it to be; 0 where ours is right. */
  readonly keepAliveSeconds: number;
  /** How long it keeps the session; undefined: as we asked. */
  readonly keptSeconds: number | undefined;
};

const inConnack = propertySet([
  SESSION_EXPIRY,
  RECEIVE_MAXIMUM,
  MAXIMUM_QOS,
  RETAIN_AVAILABLE,
  MAXIMUM_PACKET_SIZE,
  ASSIGNED_CLIENT_ID,
  TOPIC_ALIAS_MAXIMUM,
  REASON_STRING,
  WILDCARD_AVAILABLE,
  SUBSCRIPTION_IDS_AVAILABLE,
  SHARED_AVAILABLE,
  SERVER_KEEP_ALIVE,
  RESPONSE_INFORMATION,
  SERVER_REFERENCE,
  AUTHENTICATION_METHOD,
  AUTHENTICATION_DATA,
]);
const inAnswer = propertySet([REASON_STRING]);
const inDisconnect = propertySet([SESSION_EXPIRY, REASON_STRING, SERVER_REFERENCE]);

type Range = { readonly body: number; readonly end: number };

/** What it says is copied. */
export function readConnack(
  level: Level,
  bytes: Uint8Array,
  { body, end }: Range,
): Connack | undefined {
  if (body + 2 > end || bytes[body]! > 1) return undefined;
  const sessionPresent = bytes[body] === 1;
  const code = bytes[body + 1]!;
  // A broker that does not know our level answers in its own, which has no properties.
  if (level === 4 || (code !== 0 && body + 2 === end)) {
    if (body + 2 !== end) return undefined;
    return { sessionPresent, code, said: nothing, keepAliveSeconds: 0, keptSeconds: undefined };
  }
  const read = readProperties(bytes, body + 2, end, inConnack);
  if (typeof read === "string" || read.end !== end) return undefined;
  const keepAliveSeconds = read.numbers.get(SERVER_KEEP_ALIVE) ?? 0;
  const keptSeconds = read.numbers.get(SESSION_EXPIRY);
  return { sessionPresent, code, said: saidIn(read), keepAliveSeconds, keptSeconds };
}

export type Suback = { readonly id: number; readonly codes: Uint8Array };

/** `codes` are valid as long as the bytes are. */
export function readSuback(
  level: Level,
  bytes: Uint8Array,
  { body, end }: Range,
): Suback | undefined {
  if (body + 2 > end) return undefined;
  const id = (bytes[body]! << 8) | bytes[body + 1]!;
  if (level === 4) return { id, codes: bytes.subarray(body + 2, end) };
  const read = readProperties(bytes, body + 2, end, inAnswer);
  return typeof read === "string" ? undefined : { id, codes: bytes.subarray(read.end, end) };
}

/** PUBACK, PUBREC, PUBREL or PUBCOMP; the reason is 0 unless the broker says otherwise. */
export function readAnswer(
  level: Level,
  bytes: Uint8Array,
  { body, end }: Range,
): { readonly id: number; readonly code: number } | undefined {
  if (body + 2 > end || (level === 4 && body + 2 !== end)) return undefined;
  const id = (bytes[body]! << 8) | bytes[body + 1]!;
  return id === 0 ? undefined : { id, code: body + 2 < end ? bytes[body + 2]! : 0 };
}

/** Of MQTT 5: before it only a client says so. */
export function readDisconnect(
  bytes: Uint8Array,
  { body, end }: Range,
): { readonly code: number; readonly said: Said } | undefined {
  const code = body === end ? 0 : bytes[body]!;
  if (body + 1 >= end) return { code, said: nothing };
  const read = readProperties(bytes, body + 1, end, inDisconnect);
  return typeof read === "string" ? undefined : { code, said: saidIn(read) };
}

function saidIn({ bytes }: Properties): Said {
  const textOf = (id: number): string | undefined => {
    const text = bytes.get(id);
    return text === undefined ? undefined : new TextDecoder().decode(text);
  };
  return { reason: textOf(REASON_STRING), server: textOf(SERVER_REFERENCE) };
}
