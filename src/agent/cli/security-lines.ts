/**
 * Security events as lines of the journal: each when it is new, and once more with its final count if
 * more of the same came; never more than a few at a time.
 */

import { limits } from "../../core/limits.ts";
import type { SecurityEvent } from "../ingest/mqtt/access/security-events.ts";

type Say = (event: string, facts: Readonly<Record<string, unknown>>) => void;

/** In the journal, where programs look for it. */
const lineName = "audit";

export class SecurityLines {
  readonly #say: Say;
  /** Events that may still grow, with the count that was said. */
  readonly #growing = new Map<number, number>();
  #newest = 0;

  constructor(say: Say) {
    this.#say = say;
  }

  /** The number after which events are of interest. */
  get after(): number {
    const [oldest = this.#newest + 1] = this.#growing.keys();
    return oldest - 1;
  }

  /** `events` after `after`, in order; `now` of the clock that stamped them. */
  look(events: readonly SecurityEvent[], now: number): void {
    const lines: SecurityEvent[] = [];
    for (const event of events) {
      const said = this.#growing.get(event.number);
      const isNew = event.number > this.#newest;
      const isOver = now - event.firstAt >= limits.securityEventGatherMs;
      if (isNew || (isOver && said !== undefined && event.count > said)) lines.push(event);
      if (isOver) this.#growing.delete(event.number);
      else if (isNew) this.#growing.set(event.number, event.count);
      if (isNew) this.#newest = event.number;
    }
    // What left the ring will never be seen again.
    const [oldest] = events;
    for (const number of this.#growing.keys()) {
      if (oldest === undefined || number < oldest.number) this.#growing.delete(number);
    }
    for (const { kind, address, user, topic, count } of lines.slice(
      0,
      limits.securityEventLinesMax,
    )) {
      const facts = { kind, address, ...(user === "" ? {} : { user }) };
      this.#say(lineName, { ...facts, ...(topic === "" ? {} : { topic }), count });
    }
    const more = lines.length - limits.securityEventLinesMax;
    if (more > 0) this.#say(lineName, { more });
  }
}
