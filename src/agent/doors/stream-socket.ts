/**
 * A TCP or TLS connection as the door gives it out.
 *
 * Plain TCP sockets read into one buffer that they all share: the kernel copies into it, the receiver
 * takes what it wants during the call, and nothing is allocated per read. Node offers that only for
 * sockets it creates itself, so the handle of an open one is handed to a new socket. The handle
 * is not documented; where it is missing (or on Windows, whose reads are not immediate) the plain
 * `data` event serves, at more CPU per read. TLS always reads by `data`.
 */

import { type BoundSocket, Socket } from "node:net";
import { assert } from "../../core/assert.ts";
import type { NetHandlers, NetSocket } from "../../core/doors.ts";
import type { Turns } from "../../core/turns.ts";

const READ_BYTES = 64 * 1024;

const sharedBuffer = Buffer.allocUnsafeSlow(READ_BYTES);

/** What lets a new socket go on with an open one; undefined where that cannot be. */
export type HandleOf = (socket: Socket) => object | undefined;

/** For TLS, whose bytes are not those of the kernel, and to try what is left without. */
export const noHandle: HandleOf = () => undefined;

type StreamParts = {
  readonly handleOf: HandleOf;
  /** Sockets whose peers ended are closed by these: Node would close all of one instant in one turn. */
  readonly ended: Turns;
  readonly certificateName?: string | undefined;
  /** What an error means, where more can be said than its code. */
  readonly reasonOf?: (error: NodeJS.ErrnoException) => string | undefined;
};

/** The door's socket on one of node:net or node:tls. */
export class StreamSocket implements NetSocket {
  readonly remote: string;
  readonly certificateName: string | undefined;
  readonly #handleOf: HandleOf;
  readonly #ended: Turns;
  readonly #onError: (error: NodeJS.ErrnoException) => void;
  #socket: Socket;
  #reason = "";
  #started = false;

  /** `socket` is connected, by TLS too if it is to be, and does not read yet. */
  constructor(socket: Socket, { handleOf, ended, certificateName, reasonOf }: StreamParts) {
    this.#socket = socket;
    this.#handleOf = handleOf;
    this.#ended = ended;
    this.certificateName = certificateName;
    this.remote = `${socket.remoteAddress ?? "?"}:${socket.remotePort ?? 0}`;
    this.#onError = (error) => {
      this.#reason = reasonOf?.(error) ?? error.code ?? error.message;
    };
    socket.on("error", this.#onError);
  }

  get queuedBytes(): number {
    return this.#socket.writableLength;
  }

  start(handlers: NetHandlers): void {
    assert(!this.#started, "a socket is started once");
    this.#started = true;
    const handle = this.#handleOf(this.#socket);
    if (handle === undefined) this.#readEvents(handlers);
    else this.#readShared(handle, handlers);
    const socket = this.#socket;
    socket.on("drain", () => handlers.onDrain());
    socket.on("close", () => handlers.onClose(this.#reason));
    socket.resume();
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #readShared(handle: object, handlers: NetHandlers): void {
    const options = {
      manualStart: true,
      allowHalfOpen: true,
      onread: {
        buffer: sharedBuffer,
        callback: (length: number, buffer: Uint8Array): boolean => {
          handlers.onBytes(buffer, length);
          return true;
        },
      },
    };
    // The types know neither the handle of an accepted socket nor `manualStart`.
    const socket = new Socket(Object.assign(options, { handle: handle as BoundSocket }));
    socket.on("error", this.#onError);
    socket.on("end", () => this.#ended.take(() => socket.end()));
    this.#socket = socket;
  }

  #readEvents(handlers: NetHandlers): void {
    this.#socket.on("data", (bytes: Buffer) => handlers.onBytes(bytes, bytes.length));
  }
}

/** Takes the handle out of an open socket, which is an empty shell from then on. */
export function takeHandle(socket: Socket): object | undefined {
  if (process.platform === "win32") return undefined;
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null) return undefined;
  Reflect.set(socket, "_handle", null);
  return handle;
}
