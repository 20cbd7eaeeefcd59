/**
 * Whether a connection's socket is read, and what the connection keeps of what was read. A socket
 * is paused while enough of its bytes wait, while all connections together hold too much, and after a
 * read that brought as much as one turn may: more is waiting there, and so are others.
 */

import type { NetSocket } from "../../../../core/doors.ts";
import type { PacketParser } from "../packet/parser.ts";
import type { ConnectionHost } from "./connection-host.ts";

export class Throttle {
  readonly #socket: NetSocket;
  readonly #parser: PacketParser;
  readonly #host: ConnectionHost;
  #paused = false;
  #resting = false;
  #over = false;
  #counted: { readonly kind: "held" | "split"; readonly bytes: number } = {
    kind: "split",
    bytes: 0,
  };

  constructor(socket: NetSocket, parser: PacketParser, host: ConnectionHost) {
    this.#socket = socket;
    this.#parser = parser;
    this.#host = host;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Counts what the parser keeps now. False: it is too much, the connection must go. */
  account(): boolean {
    const before = this.#counted;
    const kind = this.#parser.state === "stopped" ? "held" : "split";
    const bytes = this.#parser.memoryBytes;
    if (kind === before.kind && bytes === before.bytes) return true;
    this.#counted = { kind, bytes };
    this.#host.account(before.kind, -before.bytes, 0);
    return this.#host.account(kind, bytes, bytes);
  }

  /** Reads from the socket unless enough waits. True: it is read again, after a pause. */
  steer(): boolean {
    if (this.#over) return false;
    const full =
      this.#parser.state === "stopped" &&
      this.#parser.keptBytes >= this.#host.limits.heldBytesPerConnectionMax;
    const pause = full || this.#host.flooded || this.#resting;
    if (pause === this.#paused) return false;
    this.#paused = pause;
    this.#host.counters.socketsPaused += pause ? 1 : -1;
    if (pause) {
      this.#host.counters.socketPauses += 1;
      this.#socket.pause();
    } else {
      this.#socket.resume();
    }
    return !pause;
  }

  /** Until it is told otherwise, the others are read. */
  rest(resting: boolean): void {
    this.#resting = resting;
  }

  get isResting(): boolean {
    return this.#resting;
  }

  /** Nothing is read any more. */
  stop(): void {
    this.#over = true;
    this.#socket.pause();
  }

  /** The connection is closed: nothing is kept, and nobody waits. */
  close(): void {
    this.#over = true;
    this.#host.account(this.#counted.kind, -this.#counted.bytes, 0);
    if (this.#paused) this.#host.counters.socketsPaused -= 1;
  }
}
