/**
 * Properties of MQTT 5 packets, both directions. A section of them is a length and then, in any
 * order, an id and a value whose shape the id gives:
 *
 *   length  id value  id value ...        length and ids: variable byte integers
 *
 *   byte, two bytes, four bytes, variable    numbers, big-endian
 *   binary, text                             two bytes of length, then so many
 *   pair                                     two texts
 *
 * The reader moves over offsets and allocates nothing: `readProperty` fills one record again and
 * again. `readProperties` is for packets that are rare and collects a section into an object.
 *
 * Source: MQTT 5 (OASIS), 1.5 data representation, 2.2.2 properties. A property that the packet may
 * not have, one that is there twice, and a value out of its range are protocol errors; bytes that do
 * not fit their shape, numbers of needless length and texts with NUL are malformed.
 */

import { isUtf8 } from "node:buffer";

export const PAYLOAD_FORMAT = 0x01;
export const MESSAGE_EXPIRY = 0x02;
export const CONTENT_TYPE = 0x03;
export const RESPONSE_TOPIC = 0x08;
export const CORRELATION_DATA = 0x09;
export const SUBSCRIPTION_ID = 0x0b;
export const SESSION_EXPIRY = 0x11;
export const ASSIGNED_CLIENT_ID = 0x12;
export const SERVER_KEEP_ALIVE = 0x13;
export const AUTHENTICATION_METHOD = 0x15;
export const AUTHENTICATION_DATA = 0x16;
export const REQUEST_PROBLEM_INFORMATION = 0x17;
export const WILL_DELAY = 0x18;
export const REQUEST_RESPONSE_INFORMATION = 0x19;
export const RESPONSE_INFORMATION = 0x1a;
export const SERVER_REFERENCE = 0x1c;
export const REASON_STRING = 0x1f;
export const RECEIVE_MAXIMUM = 0x21;
export const TOPIC_ALIAS_MAXIMUM = 0x22;
export const TOPIC_ALIAS = 0x23;
export const MAXIMUM_QOS = 0x24;
export const RETAIN_AVAILABLE = 0x25;
export const USER_PROPERTY = 0x26;
export const MAXIMUM_PACKET_SIZE = 0x27;
export const WILDCARD_AVAILABLE = 0x28;
export const SUBSCRIPTION_IDS_AVAILABLE = 0x29;
export const SHARED_AVAILABLE = 0x2a;

/** Bytes that are no properties; properties that may not be there, or not so. */
type PropertyFault = "property_malformed" | "property_invalid";

/** What no offset and no length is. */
export const MALFORMED = -1;

type Shape = "flag" | "byte" | "two" | "four" | "variable" | "binary" | "text" | "pair";

const shapeOf: readonly (Shape | undefined)[] = shapesById([
  ["flag", PAYLOAD_FORMAT],
  ["flag", REQUEST_PROBLEM_INFORMATION],
  ["flag", REQUEST_RESPONSE_INFORMATION],
  ["flag", MAXIMUM_QOS],
  ["flag", RETAIN_AVAILABLE],
  ["flag", WILDCARD_AVAILABLE],
  ["flag", SUBSCRIPTION_IDS_AVAILABLE],
  ["flag", SHARED_AVAILABLE],
  ["two", SERVER_KEEP_ALIVE],
  ["two", RECEIVE_MAXIMUM],
  ["two", TOPIC_ALIAS_MAXIMUM],
  ["two", TOPIC_ALIAS],
  ["four", MESSAGE_EXPIRY],
  ["four", SESSION_EXPIRY],
  ["four", WILL_DELAY],
  ["four", MAXIMUM_PACKET_SIZE],
  ["variable", SUBSCRIPTION_ID],
  ["binary", CORRELATION_DATA],
  ["binary", AUTHENTICATION_DATA],
  ["text", CONTENT_TYPE],
  ["text", RESPONSE_TOPIC],
  ["text", ASSIGNED_CLIENT_ID],
  ["text", AUTHENTICATION_METHOD],
  ["text", RESPONSE_INFORMATION],
  ["text", SERVER_REFERENCE],
  ["text", REASON_STRING],
  ["pair", USER_PROPERTY],
]);

function shapesById(
  entries: readonly (readonly [Shape, number])[],
): readonly (Shape | undefined)[] {
  const shapes: (Shape | undefined)[] = [];
  for (let id = 0; id <= SHARED_AVAILABLE; id++) shapes.push(undefined);
  for (const [shape, id] of entries) shapes[id] = shape;
  return shapes;
}

/** Numbers that may not be 0. */
const neverZero: ReadonlySet<number> = new Set([
  RECEIVE_MAXIMUM,
  MAXIMUM_PACKET_SIZE,
  SUBSCRIPTION_ID,
  TOPIC_ALIAS,
]);

/** Which properties a packet may have: 0 none, 1 once, 2 as often as it likes; by id. */
export type PropertySet = Uint8Array;

/** The properties a packet may have once; user properties are always allowed, as often as one likes. */
export function propertySet(once: readonly number[], often: readonly number[] = []): PropertySet {
  const set = new Uint8Array(SHARED_AVAILABLE + 1);
  for (const id of once) set[id] = 1;
  for (const id of [...often, USER_PROPERTY]) set[id] = 2;
  return set;
}

/** One property as offsets; made once and filled again and again. */
type Property = {
  id: number;
  /** Of the id and the value together. */
  start: number;
  end: number;
  /** Where a text or binary begins, without its length; it ends at `end`. */
  valueStart: number;
  /** Of a number. */
  value: number;
};

/** To be filled by `readProperty`. */
export function createProperty(): Property {
  return { id: 0, start: 0, end: 0, valueStart: 0, value: 0 };
}

/**
 * The variable byte integer at `at`, or MALFORMED: beyond `end`, more than four bytes, or longer
 * than it needs to be. It takes `variableBytes` of it.
 */
function readVariable(bytes: Uint8Array, at: number, end: number): number {
  let value = 0;
  for (let i = 0; i < 4; i++) {
    if (at + i >= end) return MALFORMED;
    const byte = bytes[at + i]!;
    value += (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return byte === 0 && i > 0 ? MALFORMED : value;
  }
  return MALFORMED;
}

/** Bytes of a number as a variable byte integer. */
export function variableBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  return value < 0x200000 ? 3 : 4;
}

/** Where the section of properties at `at` ends, or MALFORMED. Its first property is behind its length. */
export function propertiesEnd(bytes: Uint8Array, at: number, end: number): number {
  const length = readVariable(bytes, at, end);
  if (length === MALFORMED) return MALFORMED;
  const last = at + variableBytes(length) + length;
  return last > end ? MALFORMED : last;
}

/** Fills `out` with the property at `at`; a fault where there is none, or its value cannot be. */
export function readProperty(
  bytes: Uint8Array,
  at: number,
  end: number,
  out: Property,
): PropertyFault | undefined {
  const id = bytes[at]!;
  const shape = shapeOf[id];
  if (shape === undefined) return "property_malformed";
  const from = at + 1;
  out.id = id;
  out.start = at;
  out.valueStart = from;
  out.value = 0;
  const last = valueEnd(bytes, from, end, shape, out);
  if (last === MALFORMED) return "property_malformed";
  out.end = last;
  if (shape === "flag" && out.value > 1) return "property_invalid";
  if (out.value === 0 && neverZero.has(id)) return "property_invalid";
  return undefined;
}

/** Where the value ends; sets what `out` says of it. */
function valueEnd(
  bytes: Uint8Array,
  from: number,
  end: number,
  shape: Shape,
  out: Property,
): number {
  switch (shape) {
    case "flag":
    case "byte":
      if (from + 1 > end) return MALFORMED;
      out.value = bytes[from]!;
      return from + 1;
    case "two":
      if (from + 2 > end) return MALFORMED;
      out.value = (bytes[from]! << 8) | bytes[from + 1]!;
      return from + 2;
    case "four":
      if (from + 4 > end) return MALFORMED;
      out.value =
        bytes[from]! * 0x1000000 +
        ((bytes[from + 1]! << 16) | (bytes[from + 2]! << 8) | bytes[from + 3]!);
      return from + 4;
    case "variable":
      out.value = readVariable(bytes, from, end);
      return out.value === MALFORMED ? MALFORMED : from + variableBytes(out.value);
    case "binary":
    case "text":
      out.valueStart = from + 2;
      return stringEnd(bytes, from, end, shape === "text");
    case "pair": {
      const middle = stringEnd(bytes, from, end, true);
      return middle === MALFORMED ? MALFORMED : stringEnd(bytes, middle, end, true);
    }
    default:
      return MALFORMED;
  }
}

/** Where the bytes with their length at `at` end, or MALFORMED; texts are looked at. */
export function stringEnd(bytes: Uint8Array, at: number, end: number, isText: boolean): number {
  if (at + 2 > end) return MALFORMED;
  const last = at + 2 + ((bytes[at]! << 8) | bytes[at + 1]!);
  if (last > end) return MALFORMED;
  return isText && !isTextWithoutNul(bytes, at + 2, last) ? MALFORMED : last;
}

/** UTF-8 without U+0000 (MQTT 5, 1.5.4). */
function isTextWithoutNul(bytes: Uint8Array, start: number, end: number): boolean {
  let highest = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0) return false;
    highest |= byte;
  }
  return highest < 0x80 || isUtf8(bytes.subarray(start, end));
}

/** Which of the properties that may be there once were there: two words of bits, made anew per packet. */
type SeenProperties = { low: number; high: number };

/** Notes that property `id` is there; false where it must not be, or not again. */
export function admitProperty(id: number, allowed: PropertySet, seen: SeenProperties): boolean {
  const often = allowed[id]!;
  if (often !== 1) return often === 2;
  const bit = 1 << (id & 31);
  if (id < 32) {
    if ((seen.low & bit) !== 0) return false;
    seen.low |= bit;
  } else {
    if ((seen.high & bit) !== 0) return false;
    seen.high |= bit;
  }
  return true;
}

/** The properties of one packet; texts and binaries as they are on the wire, without their length. */
export type Properties = {
  readonly numbers: ReadonlyMap<number, number>;
  /** Copies. */
  readonly bytes: ReadonlyMap<number, Uint8Array>;
  /** Behind the section. */
  readonly end: number;
};

/** Collects the section at `at`. */
export function readProperties(
  bytes: Uint8Array,
  at: number,
  end: number,
  allowed: PropertySet,
): Properties | PropertyFault {
  const last = propertiesEnd(bytes, at, end);
  if (last === MALFORMED) return "property_malformed";
  const numbers = new Map<number, number>();
  const texts = new Map<number, Uint8Array>();
  const property = createProperty();
  const seen: SeenProperties = { low: 0, high: 0 };
  for (let next = firstProperty(bytes, at); next < last; next = property.end) {
    const fault = readProperty(bytes, next, last, property);
    if (fault !== undefined) return fault;
    if (!admitProperty(property.id, allowed, seen)) return "property_invalid";
    const shape = shapeOf[property.id];
    if (shape === "text" || shape === "binary") {
      texts.set(property.id, new Uint8Array(bytes.subarray(property.valueStart, property.end)));
    } else if (shape !== "pair") {
      numbers.set(property.id, property.value);
    }
  }
  return { numbers, bytes: texts, end: last };
}

/** Where the first property of the section at `at` is. */
export function firstProperty(bytes: Uint8Array, at: number): number {
  let first = at;
  while (bytes[first]! >= 0x80) first += 1;
  return first + 1;
}

/** Writes `value` as a variable byte integer at `at`; gives what is behind it. */
export function writeVariable(target: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  do {
    target[next++] = rest < 0x80 ? rest : (rest & 0x7f) | 0x80;
    rest >>>= 7;
  } while (rest > 0);
  return next;
}

/** A section of properties with its length; numbers in the shape of their id, texts as bytes. */
export function propertySection(
  properties: readonly (readonly [id: number, value: number | Uint8Array])[],
): Uint8Array {
  const bytes: number[] = [];
  for (const [id, value] of properties) {
    bytes.push(id);
    if (typeof value !== "number") bytes.push(value.length >> 8, value.length & 0xff, ...value);
    else if (shapeOf[id] === "two") bytes.push(value >> 8, value & 0xff);
    else if (shapeOf[id] === "four") {
      bytes.push(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
    } else if (shapeOf[id] === "variable") {
      const start = bytes.length;
      for (let i = variableBytes(value); i > 0; i--) bytes.push(0);
      const number = new Uint8Array(variableBytes(value));
      writeVariable(number, 0, value);
      for (const [i, byte] of number.entries()) bytes[start + i] = byte;
    } else bytes.push(value);
  }
  const section = new Uint8Array(variableBytes(bytes.length) + bytes.length);
  section.set(bytes, writeVariable(section, 0, bytes.length));
  return section;
}
