/**
 * What of a configuration depends on more than one value: names that must be unique or known, keys
 * that the topics must provide, windows that must fit, listeners that must be secured, uplinks that
 * must not meet. Works on what the schema left whole, and names both sides of each contradiction.
 */

import { limits } from "../../core/limits.ts";
import { parseTemplate, type TopicTemplate } from "../ingest/topic-template.ts";
import { brokerClientId, checkBrokers } from "./broker-config.ts";
import { checkAccess } from "./access-config.ts";
import { commitDefaults, defaultAgentName } from "./config.ts";
import type {
  CommitSection,
  ConfigFile,
  MqttSection,
  PipelineSection,
  SourceSection,
  UplinkSection,
} from "./config-file.ts";
import type { Finding } from "./fault.ts";
import { bridgeClientId, checkBridge } from "./bridge-config.ts";
import { checkKafka } from "./kafka-config.ts";
import { checkHttp } from "./http-config.ts";
import { checkPost, postIdentity } from "./post-config.ts";
import { checkLinks } from "./link-config.ts";
import { portsOf } from "./listener-config.ts";
import { suggestion } from "./nearest.ts";
import { durationText } from "./quantity.ts";
import { ownTopicWarnings } from "./own-filters.ts";
import { checkPipeline, type KnownSource } from "./pipeline-checks.ts";
import { sharedClientIds } from "./remote-broker.ts";
import { checkRemoteSection } from "./remote-config.ts";
import type { Shape } from "./shape.ts";
import type { StoreSection } from "./store-section.ts";
import { checkStore } from "./store-config.ts";
import { templatesOverlap } from "./template-overlap.ts";

export type Checked = {
  readonly findings: readonly Finding[];
  /** What is allowed and probably not meant. */
  readonly warnings: readonly Finding[];
};

export function check(shape: Shape): Checked {
  const { file, brokers, sources, pipelines, uplinks, links, mqtt, http, commit, store } = shape;
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  findings.push(...repeatedNames("sources", sources), ...repeatedNames("pipelines", pipelines));
  const known = sources.map((source, index) =>
    source === undefined ? undefined : knownSource(source, index, findings),
  );
  warnings.push(...overlaps(known));
  const { remote } = shape;
  const checkedBrokers = checkBrokers(brokers, sources, remote?.mqtt?.broker);
  findings.push(...repeatedNames("brokers", brokers), ...checkedBrokers.findings);
  warnings.push(...checkedBrokers.warnings);
  for (const [index, pipeline] of pipelines.entries()) {
    if (pipeline === undefined) continue;
    const at = ["pipelines", index];
    const taken = takenSources(pipeline, { at, sources, known, findings });
    const checked = checkPipeline(pipeline, { at, taken });
    findings.push(...checked.findings);
    warnings.push(...checked.warnings);
  }
  findings.push(...uplinkFindings(uplinks), ...sharedIdentities(shape));
  for (const [index, uplink] of uplinks.entries()) {
    const parts = [
      uplink?.kafka && checkKafka(uplink.kafka, ["uplinks", index, "kafka"]),
      uplink?.mqtt && checkBridge(uplink.mqtt, ["uplinks", index, "mqtt"]),
      uplink?.http && checkPost(uplink.http, ["uplinks", index, "http"]),
    ];
    for (const checked of parts) {
      findings.push(...(checked?.findings ?? []));
      warnings.push(...(checked?.warnings ?? []));
    }
  }
  const checkedLinks = checkLinks(links, uplinks);
  findings.push(...repeatedNames("links", links), ...checkedLinks.findings);
  warnings.push(...checkedLinks.warnings);
  if (remote !== undefined) findings.push(...checkRemoteSection(remote, shape));
  if (file !== undefined) findings.push(...identityFindings(file));
  if (mqtt !== undefined) {
    const checked = checkAccess(mqtt);
    findings.push(...checked.findings, ...homeAssistantFindings(mqtt, pipelines));
    warnings.push(...checked.warnings);
  }
  if (http !== undefined && http !== "off") {
    const checked = checkHttp(http, mqtt === undefined ? [] : portsOf(mqtt));
    findings.push(...checked.findings);
    warnings.push(...checked.warnings);
  }
  if (commit !== undefined) findings.push(...commitFindings(commit));
  if (store !== undefined) findings.push(...checkStore(store, shape.limits));
  if (commit !== undefined && store !== undefined) warnings.push(...capWarnings(commit, store));
  if (file !== undefined) warnings.push(...ownTopicWarnings(file), ...emptiness(file));
  return { findings, warnings };
}

// ---- names ----

function repeatedNames(
  list: string,
  items: readonly ({ readonly name: string } | undefined)[],
): Finding[] {
  const first = new Map<string, number>();
  return items.flatMap((item, index) => {
    if (item === undefined) return [];
    const before = first.get(item.name);
    if (before === undefined) {
      first.set(item.name, index);
      return [];
    }
    const message = `${JSON.stringify(item.name)} is the name of ${list}[${before}] already`;
    return [{ path: [list, index, "name"], message }];
  });
}

// ---- Home Assistant ----

function homeAssistantFindings(
  { publish: { status, homeAssistant } }: MqttSection,
  pipelines: readonly (PipelineSection | undefined)[],
): Finding[] {
  if (homeAssistant === undefined) return [];
  const at = ["mqtt", "publish", "homeAssistant"];
  // A pipeline that has faults of its own may be any of them.
  const names = pipelines.some((pipeline) => pipeline === undefined)
    ? undefined
    : pipelines.flatMap((pipeline) => (pipeline === undefined ? [] : [pipeline.name]));
  const unknown = homeAssistant.pipelines.flatMap((name, index) =>
    names === undefined || names.includes(name)
      ? []
      : [
          {
            path: [...at, "pipelines", index],
            message: `no pipeline has the name ${JSON.stringify(name)}; ${suggestion(name, names)}`,
          },
        ],
  );
  if (status !== "off") return unknown;
  const message =
    "Home Assistant learns from the status whether the agent is there: leave publish.status at a duration";
  return [...unknown, { path: at, message }];
}

// ---- sources ----

function knownSource(source: SourceSection, index: number, findings: Finding[]): KnownSource {
  const templates: TopicTemplate[] = [];
  for (const [position, text] of source.topics.entries()) {
    const path = ["sources", index, "topics", position];
    const parsed = parseTemplate(text);
    if (parsed.kind === "template") templates.push(parsed.template);
    else findings.push({ path, message: uncapitalised(parsed.message) });
    if (Buffer.byteLength(text) > limits.topicBytesMax) {
      findings.push({ path, message: `longer than ${limits.topicBytesMax} bytes` });
    }
  }
  if (source.time.required && source.time.fields.length === 0) {
    const message = "required, but no field may hold the time: name some in fields";
    findings.push({ path: ["sources", index, "time", "required"], message });
  }
  return { source, index, templates, whole: templates.length === source.topics.length };
}

/** A message of another file as part of ours. */
function uncapitalised(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, "");
}

function overlaps(known: readonly (KnownSource | undefined)[]): Finding[] {
  const warnings: Finding[] = [];
  for (const later of known) {
    if (later === undefined) continue;
    for (const [position, template] of later.templates.entries()) {
      const earlier = known
        .slice(0, later.index)
        .filter((other) => other?.source.broker === later.source.broker)
        .find((other) => other?.templates.some((theirs) => templatesOverlap(theirs, template)));
      if (earlier === undefined) continue;
      warnings.push({
        path: ["sources", later.index, "topics", position],
        message: `topics of ${earlier.source.name} match this as well; such messages go to ${earlier.source.name}`,
      });
    }
  }
  return warnings;
}

/** The sources a pipeline takes; undefined where one of them has findings of its own. */
function takenSources(
  pipeline: PipelineSection,
  {
    at,
    sources,
    known,
    findings,
  }: {
    readonly at: readonly (string | number)[];
    readonly sources: readonly (SourceSection | undefined)[];
    readonly known: readonly (KnownSource | undefined)[];
    readonly findings: Finding[];
  },
): readonly KnownSource[] | undefined {
  const complete = sources.every((source) => source !== undefined);
  const names = sources.flatMap((source) => (source === undefined ? [] : [source.name]));
  let unknown = false;
  for (const [index, name] of pipeline.where.sources.entries()) {
    if (names.includes(name)) continue;
    unknown = true;
    if (!complete) continue;
    const message = `no source has the name ${JSON.stringify(name)}; ${suggestion(name, names)}`;
    findings.push({ path: [...at, "where", "sources", index], message });
  }
  const takesAll = pipeline.where.sources.length === 0;
  if (unknown || (takesAll && !complete)) return undefined;
  const taken = known.flatMap((source) =>
    source !== undefined && (takesAll || pipeline.where.sources.includes(source.source.name))
      ? [source]
      : [],
  );
  return taken.every(({ whole }) => whole) ? taken : undefined;
}

// ---- listeners and the rest ----

function commitFindings(commit: CommitSection): Finding[] {
  const { latency, wait, waitMax } = commit;
  if (wait === 0 && waitMax !== undefined) {
    const message = "wait: 0s does not wait; remove one of the two";
    return [{ path: ["commit", "waitMax"], message }];
  }
  if (latency === "low") {
    const message = "latency: low does not wait; remove one of the two";
    const set = [
      ...(wait === undefined ? [] : ["wait"]),
      ...(waitMax === undefined ? [] : ["waitMax"]),
    ];
    return set.map((key) => ({ path: ["commit", key], message }));
  }
  if (waitMax === undefined || waitMax >= (wait ?? commitDefaults.waitMs)) return [];
  const message = `readings wait ${durationText(wait ?? commitDefaults.waitMs)} already: commit.wait`;
  return [{ path: ["commit", "waitMax"], message }];
}

/** The cap works by longer waits: none is as long as ever however often it is doubled. */
function capWarnings({ latency, wait }: CommitSection, { writesPerDay }: StoreSection): Finding[] {
  if (writesPerDay === undefined || (wait ?? (latency === "low" ? 0 : 1)) > 0) return [];
  const set = latency === "low" ? "latency: low" : "wait: 0s";
  const message = `readings do not wait for each other (commit.${set}), so it only makes results and checkpoints rarer; set commit.wait to 1ms or more, or remove it`;
  return [{ path: ["store", "writesPerDay"], message }];
}

// ---- uplinks ----

function uplinkFindings(uplinks: readonly (UplinkSection | undefined)[]): Finding[] {
  const findings: Finding[] = [];
  const taken = new Map<string, number>();
  for (const [index, uplink] of uplinks.entries()) {
    if (uplink === undefined) continue;
    const { file, kafka, mqtt, http } = uplink;
    const kinds = [file, kafka, mqtt, http].filter((kind) => kind !== undefined);
    if (kinds.length !== 1) {
      const message = "each uplink is one of file, kafka, mqtt and http";
      findings.push({ path: ["uplinks", index], message });
      continue;
    }
    const identity = identityOf(uplink);
    const before = taken.get(identity);
    taken.set(identity, index);
    if (before === undefined) continue;
    const message =
      kafka === undefined
        ? `uplinks[${before}] ${doingOf(uplink)} already`
        : `uplinks[${before}] is kafka already; one cluster per agent`;
    findings.push({ path: ["uplinks", index], message });
  }
  return findings;
}

function doingOf({ file, http }: UplinkSection): string {
  if (http !== undefined) return "posts to this address";
  return file === undefined ? "goes to this broker" : "writes to this directory";
}

function identityOf({ file, mqtt, http }: UplinkSection): string {
  if (http !== undefined) return `http ${postIdentity(http)}`;
  if (mqtt !== undefined) return `mqtt ${URL.parse(mqtt.url)?.host ?? mqtt.url}`;
  return file === undefined ? "kafka" : `file ${file.directory}`;
}

/** What connects to brokers elsewhere, and as whom. */
function sharedIdentities({ file, brokers, uplinks }: Shape): Finding[] {
  const agent = file?.agent ?? "";
  return sharedClientIds([
    ...brokers.flatMap((broker, index) => {
      if (broker === undefined) return [];
      const { urls } = broker;
      return [{ clientId: brokerClientId(broker, agent), urls, at: ["brokers", index] }];
    }),
    ...uplinks.flatMap((uplink, index) => {
      if (uplink?.mqtt === undefined) return [];
      const { url } = uplink.mqtt;
      const at = ["uplinks", index, "mqtt"];
      return [{ clientId: bridgeClientId(uplink.mqtt, agent), urls: [url], at }];
    }),
  ]);
}

/** In a cluster, or at a broker, two agents with one name are a mistake that stops one of them. */
function identityFindings({ agent, uplinks }: ConfigFile): Finding[] {
  if (agent !== defaultAgentName || uplinks.every(({ file }) => file !== undefined)) return [];
  const isBroker = uplinks.some(({ mqtt }) => mqtt !== undefined);
  const elsewhere = isBroker ? "a broker" : "an endpoint";
  const place = uplinks.some(({ kafka }) => kafka !== undefined) ? "Kafka" : elsewhere;
  const message = `an agent that sends to ${place} needs a name of its own: set agent to this gateway's`;
  return [{ path: ["agent"], message }];
}

function emptiness({ pipelines, uplinks }: ConfigFile): Finding[] {
  if (pipelines.length === 0) {
    return [{ path: ["pipelines"], message: "nothing is computed: readings are only kept" }];
  }
  if (uplinks.length > 0) return [];
  return [
    { path: ["uplinks"], message: "results go nowhere: they fill the outbox up to its limit" },
  ];
}
