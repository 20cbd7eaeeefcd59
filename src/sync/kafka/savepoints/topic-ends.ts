/**
 * Where topics of records end, and from which of these on a savepoint may not know what was sent.
 *
 *   ends are read, then what the lanes had decided or under way then
 *     ... every transaction of then is over, and the lanes know how each ended
 *   a savepoint is made: whatever lies before those ends is known to it
 *
 * By time alone it would not be: where the answer to the end of a transaction was lost, its records may be
 * there while its lane has not asked yet.
 */

import type { Clock, Kv } from "../../../core/doors.ts";
import { limits } from "../../../core/limits.ts";
import type { SetHead } from "../../../store/care/savepoint-set.ts";
import { lanes } from "../../../store/outbox/lane.ts";
import { uplinkKey } from "../../../store/state/kv-key.ts";
import type { Cluster } from "../cluster.ts";
import type { Mark } from "../cursor.ts";
import { decodeLaneState } from "../lane-state.ts";

/** Where topics ended at a time, by the monotonic clock. */
export type Ends = {
  readonly at: number;
  readonly offsets: SetHead["since"];
  /** By lane how far it may have been, what was under way included. */
  readonly marks: ReadonlyMap<string, Mark>;
};

export type TopicEndsOptions = {
  readonly uplink: string;
  readonly kv: Pick<Kv, "get">;
  readonly clock: Clock;
  /** Within it the cluster ends every transaction. */
  readonly transactionMs: number;
};

export class TopicEnds {
  readonly #options: TopicEndsOptions;
  #remembered: readonly Ends[] = [];

  constructor(options: TopicEndsOptions) {
    this.#options = options;
  }

  /** Where they end now. Rejects as `Cluster` does, and for what the state store says of a lane. */
  async read(
    cluster: Pick<Cluster, "partitionsOf" | "offsets">,
    topics: readonly string[],
  ): Promise<Ends> {
    const at = this.#options.clock.monotonic();
    const counts = await cluster.partitionsOf(topics);
    const offsets: Record<string, number[]> = {};
    for (const [topic, count] of counts) {
      const ends: number[] = [];
      for (let partition = 0; partition < count; partition++) {
        ends.push((await cluster.offsets({ topic, partition })).end);
      }
      offsets[topic] = ends;
    }
    // Behind the offsets: what lies before them was an intent before it was sent.
    return { at, offsets, marks: this.#marks("under way") };
  }

  /** They were said with a savepoint. */
  remember(ends: Ends): void {
    this.#remembered = [...this.#remembered, ends].slice(-limits.savepointEndsMax);
  }

  /** The last that a savepoint may go by whose state is that of now; nothing, where none is known. */
  since(): SetHead["since"] {
    const { clock, transactionMs } = this.#options;
    const before = clock.monotonic() - 2 * transactionMs;
    const decided = this.#marks("decided");
    const isKnown = (marks: Ends["marks"]): boolean =>
      [...marks].every(([lane, { outbox, seq }]) => {
        const now = decided.get(lane);
        return now?.outbox === outbox && now.seq >= seq;
      });
    const found = this.#remembered.findLast(({ at, marks }) => at <= before && isKnown(marks));
    return found?.offsets ?? {};
  }

  #marks(of: "decided" | "under way"): ReadonlyMap<string, Mark> {
    const marks = new Map<string, Mark>();
    for (const lane of lanes) {
      const key = uplinkKey(this.#options.uplink, lane);
      const stored = this.#options.kv.get(key);
      if (stored === undefined) continue;
      const { mark, intent } = decodeLaneState(stored, `the state store's ${key}`);
      marks.set(lane, of === "decided" ? mark : (intent?.mark ?? mark));
    }
    return marks;
  }
}
