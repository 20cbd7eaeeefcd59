/**
 * What goes to one client, and how much of it the client has not read: the broker's packets and
 * the front's acknowledgements, each write one or more whole packets.
 *
 * A client that does not read is given up when what it is owed reaches its bound; the memory of
 * others is not its to keep.
 */

import type { NetSocket } from "../../../../core/doors.ts";
import type { FrontCounters } from "./front-counters.ts";

export interface OutboundHost {
  readonly limits: { readonly outboundBytesPerConnectionMax: number };
  readonly counters: FrontCounters;
  /** Unread bytes of one client changed by `change` to `bytes`. False: that client must go. */
  accountOutbound(change: number, bytes: number): boolean;
}

export class Outbound {
  readonly #socket: NetSocket;
  readonly #host: OutboundHost;
  readonly #onSlow: () => void;
  #counted = 0;
  /** Bytes that wait before the socket. */
  #kept = 0;
  #closed = false;

  /** `onSlow` is called when the client must be given up. */
  constructor(socket: NetSocket, host: OutboundHost, onSlow: () => void) {
    this.#socket = socket;
    this.#host = host;
    this.#onSlow = onSlow;
  }

  /** Takes whole packets, which are not changed afterwards. */
  send(packets: Uint8Array): void {
    if (this.#closed) return;
    this.#host.counters.bytesOut += packets.length;
    this.#socket.write(packets);
    this.recount();
  }

  /** The same for a part of a buffer that others have parts of: a slow client must not keep it alive. */
  sendShared(packets: Uint8Array): void {
    this.send(this.#socket.queuedBytes > 0 ? Buffer.from(packets) : packets);
  }

  /** The PUBACK of one message. */
  acknowledge(packetId: number): void {
    this.send(Buffer.from([0x40, 2, packetId >> 8, packetId & 0xff]));
  }

  /** Bytes that wait for the client elsewhere changed by so much. */
  keep(change: number): void {
    this.#kept += change;
    this.recount();
  }

  /** The client may have read something. */
  recount(): void {
    if (this.#closed) return;
    const queued = this.#socket.queuedBytes + this.#kept;
    if (queued === this.#counted) return;
    const change = queued - this.#counted;
    this.#counted = queued;
    const fits = this.#host.accountOutbound(change, queued);
    if (fits && queued <= this.#host.limits.outboundBytesPerConnectionMax) return;
    this.#host.counters.slowReaderCloses += 1;
    this.#onSlow();
  }

  /** Nothing is sent any more, and nothing is owed. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#host.accountOutbound(-this.#counted, 0);
  }
}
