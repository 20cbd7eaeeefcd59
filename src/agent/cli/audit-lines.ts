/**
 * Audit events as lines of the journal: each when it is new, and once more with its final count if
 * more of the same came; never more than a few at a time.
 */

import { limits } from "../../core/limits.ts";
import type { AuditEvent } from "../ingest/mqtt/access/audit.ts";

type Say = (event: string, facts: Readonly<Record<string, unknown>>) => void;

export class AuditLines {
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
  look(events: readonly AuditEvent[], now: number): void {
    const lines: AuditEvent[] = [];
    for (const event of events) {
      const said = this.#growing.get(event.number);
      const isNew = event.number > this.#newest;
      const isOver = now - event.firstAt >= limits.auditGatherMs;
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
    for (const { kind, address, user, topic, count } of lines.slice(0, limits.auditLinesMax)) {
      const facts = { kind, address, ...(user === "" ? {} : { user }) };
      this.#say("audit", { ...facts, ...(topic === "" ? {} : { topic }), count });
    }
    const more = lines.length - limits.auditLinesMax;
    if (more > 0) this.#say("audit", { more });
  }
}
