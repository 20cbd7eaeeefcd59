/**
 * Whole packets out of what the broker writes, in pieces, for one MQTT 5 client. The payload of a
 * PUBLISH is a piece of its own, by which its note is known.
 */

import { copyOf } from "../broker/broker-feed.ts";
import type { Note, Notes } from "../broker/notes.ts";
import { bodyAt, packetBytesAt, PUBLISH } from "../packet/parser.ts";

/** A PUBLISH of 3.1.1 as offsets into the bytes the broker wrote; filled again and again. */
export type BrokerPublish = {
  bytes: Uint8Array;
  start: number;
  /** Its topic with the length before it, and the packet id behind it. */
  topicAt: number;
  payloadStart: number;
  end: number;
  /** 0 for QoS 0. */
  packetId: number;
  note: Note | undefined;
};

/** What it reads is good during the call. */
export interface BrokerVisitor {
  deliver(publish: BrokerPublish): void;
  /** Any other packet, in `bytes[start, end)`. */
  answer(bytes: Uint8Array, start: number, end: number): void;
}

/** Where pieces are joined; free again when a call is over. */
const scratch = Buffer.allocUnsafeSlow(65_536);

export class BrokerReader {
  readonly #notes: Notes;
  #rest: Uint8Array | undefined;
  readonly #publish: BrokerPublish = {
    bytes: scratch,
    start: 0,
    topicAt: 0,
    payloadStart: 0,
    end: 0,
    packetId: 0,
    note: undefined,
  };

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  read(written: readonly Uint8Array[], visitor: BrokerVisitor): void {
    const pieces = this.#rest === undefined ? written : [this.#rest, ...written];
    const bytes = joined(pieces);
    let at = 0;
    let piece = 0;
    let pieceAt = 0;
    while (at < bytes.length) {
      const total = packetBytesAt(bytes, at, bytes.length);
      if (total <= 0 || at + total > bytes.length) break;
      if (bytes[at]! >> 4 === PUBLISH) {
        const publish = this.#offsetsOf(bytes, at, at + total);
        if (this.#notes.isUsed) {
          while (piece < pieces.length && pieceAt < publish.payloadStart) {
            pieceAt += pieces[piece++]!.length;
          }
          const payload = pieceAt === publish.payloadStart ? pieces[piece] : undefined;
          const isWhole = payload?.length === publish.end - publish.payloadStart;
          if (payload !== undefined && isWhole) publish.note = this.#notes.of(payload);
        }
        visitor.deliver(publish);
      } else {
        visitor.answer(bytes, at, at + total);
      }
      at += total;
    }
    this.#rest = at === bytes.length ? undefined : copyOf(bytes, at, bytes.length);
  }

  #offsetsOf(bytes: Uint8Array, start: number, end: number): BrokerPublish {
    const publish = this.#publish;
    const topicAt = bodyAt(bytes, start);
    const topicEnd = topicAt + 2 + ((bytes[topicAt]! << 8) | bytes[topicAt + 1]!);
    const isNumbered = (bytes[start]! & 6) !== 0;
    publish.bytes = bytes;
    publish.start = start;
    publish.topicAt = topicAt;
    publish.packetId = isNumbered ? (bytes[topicEnd]! << 8) | bytes[topicEnd + 1]! : 0;
    publish.payloadStart = isNumbered ? topicEnd + 2 : topicEnd;
    publish.end = end;
    publish.note = undefined;
    return publish;
  }
}

/** All pieces as one, good until the next call. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  if (length > scratch.length) return Buffer.concat(pieces);
  let at = 0;
  for (const piece of pieces) {
    scratch.set(piece, at);
    at += piece.length;
  }
  return scratch.subarray(0, length);
}
