/**
 * What the client does not check of a peer's bytes before it trusts them. It reads them in a handler
 * of the socket, where an exception ends the process and a loop stops it.
 *
 *   frames    size (i32), then that many bytes: a size below the four of the correlation id, or one
 *             beyond any answer, ends the connection before the client sees it
 *   answers   are read through a position that only moves on and never beyond their end: a length
 *             that is negative leads to no loop, and a count to no more entries than there are bytes
 *
 * Whatever is wrong reaches those who wait for an answer as an UnreadableAnswer.
 */

import type { Socket } from "node:net";
import { assert, InvariantError } from "../../../core/assert.ts";
import { limits } from "../../../core/limits.ts";
import { isWeb, portalHint } from "../../../core/strangers.ts";
import type { Connection, Protocol, Reader } from "./protocol.ts";

/** `message` goes on where a sentence names the broker. */
export class UnreadableAnswer extends Error {
  override readonly name = "UnreadableAnswer";
}

/** Checks every answer on the connection before and while the client reads it. */
export function checkAnswers(connection: Connection, { ResponseError }: Protocol): void {
  const send = connection.send.bind(connection);
  connection.send = (key, version, write, read, requestTags, answerTags, callback) => {
    const checked: typeof read = (correlation, key, version, reader) => {
      try {
        return read(correlation, key, version, bounded(reader));
      } catch (error) {
        if (error instanceof ResponseError || error instanceof InvariantError) throw error;
        throw unreadable(error);
      }
    };
    send(key, version, write, checked, requestTags, answerTags, callback);
  };
}

function unreadable(cause: unknown): UnreadableAnswer {
  // What the client says where bytes are missing is not for people.
  const why = cause instanceof Malformed ? cause.message : "it ends too early";
  return new UnreadableAnswer(`its answer cannot be read: ${why}`, { cause });
}

// ---- within an answer ----

/** `message` completes "its answer cannot be read". */
export class Malformed extends Error {
  override readonly name = "Malformed";
}

/** The same reader, whose position only moves on and never beyond the end. */
export function bounded(reader: Reader): Reader {
  let position = reader.position;
  Object.defineProperty(reader, "position", {
    get: () => position,
    set: (next: number) => {
      if (!(next >= position && next <= reader.length)) {
        throw new Malformed("a length in it does not fit");
      }
      position = next;
    },
  });
  return reader;
}

/** A count of entries of at least `bytesMin` bytes each, -1 for none. */
export function readCount(reader: Reader, bytesMin: number): number {
  const count = reader.readInt32();
  if (count === -1) return 0;
  if (count >= 0 && count * bytesMin <= reader.remaining) return count;
  throw new Malformed("a count in it does not fit");
}

// ---- frames ----

/**
 * Puts a check of frames between a socket that is not connected yet and the client, which is about to
 * listen to it. What is wrong, with a frame or in the client, destroys the socket.
 */
export function checkFrames(socket: Socket, { tls }: { readonly tls: boolean }): void {
  // After the client's own listener to this event, before any data.
  socket.once(tls ? "secureConnect" : "connect", () => {
    const [read, ...others] = socket.listeners("data");
    assert(read !== undefined && others.length === 0, "the client listens once for data");
    const check = frameCheck(tls);
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => {
      try {
        check(chunk);
        Reflect.apply(read, socket, [chunk]);
      } catch (error) {
        socket.destroy(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}

const sizeBytes = 4;
const correlationBytes = 4;

/** Throws at a size that no answer has, however the bytes are cut into chunks. */
function frameCheck(tls: boolean): (chunk: Uint8Array) => void {
  const size = new DataView(new ArrayBuffer(sizeBytes));
  let sizeKnown = 0;
  let left = 0;
  return (chunk) => {
    for (let at = 0; at < chunk.length; ) {
      if (left > 0) {
        const passed = Math.min(left, chunk.length - at);
        left -= passed;
        at += passed;
        continue;
      }
      size.setUint8(sizeKnown++, chunk[at++]!);
      if (sizeKnown < sizeBytes) continue;
      sizeKnown = 0;
      left = size.getInt32(0);
      if (left >= correlationBytes && left <= limits.kafkaAnswerBytesMax) continue;
      if (isWeb(new Uint8Array(size.buffer))) throw new UnreadableAnswer(webAnswer);
      throw !tls && isTlsRecord(size) ? new Error(wantsTls) : strange(left);
    }
  };
}

const webAnswer = `this is no Kafka broker but a web server: check the address and the port; ${portalHint}`;

/** The client's words where it finds as much in a first chunk. */
const wantsTls = "Broker requires TLS.";

/** A record of a version from SSL 3.0 to TLS 1.3: its type, 3, 0 to 4. */
function isTlsRecord(start: DataView): boolean {
  const type = start.getUint8(0);
  return type >= 0x14 && type <= 0x17 && start.getUint8(1) === 3 && start.getUint8(2) <= 4;
}

function strange(size: number): UnreadableAnswer {
  return new UnreadableAnswer(
    `this is no Kafka broker (an answer of ${size} bytes): check the address and the port`,
  );
}
