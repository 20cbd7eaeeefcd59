/**
 * The topics that an agent publishes itself, as filters. No source takes what comes back on them, or
 * the agent would compute on its own results, and on those again.
 */

import { parseTemplate, type TopicTemplate } from "../ingest/topic-template.ts";
import { bridgeTopic } from "../../sync/mqtt/bridge-message.ts";
import { discoveryFilter } from "../home-assistant/discovery.ts";
import { ownTopic } from "../own-topics/local-broker.ts";
import type { BridgeSection } from "./bridge-section.ts";
import type { Config } from "./config.ts";
import type { ConfigFile, SourceSection } from "./config-file.ts";
import type { Finding } from "./fault.ts";
import { templatesOverlap } from "./template-overlap.ts";

export function ownFilters({
  agent,
  homeAssistant,
  uplinks,
  pipelines,
}: {
  readonly agent: string;
  readonly homeAssistant?: { readonly prefix: string } | undefined;
  readonly uplinks: Config["uplinks"] | ConfigFile["uplinks"];
  readonly pipelines: readonly { readonly name: string }[];
}): readonly string[] {
  const filters = new Set([ownTopic(agent, "#")]);
  if (homeAssistant !== undefined) filters.add(discoveryFilter(agent, homeAssistant.prefix));
  for (const uplink of uplinks) {
    const topics = topicsOf(uplink);
    if (topics === undefined) continue;
    for (const { name } of pipelines) {
      filters.add(bridgeTopic(topics.summaries, { agent, pipeline: name }));
      filters.add(bridgeTopic(topics.alerts, { agent, pipeline: name }));
    }
    filters.add(bridgeTopic(topics.status, { agent, pipeline: "" }));
  }
  return [...filters];
}

/** Topics of the embedded broker that the agent itself listens to: what comes there is no reading. */
export function heardTopics({ homeAssistant }: Config["ownTopics"]): readonly string[] {
  return homeAssistant === undefined ? [] : [homeAssistant.birth];
}

/** Of a bridge, as it stands in the file or in effect. */
function topicsOf(
  uplink: Config["uplinks"][number] | ConfigFile["uplinks"][number],
): BridgeSection["topics"] | undefined {
  if ("kind" in uplink) return uplink.kind === "mqtt" ? uplink.topics : undefined;
  return uplink.mqtt?.topics;
}

/** Templates that would take our own topics: a source does not get what its configuration says. */
export function ownTopicWarnings(file: ConfigFile): Finding[] {
  const { homeAssistant } = file.mqtt.publish;
  const own = ownFilters({ ...file, homeAssistant }).flatMap(templateOf);
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
