/**
 * Retained messages that wait to be published, of each topic the newest alone: what a slow broker or a
 * slow client holds up becomes no longer than the list of topics. They leave in the order in which their
 * topics came, so a device is told of before its first state.
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { LocalBroker } from "../own-topics/local-broker.ts";
import { ReaderPatience } from "../own-topics/reader-patience.ts";

/** Makes the payload when its turn comes; the broker owns it from then on. Empty: there is none any more. */
export type MakePayload = () => Uint8Array;

export class LatestMessages {
  readonly #broker: LocalBroker;
  readonly #clock: Clock;
  readonly #patience: ReaderPatience;
  readonly #waiting = new Map<string, MakePayload>();
  #cancelRun: (() => void) | undefined;
  #onEmpty: (() => void) | undefined;
  #published = 0;

  constructor(broker: LocalBroker, clock: Clock) {
    this.#broker = broker;
    this.#clock = clock;
    this.#patience = new ReaderPatience(clock);
  }

  get published(): number {
    return this.#published;
  }

  /** What of this topic still waits is not published. */
  set(topic: string, make: MakePayload): void {
    this.#waiting.set(topic, make);
    this.#cancelRun ??= this.#clock.after(limits.ownLookMs, () => this.#run());
  }

  /** Calls back once, when nothing waits; a later call takes the place of an earlier one. */
  whenEmpty(run: () => void): void {
    this.#onEmpty = run;
  }

  /** Publishes what waits. */
  close(): void {
    this.#cancelRun?.();
    this.#onEmpty = undefined;
    while (this.#publishNext() !== undefined);
  }

  #run(): void {
    this.#cancelRun = undefined;
    let left = limits.ownTurnBytes;
    while (left > 0 && !this.#patience.mustWait(this.#broker)) {
      const bytes = this.#publishNext();
      if (bytes === undefined) break;
      left -= bytes;
    }
    if (this.#waiting.size > 0) {
      // Between two turns clients read; when nothing could be published, a turn would bring nothing.
      this.#cancelRun = this.#clock.after(left > 0 ? limits.ownLookMs : 0, () => this.#run());
      return;
    }
    const onEmpty = this.#onEmpty;
    this.#onEmpty = undefined;
    onEmpty?.();
  }

  /** Bytes of what was published; undefined where nothing waits. */
  #publishNext(): number | undefined {
    for (const [topic, make] of this.#waiting) {
      this.#waiting.delete(topic);
      const payload = make();
      this.#broker.publish(topic, payload, { retain: true, qos: 1 });
      this.#published += 1;
      return topic.length + payload.length;
    }
    return undefined;
  }
}
