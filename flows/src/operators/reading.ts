/** What a node reads of a message: by paths of properties that its settings name. */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { Message } from "../red.ts";
import { Refused } from "./machine.ts";

/** The property at a path as in `payload.values[0]`; undefined where there is none. */
export type PropertyReader = (message: Message, path: string) => unknown;

/** A key: a text, number or boolean; all share one, "", where no path is set. */
export function keyOf(read: PropertyReader, message: Message, path: string): string {
  return path === "" ? "" : textOf(read, message, path);
}

/** A text, or a number or boolean as one. */
export function textOf(read: PropertyReader, message: Message, path: string): string {
  const given = read(message, path);
  const kind = typeof given;
  if (kind !== "string" && kind !== "number" && kind !== "boolean") {
    throw new Refused(`msg.${path} is ${nameOf(given)}: it must be a text, number or boolean`);
  }
  const text = String(given);
  if (text.length <= flowLimits.textLengthMax) return text;
  throw new Refused(
    `msg.${path} has ${text.length} characters: at most ${flowLimits.textLengthMax} are allowed`,
  );
}

/** A finite number, or a text that is one; true and false are 1 and 0. */
export function numberOf(read: PropertyReader, message: Message, path: string): number {
  const given = read(message, path);
  const value =
    typeof given === "string" && given.trim() !== ""
      ? Number(given)
      : typeof given === "boolean"
        ? Number(given)
        : given;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  throw new Refused(`msg.${path} is ${nameOf(given)}: it must be a number`);
}

/** Milliseconds since 1970: a number of them, a Date, or a text with date, time and zone. */
export function timeOf(read: PropertyReader, message: Message, path: string): number {
  const given = read(message, path);
  const time =
    given instanceof Date
      ? given.getTime()
      : typeof given === "string"
        ? Date.parse(isIsoWithZone(given) ? given : "")
        : given;
  if (typeof time === "number" && Number.isFinite(time) && Math.abs(time) <= TIME_MAX) return time;
  throw new Refused(
    `msg.${path} is ${nameOf(given)}: it must be milliseconds since 1970, a Date, or a text like 2026-01-31T12:00:00Z`,
  );
}

/** The last moment that a Date can be, ms. */
const TIME_MAX = 8.64e15;

/** A text without zone would mean another moment on each machine. */
function isIsoWithZone(text: string): boolean {
  return /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*(Z|[+-]\d\d:?\d\d)$/.test(text);
}

function nameOf(given: unknown): string {
  if (given === undefined) return "missing";
  const text = JSON.stringify(given) ?? typeof given;
  return text.length <= 40 ? text : `${text.slice(0, 40)}...`;
}
