/**
 * The checks of one pipeline: exactly one computation, a window of one kind whose panes fit, a key
 * made of tags that its sources have.
 */

import { limits } from "../../core/limits.ts";
import type { TopicTemplate } from "../ingest/topic-template.ts";
import type { PipelineSection, SourceSection, WindowSection } from "./config-file.ts";
import type { Finding, Path } from "./fault.ts";
import { suggestion } from "./nearest.ts";
import { durationText } from "./quantity.ts";

/** A source whose section is whole. */
export type KnownSource = {
  readonly source: SourceSection;
  readonly index: number;
  readonly templates: readonly TopicTemplate[];
  /** Whether every one of its topics is a template. */
  readonly whole: boolean;
};

type Place = {
  readonly at: Path;
  /** The sources it takes; undefined where that cannot be said. */
  readonly taken: readonly KnownSource[] | undefined;
};

export function checkPipeline(
  pipeline: PipelineSection,
  { at, taken }: Place,
): { readonly findings: readonly Finding[]; readonly warnings: readonly Finding[] } {
  const findings = [...computationFindings(pipeline, at)];
  const { window, key } = pipeline;
  if (window !== undefined) findings.push(...windowFindings(window, [...at, "window"]));
  if (key !== undefined) findings.push(...repeats(key, [...at, "key"]));
  if (pipeline.aggregate !== undefined) {
    findings.push(...repeats(pipeline.aggregate, [...at, "aggregate"]));
  }
  if (taken === undefined) return { findings, warnings: [] };
  findings.push(...paneFindings(pipeline, { at, taken }));
  const tags = tagFindings(pipeline, { at, taken });
  return { findings: [...findings, ...tags.findings], warnings: tags.warnings };
}

// ---- which computation ----

const computations = ["window", "ewma", "frequency"] as const;

function computationFindings(pipeline: PipelineSection, at: Path): Finding[] {
  const present = computations.filter((name) => pipeline[name] !== undefined);
  const [kind] = present;
  if (kind === undefined) {
    const message = "this pipeline computes nothing: give it one of window, ewma or frequency";
    return [{ path: at, message }];
  }
  if (present.length > 1) {
    const message = `a pipeline has one of ${present.join(" and ")}; make them two pipelines`;
    return [{ path: at, message }];
  }
  const findings: Finding[] = [];
  const stray = (name: "key" | "aggregate" | "allowedLateness" | "raw", why: string): void => {
    if (pipeline[name] !== undefined) findings.push({ path: [...at, name], message: why });
  };
  if (kind !== "window") {
    stray("aggregate", "only a pipeline with window aggregates");
    stray("allowedLateness", "only a pipeline with window knows late readings");
  }
  if (kind === "window") stray("raw", "only alerts ask for readings: a window has none");
  if (kind === "ewma") stray("key", "an EWMA chart is kept per series; remove the key");
  if (kind === "window" && pipeline.key === undefined) {
    const message = "missing; a window needs the tags that share it, such as [device, metric]";
    findings.push({ path: [...at, "key"], message });
  }
  return [...findings, ...frequencyFindings(pipeline.frequency, [...at, "frequency"])];
}

function frequencyFindings(frequency: PipelineSection["frequency"], at: Path): Finding[] {
  if (frequency === undefined) return [];
  const findings: Finding[] = [];
  if (frequency.heavy === 0 && frequency.rare === 0) {
    findings.push({ path: at, message: "never alerts: set heavy or rare" });
  }
  if (!Number.isInteger(Math.log2(frequency.width))) {
    const message = `expected a power of two such as 2048, found the number ${frequency.width}`;
    findings.push({ path: [...at, "width"], message });
  }
  return findings;
}

// ---- windows ----

function windowFindings(window: WindowSection, at: Path): Finding[] {
  const kinds = (["tumbling", "sliding", "session"] as const).filter(
    (name) => window[name] !== undefined,
  );
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? "none" : kinds.join(" and ");
    return [{ path: at, message: `expected one of tumbling, sliding and session, found ${found}` }];
  }
  const findings: Finding[] = [];
  const pair = (kind: "sliding" | "session", name: "every" | "max", means: string): void => {
    const path = [...at, name];
    if (kinds[0] === kind && window[name] === undefined) {
      findings.push({ path, message: `missing; a ${kind} window needs ${name}, ${means}` });
    }
    if (kinds[0] !== kind && window[name] !== undefined) {
      findings.push({ path, message: `only a ${kind} window has ${name}` });
    }
  };
  pair("sliding", "every", "how often one begins");
  pair("session", "max", "its longest duration");
  const { sliding, every, session, max } = window;
  if (sliding !== undefined && every !== undefined && (every > sliding || sliding % every !== 0)) {
    const message = `expected a fraction of the window: ${durationText(sliding)} is no multiple of ${durationText(every)}`;
    findings.push({ path: [...at, "every"], message });
  }
  if (session !== undefined && max !== undefined && max < session) {
    const message = `expected at least the silence that ends a session (${durationText(session)}), found ${durationText(max)}`;
    findings.push({ path: [...at, "max"], message });
  }
  return findings;
}

function paneFindings({ window, allowedLateness = 0 }: PipelineSection, place: Place): Finding[] {
  const sizeMs = window?.tumbling ?? window?.sliding;
  const slideMs = window?.tumbling ?? window?.every;
  if (sizeMs === undefined || slideMs === undefined) return [];
  const disorderMs = Math.max(0, ...(place.taken ?? []).map(({ source }) => source.disorder));
  const waited = Math.ceil((disorderMs + allowedLateness) / slideMs);
  const panes = Math.ceil(sizeMs / slideMs) + waited + limits.paneSlack;
  if (panes <= limits.panesPerKeyMax) return [];
  const message = `${panes} panes per key would be kept, at most ${limits.panesPerKeyMax} are allowed: (size ${durationText(sizeMs)} + disorder ${durationText(disorderMs)} + allowedLateness ${durationText(allowedLateness)}) / ${durationText(slideMs)}`;
  return [{ path: [...place.at, "window"], message }];
}

// ---- keys and tags ----

function repeats(words: readonly string[], at: Path): Finding[] {
  return words.flatMap((word, index) =>
    words.indexOf(word) < index
      ? [{ path: [...at, index], message: `${JSON.stringify(word)} stands here twice` }]
      : [],
  );
}

/** Each tag that is asked for must be in a topic of the sources, and should be in all of them. */
function tagFindings(
  { key = [], where }: PipelineSection,
  { at, taken = [] }: Place,
): { readonly findings: Finding[]; readonly warnings: Finding[] } {
  const findings: Finding[] = [];
  const warnings: Finding[] = [];
  const templates = taken.flatMap((source) => source.templates);
  const known = [...new Set(templates.flatMap(tagsOf))].sort();
  const asked: { readonly tag: string; readonly path: Path }[] = [
    ...key
      .map((tag, index) => ({ tag, path: [...at, "key", index] }))
      .filter(({ tag }) => tag !== "metric"),
    ...Object.keys(where.tags).map((tag) => ({ tag, path: [...at, "where", "tags", tag] })),
  ];
  for (const { tag, path } of asked) {
    const without = templates.find((template) => !tagsOf(template).includes(tag));
    if (!known.includes(tag)) {
      const names = path.includes("key") ? [...known, "metric"] : known;
      const hint = names.length === 0 ? "their topics have no tags" : suggestion(tag, names);
      const message = `no topic of its sources has the tag ${JSON.stringify(tag)}; ${hint}`;
      findings.push({ path, message });
    } else if (without !== undefined && path.includes("key")) {
      const message = `the topic ${JSON.stringify(without.text)} has no tag ${JSON.stringify(tag)}: its readings have a key without it`;
      warnings.push({ path, message });
    }
  }
  return { findings, warnings };
}

export function tagsOf(template: TopicTemplate): readonly string[] {
  return template.levels.flatMap((level) => (level.kind === "tag" ? [level.name] : []));
}
