/**
 * Which topics someone may publish to or subscribe to: a list of patterns, which are MQTT topic
 * filters, with `{user}` and `{client}` for whole levels.
 *
 *   plant/{user}/#    of the user pump-gw: plant/pump-gw and all below
 *
 * A topic is allowed when a pattern matches it. A filter is allowed when one pattern matches
 * everything that the filter can match: each level of the filter lies within the level of the
 * pattern. (Several patterns are not added up: what they allow together only is refused.)
 *
 * A user name or client id that is empty, or has `/`, `+`, `#` or NUL in it, or begins with `$` at
 * the first level, never stands for a level: the pattern then matches nothing. So a name cannot widen
 * its own rights.
 *
 * Wildcards at the first level do not match topics that begin with `$`. A shared subscription,
 * `$share/group/filter`, is allowed as its filter is. Source: MQTT 3.1.1 and 5, 4.7; MQTT 5, 4.8.2.
 */

export type Identity = {
  /** A verified user name or certificate name; undefined for anonymous clients. */
  readonly user: string | undefined;
  /** As the client gave it; empty where it gave none. */
  readonly client: string;
};

/** A pattern for one identity, by levels. */
type Levels = readonly string[];

/** Undefined where everything is allowed. */
export function compilePatterns(
  patterns: readonly string[] | undefined,
  identity: Identity,
): TopicRights | undefined {
  if (patterns === undefined) return undefined;
  return new TopicRights(patterns.flatMap((pattern) => levelsOf(pattern, identity) ?? []));
}

/** Why a text is no pattern, or undefined when it is one. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === "") return "a pattern is not empty";
  if (pattern.includes("\0")) return "a pattern holds no NUL";
  const levels = pattern.split("/");
  for (const [index, level] of levels.entries()) {
    if (level.includes("#") && (level !== "#" || index < levels.length - 1)) {
      return "# stands alone, as the last level";
    }
    if (level.includes("+") && level !== "+") return "+ stands alone in its level";
    if (/[{}]/.test(level) && level !== "{user}" && level !== "{client}") {
      return "{user} and {client} stand alone in their level, and nothing else is in braces";
    }
  }
  if (levels[0] === "$share") return "rights for shared subscriptions are those of their filter";
  return undefined;
}

export class TopicRights {
  readonly #patterns: readonly Levels[];

  /** Use `compilePatterns`. */
  constructor(patterns: readonly Levels[]) {
    this.#patterns = patterns;
  }

  allowsTopic(topic: string): boolean {
    if (topic === "" || /[+#\0]/.test(topic)) return false;
    const levels = topic.split("/");
    return this.#patterns.some((pattern) => contains(pattern, levels));
  }

  allowsFilter(filter: string): boolean {
    const levels = plainFilter(filter);
    return levels !== undefined && this.#patterns.some((pattern) => contains(pattern, levels));
  }
}

function levelsOf(pattern: string, { user, client }: Identity): [Levels] | undefined {
  const levels = pattern.split("/");
  for (const [index, level] of levels.entries()) {
    if (level !== "{user}" && level !== "{client}") continue;
    const value = level === "{user}" ? (user ?? "") : client;
    if (value === "" || /[/+#\0]/.test(value)) return undefined;
    if (index === 0 && value.startsWith("$")) return undefined;
    levels[index] = value;
  }
  return [levels];
}

/** The levels of a filter, of the one within where it is shared; undefined where it is none. */
function plainFilter(filter: string): Levels | undefined {
  if (filter === "" || filter.includes("\0")) return undefined;
  const levels = filter.split("/");
  const isWrong = levels.some(
    (level, index) =>
      (level.includes("#") && (level !== "#" || index < levels.length - 1)) ||
      (level.includes("+") && level !== "+"),
  );
  if (isWrong) return undefined;
  if (levels[0] !== "$share") return levels;
  const [, group, ...rest] = levels;
  const isGroup = group !== undefined && group !== "" && group !== "+" && group !== "#";
  return isGroup && rest.length > 0 && rest.join("/") !== "" ? rest : undefined;
}

/** Whether `pattern` matches all that `levels`, of a topic or a filter, can match. */
function contains(pattern: Levels, levels: Levels): boolean {
  const isDollar = levels[0]!.startsWith("$");
  for (const [index, allowed] of pattern.entries()) {
    const level = levels[index];
    if (allowed === "#") return index > 0 || !isDollar;
    if (level === undefined) return false;
    if (allowed === "+") {
      if (level === "#" || (index === 0 && isDollar)) return false;
    } else if (allowed !== level) {
      return false;
    }
  }
  return levels.length === pattern.length;
}
