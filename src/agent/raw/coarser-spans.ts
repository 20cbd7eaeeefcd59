/** Spans of which only aggregates are left, as a manifest lists them. */

import type { CoarserSpan } from "../../core/record.ts";

/**
 * At most `max` spans that cover all of `spans`, by their beginning; those that are the same are one. Where
 * there are more, neighbours are joined, those with the least between them first, with the coarser of
 * their resolutions: more may be called coarser than is, never less.
 */
export function joinedSpans(spans: readonly CoarserSpan[], max: number): readonly CoarserSpan[] {
  const distinct = new Map(spans.map((span) => [JSON.stringify(span), span]));
  const joined = [...distinct.values()].toSorted((a, b) => a.from - b.from || a.to - b.to);
  while (joined.length > max) {
    const gaps = joined.slice(1).map((span, index) => span.from - joined[index]!.to);
    const at = gaps.indexOf(Math.min(...gaps));
    const [one, two] = [joined[at]!, joined[at + 1]!];
    const finest = Math.max(one.finest, two.finest);
    joined.splice(at, 2, { from: one.from, to: Math.max(one.to, two.to), finest });
  }
  return joined;
}
