/**
 * Posted bodies and the messages in them.
 *
 *   topic given      the body is one payload; of NDJSON each line
 *   topics inside    {"topic":"plant/p1","payload":{...}}, or an array of these, in JSON or CBOR;
 *                    of NDJSON one on each line
 *
 * What is inside a payload is the decoders' affair, and a dead letter where they refuse it. What is around
 * payloads is refused here, with the place.
 */

import { isUtf8 } from "node:buffer";
import { unreachable } from "../../../core/assert.ts";
import { limits } from "../../../core/limits.ts";
import { CborEnvelopes } from "./cbor-envelope.ts";
import { JsonEnvelopes } from "./json-envelope.ts";
import { endOfLine, isBlank, type Messages } from "./messages.ts";

/** Media types of bodies. */
export const bodyTypes = [
  "application/json",
  "application/x-ndjson",
  "application/cbor",
  "text/plain",
] as const;
export type BodyType = (typeof bodyTypes)[number];

export type PostedBody = {
  readonly bytes: Uint8Array;
  readonly type: BodyType;
  /** Of every message of it; absent: they name their own. */
  readonly topic: string | undefined;
};

/** A new walk over the body, before its first message. */
export function messagesOf({ bytes, type, topic }: PostedBody): Messages {
  if (topic !== undefined) {
    return new PayloadsOf(bytes, Buffer.from(topic), type === "application/x-ndjson");
  }
  if (type === "text/plain") return new Malformed("text/plain names no topic: add ?topic=");
  if (type === "application/cbor") return new CborEnvelopes(bytes);
  return new JsonEnvelopes(bytes, { isLines: type === "application/x-ndjson" });
}

/** What a body is like that is well formed, for whoever sent another. */
export function formOf({ type, topic }: Pick<PostedBody, "type" | "topic">): string {
  const message = '{"topic":"plant/p1","payload":{"temperature":21.5}}';
  switch (type) {
    case "application/json":
      return topic === undefined
        ? `a body of ${type} is a message such as ${message}, or an array of these; with ?topic= it is one payload`
        : `a body of ${type} with ?topic= is one payload, such as {"temperature":21.5}`;
    case "application/x-ndjson":
      return topic === undefined
        ? `a body of ${type} is a message on each line, such as ${message}; with ?topic= a payload on each line`
        : `a body of ${type} with ?topic= is a payload on each line, such as {"temperature":21.5}`;
    case "application/cbor":
      return topic === undefined
        ? `a body of ${type} is a map of topic and payload, or an array of these, with every length given; with ?topic= it is one payload`
        : `a body of ${type} with ?topic= is one payload`;
    case "text/plain":
      return `a body of ${type} is one payload, such as 21.5, with ?topic=`;
    default:
      return unreachable(type);
  }
}

/** What is wrong with a topic to publish on, or undefined. */
export function topicFault(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (start === end) return "a topic is empty";
  if (end - start > limits.topicBytesMax) {
    return `a topic is longer than ${limits.topicBytesMax} bytes`;
  }
  let any = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    any |= byte;
    if (byte === PLUS || byte === HASH || byte === 0) {
      return "a topic to publish on has none of +, # and NUL";
    }
  }
  if (any < 0x80 || isUtf8(bytes.subarray(start, end))) return undefined;
  return "a topic is not UTF-8";
}

const PLUS = 0x2b;
const HASH = 0x23;
const CARRIAGE_RETURN = 0x0d;

/** The body, or its lines, all on one topic. Blank lines are none. */
class PayloadsOf implements Messages {
  readonly topicBytes: Uint8Array;
  readonly topicStart = 0;
  readonly topicEnd: number;
  payloadStart = 0;
  payloadEnd = 0;
  readonly fault = undefined;
  readonly #bytes: Uint8Array;
  readonly #isLines: boolean;
  #at = 0;

  constructor(bytes: Uint8Array, topic: Uint8Array, isLines: boolean) {
    this.#bytes = bytes;
    this.topicBytes = topic;
    this.topicEnd = topic.length;
    this.#isLines = isLines;
  }

  get place(): string {
    return `byte ${this.payloadStart}`;
  }

  next(): boolean {
    const bytes = this.#bytes;
    while (this.#at < bytes.length) {
      const start = this.#at;
      const end = this.#isLines ? endOfLine(bytes, start) : bytes.length;
      this.#at = end + 1;
      this.payloadStart = start;
      this.payloadEnd = end > start && bytes[end - 1] === CARRIAGE_RETURN ? end - 1 : end;
      if (!this.#isLines) this.payloadEnd = end;
      if (!this.#isLines || !isBlank(bytes, start, end)) return true;
    }
    return false;
  }
}

class Malformed implements Messages {
  readonly topicBytes: Uint8Array = new Uint8Array(0);
  readonly topicStart = 0;
  readonly topicEnd = 0;
  readonly payloadStart = 0;
  readonly payloadEnd = 0;
  readonly place = "byte 0";
  readonly fault: string;

  constructor(fault: string) {
    this.fault = fault;
  }

  next(): boolean {
    return false;
  }
}
