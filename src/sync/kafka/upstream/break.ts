/** The first thing found upstream that contradicts what was promised. */

import type { MessagePlace } from "./upstream-message.ts";

export type Break = {
  readonly what: /** A number that nobody has. */
    | "missing"
    /** A number, or a revision, that was there before. */
    | "repeated"
    /** The values are not those that were sent. */
    | "changed"
    /** A record that no cursor counts. */
    | "beyond"
    /** An older revision after a newer one, or a window after the marker that counted it. */
    | "overtaken"
    /** The newest revisions do not add up to what a completeness marker says. */
    | "counted"
    /** It cannot be read. */
    | "unreadable";
  readonly topic: string;
  /** Where it is, or what comes after what is missing. */
  readonly at: MessagePlace | undefined;
  readonly outbox: string;
  readonly lane: string;
  /** Of the record in its outbox and lane. */
  readonly number: number;
  /** Both end a sentence. */
  readonly expected: string;
  readonly found: string;
};

/** One sentence. */
export function sentenceOf({ topic, at, outbox, lane, number, expected, found }: Break): string {
  const place = at === undefined ? topic : `${topic}/${at.partition} at offset ${at.offset}`;
  return `${place}: record ${outbox}:${lane}:${number}: expected ${expected}, found ${found}`;
}
