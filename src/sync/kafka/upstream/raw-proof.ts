/**
 * Whether answers to requests for raw readings are as their manifests say: the parts of one lie in one
 * partition, in order, and its manifest behind them.
 *
 *   parts      0, 1, 2 ... each once, as many as the manifest says
 *   readings   add up, over all and for each series
 *   digest     d(n + 1) = SHA-256(d(n), part), equal to the manifest's
 *
 * Of an answer whose first parts may be gone (retention, another cluster) nothing is compared, and no
 * digest where readings were erased before they were sent. Memory: one entry for each answer without a
 * manifest, and one for each series of it. Pure.
 */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { Manifest, Raw } from "../../../core/record.ts";
import { digestAfter, emptyDigest } from "../cursor.ts";
import type { Break } from "./break.ts";
import type { UpstreamMessage } from "./upstream-message.ts";

/** What was compared. */
export type AnswerCount = {
  /** Manifests, those of refused requests among them. */
  readonly answers: number;
  readonly readings: number;
  /** Answers without a manifest: more is to come. */
  readonly open: number;
};

type Answer = {
  next: number;
  readings: number;
  digest: string;
  isErased: boolean;
  /** Its front is there. */
  readonly isWhole: boolean;
  readonly bySeries: Map<string, number>;
};

export class RawProof {
  readonly #open = new Map<string, Answer>();
  #answers = 0;
  #readings = 0;

  get count(): AnswerCount {
    return { answers: this.#answers, readings: this.#readings, open: this.#open.size };
  }

  /** `mayLackFront`: what was before it in its partition may be gone. */
  part(raw: Raw, message: UpstreamMessage, mayLackFront: boolean): Break | undefined {
    const name = nameOf(message);
    const known = this.#open.get(name);
    const answer = known ?? begun(raw.part === 0 || !mayLackFront, raw.part);
    if (known === undefined && this.#open.size >= limits.verifyKeysMax) {
      throw new Fault(
        "INPUT_INVALID",
        `more than ${limits.verifyKeysMax} answers are open upstream`,
      );
    }
    this.#open.set(name, answer);
    if (answer.isWhole && raw.part !== answer.next) {
      const what = raw.part < answer.next ? "repeated" : "missing";
      const expected = `part ${answer.next} of the answer to ${raw.request}`;
      return breakAt(message, what, { expected, found: `part ${raw.part}` });
    }
    const readings = raw.erased ?? raw.times.length;
    const series = `${raw.source} ${raw.series}`;
    answer.next = raw.part + 1;
    answer.readings += readings;
    answer.bySeries.set(series, (answer.bySeries.get(series) ?? 0) + readings);
    answer.digest = digestAfter(answer.digest, message.value);
    answer.isErased ||= raw.erased !== undefined;
    return undefined;
  }

  manifest(manifest: Manifest, message: UpstreamMessage, mayLackFront: boolean): Break | undefined {
    const name = nameOf(message);
    const answer = this.#open.get(name) ?? begun(manifest.parts === 0 || !mayLackFront, 0);
    this.#open.delete(name);
    if (!answer.isWhole) return undefined;
    const said = manifestText(manifest, manifest.digest);
    const digest = answer.isErased ? manifest.digest : answer.digest;
    const { next: parts, readings } = answer;
    const found = manifestText({ request: manifest.request, parts, readings }, digest);
    if (found !== said) return breakAt(message, "counted", { expected: said, found });
    for (const { source, series, readings: count } of manifest.series) {
      const sum = answer.bySeries.get(`${source} ${series}`) ?? 0;
      if (sum === count) continue;
      const expected = `${count} readings of ${series} in the answer to ${manifest.request}`;
      return breakAt(message, "counted", { expected, found: `${sum}` });
    }
    this.#answers += 1;
    this.#readings += readings;
    return undefined;
  }
}

function begun(isWhole: boolean, part: number): Answer {
  return {
    next: isWhole ? 0 : part,
    readings: 0,
    digest: emptyDigest,
    isErased: false,
    isWhole,
    bySeries: new Map(),
  };
}

/** agent/raw/request: the key without what the record has of its own. */
function nameOf({ key }: UpstreamMessage): string {
  return key.slice(0, key.lastIndexOf("/"));
}

function manifestText(
  { request, parts, readings }: Pick<Manifest, "request" | "parts" | "readings">,
  digest: string,
): string {
  return `${readings} readings in ${parts} parts of the answer to ${request}, of digest ${digest}`;
}

function breakAt(
  { at, outbox, lane, number }: UpstreamMessage,
  what: Break["what"],
  words: { readonly expected: string; readonly found: string },
): Break {
  return { what, topic: at.topic, at, outbox, lane, number, ...words };
}
