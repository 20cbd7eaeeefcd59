/**
 * What to subscribe to: the MQTT filters of topic templates, each once, and none that another one
 * covers, for a broker may send a message once for each filter that matches.
 *
 *   plant/{line}/{device}/{metric}  ->  plant/+/+/+
 *
 * Source: MQTT 3.1.1, 4.7 topic names and filters; MQTT 5, 4.8.2 shared subscriptions.
 */

import type { TopicTemplate } from "../../topic-template.ts";

/** Filters that together match what `templates` match, in their order. O(templates squared). */
export function filtersOf(templates: readonly TopicTemplate[]): readonly string[] {
  const filters = [...new Set(templates.map(filterOf))];
  return filters.filter((filter) => !filters.some((other) => covers(other, filter)));
}

/** The filter of which the members of a group get each message once between them. */
export function sharedFilter(group: string | undefined, filter: string): string {
  return group === undefined ? filter : `$share/${group}/${filter}`;
}

function filterOf({ levels }: TopicTemplate): string {
  return levels
    .map((level) => (level.kind === "literal" ? level.text : level.kind === "rest" ? "#" : "+"))
    .join("/");
}

/** Whether everything that `other` matches is matched by `filter` too; a filter does not cover itself. */
function covers(filter: string, other: string): boolean {
  if (filter === other) return false;
  const ours = filter.split("/");
  const theirs = other.split("/");
  if (other.startsWith("$") && (ours[0] === "+" || ours[0] === "#")) return false;
  for (const [index, level] of ours.entries()) {
    if (level === "#") return true;
    const their = theirs[index];
    if (their === undefined || their === "#") return false;
    if (level !== "+" && level !== their) return false;
  }
  return ours.length === theirs.length;
}
