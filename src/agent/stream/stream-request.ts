/** What a stream is asked for, parsed from its parameters. What is not understood is refused in a sentence. */

import { type Glob, globOf } from "../../core/glob.ts";
import { limits } from "../../core/limits.ts";
import { configuredName } from "../../edge-ops/spec.ts";
import type { Queue } from "../../store/outbox/lane.ts";
import { idOf, type RecordId } from "../../store/outbox/record-id.ts";
import { suggestion } from "../config/nearest.ts";
import type { Parsed } from "../query/requests.ts";
import { placeOf, type StreamPlace } from "./stream-place.ts";

export type StreamRequest = {
  /** Alerts first. */
  readonly queues: readonly Queue[];
  /** The name of the event that a record is; undefined where it is not asked for. */
  readonly eventOf: (record: Uint8Array) => RecordId["kind"] | undefined;
  /** Names and patterns of pipelines, as they were asked for; none: all. */
  readonly pipelines: readonly string[];
  /** Where it goes on; absent: it begins. */
  readonly after?: StreamPlace;
  /** Where it begins: with what comes, or with what is kept. */
  readonly from: "now" | "kept";
};

const kinds = {
  alerts: { queue: "alerts", events: ["alert"] },
  summaries: { queue: "summaries", events: ["summary"] },
  markers: { queue: "summaries", events: ["complete"] },
  raw: { queue: "raw", events: ["raw", "manifest"] },
} as const satisfies Readonly<
  Record<string, { readonly queue: Queue; readonly events: readonly RecordId["kind"][] }>
>;

type Kind = keyof typeof kinds;

const known: readonly string[] = ["kinds", "pipeline", "key", "from", "after"];

/** `lastEventId`: as the client sent it, if it did; it goes before the parameter `after`. */
export function parseStreamRequest(
  search: URLSearchParams,
  lastEventId: string | undefined,
): Parsed<StreamRequest> {
  const strange = [...search.keys()].find((name) => !known.includes(name));
  if (strange !== undefined)
    return refused(`${strange} is no parameter: ${suggestion(strange, known)}`);
  const named = (search.get("kinds") ?? "alerts,summaries").split(",");
  const wanted = named.filter(isKind);
  if (wanted.length < named.length) {
    const [other = ""] = named.filter((name) => !isKind(name));
    return refused(`${JSON.stringify(other)} is no kind: ${Object.keys(kinds).join(", ")}`);
  }
  const patterns = { pipeline: search.getAll("pipeline"), key: search.getAll("key") };
  if (patterns.pipeline.length + patterns.key.length > limits.streamPatternsMax) {
    return refused(`at most ${limits.streamPatternsMax} patterns of pipelines and keys`);
  }
  const from = search.get("from") ?? "now";
  if (from !== "now" && from !== "kept") return refused("from is now or kept");
  const asked = lastEventId ?? search.get("after") ?? undefined;
  const after = asked === undefined ? undefined : placeOf(asked);
  if (asked !== undefined && after === undefined) {
    return refused(
      `${JSON.stringify(asked.slice(0, 80))} is no id of an event of this stream: send one back as it came, or none`,
    );
  }
  const order: readonly Queue[] = ["alerts", "summaries", "raw"];
  const request = {
    queues: order.filter((queue) => wanted.some((kind) => kinds[kind].queue === queue)),
    eventOf: eventOf(wanted, patterns),
    pipelines: patterns.pipeline,
    from,
  } as const;
  return { kind: "request", request: after === undefined ? request : { ...request, after } };
}

/** Those that no pipeline of these has: nothing comes for them before there is one. */
export function unmatchedBy(
  names: readonly string[],
  { pipelines }: Pick<StreamRequest, "pipelines">,
): readonly string[] {
  return pipelines.filter((pattern) => {
    const takes = takesPipeline(pattern);
    // `temp@2` asks for one definition of temp, `temp@*` for all but the first.
    const takesConfigured = takesPipeline(pattern.replace(/@[\d*]+$/, ""));
    return !names.some((name) => takes(name) || takesConfigured(name));
  });
}

/** Whatever was changed in a pipeline: it has the same name for who asks for it. */
function takesPipeline(pattern: string): Glob {
  const takes = globOf(pattern);
  return (emitted) => takes(emitted) || takes(configuredName(emitted));
}

type Patterns = { readonly pipeline: readonly string[]; readonly key: readonly string[] };

function eventOf(wanted: readonly Kind[], patterns: Patterns): StreamRequest["eventOf"] {
  const events = new Set<RecordId["kind"]>(wanted.flatMap((kind) => kinds[kind].events));
  const pipelines = patterns.pipeline.map(takesPipeline);
  const keys = patterns.key.map(globOf);
  const isAll = pipelines.length + keys.length === 0;
  return (record) => {
    const id = idOf(record);
    if (id === undefined || !events.has(id.kind)) return undefined;
    // Readings that were asked for have neither.
    if (isAll || id.kind === "raw" || id.kind === "manifest") return id.kind;
    const [, pipeline = "", key = ""] = id.name.split("/").map(decodeURIComponent);
    const fits =
      (pipelines.length === 0 || pipelines.some((takes) => takes(pipeline))) &&
      (keys.length === 0 || id.kind === "complete" || keys.some((takes) => takes(key)));
    return fits ? id.kind : undefined;
  };
}

function isKind(name: string): name is Kind {
  return Object.hasOwn(kinds, name);
}

function refused(message: string): Parsed<StreamRequest> {
  return { kind: "refused", message };
}
