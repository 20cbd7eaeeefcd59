/**
 * Readings whose windows tell which of them they hold: within a window every reading of a device has
 * another power of two as its value, so the sum is the set. Below 2^50 sums of doubles are exact.
 */

export const WINDOW_MS = 1_000;
export const STEP_MS = 20;
const READINGS_PER_WINDOW: number = WINDOW_MS / STEP_MS;

export type Reading = { readonly device: string; readonly number: number };

/** Event time of a device's reading, with its first at `startMs`, the start of a window. */
export function timeOf(startMs: number, number: number): number {
  return startMs + number * STEP_MS;
}

/** What the reading adds to the sum of its window. */
export function bitOf(number: number): bigint {
  return 1n << BigInt(number % READINGS_PER_WINDOW);
}

export function windowKeyOf(startMs: number, { device, number }: Reading): string {
  const time = timeOf(startMs, number);
  return `${device}@${Math.floor(time / WINDOW_MS) * WINDOW_MS}`;
}

export function topicOf(device: string): string {
  return `plant/a/${device}/state`;
}

export function payloadOf(startMs: number, number: number): string {
  return `{"ts":${timeOf(startMs, number)},"seq":${number},"v":${bitOf(number)}}`;
}

/** Names a reading everywhere: "d3#17". */
export function keyOf({ device, number }: Reading): string {
  return `${device}#${number}`;
}

/** The key of the reading that a message brings; undefined for a message that is none of ours. */
export function keyOfMessage(topic: string, payload: Uint8Array): string | undefined {
  const device = /^plant\/a\/(d\d+)\/state$/.exec(topic)?.[1];
  const number = /"seq":(\d+),"v"/.exec(Buffer.from(payload).toString("latin1"))?.[1];
  if (device === undefined || number === undefined) return undefined;
  return keyOf({ device, number: Number(number) });
}
