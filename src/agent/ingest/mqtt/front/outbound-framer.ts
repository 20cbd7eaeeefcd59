/**
 * Whole packets out of what the broker writes. It writes a packet in pieces; the front writes its
 * acknowledgements to the same socket. Only whole packets pass, so the two writers never mix.
 *
 * Invariant: every write to the socket is one or more whole packets, in the order the broker wrote
 * them.
 */

import { CONNACK, packetBytesAt } from "../packet/parser.ts";

/** The return code of the first CONNACK that passed; undefined before. */
type Passed = {
  readonly bytes: Uint8Array | undefined;
  readonly connack: number | undefined;
};

export class OutboundFramer {
  #rest: Uint8Array | undefined;

  /**
   * Takes the next pieces, which it owns from then on; gives all whole packets as one buffer, and
   * the return code where a CONNACK is among them.
   */
  push(pieces: readonly Uint8Array[]): Passed {
    const all = this.#rest === undefined ? pieces : [this.#rest, ...pieces];
    const bytes = all.length === 1 ? all[0]! : Buffer.concat(all);
    let at = 0;
    let connack: number | undefined;
    while (at < bytes.length) {
      const total = packetBytesAt(bytes, at, bytes.length);
      if (total <= 0 || at + total > bytes.length) break;
      if (bytes[at]! >> 4 === CONNACK && total >= 4) connack = bytes[at + 3]!;
      at += total;
    }
    this.#rest = at === bytes.length ? undefined : bytes.subarray(at);
    return { bytes: at === 0 ? undefined : bytes.subarray(0, at), connack };
  }
}
