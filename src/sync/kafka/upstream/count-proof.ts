/**
 * What the summaries of an agent add up to: for each pipeline and key the newest revisions of its
 * windows, and beside them what gaps say is missing. All that is said of a key lies in one partition,
 * in the order in which it was said, so records come here partition by partition, in order of offsets,
 * whatever their lane.
 *
 *   window   told by its start, since a correction may change the end of a session; a later revision
 *            takes the place of an earlier one; a coarser summary (merged) stands for
 *            windows that were never sent, and takes the place of none
 *   gap      readings that were dropped unsent, of all keys of the pipeline
 *
 * Where an outbox parted from another (a restored copy), what that one sent beyond is another history:
 * it is not counted. Memory: a key each, and a window each while it may be corrected, at most
 * limits.verifyKeysMax and verifyWindowsMax; beyond, the oldest of a key are taken for final. Pure.
 */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { Alert, Gap, Summary } from "../../../core/record.ts";
import type { Break } from "./break.ts";
import { type OutboxNumber, partsOfKey, type UpstreamMessage } from "./upstream-message.ts";

/** What was counted of one pipeline. */
export type PipelineCount = {
  readonly pipeline: string;
  readonly keys: number;
  /** Windows that are not withdrawn, merged summaries among them, and readings in them. */
  readonly windows: number;
  readonly readings: number;
  readonly merged: number;
  readonly corrections: number;
  readonly alerts: number;
  readonly gaps: number;
  /** Records and readings that gaps stand for. */
  readonly missingRecords: number;
  readonly missingReadings: number;
};

type Window = { readonly end: number; readonly revision: number; readonly count: number };

type KeyCount = {
  /** By start, those that may still be corrected; in the order in which they came. */
  readonly windows: Map<number, Window>;
  /** The outbox of its last record, by lane. */
  readonly outboxes: Map<string, string>;
};

export class CountProof {
  readonly #excluded: ReadonlyMap<string, number>;
  readonly #keys = new Map<string, KeyCount>();
  readonly #pipelines = new Map<
    string,
    { -readonly [name in keyof PipelineCount]: PipelineCount[name] }
  >();
  #windows = 0;

  /** `excluded`: by outbox the number from which on it is another history. */
  constructor(excluded: ReadonlyMap<string, number>) {
    this.#excluded = excluded;
  }

  get pipelines(): readonly PipelineCount[] {
    return [...this.#pipelines.values()].toSorted((a, b) => (a.pipeline < b.pipeline ? -1 : 1));
  }

  take(record: Summary | Alert | Gap, message: UpstreamMessage): Break | undefined {
    if (this.#isExcluded(message)) return undefined;
    const pipeline = this.#pipelineOf(record.pipeline);
    switch (record.kind) {
      case "alert":
        pipeline.alerts += 1;
        return undefined;
      case "gap":
        pipeline.gaps += 1;
        pipeline.missingRecords += record.records;
        pipeline.missingReadings += record.readings;
        return undefined;
      case "summary":
        return this.#summary(record, message);
    }
  }

  #isExcluded({ outbox, number }: OutboxNumber): boolean {
    const from = this.#excluded.get(outbox);
    return from !== undefined && number >= from;
  }

  #summary(record: Summary, message: UpstreamMessage): Break | undefined {
    const { start, end, revision, count, merged } = record;
    const pipeline = this.#pipelineOf(record.pipeline);
    const key = this.#keyOf(message);
    const known = key.windows.get(start);
    if (known !== undefined && revision <= known.revision) return takenBack(message, record, known);
    if (known !== undefined) {
      key.windows.delete(start);
      this.#windows -= 1;
      pipeline.windows -= known.count > 0 ? 1 : 0;
      pipeline.readings -= known.count;
    }
    pipeline.windows += count > 0 ? 1 : 0;
    pipeline.readings += count;
    pipeline.corrections += revision > 0 ? 1 : 0;
    pipeline.merged += merged === undefined ? 0 : 1;
    key.windows.set(start, { end, revision, count });
    this.#windows += 1;
    this.#bound(key);
    return undefined;
  }

  /** Another outbox that did not part from the one before is a new beginning. */
  #keyOf({ key, lane, outbox, forkedFrom }: UpstreamMessage): KeyCount {
    const name = key.slice(0, key.lastIndexOf("/"));
    let found = this.#keys.get(name);
    if (found === undefined) {
      found = { windows: new Map(), outboxes: new Map() };
      this.#keys.set(name, found);
      this.#pipelineOf(partsOfKey(key).pipeline).keys += 1;
      if (this.#keys.size > limits.verifyKeysMax) throw tooManyKeys();
    }
    const before = found.outboxes.get(lane);
    if (before !== outbox) {
      found.outboxes.set(lane, outbox);
      if (before !== undefined && before !== forkedFrom?.outbox) {
        this.#windows -= found.windows.size;
        found.windows.clear();
      }
    }
    return found;
  }

  #bound({ windows }: KeyCount): void {
    if (this.#windows <= limits.verifyWindowsMax) return;
    const [oldest] = windows.keys();
    if (oldest === undefined) return;
    windows.delete(oldest);
    this.#windows -= 1;
  }

  #pipelineOf(pipeline: string): { -readonly [name in keyof PipelineCount]: PipelineCount[name] } {
    const known = this.#pipelines.get(pipeline);
    if (known !== undefined) return known;
    const fresh = {
      pipeline,
      keys: 0,
      windows: 0,
      readings: 0,
      merged: 0,
      corrections: 0,
      alerts: 0,
      gaps: 0,
      missingRecords: 0,
      missingReadings: 0,
    };
    this.#pipelines.set(pipeline, fresh);
    return fresh;
  }
}

function takenBack(
  { at, outbox, lane, number, key }: UpstreamMessage,
  { revision }: Summary,
  known: Window,
): Break {
  return {
    what: revision === known.revision ? "repeated" : "overtaken",
    topic: at.topic,
    at,
    outbox,
    lane,
    number,
    expected: `revision ${known.revision + 1} or later of ${key}`,
    found: `revision ${revision} after ${known.revision}`,
  };
}

function tooManyKeys(): Fault {
  return new Fault(
    "INPUT_INVALID",
    `more than ${limits.verifyKeysMax} keys of pipelines are upstream, more than are added up`,
  );
}
