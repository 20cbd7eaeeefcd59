/**
 * JSON around payloads (RFC 8259), looked through byte by byte:
 *
 *   [{"topic":"plant/p1","payload":{"temp":21.5}}, ...]      an array, or one object
 *   {"topic":"plant/p1","payload":{"temp":21.5}}\n...        NDJSON: an object on each line
 *
 * Of a payload only its extent is found: strings end at their quote, brackets pair. Whether it is JSON
 * besides, its decoder says.
 */

import { endOfLine, isBlank, isText, type Messages } from "./messages.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

/** Brackets within one another that are paired; a payload with more is a fault of the body. */
const NESTING_MAX = 64;

const TOPIC = Buffer.from("topic");
const PAYLOAD = Buffer.from("payload");
const FORM = '{"topic":"...","payload":...}';
/** Of a place where something else should be. */
const NOWHERE = -1;
/** Of what goes on behind the last byte. */
const CUT = -2;

export class JsonEnvelopes implements Messages {
  topicBytes: Uint8Array;
  topicStart = 0;
  topicEnd = 0;
  payloadStart = 0;
  payloadEnd = 0;
  fault: string | undefined;
  readonly #bytes: Uint8Array;
  readonly #isLines: boolean;
  #at = 0;
  #isBegun = false;
  #isArray = false;
  #line = 0;
  #start = 0;
  /** Of the line, or the body. */
  #end = 0;
  readonly #open = new Uint8Array(NESTING_MAX);

  constructor(bytes: Uint8Array, { isLines }: { readonly isLines: boolean }) {
    this.#bytes = bytes;
    this.topicBytes = bytes;
    this.#isLines = isLines;
  }

  get place(): string {
    return this.#isLines ? `line ${this.#line}` : `byte ${this.#start}`;
  }

  next(): boolean {
    if (this.fault !== undefined) return false;
    return this.#isLines ? this.#nextLine() : this.#nextElement();
  }

  #nextLine(): boolean {
    const bytes = this.#bytes;
    while (this.#at < bytes.length) {
      const start = this.#at;
      const end = endOfLine(bytes, start);
      this.#at = end + 1;
      this.#line += 1;
      this.#end = end;
      if (isBlank(bytes, start, end)) continue;
      const behind = this.#envelope(skipBlank(bytes, start, end), end);
      if (behind === NOWHERE) return false;
      if (isBlank(bytes, behind, end)) return true;
      return this.#refuse(behind, "there is something behind the message");
    }
    return false;
  }

  #nextElement(): boolean {
    const bytes = this.#bytes;
    const end = bytes.length;
    let at = skipBlank(bytes, this.#at, end);
    this.#end = end;
    if (!this.#isBegun) {
      this.#isBegun = true;
      this.#isArray = bytes[at] === OPEN_BRACKET;
      if (this.#isArray) at = skipBlank(bytes, at + 1, end);
      else if (at === end) return false;
      if (this.#isArray && bytes[at] === CLOSE_BRACKET) return this.#endAt(at + 1);
    } else if (!this.#isArray || bytes[at] === CLOSE_BRACKET) {
      return this.#endAt(this.#isArray ? at + 1 : at);
    } else if (bytes[at] === COMMA) {
      at = skipBlank(bytes, at + 1, end);
    } else {
      return this.#refuse(at, "after a message comes , or ]");
    }
    const behind = this.#envelope(at, end);
    if (behind === NOWHERE) return false;
    this.#at = behind;
    return true;
  }

  #endAt(at: number): boolean {
    if (!isBlank(this.#bytes, at, this.#bytes.length)) {
      return this.#refuse(skipBlank(this.#bytes, at, this.#bytes.length), "the body goes on");
    }
    this.#at = this.#bytes.length;
    this.#isArray = false;
    return false;
  }

  /** The message at `at`; the place behind it, or NOWHERE with the fault. */
  #envelope(at: number, end: number): number {
    const bytes = this.#bytes;
    this.#start = at;
    this.topicStart = NOWHERE;
    this.payloadStart = NOWHERE;
    if (bytes[at] !== OPEN_BRACE || at >= end) return this.#fail(at, `a message is ${FORM}`);
    let place = skipBlank(bytes, at + 1, end);
    while (place < end && bytes[place] !== CLOSE_BRACE) {
      place = this.#member(place, end);
      if (place === NOWHERE) return NOWHERE;
      if (bytes[place] === COMMA) {
        place = skipBlank(bytes, place + 1, end);
        if (bytes[place] !== QUOTE) return this.#fail(place, "after a comma comes a name");
      } else if (bytes[place] !== CLOSE_BRACE) {
        return this.#fail(place, "after a value comes , or }");
      }
    }
    if (place >= end) return this.#fail(end, "a message does not end");
    if (this.topicStart === NOWHERE || this.payloadStart === NOWHERE) {
      return this.#fail(at, `a message is ${FORM}: one of the two is missing`);
    }
    return place + 1;
  }

  /** `"topic": ...` or `"payload": ...` at `at`; the next place that is not blank behind it. */
  #member(at: number, end: number): number {
    const bytes = this.#bytes;
    const nameEnd = bytes[at] === QUOTE ? endOfString(bytes, at, end) : NOWHERE;
    if (nameEnd === CUT) return this.#fail(end, "a name does not end");
    if (nameEnd === NOWHERE) return this.#fail(at, "here should be a name in quotes");
    const isTopic = isText(bytes, { start: at + 1, end: nameEnd - 1 }, TOPIC);
    if (!isTopic && !isText(bytes, { start: at + 1, end: nameEnd - 1 }, PAYLOAD)) {
      return this.#fail(at, `a message has a topic and a payload and nothing else: ${FORM}`);
    }
    if ((isTopic ? this.topicStart : this.payloadStart) !== NOWHERE) {
      return this.#fail(at, `a message has one ${isTopic ? "topic" : "payload"}`);
    }
    const colon = skipBlank(bytes, nameEnd, end);
    if (colon >= end || bytes[colon] !== COLON)
      return this.#fail(colon, "after a name comes a colon");
    const start = skipBlank(bytes, colon + 1, end);
    const valueEnd = this.#endOfValue(start, end);
    if (valueEnd === CUT) return this.#fail(end, `what begins at byte ${start} does not end`);
    if (valueEnd === NOWHERE) {
      const isNested = bytes[start] === OPEN_BRACE || bytes[start] === OPEN_BRACKET;
      const why = `brackets do not pair, or are more than ${NESTING_MAX} within one another`;
      return this.#fail(start, isNested ? why : "here should be a value");
    }
    if (isTopic) return this.#topic(start, valueEnd) ? skipBlank(bytes, valueEnd, end) : NOWHERE;
    this.payloadStart = start;
    this.payloadEnd = valueEnd;
    return skipBlank(bytes, valueEnd, end);
  }

  #topic(start: number, end: number): boolean {
    const bytes = this.#bytes;
    if (bytes[start] !== QUOTE) return this.#refuse(start, "a topic is a text");
    this.topicBytes = bytes;
    this.topicStart = start + 1;
    this.topicEnd = end - 1;
    if (!bytes.subarray(start, end).includes(BACKSLASH)) return true;
    const text = unescaped(bytes.subarray(start, end));
    if (text === undefined) return this.#refuse(start, "a topic has an escape that JSON has not");
    this.topicBytes = Buffer.from(text);
    this.topicStart = 0;
    this.topicEnd = this.topicBytes.length;
    return true;
  }

  /** The place behind the value at `at`; NOWHERE where it is none, CUT where it does not end. */
  #endOfValue(at: number, end: number): number {
    const bytes = this.#bytes;
    const first = at < end ? bytes[at]! : COMMA;
    if (first === QUOTE) return endOfString(bytes, at, end);
    if (first === OPEN_BRACE || first === OPEN_BRACKET) return this.#endOfNested(at, end);
    let place = at;
    while (place < end && isOfScalar(bytes[place]!)) place++;
    if (place === at) return at === end ? CUT : NOWHERE;
    return place;
  }

  #endOfNested(at: number, end: number): number {
    const bytes = this.#bytes;
    const open = this.#open;
    let depth = 0;
    let place = at;
    while (place < end) {
      const byte = bytes[place]!;
      if (byte === QUOTE) {
        place = endOfString(bytes, place, end);
        if (place === CUT) return CUT;
        continue;
      }
      place++;
      if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
        if (depth === NESTING_MAX) return NOWHERE;
        open[depth++] = byte;
      } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
        // Each closing bracket is two behind its opening one.
        if (open[--depth] !== byte - 2) return NOWHERE;
        if (depth === 0) return place;
      }
    }
    return CUT;
  }

  #fail(at: number, why: string): number {
    const [place, all] = this.#isLines
      ? [`line ${this.#line}`, "the line"]
      : [`byte ${at}`, "the body"];
    const isCut = at >= this.#end;
    this.fault = isCut ? `${place}: ${all} ends in the middle: ${why}` : `${place}: ${why}`;
    return NOWHERE;
  }

  #refuse(at: number, why: string): false {
    this.#fail(at, why);
    return false;
  }
}

function skipBlank(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && (bytes[at] === 0x20 || (bytes[at]! >= 0x09 && bytes[at]! <= 0x0d))) at++;
  return at;
}

/** The place behind the string whose quote is at `at`, or CUT. */
function endOfString(bytes: Uint8Array, at: number, end: number): number {
  for (let place = at + 1; place < end; place++) {
    const byte = bytes[place];
    if (byte === QUOTE) return place + 1;
    if (byte === BACKSLASH) place++;
  }
  return CUT;
}

/** Of numbers, true, false and null, and of whatever is there instead. */
function isOfScalar(byte: number): boolean {
  return (
    byte > 0x20 &&
    byte !== COMMA &&
    byte !== CLOSE_BRACE &&
    byte !== CLOSE_BRACKET &&
    byte !== QUOTE &&
    byte !== COLON
  );
}

function unescaped(quoted: Uint8Array): string | undefined {
  try {
    const text: unknown = JSON.parse(Buffer.from(quoted).toString());
    return typeof text === "string" ? text.toWellFormed() : undefined;
  } catch {
    return undefined;
  }
}
