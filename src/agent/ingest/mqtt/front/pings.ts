/**
 * PINGREQ and its answers. A client whose packets wait is answered too: the PINGREQs among what is
 * kept are counted when they arrive, answered at once, and not again when their turn comes.
 */

import { PINGREQ, type PacketParser } from "../packet/parser.ts";

const PINGRESP = Buffer.from([0xd0, 0]);

export class Pings {
  #due = 0;
  /** Among what is kept, answered already. */
  #answered = 0;

  /** One whose turn came, of so many bytes. False: it is none. */
  hear(bytes: number): boolean {
    if (this.#answered > 0) this.#answered -= 1;
    else this.#due += 1;
    return bytes === 2;
  }

  /** Those that arrived among what is kept. */
  hearKept(parser: PacketParser): void {
    const count = parser.countHeld(PINGREQ);
    this.#answered += count;
    this.#due += count;
  }

  /** Sends and counts the answers that are due. */
  answer(to: { send(packets: Uint8Array): void }, counters: { pings: number }): void {
    const count = this.#due;
    if (count === 0) return;
    this.#due = 0;
    counters.pings += count;
    to.send(count === 1 ? PINGRESP : Buffer.alloc(2 * count, PINGRESP));
  }
}
