/** What is asked for over HTTP, parsed from its parameters. What is not understood is refused in a sentence. */

import { unreachable } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import type { WhereSpec } from "../../edge-ops/spec.ts";
import type { ResolutionMs, TimeRange } from "../../store/tables/rows.ts";
import {
  bytesOf,
  bytesPattern,
  durationPattern,
  durationText,
  millisOf,
} from "../config/quantity.ts";
import { nearestOf } from "../config/nearest.ts";
import type { RawPriority } from "../raw/raw-request.ts";
import { parseSelector } from "./selector.ts";
import { aligned, bucketsIn, stepFor, timeOf } from "./times.ts";

export const aggregates = ["count", "numbers", "min", "max", "mean", "sum", "variance"] as const;
export type Aggregate = (typeof aggregates)[number];
export const defaultAggregates = "count,min,max,mean";

/** What all queries share. A series is taken that one of `wheres` takes. */
export type Asked = {
  readonly wheres: readonly WhereSpec[];
  readonly format: "json" | "ndjson";
  /** The answer says what it has cost. */
  readonly explain: boolean;
};

export type SeriesRequest = Asked & {
  /** Ids above this one. */
  readonly after: number;
  readonly limit: number;
  readonly latest: boolean;
};

export type ReadingsRequest = Asked & {
  readonly range: TimeRange;
  readonly limit: number;
};

export type SummaryRequest = Asked &
  (
    | { readonly kind: "latest" }
    | { readonly kind: "distinct"; readonly of: "devices" | "series"; readonly range: TimeRange }
    | {
        readonly kind: "buckets";
        /** A whole number of steps. */
        readonly range: TimeRange;
        readonly step: ResolutionMs;
        readonly aggregates: readonly Aggregate[];
      }
  );

export type Parsed<Request> =
  | { readonly kind: "request"; readonly request: Request }
  | { readonly kind: "refused"; readonly message: string };

/** Readings that are to be sent upstream. */
export type RawParameters = {
  readonly id: string | undefined;
  readonly select: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly priority: RawPriority;
  /** By which now the range was meant. */
  readonly asked: number;
};

/** What is changed of the sync while it runs. */
export type LinkRequest =
  | {
      readonly action: "pause";
      /** Undefined: all. */
      readonly uplink: string | undefined;
      /** Then it is over by itself; undefined: when it is resumed. */
      readonly forMs: number | undefined;
    }
  | { readonly action: "resume"; readonly uplink: string | undefined }
  | {
      readonly action: "budget";
      readonly link: string;
      /** Of the current day or month; undefined: those of the configuration again. */
      readonly bytes: number | undefined;
    };

/** What relative times and chosen steps depend on. */
export type Circumstances = { readonly now: number; readonly tiers: readonly ResolutionMs[] };

export function parseSeriesRequest(search: URLSearchParams): Parsed<SeriesRequest> {
  return parsedBy(search, (parameters) => ({
    ...parameters.asked(),
    after: parameters.whole("after", { fallback: -1, min: 0, max: limits.seriesMax }),
    limit: parameters.whole("limit", { fallback: 100, min: 1, max: limits.queryPageSeriesMax }),
    latest: parameters.flag("latest", true),
  }));
}

export function parseReadingsRequest(
  search: URLSearchParams,
  { now }: Circumstances,
): Parsed<ReadingsRequest> {
  return parsedBy(search, (parameters) => {
    const max = Number.MAX_SAFE_INTEGER;
    const limit = parameters.whole("limit", { fallback: max, min: 1, max });
    parameters.oneOf("order", ["asc"]);
    return { ...parameters.asked(), range: parameters.range(now), limit };
  });
}

export function parseRawRequest(
  search: URLSearchParams,
  { now }: Pick<Circumstances, "now">,
): Parsed<RawParameters> {
  return parsedBy(search, (parameters) => ({
    id: parameters.one("id"),
    select: parameters.all("select"),
    ...parameters.range(now),
    priority: parameters.oneOf("priority", ["normal", "high", "low"]),
    asked: now,
  }));
}

export function parseLinkRequest(search: URLSearchParams): Parsed<LinkRequest> {
  return parsedBy(search, (parameters): LinkRequest => {
    const action = parameters.word("action", ["pause", "resume", "budget"]);
    switch (action) {
      case "pause":
        return { action, uplink: parameters.one("uplink"), forMs: parameters.pauseMs("for") };
      case "resume":
        return { action, uplink: parameters.one("uplink") };
      case "budget":
        return { action, link: parameters.one("link") ?? "", bytes: parameters.bytes("bytes") };
      default:
        return unreachable(action);
    }
  });
}

export function parseSummaryRequest(
  search: URLSearchParams,
  circumstances: Circumstances,
): Parsed<SummaryRequest> {
  return parsedBy(search, (parameters) => {
    const asked = parameters.asked();
    if (parameters.flag("latest", false)) return { ...asked, kind: "latest" };
    const range = parameters.range(circumstances.now);
    if (parameters.has("distinct")) {
      const of = parameters.oneOf("distinct", ["devices", "series"]);
      return { ...asked, kind: "distinct", of, range };
    }
    const step = parameters.step(range, circumstances.tiers);
    const whole = aligned(range, step);
    return { ...asked, kind: "buckets", range: whole, step, aggregates: parameters.aggregates() };
  });
}

/** Runs `read`, then says what it did not ask for. */
function parsedBy<Request>(
  search: URLSearchParams,
  read: (parameters: Parameters) => Request,
): Parsed<Request> {
  const parameters = new Parameters(search);
  try {
    const request = read(parameters);
    parameters.refuseOthers();
    return { kind: "request", request };
  } catch (error) {
    if (error instanceof Refusal) return { kind: "refused", message: error.message };
    throw error;
  }
}

/** Ends the parsing; never leaves this file. */
class Refusal extends Error {
  override readonly name = "Refusal";
}

class Parameters {
  readonly #search: URLSearchParams;
  readonly #known = new Set<string>();

  constructor(search: URLSearchParams) {
    this.#search = search;
  }

  has(name: string): boolean {
    this.#known.add(name);
    return this.#search.has(name);
  }

  refuseOthers(): void {
    const known = [...this.#known];
    for (const name of this.#search.keys()) {
      if (known.includes(name)) continue;
      const nearest = nearestOf(name, known);
      const hint = nearest === undefined ? `known are ${known.join(" ")}` : `is it ${nearest}?`;
      throw new Refusal(`the parameter ${JSON.stringify(name)} is not understood here: ${hint}`);
    }
  }

  asked(): Asked {
    return {
      wheres: this.#wheres(),
      format: this.oneOf("format", ["json", "ndjson"]),
      explain: this.flag("explain", false),
    };
  }

  range(now: number): TimeRange {
    const from = this.#time("from", now, "-1h");
    const to = this.#time("to", now, "now");
    if (from >= to) throw new Refusal("from must be before to");
    return { from, to };
  }

  step(range: TimeRange, tiers: readonly ResolutionMs[]): ResolutionMs {
    const max = limits.queryBucketsMax;
    const points = this.whole("points", { fallback: 300, min: 2, max });
    const text = this.one("step");
    if (text === undefined) return stepFor(range, { points, tiers });
    if (this.has("points")) throw new Refusal("say either step or points");
    const step = durationPattern.test(text) ? millisOf(text) : 0;
    if (step < 1) throw new Refusal(`step must be a duration such as 10m, not ${quoted(text)}`);
    const count = bucketsIn(aligned(range, step), step);
    if (count > max) {
      const least = durationText(stepFor(range, { points: max, tiers }));
      throw new Refusal(
        `steps of ${text} cut this span into ${count} buckets, more than ${max}: say step=${least}, or a shorter span`,
      );
    }
    return step;
  }

  aggregates(): readonly Aggregate[] {
    const text = this.one("aggregates") ?? defaultAggregates;
    const names = text.split(",");
    const chosen = aggregates.filter((name) => names.includes(name));
    if (chosen.length === new Set(names).size) return chosen;
    throw new Refusal(`aggregates must be some of ${aggregates.join(",")}, not ${quoted(text)}`);
  }

  whole(
    name: string,
    {
      fallback,
      min,
      max,
    }: { readonly fallback: number; readonly min: number; readonly max: number },
  ): number {
    const text = this.one(name);
    if (text === undefined) return fallback;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new Refusal(`${name} must be a whole number from ${min} to ${max}, not ${quoted(text)}`);
  }

  flag(name: string, fallback: boolean): boolean {
    const text = this.one(name);
    if (text === undefined) return fallback;
    if (["1", "true", ""].includes(text)) return true;
    if (["0", "false"].includes(text)) return false;
    throw new Refusal(`${name} must be true or false, not ${quoted(text)}`);
  }

  /** Undefined where it is not said. */
  pauseMs(name: string): number | undefined {
    const text = this.one(name);
    if (text === undefined) return undefined;
    const { pauseMsMin: min, pauseMsMax: max } = limits;
    const ms = durationPattern.test(text) ? millisOf(text) : Number.NaN;
    if (ms >= min && ms <= max) return ms;
    throw new Refusal(
      `${name} must be a duration such as 15m, from ${durationText(min)} to ${durationText(max)}, not ${quoted(text)}; leave it out, and it lasts until it is resumed`,
    );
  }

  /** Undefined where it is not said; without a unit it is a number of bytes. */
  bytes(name: string): number | undefined {
    const text = this.one(name);
    if (text === undefined) return undefined;
    const sized = /^\d+$/.test(text) ? `${text}B` : text;
    const bytes = bytesPattern.test(sized) ? bytesOf(sized) : Number.NaN;
    if (Number.isSafeInteger(bytes)) return bytes;
    throw new Refusal(
      `${name} must be a size such as 50MB or 64MiB, not ${quoted(text)}; leave it out for what the configuration says`,
    );
  }

  /** The first where it is not said. */
  oneOf<Word extends string>(name: string, words: readonly [Word, ...Word[]]): Word {
    return this.one(name) === undefined ? words[0] : this.word(name, words);
  }

  /** It must be said. */
  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const text = this.one(name);
    const word = words.find((known) => known === text);
    if (word !== undefined) return word;
    throw new Refusal(`${name} must be ${words.join(" or ")}, not ${quoted(text ?? "")}`);
  }

  /** Of `select`, or of `metric` and `tag.NAME`; `source` goes with both. */
  #wheres(): readonly WhereSpec[] {
    const selectors = this.all("select");
    const sources = this.all("source");
    const metrics = this.all("metric");
    const tags: Record<string, string> = Object.fromEntries(
      [...this.#search.keys()]
        .filter((name) => name.startsWith("tag."))
        .map((name) => [name.slice("tag.".length), this.one(name) ?? ""]),
    );
    if (selectors.length === 0) return [{ sources, metrics, tags }];
    if (metrics.length > 0 || Object.keys(tags).length > 0) {
      throw new Refusal("say either select, or metric and tag.NAME");
    }
    return selectors.map((text) => {
      const selector = parseSelector(text);
      if (selector.kind === "malformed") throw new Refusal(selector.message);
      return { ...selector.where, sources };
    });
  }

  #time(name: string, now: number, fallback: string): number {
    const text = this.one(name) ?? fallback;
    const time = timeOf(text, now);
    if (time !== undefined) return time;
    throw new Refusal(
      `${name} must be a time such as -7d, now, 2026-11-28T10:00:00Z or milliseconds since 1970, not ${quoted(text)}`,
    );
  }

  all(name: string): readonly string[] {
    this.#known.add(name);
    return this.#search.getAll(name);
  }

  one(name: string): string | undefined {
    const [text, second] = this.all(name);
    if (second !== undefined) throw new Refusal(`${name} is there twice`);
    return text;
  }
}

function quoted(text: string): string {
  return JSON.stringify(text);
}
