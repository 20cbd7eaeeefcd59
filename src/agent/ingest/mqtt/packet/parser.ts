/**
 * MQTT framing: complete packets as offsets into the bytes they came in, PUBLISH as offsets into
 * the packet. Nothing is allocated per packet; only the rest of a split packet is copied, and what
 * the visitor refuses.
 *
 *   read        |...packet|packet|pack|        visit, visit, keep "pack"
 *   next read   |et|packet|packet|...          complete the kept one alone, then go on in place
 *
 * A visitor that refuses a packet stops the parser: that packet and all that follows is kept, in
 * order, until `resume`. A connection's order is therefore never changed. After a fault the parser
 * takes nothing more. A packet beyond the limit is a fault, unless the visitor takes its beginning
 * (`packetHead`): then its rest is passed over, and what follows is read on.
 *
 * Source: MQTT 3.1.1 (OASIS), 2.2 fixed header, 2.2.3 remaining length, 3.3 PUBLISH, 4.7 topics.
 * A remaining length that is longer than needed (0x80 0x00) is accepted, as 3.1.1 allows it.
 */

import { isUtf8 } from "node:buffer";

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PINGREQ = 12;
export const DISCONNECT = 14;

/** Why bytes are not MQTT, or not at this point. */
export type ProtocolFault =
  | "length_malformed"
  | "packet_too_large"
  | "packet_truncated"
  | "packet_too_long"
  | "packet_unexpected"
  | "flags_invalid"
  | "qos_invalid"
  | "packet_id_zero"
  | "topic_invalid"
  | "topic_missing"
  | "property_malformed"
  | "property_invalid"
  | "alias_invalid"
  | "alias_bytes_exceeded"
  | "receive_maximum_exceeded"
  | "filters_missing"
  | "filter_malformed"
  | "options_invalid"
  | "connect_expected"
  | "connect_repeated"
  | "connect_invalid"
  | "client_id_missing"
  | "protocol_unsupported";

/** By packet type: the flags it must have, without DUP, which MQTT 3.1 allows; -1 where no client sends it. */
const flagsOf = [-1, -1, -1, -1, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, -1];

/** What is wrong with the first byte of a packet, other than PUBLISH, of a client that is connected. */
export function faultOfHeader(first: number): ProtocolFault | undefined {
  const type = first >> 4;
  if (type === CONNECT) return "connect_repeated";
  const flags = flagsOf[type]!;
  if (flags < 0) return "packet_unexpected";
  const isWrong = type === PINGREQ ? (first & 0x0f) !== 0 : (first & 0x07) !== flags;
  return isWrong ? "flags_invalid" : undefined;
}

/** The length of a packet cannot be read: its remaining length has more than four bytes. */
const MALFORMED = -1;

/**
 * Bytes of the packet that begins at `start`, header included, which may reach beyond `end`; 0
 * while its length is not there yet, MALFORMED when there is none.
 */
export function packetBytesAt(bytes: Uint8Array, start: number, end: number): number {
  const available = end - start;
  if (available < 2) return 0;
  const first = bytes[start + 1]!;
  if (first < 0x80) return 2 + first;
  if (available < 3) return 0;
  const second = bytes[start + 2]!;
  if (second < 0x80) return 3 + (first & 0x7f) + (second << 7);
  if (available < 4) return 0;
  const third = bytes[start + 3]!;
  const lowest = (first & 0x7f) + ((second & 0x7f) << 7);
  if (third < 0x80) return 4 + lowest + (third << 14);
  if (available < 5) return 0;
  const fourth = bytes[start + 4]!;
  if (fourth >= 0x80) return MALFORMED;
  return 5 + lowest + ((third & 0x7f) << 14) + (fourth << 21);
}

/** Where the body of the complete packet at `start` begins. */
export function bodyAt(bytes: Uint8Array, start: number): number {
  let at = start + 1;
  while (bytes[at]! >= 0x80) at += 1;
  return at + 1;
}

/** A PUBLISH as offsets into the bytes it came in; one is made per user and filled again and again. */
export type PublishOffsets = {
  /** Where the topic lies: the packet's own bytes, unless an alias (MQTT 5) stood for it. */
  names: Uint8Array;
  topicStart: number;
  topicEnd: number;
  payloadStart: number;
  /** 0 for QoS 0. */
  packetId: number;
  qos: number;
  retain: boolean;
};

/** To be filled by `readPublish`. */
export function createPublishOffsets(): PublishOffsets {
  return {
    names: new Uint8Array(),
    topicStart: 0,
    topicEnd: 0,
    payloadStart: 0,
    packetId: 0,
    qos: 0,
    retain: false,
  };
}

/**
 * Fills `out` from the PUBLISH in `bytes[start, end)` with its body at `body`; the payload ends at
 * `end`. Five plain parameters: an object per message would cost more than all the rest here.
 */
export function readPublish(
  bytes: Uint8Array,
  start: number,
  body: number,
  end: number,
  out: PublishOffsets,
): ProtocolFault | undefined {
  const flags = bytes[start]!;
  const qos = (flags >> 1) & 3;
  if (qos === 3) return "qos_invalid";
  const topicStart = body + 2;
  if (topicStart > end) return "packet_truncated";
  const topicEnd = topicStart + ((bytes[body]! << 8) | bytes[body + 1]!);
  const payloadStart = qos === 0 ? topicEnd : topicEnd + 2;
  if (payloadStart > end) return "packet_truncated";
  if (!isTopicName(bytes, topicStart, topicEnd)) return "topic_invalid";
  out.packetId = qos === 0 ? 0 : (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]!;
  if (qos !== 0 && out.packetId === 0) return "packet_id_zero";
  out.names = bytes;
  out.qos = qos;
  out.retain = (flags & 1) === 1;
  out.topicStart = topicStart;
  out.topicEnd = topicEnd;
  out.payloadStart = payloadStart;
  return undefined;
}

/** Not empty, no wildcards, no NUL, and UTF-8 (which is only looked at where a byte is not ASCII). */
export function isTopicName(bytes: Uint8Array, start: number, end: number): boolean {
  let highest = 0;
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === 0x2b || byte === 0x23 || byte === 0) return false;
    highest |= byte;
  }
  if (end === start) return false;
  return highest < 0x80 || isUtf8(bytes.subarray(start, end));
}

export interface PacketVisitor {
  /**
   * One complete packet in `bytes[start, end)`, its body at `body`; valid during the call. False:
   * not taken; the parser keeps it and all that follows until `resume`.
   */
  packet(bytes: Uint8Array, start: number, body: number, end: number): boolean;
  /** As much of a packet beyond the limit as the limit holds; its rest is passed over. */
  packetHead?(bytes: Uint8Array, start: number, body: number, end: number): void;
}

/** After bytes were pushed: waiting for more, stopped by the visitor, or at an end. */
export type ParserState = "open" | "stopped" | "closed" | "length_malformed" | "packet_too_large";

/** Kept bytes start with at least this much room, so that a small rest is copied once. */
const KEEP_BYTES_MIN = 128;

export class PacketParser {
  readonly #packetBytesMax: number;
  #state: ParserState = "open";
  /** What is kept: `#kept[#from, #to)`; an idle connection keeps no buffer. */
  #kept: Uint8Array | undefined;
  #from = 0;
  #to = 0;
  /** While stopped: up to where `countHeld` has looked. */
  #looked = 0;
  /** Bytes still to come of a packet that is passed over. */
  #passOver = 0;

  constructor(options: { readonly packetBytesMax: number }) {
    this.#packetBytesMax = options.packetBytesMax;
  }

  get state(): ParserState {
    return this.#state;
  }

  /** Bytes that wait: a split packet, or what the visitor refused and what came after it. */
  get keptBytes(): number {
    return this.#to - this.#from;
  }

  /** Bytes of memory behind `keptBytes`. */
  get memoryBytes(): number {
    return this.#kept === undefined ? 0 : this.#kept.length;
  }

  /** Takes `bytes[0, length)`, which may be overwritten afterwards. */
  push(bytes: Uint8Array, length: number, visitor: PacketVisitor): ParserState {
    if (this.#state === "stopped") this.#keep(bytes, 0, length);
    if (this.#state !== "open") return this.#state;
    let at = this.#passOver === 0 ? 0 : this.#passed(0, length);
    if (this.#kept !== undefined) at = this.#complete(bytes, length, visitor);
    if (this.#passOver !== 0) at = this.#passed(at, length);
    if (this.#stateNow() === "open" && at < length) at = this.#walk(bytes, at, length, visitor);
    const unseen = this.#stateNow() === "open" || this.#stateNow() === "stopped";
    if (unseen && at < length) this.#keep(bytes, at, length);
    return this.#state;
  }

  /** Offers again what was refused, then what came after it. */
  resume(visitor: PacketVisitor): ParserState {
    if (this.#state !== "stopped") return this.#state;
    this.#state = "open";
    const kept = this.#kept;
    if (kept === undefined) return this.#state;
    const at = this.#walk(kept, this.#from, this.#to, visitor);
    if (this.#kept === undefined) return this.#state;
    this.#from = at;
    this.#looked = Math.max(this.#looked, this.#from);
    if (this.#from === this.#to) this.#forget();
    return this.#state;
  }

  /** While stopped: how many complete packets of `type` arrived since the last call. */
  countHeld(type: number): number {
    const kept = this.#kept;
    if (this.#state !== "stopped" || kept === undefined) return 0;
    let found = 0;
    for (;;) {
      const bytes = packetBytesAt(kept, this.#looked, this.#to);
      if (bytes <= 0 || this.#looked + bytes > this.#to) return found;
      if (kept[this.#looked]! >> 4 === type) found += 1;
      this.#looked += bytes;
    }
  }

  /** Drops what is kept; the parser takes nothing more. */
  close(): void {
    this.#forget();
    this.#state = "closed";
  }

  /** The visitor may have stopped or closed us during a call: read it afresh. */
  #stateNow(): ParserState {
    return this.#state;
  }

  /** Visits the packets of `bytes[at, end)`; gives where the first one begins that was not visited. */
  #walk(bytes: Uint8Array, from: number, end: number, visitor: PacketVisitor): number {
    let at = from;
    while (at < end) {
      const total = packetBytesAt(bytes, at, end);
      if (total > this.#packetBytesMax && visitor.packetHead !== undefined) {
        if (end - at < this.#packetBytesMax) return at;
        visitor.packetHead(bytes, at, bodyAt(bytes, at), at + this.#packetBytesMax);
        this.#passOver = total - this.#packetBytesMax;
        at = this.#passed(at + this.#packetBytesMax, end);
        if (this.#state !== "open") return at;
        continue;
      }
      if (total <= 0 || total > end - at) {
        this.#checkLength(total);
        return at;
      }
      if (total > this.#packetBytesMax) {
        this.#state = "packet_too_large";
        return at;
      }
      if (!visitor.packet(bytes, at, bodyAt(bytes, at), at + total)) {
        if (this.#state === "open") this.#state = "stopped";
        return at;
      }
      at += total;
    }
    return at;
  }

  /** Completes the kept packet from the first bytes of `bytes`; gives how many it took. */
  #complete(bytes: Uint8Array, length: number, visitor: PacketVisitor): number {
    let at = 0;
    let total = packetBytesAt(this.#kept!, this.#from, this.#to);
    while (total === 0 && at < length) {
      this.#keep(bytes, at, at + 1);
      at += 1;
      total = packetBytesAt(this.#kept!, this.#from, this.#to);
    }
    if (visitor.packetHead === undefined || total === MALFORMED) this.#checkLength(total);
    if (this.#state !== "open" || total === 0) return at;
    const size = Math.min(total, this.#packetBytesMax);
    const take = Math.min(size - (this.#to - this.#from), length - at);
    this.#reserve(size);
    this.#keep(bytes, at, at + take);
    at += take;
    if (this.#to - this.#from < size) return at;
    const after = this.#walk(this.#kept!, this.#from, this.#to, visitor);
    if (after === this.#to && this.#state === "open") this.#forget();
    return at;
  }

  /** Where what is passed over ends in `[at, end)`. */
  #passed(at: number, end: number): number {
    const count = Math.min(this.#passOver, end - at);
    this.#passOver -= count;
    return at + count;
  }

  #checkLength(total: number): void {
    if (total === MALFORMED) this.#state = "length_malformed";
    else if (total > this.#packetBytesMax) this.#state = "packet_too_large";
  }

  #keep(bytes: Uint8Array, from: number, to: number): void {
    const count = to - from;
    this.#reserve(this.#to - this.#from + count);
    this.#kept!.set(bytes.subarray(from, to), this.#to);
    this.#to += count;
  }

  /** Room for `count` kept bytes in all; a packet beyond the limit never gets here. */
  #reserve(count: number): void {
    const kept = this.#kept;
    if (kept !== undefined && this.#from + count <= kept.length) return;
    const room = Math.max(count, KEEP_BYTES_MIN, kept === undefined ? 0 : 2 * this.keptBytes);
    const next = Buffer.allocUnsafeSlow(room);
    if (kept !== undefined) next.set(kept.subarray(this.#from, this.#to));
    this.#looked = Math.max(0, this.#looked - this.#from);
    this.#to -= this.#from;
    this.#from = 0;
    this.#kept = next;
  }

  #forget(): void {
    this.#kept = undefined;
    this.#from = this.#to = this.#looked = 0;
  }
}
