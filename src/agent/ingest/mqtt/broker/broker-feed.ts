/**
 * What one connection gives to the broker. The broker works on one piece at a time, and on the
 * packets of a piece side by side; so packets that lie side by side in the bytes being parsed go to
 * it as one piece.
 */

import type { BrokerLink } from "./broker.ts";

export class BrokerFeed {
  readonly #link: BrokerLink;
  /** The run of packets not yet copied: `#bytes[#start, #end)`. */
  #bytes: Uint8Array | undefined;
  #start = 0;
  #end = 0;

  constructor(link: BrokerLink) {
    this.#link = link;
  }

  /** Bytes that the broker has not read. */
  get unreadBytes(): number {
    return this.#link.unreadBytes + (this.#bytes === undefined ? 0 : this.#end - this.#start);
  }

  /** A packet in `bytes[start, end)`, which are left alone until `flush`. */
  add(bytes: Uint8Array, start: number, end: number): void {
    if (this.#bytes !== bytes || this.#end !== start) {
      this.flush();
      this.#bytes = bytes;
      this.#start = start;
    }
    this.#end = end;
  }

  /** Gives what was added; called before the bytes change. */
  flush(): void {
    const bytes = this.#bytes;
    if (bytes === undefined) return;
    this.#bytes = undefined;
    this.#link.push(copyOf(bytes, this.#start, this.#end));
  }

  /** A packet of its own, which is the broker's from now on. */
  push(packet: Uint8Array): void {
    this.flush();
    this.#link.push(packet);
  }

  cancelWill(): void {
    this.#link.cancelWill();
  }

  /** The client is gone. */
  finish(): void {
    this.flush();
    this.#link.finish();
  }
}

/** Memory of its own, not of a pool: the broker may keep a retained payload for months. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(end - start);
  copy.set(bytes.subarray(start, end));
  return copy;
}
