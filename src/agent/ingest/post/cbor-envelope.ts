/**
 * CBOR around payloads (RFC 8949): an array of maps of `topic` and `payload`, or one such map. Of a payload
 * only its extent is found, with every length given; what it means its decoder says.
 */

import { isText, type Messages } from "./messages.ts";

const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const TAG = 6;
/** The tag that says "this is CBOR". */
const SELF_DESCRIBED = 55_799;
const NOWHERE = -1;
const TOPIC_NAME = Buffer.from("topic");
const PAYLOAD_NAME = Buffer.from("payload");
const FORM = "a message is a map of topic and payload";

export class CborEnvelopes implements Messages {
  readonly topicBytes: Uint8Array;
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
  fault: string | undefined;
  readonly #bytes: Uint8Array;
  #at = 0;
  #start = 0;
  #left = NOWHERE;
  /** Of the head that was read last. */
  #major = 0;
  #argument = 0;
  /** What was read last goes on behind the last byte. */
  #isCut = false;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.topicBytes = bytes;
  }

  get place(): string {
    return `byte ${this.#start}`;
  }

  next(): boolean {
    if (this.fault !== undefined) return false;
    if (this.#left === NOWHERE && !this.#begin()) return false;
    if (this.#left === 0) {
      return this.#at === this.#bytes.length ? false : this.#refuse(this.#at, "the body goes on");
    }
    this.#left -= 1;
    return this.#envelope();
  }

  /** How many messages there are. */
  #begin(): boolean {
    if (this.#bytes.length === 0) return false;
    let behind = this.#head(0);
    if (behind !== NOWHERE && this.#major === TAG && this.#argument === SELF_DESCRIBED) {
      this.#at = behind;
      behind = this.#head(behind);
    }
    if (behind === NOWHERE) return this.#refuse(this.#at, "no CBOR, or a length is not given");
    if (this.#major === ARRAY) {
      this.#left = this.#argument;
      this.#at = behind;
      return true;
    }
    this.#left = 1;
    return true;
  }

  #envelope(): boolean {
    const at = this.#at;
    this.#start = at;
    const behind = this.#head(at);
    if (behind === NOWHERE || this.#major !== MAP || this.#argument !== 2) {
      return this.#refuse(at, `${FORM}, and of nothing else`);
    }
    this.topicStart = NOWHERE;
    this.payloadStart = NOWHERE;
    this.#at = behind;
    if (!this.#member() || !this.#member()) return false;
    if (this.topicStart !== NOWHERE && this.payloadStart !== NOWHERE) return true;
    return this.#refuse(at, `${FORM}: one of the two is missing`);
  }

  #member(): boolean {
    const at = this.#at;
    const nameStart = this.#head(at);
    const isName = nameStart !== NOWHERE && this.#major === TEXT;
    const nameEnd = nameStart + this.#argument;
    this.#isCut ||= isName && nameEnd > this.#bytes.length;
    const name = { start: nameStart, end: nameEnd };
    const isTopic = isName && isText(this.#bytes, name, TOPIC_NAME);
    if (!isTopic && !(isName && isText(this.#bytes, name, PAYLOAD_NAME)))
      return this.#refuse(at, FORM);
    const start = nameEnd;
    const end = this.#endOfItem(start);
    if (end === NOWHERE) {
      const why = this.#isCut ? "an item does not end" : "a length is not given";
      return this.#refuse(start, why);
    }
    this.#at = end;
    if (!isTopic) {
      this.payloadStart = start;
      this.payloadEnd = end;
      return true;
    }
    const textStart = this.#head(start);
    if (this.#major !== TEXT) return this.#refuse(start, "a topic is a text");
    this.topicStart = textStart;
    this.topicEnd = end;
    return true;
  }

  /** The place behind the item at `start`; it is counted, not descended into, what is to come. */
  #endOfItem(start: number): number {
    const { length } = this.#bytes;
    let at = start;
    for (let left = 1; left > 0; left--) {
      at = this.#head(at);
      if (at === NOWHERE) return NOWHERE;
      const argument = this.#argument;
      if (this.#major === 2 || this.#major === TEXT) at += argument;
      else if (this.#major === ARRAY) left += argument;
      else if (this.#major === MAP) left += 2 * argument;
      else if (this.#major === TAG) left += 1;
      // Each item takes a byte at least.
      this.#isCut = at > length || left - 1 > length - at;
      if (this.#isCut) return NOWHERE;
    }
    return at;
  }

  /** Reads the head at `at`; the place behind it, or NOWHERE. */
  #head(at: number): number {
    const bytes = this.#bytes;
    this.#isCut = at >= bytes.length;
    if (this.#isCut) return NOWHERE;
    const low = bytes[at]! & 0x1f;
    if (low > 27) return NOWHERE;
    const extra = low < 24 ? 0 : 1 << (low - 24);
    this.#isCut = at + 1 + extra > bytes.length;
    if (this.#isCut) return NOWHERE;
    let argument = low < 24 ? low : 0;
    for (let i = 1; i <= extra; i++) argument = argument * 256 + bytes[at + i]!;
    this.#major = bytes[at]! >> 5;
    this.#argument = argument;
    return at + 1 + extra;
  }

  #refuse(at: number, why: string): false {
    this.fault = this.#isCut
      ? `byte ${this.#bytes.length}: the body ends in the middle: ${why}`
      : `byte ${at}: ${why}`;
    return false;
  }
}
