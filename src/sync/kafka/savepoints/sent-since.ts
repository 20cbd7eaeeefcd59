/**
 * What an agent has upstream that a savepoint of it may not know: how far the windows of each key go, and
 * which of the records that waited in the savepoint's outbox have been sent. Reads the topics of records
 * as a `read_committed` consumer, after the agent's name was taken: what is there is all there will be.
 */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { HeldBack } from "../../../store/state/held-back.ts";
import type { DecodedRecord } from "../../../store/outbox/record-codec.ts";
import type { TopicSource } from "../cluster.ts";
import { CommittedRecords } from "../upstream/committed-records.ts";
import { openRecordReader } from "../upstream/record-reader.ts";
import { isOfAgent, messageOf } from "../upstream/upstream-message.ts";
import { noProgress } from "../no-progress.ts";

export type SentOptions = {
  readonly agent: string;
  /** Ids of outboxes that wrote under the name. */
  readonly outboxes: ReadonlySet<string>;
  readonly topics: readonly string[];
  /** By topic the offsets to begin at; a topic that is not named is read from its beginning. */
  readonly since: Readonly<Record<string, readonly number[]>>;
  /** Records that waited when the savepoint was made. */
  readonly waiting: readonly DecodedRecord[];
  /** Sizes of sliding windows by name of the pipeline, ms. */
  readonly slides: ReadonlyMap<string, number>;
};

type Span = { readonly start: number; readonly end: number };

export class SentSince {
  readonly heldBack: HeldBack = new HeldBack();
  /** Names of pipelines that have sent windows. */
  readonly pipelines: Set<string> = new Set();
  /** Latest event time of what was sent: end of a window, time of an alert; undefined without any. */
  newest: number | undefined;
  records = 0;
  /** Values that are no record, and were passed over. */
  unread = 0;
  /** Offsets from `since` on that the topics do not keep any more. */
  expired = 0;
  readonly #slides: ReadonlyMap<string, number>;
  /** Of windows that wait: the newest revision upstream. */
  readonly #revisions: Map<string, number | undefined>;
  readonly #others: Map<string, boolean>;
  /** Of keys of which something waits: coarser windows upstream, and through what they were marked. */
  readonly #merged: Map<string, Span[]>;
  readonly #marked = new Map<string, number>();

  constructor(
    waiting: readonly DecodedRecord[],
    { slides = new Map() }: Partial<Pick<SentOptions, "slides">> = {},
  ) {
    this.#slides = slides;
    const windows = waiting.filter(({ record }) => record.kind === "summary");
    const others = waiting.filter(({ record }) => record.kind !== "summary");
    this.#revisions = new Map(windows.map(({ id }) => [windowOf(id), undefined]));
    this.#others = new Map(others.map(({ id }) => [id, false]));
    this.#merged = new Map(windows.map(({ id }) => [nameOf(id), []]));
  }

  take({ id, record }: DecodedRecord): void {
    this.records += 1;
    if (this.#others.has(id)) this.#others.set(id, true);
    switch (record.kind) {
      case "summary": {
        const { start, end, revision, merged, pipeline } = record;
        this.pipelines.add(pipeline);
        this.heldBack.raise(ownName(id), this.#floorAt(pipeline, end));
        this.#later(end);
        const window = windowOf(id);
        if (this.#revisions.has(window)) {
          this.#revisions.set(window, Math.max(revision, this.#revisions.get(window) ?? 0));
        }
        if (merged !== undefined) this.#merged.get(nameOf(id))?.push({ start, end });
        return;
      }
      case "complete":
        this.heldBack.raise(ownName(id), this.#floorAt(record.pipeline, record.through));
        if (this.#merged.has(nameOf(id))) this.#marked.set(nameOf(id), record.through);
        return;
      case "alert":
        this.#later(record.time);
        return;
      case "gap":
      case "raw":
      case "manifest":
        return;
    }
  }

  /** Whether a record that waited is to be sent no more: it is upstream, or something for it. */
  has({ id, record }: DecodedRecord): boolean {
    if (record.kind === "complete") return this.heldBack.floorOf(nameOf(id)) !== undefined;
    if (record.kind !== "summary") return this.#others.get(id) === true;
    const { start, end, revision } = record;
    const name = nameOf(id);
    const isMerged = this.#merged.get(name)?.some((of) => of.start <= start && end <= of.end);
    // A marker is sent behind the windows that it is about, not behind all that corrects them.
    const isMarked = revision === 0 && end <= (this.#marked.get(name) ?? Number.NEGATIVE_INFINITY);
    return isMerged === true || isMarked || (this.#revisions.get(windowOf(id)) ?? -1) >= revision;
  }

  /**
   * Before it all windows of the pipeline begin that end by `end`. Sliding windows overlap: the next ones
   * begin long before, and nobody has sent them.
   */
  #floorAt(pipeline: string, end: number): number {
    const size = this.#slides.get(pipeline);
    return size === undefined ? end : end - size + 1;
  }

  #later(time: number): void {
    this.newest = Math.max(time, this.newest ?? time);
  }
}

/** What is no record is passed over, and counted. Rejects as `Cluster` does. */
export async function readSentSince(
  cluster: TopicSource,
  { agent, outboxes, topics, since, waiting, slides }: SentOptions,
): Promise<SentSince> {
  const sent = new SentSince(waiting, { slides });
  const read = openRecordReader();
  const takes = isOfAgent(agent, outboxes);
  const counts = await cluster.partitionsOf(topics);
  for (const [topic, count] of counts) {
    for (let partition = 0; partition < count; partition++) {
      const at = { topic, partition };
      const { first, end } = await cluster.offsets(at);
      const begun = since[topic]?.[partition] ?? first;
      sent.expired += Math.max(0, first - begun);
      // Beyond the end: the topic was made anew since.
      const from = begun > end ? first : Math.max(first, begun);
      const bytesMax = limits.kafkaFetchBytesMax;
      const records = new CommittedRecords(cluster, { at, from, bytesMax, takes });
      while (records.offset < end) {
        const before = records.offset;
        for (const found of await records.next()) {
          const message = messageOf(found, at);
          if (message === undefined) continue;
          const place = `${topic}/${partition} at offset ${found.offset}`;
          const record = await read(message.value, place).catch(asUnread);
          if (record === undefined) sent.unread += 1;
          else sent.take(record);
        }
        if (records.offset === before) throw noProgress(at, { offset: before, end });
      }
    }
  }
  return sent;
}

function asUnread(error: unknown): undefined {
  if (error instanceof Fault) return undefined;
  throw error;
}

/** agent/pipeline/key/start */
function windowOf(id: string): string {
  return id.split("/", 4).join("/");
}

/** agent/pipeline/key */
function nameOf(id: string): string {
  return id.split("/", 3).join("/");
}

/** pipeline/key */
function ownName(id: string): string {
  return id.split("/", 3).slice(1).join("/");
}
