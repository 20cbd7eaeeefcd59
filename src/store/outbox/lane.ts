/**
 * Lanes: the ways of records to an uplink, each with its own order, cursor and numbers out there.
 *
 *   queue of the outbox      lanes of each uplink
 *   alerts                   alerts
 *   summaries                summaries    what is fresh
 *                            backfill     what was put behind, so that what is fresh need not wait (split.ts)
 *   raw                      raw          readings that were asked for
 *
 * The queue of the summaries is one; which of its numbers are backfill's is another matter for each
 * uplink. What operators emit goes to the first two queues, by commits; they are merged and dropped
 * where they are full. Nobody waits for room in the queue of raw readings but who reads them.
 */

export type OutputQueue = "alerts" | "summaries";
export type Queue = OutputQueue | "raw";

/** In the order in which an uplink serves them. */
export const outputQueues: readonly OutputQueue[] = ["alerts", "summaries"];
export const queues: readonly Queue[] = [...outputQueues, "raw"];

/** What `valueOf` gives for each queue of outputs, as an object the caller owns. */
export function byOutputQueue<Value>(
  valueOf: (queue: OutputQueue) => Value,
): Record<OutputQueue, Value> {
  return { alerts: valueOf("alerts"), summaries: valueOf("summaries") };
}

/** The same for all queues. */
export function byQueue<Value>(valueOf: (queue: Queue) => Value): Record<Queue, Value> {
  return { ...byOutputQueue(valueOf), raw: valueOf("raw") };
}

export type Lane = Queue | "backfill";

/** In the order in which an uplink serves them. */
export const lanes: readonly Lane[] = ["alerts", "summaries", "raw", "backfill"];

/** What `valueOf` gives for each lane, as an object the caller owns. */
export function byLane<Value>(valueOf: (lane: Lane) => Value): Record<Lane, Value> {
  return { ...byQueue(valueOf), backfill: valueOf("backfill") };
}

/** The queue that has the lane's records. */
export function queueOf(lane: Lane): Queue {
  return lane === "backfill" ? "summaries" : lane;
}

/** It has something now and then: opened when it does, sent in small pieces, while others have nothing ready. */
export function isPatient(lane: Lane): boolean {
  return lane === "raw" || lane === "backfill";
}

/** The lane of this name; undefined where there is none. */
export function laneNamed(name: string): Lane | undefined {
  return lanes.find((lane) => lane === name);
}
