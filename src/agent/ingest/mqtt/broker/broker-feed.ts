/**
 * What one connection gives to the broker. The broker works on one piece at a time, and on the
 * packets of a piece side by side; so all packets of one read go to it as one piece. Where it waits
 * for the disk with one of them (QoS 2), it waits with all of them at once.
 */

import type { BrokerLink } from "./broker-owner.ts";

type Run = { readonly bytes: Uint8Array; readonly start: number; end: number };

export class BrokerFeed {
  readonly #link: BrokerLink;
  /** Packets not yet copied, in runs that lie side by side. */
  readonly #runs: Run[] = [];
  #runBytes = 0;

  constructor(link: BrokerLink) {
    this.#link = link;
  }

  /** Bytes that the broker has not read. */
  get unreadBytes(): number {
    return this.#link.unreadBytes + this.#runBytes;
  }

  /** A packet in `bytes[start, end)`, which are left alone until `flush`. */
  add(bytes: Uint8Array, start: number, end: number): void {
    this.#runBytes += end - start;
    const last = this.#runs.at(-1);
    if (last?.bytes === bytes && last.end === start) last.end = end;
    else this.#runs.push({ bytes, start, end });
  }

  /** Gives what was added; called before the bytes change. */
  flush(): void {
    if (this.#runs.length === 0) return;
    const piece = Buffer.allocUnsafeSlow(this.#runBytes);
    let at = 0;
    for (const { bytes, start, end } of this.#runs) {
      piece.set(bytes.subarray(start, end), at);
      at += end - start;
    }
    this.#runs.length = 0;
    this.#runBytes = 0;
    this.#link.push(piece);
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
