/** What of a request is wrong before anything is stored of it. Pure. */

import { limits } from "../../core/limits.ts";
import type { WhereSpec } from "../../edge-ops/spec.ts";
import { parseSelector } from "../query/selector.ts";
import type { RawAsk } from "./raw-request.ts";

/** Of characters that a key of the state store may have. */
export const rawIdPattern: RegExp = /^[\w.-]{1,64}$/;

/** Undefined where it may be stored; `now` by the wall clock, ms. */
export function whyMalformed({ id, select, from, to }: RawAsk, now: number): string | undefined {
  if (!rawIdPattern.test(id)) {
    return `an id is 1 to 64 letters, digits, "_", "." and "-", not ${JSON.stringify(id)}`;
  }
  if (!(Number.isFinite(from) && Number.isFinite(to) && from < to)) return "from must be before to";
  if (to > now + limits.rawAheadMs) {
    return `to lies more than ${limits.rawAheadMs / 3_600_000} h ahead`;
  }
  if (select.length === 0) return 'say which series: "*" is all of them';
  if (select.length > limits.rawSelectorsMax) {
    return `${select.length} selectors are more than ${limits.rawSelectorsMax}`;
  }
  const wheres = wheresOf(select);
  return typeof wheres === "string" ? wheres : undefined;
}

/** What the selectors take, or what is wrong with them. */
export function wheresOf(select: readonly string[]): readonly WhereSpec[] | string {
  const wheres: WhereSpec[] = [];
  for (const text of select) {
    const selector = parseSelector(text);
    if (selector.kind === "malformed") return selector.message;
    wheres.push(selector.where);
  }
  return wheres;
}
