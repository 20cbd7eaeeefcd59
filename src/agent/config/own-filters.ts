/**
 * The topics that an agent publishes itself, as filters. No source takes what comes back on them, or
 * the agent would compute on its own results, and on those again.
 */

import { parseTemplate, type TopicTemplate } from "../ingest/topic-template.ts";
import { ownTopic } from "../own-topics.ts";
import type { ConfigFile, SourceSection } from "./config-file.ts";
import type { Finding } from "./fault.ts";
import { templatesOverlap } from "./template-overlap.ts";

export function ownFilters({ agent }: { readonly agent: string }): readonly string[] {
  return [ownTopic(agent, "#")];
}

/** Templates that would take our own topics: a source does not get what its configuration says. */
export function ownTopicWarnings(file: ConfigFile): Finding[] {
  const own = ownFilters(file).flatMap(templateOf);
  return file.sources.flatMap((source, index) =>
    source.topics.flatMap((text, position) => {
      const met = templateOf(text).flatMap((template) =>
        own.filter((ours) => isMeant(source, template) && templatesOverlap(template, ours)),
      );
      if (met[0] === undefined) return [];
      const message = `${met[0].text} is published by this agent itself: what comes back on it is not taken as readings`;
      return [{ path: ["sources", index, "topics", position], message }];
    }),
  );
}

/** On the embedded broker a wildcard at the start says nothing about our topics: they never come back. */
function isMeant({ broker }: SourceSection, template: TopicTemplate): boolean {
  return broker !== undefined || template.levels[0]?.kind === "literal";
}

function templateOf(text: string): TopicTemplate[] {
  const parsed = parseTemplate(text);
  return parsed.kind === "template" ? [parsed.template] : [];
}
