/**
 * Whether a topic filter matches a topic, character by character; nothing is allocated.
 *
 *   +  one level, also an empty one      #  the level it stands for, all below, and the parent
 *
 * A filter that begins with a wildcard does not match a topic that begins with `$`.
 * Source: MQTT 3.1.1, 4.7; MQTT 5, 4.7.
 */

/** Topics that begin with it are the broker's own: what clients publish there goes nowhere. */
export const BROKERS_OWN = "$SYS/";

const SLASH = 0x2f;
const PLUS = 0x2b;
const HASH = 0x23;
const DOLLAR = 0x24;

/** `filter` is a valid filter, `topic` a topic name. O(length). */
export function filterMatches(filter: string, topic: string): boolean {
  if (hidesFrom(filter, topic)) return false;
  let at = 0;
  for (let i = 0; i < filter.length; i++) {
    const wanted = filter.charCodeAt(i);
    if (wanted === HASH) return true;
    if (wanted === PLUS) {
      while (at < topic.length && topic.charCodeAt(at) !== SLASH) at += 1;
    } else if (at < topic.length && topic.charCodeAt(at) === wanted) {
      at += 1;
    } else {
      // `a/#` matches its parent `a`.
      return (
        at === topic.length && wanted === SLASH && filter.endsWith("/#") && i === filter.length - 2
      );
    }
  }
  return at === topic.length;
}

/** A filter that begins with a wildcard is not for topics that begin with `$`. */
export function hidesFrom(filter: string, topic: string): boolean {
  const first = filter.charCodeAt(0);
  return topic.charCodeAt(0) === DOLLAR && (first === HASH || first === PLUS);
}
