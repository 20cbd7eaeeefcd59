/**
 * Which topic filters anyone has subscribed to, so that the fast path knows in nanoseconds whether
 * the broker must see a message too. Filters stand in a trie by level, counted; `version` changes
 * with every change that can change an answer, so answers can be remembered.
 *
 *   plant/+/temp, plant/#      root - plant - + - temp(1)
 *                                         \ #(1)
 *
 * Matching costs O(levels) nodes times the `+` branches met. Source: MQTT 3.1.1, 4.7.
 */

type Level = { readonly next: Map<string, Level>; count: number };

export class Subscriptions {
  readonly #root: Level = createLevel();
  #size = 0;
  #version = 1;

  /** Subscriptions counted, the same filter as often as it was added. */
  get size(): number {
    return this.#size;
  }

  /** Changes whenever a filter appears or disappears. */
  get version(): number {
    return this.#version;
  }

  add(filter: string): void {
    let level = this.#root;
    for (const word of filter.split("/")) {
      let next = level.next.get(word);
      if (next === undefined) {
        next = createLevel();
        level.next.set(word, next);
      }
      level = next;
    }
    level.count += 1;
    this.#size += 1;
    if (level.count === 1) this.#version += 1;
  }

  /** Takes back one `add` of the same filter; one that was never added is ignored. */
  remove(filter: string): void {
    const words = filter.split("/");
    const path: Level[] = [this.#root];
    for (const word of words) {
      const next = path.at(-1)!.next.get(word);
      if (next === undefined) return;
      path.push(next);
    }
    const last = path.at(-1)!;
    if (last.count === 0) return;
    last.count -= 1;
    this.#size -= 1;
    if (last.count > 0) return;
    this.#version += 1;
    for (let depth = words.length; depth > 0; depth--) {
      const level = path[depth]!;
      if (level.count > 0 || level.next.size > 0) return;
      path[depth - 1]!.next.delete(words[depth - 1]!);
    }
  }

  /** Whether a filter matches the topic. Wildcards at the first level do not match `$` topics. */
  matches(topic: string): boolean {
    if (this.#size === 0) return false;
    return matchesFrom(this.#root, topic.split("/"), 0);
  }
}

function createLevel(): Level {
  return { next: new Map(), count: 0 };
}

function matchesFrom(level: Level, words: readonly string[], depth: number): boolean {
  const hidden = depth === 0 && words[0]!.startsWith("$");
  if (!hidden) {
    const rest = level.next.get("#");
    if (rest !== undefined && rest.count > 0) return true;
  }
  if (depth === words.length) return level.count > 0;
  const named = level.next.get(words[depth]!);
  if (named !== undefined && matchesFrom(named, words, depth + 1)) return true;
  if (hidden) return false;
  const any = level.next.get("+");
  return any !== undefined && matchesFrom(any, words, depth + 1);
}
