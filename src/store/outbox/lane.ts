/**
 * Lanes: the ways of records to an uplink, each with its own order, cursor and numbers out there.
 *
 *   queue of the outbox      lanes of each uplink
 *   alerts                   alerts
 *   summaries                summaries    what is fresh
 *                            backfill     what was put behind, so that what is fresh need not wait (split.ts)
 *
 * The queue of the summaries is one; which of its numbers are backfill's is another matter for each
 * uplink.
 */

export type Queue = "alerts" | "summaries";

/** In the order in which an uplink serves them. */
export const queues: readonly Queue[] = ["alerts", "summaries"];

/** What `valueOf` gives for each queue, as an object the caller owns. */
export function byQueue<Value>(valueOf: (queue: Queue) => Value): Record<Queue, Value> {
  return { alerts: valueOf("alerts"), summaries: valueOf("summaries") };
}

export type Lane = Queue | "backfill";

/** In the order in which an uplink serves them. */
export const lanes: readonly Lane[] = ["alerts", "summaries", "backfill"];

/** What `valueOf` gives for each lane, as an object the caller owns. */
export function byLane<Value>(valueOf: (lane: Lane) => Value): Record<Lane, Value> {
  return {
    alerts: valueOf("alerts"),
    summaries: valueOf("summaries"),
    backfill: valueOf("backfill"),
  };
}

/** The queue that has the lane's records. */
export function queueOf(lane: Lane): Queue {
  return lane === "alerts" ? "alerts" : "summaries";
}

/** The lane of this name; undefined where there is none. */
export function laneNamed(name: string): Lane | undefined {
  return lanes.find((lane) => lane === name);
}
