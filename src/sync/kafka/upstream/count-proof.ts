/**
 * What the summaries of an agent add up to, and whether that is what its completeness markers say: for
 * each pipeline and key the newest revisions of its windows, and beside them what gaps say is missing.
 * All that is said of a key lies in one partition, in the order in which it was said, so records come
 * here partition by partition, in order of offsets, whatever their lane.
 *
 *   window   told by its start, since a correction may change the end of a session; a later revision
 *            takes the place of an earlier one; a coarser summary (merged) stands for windows that were
 *            never sent, and takes the place of none
 *   marker   "all windows that end by T add up to n": what came before it is added up, and forgotten.
 *            None of them may come afterwards
 *   gap      readings that were dropped unsent, of all keys of the pipeline: by no more than these may
 *            keys fall short of their markers
 *
 * A key is compared from its first window on; where that may be gone (retention, another data
 * directory, a topic that grew) from its first marker on. A marker in the middle of a merged summary
 * says nothing by itself: the next one is compared.
 *
 * Where an outbox parted from another (a restored copy), what that one sent beyond is another history:
 * it is not counted. Memory: a key each, and a window each until a marker has counted it, at most
 * limits.verifyKeysMax and verifyWindowsMax; beyond, the oldest of a key are taken for final. Pure.
 */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { Complete, Summary } from "../../../core/record.ts";
import type { OutboxRecord } from "../../../store/outbox/record-codec.ts";
import type { Break } from "./break.ts";
import { type AnswerCount, RawProof } from "./raw-proof.ts";
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
  /** Completeness markers that were compared, and readings that the last ones of all keys count. */
  readonly markers: number;
  readonly markedReadings: number;
};

type Pipeline = { -readonly [name in keyof PipelineCount]: PipelineCount[name] } & {
  /** Readings by which keys fall short of their last markers. */
  shortReadings: number;
  /** The first marker of which its key fell short. */
  short: Break | undefined;
};

type Window = {
  readonly end: number;
  readonly revision: number;
  readonly count: number;
  readonly isMerged: boolean;
};

/** What the last marker said, and what was added up until then. */
type Marked = {
  readonly from: number | undefined;
  readonly through: number;
  readonly readings: number;
  readonly found: number;
};

type KeyCount = {
  readonly pipeline: Pipeline;
  readonly partition: string;
  /** By start, those that no marker has counted; in the order in which they came. */
  readonly windows: Map<number, Window>;
  /** The outbox of its last record, by lane. */
  readonly outboxes: Map<string, string>;
  /** All its windows were seen. */
  isWhole: boolean;
  /** It is in several partitions: their order is not known. */
  isScattered: boolean;
  last: Marked | undefined;
};

export type CountOptions = {
  /** By outbox the number from which on it is another history. */
  readonly excluded: ReadonlyMap<string, number>;
  /** The first records of keys may be in another cluster. */
  readonly mayBeginLater: boolean;
};

export class CountProof {
  readonly #options: CountOptions;
  readonly #keys = new Map<string, KeyCount>();
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #raw = new RawProof();
  #windows = 0;

  constructor(options: CountOptions) {
    this.#options = options;
  }

  get pipelines(): readonly PipelineCount[] {
    return [...this.#pipelines.values()]
      .map(({ shortReadings: _, short: __, ...count }) => count)
      .toSorted((a, b) => (a.pipeline < b.pipeline ? -1 : 1));
  }

  /** Answers to requests for raw readings. */
  get answers(): AnswerCount {
    return this.#raw.count;
  }

  /** `isTrimmed`: its partition has lost its front. */
  take(
    record: OutboxRecord,
    message: UpstreamMessage,
    { isTrimmed }: { readonly isTrimmed: boolean },
  ): Break | undefined {
    if (this.#isExcluded(message)) return undefined;
    switch (record.kind) {
      case "alert":
        this.#pipelineOf(record.pipeline).alerts += 1;
        return undefined;
      case "gap": {
        const pipeline = this.#pipelineOf(record.pipeline);
        pipeline.gaps += 1;
        pipeline.missingRecords += record.records;
        pipeline.missingReadings += record.readings;
        return undefined;
      }
      case "summary":
        return this.#summary(record, message, this.#keyOf(message, isTrimmed));
      case "complete":
        return this.#marker(record, message, this.#keyOf(message, isTrimmed));
      case "raw":
        return this.#raw.part(record, message, isTrimmed || this.#options.mayBeginLater);
      case "manifest":
        return this.#raw.manifest(record, message, isTrimmed || this.#options.mayBeginLater);
    }
  }

  /** When all are given: gaps may come after the markers that fall short by them. */
  finish(): Break | undefined {
    for (const { shortReadings, missingReadings, short } of this.#pipelines.values()) {
      if (shortReadings > missingReadings && short !== undefined) return short;
    }
    return undefined;
  }

  #isExcluded({ outbox, number }: OutboxNumber): boolean {
    const from = this.#options.excluded.get(outbox);
    return from !== undefined && number >= from;
  }

  // ---- windows ----

  #summary(record: Summary, message: UpstreamMessage, key: KeyCount): Break | undefined {
    const { start, end, revision, count, merged } = record;
    const { pipeline, windows, last } = key;
    const known = windows.get(start);
    if (!key.isScattered) {
      if (known !== undefined && revision <= known.revision) {
        return takenBack(message, record, known);
      }
      if (last !== undefined && end <= last.through) return afterMarker(message, record, last);
    }
    if (known !== undefined) {
      windows.delete(start);
      this.#windows -= 1;
      pipeline.windows -= known.count > 0 ? 1 : 0;
      pipeline.readings -= known.count;
    }
    pipeline.windows += count > 0 ? 1 : 0;
    pipeline.readings += count;
    pipeline.corrections += revision > 0 ? 1 : 0;
    pipeline.merged += merged === undefined ? 0 : 1;
    windows.set(start, { end, revision, count, isMerged: merged !== undefined });
    this.#windows += 1;
    this.#bound(key);
    return undefined;
  }

  #bound(key: KeyCount): void {
    if (this.#windows <= limits.verifyWindowsMax) return;
    const [oldest] = key.windows.keys();
    if (oldest === undefined) return;
    key.windows.delete(oldest);
    this.#windows -= 1;
    this.#loseTrack(key);
  }

  // ---- markers ----

  #marker(marker: Complete, message: UpstreamMessage, key: KeyCount): Break | undefined {
    const { through, readings, from } = marker;
    // A count that begins elsewhere is another one.
    if (key.isScattered || (key.last !== undefined && key.last.from !== from)) this.#loseTrack(key);
    const { pipeline, windows, last } = key;
    if (last !== undefined && through <= last.through) return markedAgain(message, marker, last);
    let found = last?.found ?? 0;
    const counted: number[] = [];
    for (const [start, { end, count, isMerged }] of windows) {
      if (isMerged && start < through && end > through) return undefined;
      if (end > through) continue;
      counted.push(start);
      if (from === undefined || end > from) found += count;
    }
    for (const start of counted) windows.delete(start);
    this.#windows -= counted.length;
    const isCompared = last !== undefined || (key.isWhole && !key.isScattered);
    if (!isCompared) found = readings;
    pipeline.markers += isCompared ? 1 : 0;
    pipeline.markedReadings += readings - (last?.readings ?? 0);
    pipeline.shortReadings += readings - found - ((last?.readings ?? 0) - (last?.found ?? 0));
    key.last = { from, through, readings, found };
    if (found > readings) return otherSum(message, marker, found);
    if (found < readings) pipeline.short ??= otherSum(message, marker, found);
    return undefined;
  }

  /** Until its next marker nothing is known of the key's sum. */
  #loseTrack(key: KeyCount): void {
    key.isWhole = false;
    if (key.last === undefined) return;
    key.pipeline.shortReadings -= key.last.readings - key.last.found;
    key.pipeline.markedReadings -= key.last.readings;
    key.last = undefined;
  }

  // ---- keys ----

  /** Another outbox that did not part from the one before is a new beginning. */
  #keyOf(message: UpstreamMessage, isTrimmed: boolean): KeyCount {
    const { at, key: text, lane, outbox, forkedFrom } = message;
    const name = text.slice(0, text.lastIndexOf("/"));
    const partition = `${at.topic}/${at.partition}`;
    const isWhole = !isTrimmed && !this.#options.mayBeginLater;
    const key = this.#keys.get(name) ?? this.#newKey(name, { partition, isWhole, text });
    if (key.partition !== partition) key.isScattered = true;
    const before = key.outboxes.get(lane);
    if (before === outbox) return key;
    key.outboxes.set(lane, outbox);
    if (before === undefined || before === forkedFrom?.outbox) return key;
    this.#windows -= key.windows.size;
    key.windows.clear();
    this.#loseTrack(key);
    return key;
  }

  #newKey(
    name: string,
    of: { readonly partition: string; readonly isWhole: boolean; readonly text: string },
  ): KeyCount {
    const { partition, isWhole, text } = of;
    const pipeline = this.#pipelineOf(partsOfKey(text).pipeline);
    pipeline.keys += 1;
    const key: KeyCount = {
      pipeline,
      partition,
      windows: new Map(),
      outboxes: new Map(),
      isWhole,
      isScattered: false,
      last: undefined,
    };
    this.#keys.set(name, key);
    if (this.#keys.size > limits.verifyKeysMax) throw tooManyKeys();
    return key;
  }

  #pipelineOf(name: string): Pipeline {
    const known = this.#pipelines.get(name);
    if (known !== undefined) return known;
    const fresh: Pipeline = {
      pipeline: name,
      keys: 0,
      windows: 0,
      readings: 0,
      merged: 0,
      corrections: 0,
      alerts: 0,
      gaps: 0,
      missingRecords: 0,
      missingReadings: 0,
      markers: 0,
      markedReadings: 0,
      shortReadings: 0,
      short: undefined,
    };
    this.#pipelines.set(name, fresh);
    return fresh;
  }
}

// ---- breaks ----

type Words = { readonly expected: string; readonly found: string };

function breakAt(what: Break["what"], message: UpstreamMessage, words: Words): Break {
  const { at, outbox, lane, number } = message;
  return { what, topic: at.topic, at, outbox, lane, number, ...words };
}

function takenBack(message: UpstreamMessage, { revision }: Summary, known: Window): Break {
  return breakAt(revision === known.revision ? "repeated" : "overtaken", message, {
    expected: `revision ${known.revision + 1} or later of ${message.key}`,
    found: `revision ${revision} after ${known.revision}`,
  });
}

function afterMarker(message: UpstreamMessage, { end }: Summary, last: Marked): Break {
  return breakAt("overtaken", message, {
    expected: `no window of ${message.key} that ends by ${last.through}, through which it was marked complete`,
    found: `one that ends at ${end}`,
  });
}

function markedAgain(message: UpstreamMessage, { through }: Complete, last: Marked): Break {
  return breakAt("repeated", message, {
    expected: `a marker of ${message.key} that goes beyond ${last.through}`,
    found: `one through ${through}`,
  });
}

function otherSum(message: UpstreamMessage, marker: Complete, found: number): Break {
  return breakAt("counted", message, {
    expected: `${marker.readings} readings in all windows of ${message.key.split("/", 3).join("/")} that end by ${marker.through}`,
    found: `${found}`,
  });
}

function tooManyKeys(): Fault {
  return new Fault(
    "INPUT_INVALID",
    `more than ${limits.verifyKeysMax} keys of pipelines are upstream, more than are added up`,
  );
}
