/**
 * Where a stream is: the next number of each queue of the outbox, in one history of them. The id of each
 * event is the place behind it, so that a client which sends the last one goes on with the next.
 *
 *   5f0c2a9b71d4e863.12.4711.0        history . alerts . summaries . raw
 */

import { byQueue, type Queue, queues } from "../../store/outbox/lane.ts";

export type StreamPlace = {
  readonly history: string;
  readonly next: Readonly<Record<Queue, number>>;
};

export function textOfPlace({ history, next }: StreamPlace): string {
  return [history, ...queues.map((queue) => next[queue])].join(".");
}

/** undefined where it is none. */
export function placeOf(text: string): StreamPlace | undefined {
  const [history = "", ...numbers] = text.split(".");
  if (!/^[0-9a-f]{16}$/.test(history) || numbers.length !== queues.length) return undefined;
  if (!numbers.every((number) => /^\d{1,16}$/.test(number))) return undefined;
  const next = byQueue((queue) => Number(numbers[queues.indexOf(queue)]));
  return Object.values(next).every(Number.isSafeInteger) ? { history, next } : undefined;
}
