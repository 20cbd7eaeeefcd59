/**
 * Whether one topic could match two templates: level by level, a plain word meets itself and every
 * wildcard, and a last `#` meets any rest.
 */

import type { TopicTemplate } from "../ingest/topic-template.ts";

export function templatesOverlap(a: TopicTemplate, b: TopicTemplate): boolean {
  const levelsMax = Math.max(a.levels.length, b.levels.length);
  for (let i = 0; i < levelsMax; i++) {
    const ours = a.levels[i];
    const theirs = b.levels[i];
    if (ours?.kind === "rest" || theirs?.kind === "rest") return meetAtStart(a, b);
    if (ours === undefined || theirs === undefined) return false;
    if (ours.kind === "literal" && theirs.kind === "literal" && ours.text !== theirs.text) {
      return false;
    }
  }
  return meetAtStart(a, b);
}

/** Topics that begin with $ are matched only by templates that say so. */
function meetAtStart(a: TopicTemplate, b: TopicTemplate): boolean {
  const first = [a.levels[0], b.levels[0]];
  const dollar = first.some((level) => level?.kind === "literal" && level.text.startsWith("$"));
  return !dollar || first.every((level) => level?.kind === "literal");
}
