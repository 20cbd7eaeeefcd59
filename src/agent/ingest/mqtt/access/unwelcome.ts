/**
 * Sockets that are not let in, closed after a while in which nothing of them is read: who comes back
 * as soon as it is closed comes less often so. Few are kept; beyond, the oldest is closed at once.
 */

import type { NetSocket } from "../../../../core/doors.ts";

export class Unwelcome {
  readonly #after: (ms: number, run: () => void) => () => void;
  readonly #countMax: number;
  readonly #keepMs: number;
  /** In the order of their coming. */
  readonly #sockets = new Set<NetSocket>();
  #cancel: (() => void) | undefined;

  constructor(options: {
    readonly after: (ms: number, run: () => void) => () => void;
    readonly countMax: number;
    readonly keepMs: number;
  }) {
    this.#after = options.after;
    this.#countMax = options.countMax;
    this.#keepMs = options.keepMs;
  }

  /** Takes a socket that was not started. */
  add(socket: NetSocket): void {
    this.#sockets.add(socket);
    if (this.#sockets.size > this.#countMax) {
      const [oldest] = this.#sockets;
      if (oldest !== undefined) this.#end(oldest);
    }
    if (this.#cancel === undefined) this.#wait();
  }

  close(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    for (const socket of this.#sockets) this.#end(socket);
  }

  /** Ends those that are here now when the time is over: each stays once to twice as long. */
  #wait(): void {
    const here = [...this.#sockets];
    this.#cancel = this.#after(this.#keepMs, () => {
      this.#cancel = undefined;
      for (const socket of here) this.#end(socket);
      if (this.#sockets.size > 0) this.#wait();
    });
  }

  #end(socket: NetSocket): void {
    if (this.#sockets.delete(socket)) socket.destroy();
  }
}
