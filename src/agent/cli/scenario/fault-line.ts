/**
 * One direction of a network: when a segment that is sent now has arrived. Pure; time is the caller's.
 *
 *   sent ─▶ waits for those before it, of all connections ─▶ bandwidth ─▶ loss ─▶ delay ─▶ arrived
 *
 * Who sits above TCP never sees a segment lost: it comes late, and all behind it in its connection with
 * it. So loss is a wait of a retransmission timeout, which doubles while the segment is lost again (RFC
 * 6298, 2.4 and 5.5), and takes the bandwidth once more each time. We depart from TCP in that fast
 * retransmits do not shorten the wait, and that the sender does not slow down for a loss.
 */

import type { Chance } from "./chance.ts";
import type { Weather } from "./weather.ts";

/** As Linux begins, where a round trip takes no time; RFC 6298 says 1 s. */
const timeoutMsMin = 200;
const timeoutMsMax = 60_000;
/** What a segment has with an MTU of 1500. */
export const segmentBytes = 1_448;

export class FaultLine {
  readonly #chance: Chance;
  /** When the last bit of what was sent so far is on the wire. */
  #freeAt = 0;

  constructor(chance: Chance) {
    this.#chance = chance;
  }

  /** ms, on the clock of `now`. `bytes` is at most a segment. */
  arrival(now: number, bytes: number, { delayMs, loss, bandwidth }: Weather): number {
    let tries = 1;
    let waitMs = 0;
    let timeoutMs = timeoutMsMin + 2 * delayMs;
    while (loss > 0 && waitMs < timeoutMsMax && this.#chance.fraction() < loss) {
      tries += 1;
      waitMs += Math.min(timeoutMs, timeoutMsMax);
      timeoutMs *= 2;
    }
    this.#freeAt = Math.max(this.#freeAt, now) + (tries * bytes * 1_000) / bandwidth;
    return this.#freeAt + waitMs + delayMs;
  }

  /** What stood in line is gone with its connections, or finds another bandwidth. */
  clear(): void {
    this.#freeAt = 0;
  }
}
