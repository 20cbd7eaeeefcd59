/**
 * Topic templates: an MQTT filter whose wildcards may have names.
 *
 *   plant/{line}/{device}/{metric}    plant/a/p1/temperature -> line=a device=p1, metric temperature
 *   zigbee2mqtt/{device}              zigbee2mqtt/lamp       -> device=lamp; metrics from the payload
 *   +/sensor/{metric}/state           `+` is any level, not kept; a last `#` is any rest, also none
 *
 * As in MQTT 3.1.1 section 4.7.2 a topic that begins with `$` is matched only by a template whose
 * first level is that very word.
 */

import { sortedTags } from "../../core/catalog.ts";
import type { Tags } from "../../core/frame.ts";

type Level =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "tag"; readonly name: string }
  | { readonly kind: "metric" }
  | { readonly kind: "any" }
  | { readonly kind: "rest" };

export type TopicTemplate = { readonly text: string; readonly levels: readonly Level[] };

/** What a topic says by itself; `metric` only where the template has `{metric}`. */
export type TopicMatch = { readonly tags: Tags; readonly metric: string | undefined };

export type TemplateParse =
  | { readonly kind: "template"; readonly template: TopicTemplate }
  /** `message` is a sentence for the writer of the configuration. */
  | { readonly kind: "invalid"; readonly message: string };

export function parseTemplate(text: string): TemplateParse {
  const levels: Level[] = [];
  const names = new Set<string>();
  const parts = text.split("/");
  for (const [index, part] of parts.entries()) {
    const level = levelOf(part);
    if (level === undefined) {
      return invalid(text, `the level "${part}" is neither a plain word nor {name}, + or #`);
    }
    if (level.kind === "rest" && index < parts.length - 1) return invalid(text, "# must come last");
    const name = level.kind === "tag" ? level.name : level.kind === "metric" ? "metric" : undefined;
    if (name !== undefined && names.has(name)) return invalid(text, `{${name}} occurs twice`);
    if (name !== undefined) names.add(name);
    levels.push(level);
  }
  if (text === "") return invalid(text, "it is empty");
  return { kind: "template", template: { text, levels } };
}

/** Tags (sorted by name) and metric of a topic, or undefined where it does not match. */
export function matchTopic(template: TopicTemplate, topic: string): TopicMatch | undefined {
  const parts = topic.split("/");
  const { levels } = template;
  if (topic.startsWith("$") && levels[0]?.kind !== "literal") return undefined;

  const tags: [string, string][] = [];
  let metric: string | undefined;
  let index = 0;
  for (const level of levels) {
    if (level.kind === "rest") return { tags: sortedTags(tags), metric };
    const part = parts[index++];
    if (part === undefined) return undefined;
    if (level.kind === "literal" && level.text !== part) return undefined;
    // An empty level names nothing.
    if ((level.kind === "tag" || level.kind === "metric") && part === "") return undefined;
    if (level.kind === "tag") tags.push([level.name, part]);
    if (level.kind === "metric") metric = part;
  }
  return index === parts.length ? { tags: sortedTags(tags), metric } : undefined;
}

function levelOf(part: string): Level | undefined {
  if (part === "+") return { kind: "any" };
  if (part === "#") return { kind: "rest" };
  if (part === "{metric}") return { kind: "metric" };
  const name = /^\{([A-Za-z_][A-Za-z0-9_-]*)\}$/.exec(part)?.[1];
  if (name !== undefined) return { kind: "tag", name };
  return /[{}+#\0]/.test(part) ? undefined : { kind: "literal", text: part };
}

function invalid(text: string, why: string): TemplateParse {
  return { kind: "invalid", message: `The topic "${text}" cannot be used: ${why}.` };
}
