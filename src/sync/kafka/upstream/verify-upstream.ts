/**
 * Proves from the topics alone what an agent has upstream: reads them as a `read_committed` consumer
 * from the beginning, and compares with what its cursors say.
 *
 *   cursors    every outbox and lane: how many records, and their digest on the way
 *   numbers    each once, none missing, in order in each partition    lane-proof.ts
 *   counts     newest revisions and gaps by pipeline and key          count-proof.ts
 *
 * A topic is read once for each outbox and lane in it, its partitions side by side: whichever has the
 * lowest number goes on, so only one answer of each partition is held. The first of these reads also
 * finds out which outboxes there are, and adds up.
 */

import type { Clock } from "../../../core/doors.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { FetchedRecord, TopicSource } from "../cluster.ts";
import { noProgress } from "../no-progress.ts";
import type { Break } from "./break.ts";
import { CommittedRecords } from "./committed-records.ts";
import { CountProof, type PipelineCount } from "./count-proof.ts";
import { LaneProof, type LaneProven } from "./lane-proof.ts";
import type { AnswerCount } from "./raw-proof.ts";
import { openRecordReader } from "./record-reader.ts";
import { type LaneCursors, type Marks, readCursors } from "./upstream-cursors.ts";
import {
  isOfAgent,
  messageOf,
  type OutboxNumber,
  type UpstreamMessage,
} from "./upstream-message.ts";

export type VerifyOptions = {
  /** The topics of the lanes, each once, and that of the cursors. */
  readonly topics: readonly string[];
  readonly cursorTopic: string;
  /** Undefined: every agent that has a cursor. */
  readonly agent: string | undefined;
  /** The first records of an outbox may be in another cluster, which this one took the place of. */
  readonly mayBeginLater: boolean;
  readonly clock: Clock;
  /** Told while topics are read. */
  readonly onProgress?: (progress: Progress) => void;
};

export type Progress = {
  readonly agent: string;
  readonly topic: string;
  /** Records read of it so far, of about so many, in this pass over it. */
  readonly read: number;
  readonly all: number;
};

/** What an outbox sent beyond the number at which another parted from it. */
export type Fork = { readonly lane: string; readonly outbox: string; readonly from: OutboxNumber };

export type AgentProven = {
  readonly agent: string;
  readonly lanes: readonly LaneProven[];
  readonly pipelines: readonly PipelineCount[];
  /** Of requests for raw readings. */
  readonly answers: AnswerCount;
  readonly forks: readonly Fork[];
};

export type Verdict =
  | { readonly kind: "proven"; readonly agents: readonly AgentProven[] }
  | { readonly kind: "broken"; readonly agent: string; readonly first: Break };

/** Rejects as `Cluster` does; INPUT_INVALID where nothing is there to verify. */
export async function verifyUpstream(
  cluster: TopicSource,
  options: VerifyOptions,
): Promise<Verdict> {
  const { agent, cursorTopic } = options;
  const cursors = await readCursors(cluster, { topic: cursorTopic, agent });
  if (cursors.length === 0) throw nothingThere(options);
  const agents: AgentProven[] = [];
  for (const [name, lanes] of Map.groupBy(cursors, (of) => of.agent)) {
    const proven = await new AgentVerifier(cluster, { ...options, agent: name, lanes }).run();
    if ("what" in proven) return { kind: "broken", agent: name, first: proven };
    agents.push(proven);
  }
  return { kind: "proven", agents };
}

type AgentOptions = VerifyOptions & {
  readonly agent: string;
  readonly lanes: readonly LaneCursors[];
};

/** An outbox and lane in a topic. */
type Stream = { readonly topic: string; readonly outbox: string; readonly lane: string };

/** What a read of a topic finds out beside the one stream that it puts in order. */
type Visited = {
  readonly found: Map<string, Stream>;
  readonly counts: CountProof | undefined;
  /** How many forks were known when it began. */
  readonly forksKnown: number;
};

class AgentVerifier {
  readonly #cluster: TopicSource;
  readonly #options: AgentOptions;
  readonly #marks = new Map<string, Marks>();
  readonly #takes: (record: FetchedRecord) => boolean;
  readonly #read = openRecordReader();
  readonly #forks = new Map<string, Fork>();
  #isTrimmed = false;

  constructor(cluster: TopicSource, options: AgentOptions) {
    this.#cluster = cluster;
    this.#options = options;
    for (const { marks } of options.lanes)
      for (const [of, each] of marks) this.#marks.set(of, each);
    this.#takes = isOfAgent(options.agent, new Set(this.#marks.keys()));
  }

  async run(): Promise<Break | AgentProven> {
    const lanes: LaneProven[] = [];
    const pipelines: PipelineCount[] = [];
    const answers = { answers: 0, readings: 0, open: 0 };
    for (const topic of this.#options.topics) {
      const proven = await this.#proveTopic(topic);
      if ("what" in proven) return proven;
      lanes.push(...proven.lanes);
      pipelines.push(...proven.pipelines);
      answers.answers += proven.answers.answers;
      answers.readings += proven.answers.readings;
      answers.open += proven.answers.open;
    }
    const absent = this.#absent(lanes);
    if ("what" in absent) return absent;
    lanes.push(...absent);
    const { agent } = this.#options;
    const forks = [...this.#forks.values()];
    const beyond = await this.#beyond(lanes);
    return beyond ?? { agent, lanes, pipelines, answers, forks };
  }

  async #proveTopic(
    topic: string,
  ): Promise<Break | Pick<AgentProven, "lanes" | "pipelines" | "answers">> {
    const found = new Map<string, Stream>();
    const proven = new Map<string, LaneProven>();
    let forksKnown = -1;
    let next: Stream | undefined = this.#firstGuess(topic);
    let pipelines: readonly PipelineCount[] = [];
    let answers: AnswerCount = { answers: 0, readings: 0, open: 0 };
    while (next !== undefined) {
      // What was counted before a fork was known may have been of the other history.
      const mustCount = forksKnown !== this.#forks.size;
      const counts = mustCount ? this.#newCounts() : undefined;
      forksKnown = this.#forks.size;
      const outcome = await this.#pass(next, { found, counts, forksKnown });
      if ("what" in outcome) return outcome;
      const name = nameOf(next);
      if (found.has(name)) proven.set(name, outcome);
      if (counts !== undefined) {
        const short = forksKnown === this.#forks.size ? counts.finish() : undefined;
        if (short !== undefined) return short;
        pipelines = counts.pipelines;
        answers = counts.answers;
      }
      next = [...found.values()].find((stream) => !proven.has(nameOf(stream)));
      if (forksKnown !== this.#forks.size) next ??= [...found.values()][0];
    }
    return { lanes: [...proven.values()], pipelines, answers };
  }

  /** The one that is likely there, so that one read is enough in most cases. */
  #firstGuess(topic: string): Stream {
    const { lanes } = this.#options;
    const lane = lanes.find((of) => topic.endsWith(of.lane)) ?? lanes[0];
    return { topic, outbox: lane?.cursor.mark.outbox ?? "", lane: lane?.lane ?? "" };
  }

  #newCounts(): CountProof {
    const excluded = new Map<string, number>();
    for (const { from } of this.#forks.values()) {
      excluded.set(from.outbox, Math.min(from.number, excluded.get(from.outbox) ?? Infinity));
    }
    return new CountProof({ excluded, mayBeginLater: this.#options.mayBeginLater });
  }

  // ---- one read of a topic ----

  async #pass(stream: Stream, to: Visited): Promise<Break | LaneProven> {
    const partitions = await this.#openPartitions(stream.topic);
    const { outbox, lane } = stream;
    const marks = this.#marks.get(outbox) ?? new Map<number, string>();
    const proof = new LaneProof({
      ...stream,
      end: marks.size === 0 ? undefined : Math.max(...marks.keys()),
      marks,
      trimmed: new Set(partitions.filter((of) => of.isTrimmed).map((of) => of.partition)),
      mayBeginLater: this.#options.mayBeginLater,
    });
    const heads: { readonly of: PartitionReader; head: UpstreamMessage | undefined }[] = [];
    const onto = async (of: PartitionReader): Promise<UpstreamMessage | Break | undefined> => {
      for (;;) {
        const message = await of.next();
        if (message === undefined) return undefined;
        const broken = await this.#visit(message, { ...to, isTrimmed: of.isTrimmed });
        if (broken !== undefined) return broken;
        if (message.outbox === outbox && message.lane === lane) return message;
      }
    };
    for (const of of partitions) {
      const head = await onto(of);
      if (head !== undefined && "what" in head) return head;
      heads.push({ of, head });
    }
    for (;;) {
      let lowest: (typeof heads)[number] | undefined;
      for (const each of heads) {
        if (each.head === undefined) continue;
        if (lowest?.head === undefined || each.head.number < lowest.head.number) lowest = each;
      }
      if (lowest?.head === undefined) {
        // Where nothing of it is in this topic, it may be in another.
        const isHere = to.found.has(nameOf(stream));
        return isHere ? proof.finish() : nothingOf({ ...stream, removed: 0 });
      }
      const broken = proof.take(lowest.head);
      if (broken !== undefined) return broken;
      const head = await onto(lowest.of);
      if (head !== undefined && "what" in head) return head;
      lowest.head = head;
    }
  }

  async #openPartitions(topic: string): Promise<readonly PartitionReader[]> {
    const count = (await this.#cluster.partitionsOf([topic])).get(topic) ?? 0;
    const share = Math.floor(limits.verifyReadBytesMax / Math.max(1, count));
    const bytesMax = Math.max(
      limits.verifyFetchBytesMin,
      Math.min(share, limits.kafkaFetchBytesMax),
    );
    const progress = { agent: this.#options.agent, topic, read: 0, all: 0 };
    const readers: PartitionReader[] = [];
    for (let partition = 0; partition < count; partition++) {
      const at = { topic, partition };
      const { first, end } = await this.#cluster.offsets(at);
      progress.all += end - first;
      if (first > 0) this.#isTrimmed = true;
      const records = new CommittedRecords(this.#cluster, {
        at,
        from: first,
        bytesMax,
        takes: this.#takes,
      });
      const onRead = (read: number): void => {
        progress.read += read;
        this.#options.onProgress?.(progress);
      };
      readers.push(
        new PartitionReader(records, { first, end, clock: this.#options.clock, onRead }),
      );
    }
    return readers;
  }

  async #visit(
    message: UpstreamMessage,
    { found, counts, forksKnown, isTrimmed }: Visited & { readonly isTrimmed: boolean },
  ): Promise<Break | undefined> {
    const { at, outbox, lane, number, forkedFrom, value } = message;
    const stream = { topic: at.topic, outbox, lane };
    const name = nameOf(stream);
    if (!found.has(name)) found.set(name, stream);
    if (forkedFrom !== undefined && !this.#forks.has(outbox)) {
      this.#forks.set(outbox, { lane, outbox, from: forkedFrom });
    }
    if (counts === undefined) return undefined;
    const place = `${at.topic}/${at.partition} at offset ${at.offset}`;
    try {
      const { record } = await this.#read(value, place);
      const broken = counts.take(record, message, { isTrimmed });
      // What contradicts it may be of the other history of an outbox that has parted: counted anew.
      return this.#forks.size === forksKnown ? broken : undefined;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "STORE_FAILED") throw error;
      const words = { expected: "a record", found: error.message };
      return { what: "unreadable", topic: at.topic, at, outbox, lane, number, ...words };
    }
  }

  // ---- what no record says ----

  /** Lanes that have sent something, of which nothing was found: retention may have removed it all. */
  #absent(proven: readonly LaneProven[]): Break | readonly LaneProven[] {
    const { lanes, topics, mayBeginLater } = this.#options;
    const [topic = ""] = topics;
    const absent: LaneProven[] = [];
    for (const { lane, cursor } of lanes) {
      const { outbox, seq } = cursor.mark;
      if (seq === 0 || proven.some((of) => of.outbox === outbox && of.lane === lane)) continue;
      if (!this.#isTrimmed && !mayBeginLater) {
        const expected = `the numbers 0 to ${seq - 1}, as the cursor says`;
        const words = { expected, found: "none of them" };
        const all = topics.join(" and ");
        return { what: "missing", topic: all, at: undefined, outbox, lane, number: 0, ...words };
      }
      absent.push(nothingOf({ topic, outbox, lane, removed: seq }));
    }
    return absent;
  }

  /** Records beyond the cursors came after these were read, or are counted by none. */
  async #beyond(proven: readonly LaneProven[]): Promise<Break | undefined> {
    const newer = proven.filter((of) => of.newer > 0);
    if (newer.length === 0) return undefined;
    const { agent, cursorTopic } = this.#options;
    const now = await readCursors(this.#cluster, { topic: cursorTopic, agent });
    for (const { topic, outbox, lane, next } of newer) {
      const marks = now.find((of) => of.lane === lane)?.marks.get(outbox);
      const end = marks === undefined ? 0 : Math.max(...marks.keys());
      if (next <= end) continue;
      const expected = `no number from ${end} on, since the cursor is there`;
      const words = { expected, found: `${next - 1}` };
      return { what: "beyond", topic, at: undefined, outbox, lane, number: next - 1, ...words };
    }
    return undefined;
  }
}

/** The records of one partition up to where it ended, and what was undecided then. */
class PartitionReader {
  readonly partition: number;
  /** Records in front are gone. */
  readonly isTrimmed: boolean;
  readonly #records: CommittedRecords;
  readonly #of: {
    readonly end: number;
    readonly clock: Clock;
    readonly onRead: (records: number) => void;
  };
  #ready: readonly FetchedRecord[] = [];
  #given = 0;

  constructor(
    records: CommittedRecords,
    of: {
      readonly first: number;
      readonly end: number;
      readonly clock: Clock;
      readonly onRead: (records: number) => void;
    },
  ) {
    this.partition = records.at.partition;
    this.isTrimmed = of.first > 0;
    this.#records = records;
    this.#of = of;
  }

  async next(): Promise<UpstreamMessage | undefined> {
    for (;;) {
      while (this.#given < this.#ready.length) {
        const message = messageOf(this.#ready[this.#given++]!, this.#records.at);
        if (message !== undefined) return message;
      }
      if (!(await this.#fill())) return undefined;
    }
  }

  /** False at the end. */
  async #fill(): Promise<boolean> {
    const { end, clock, onRead } = this.#of;
    const records = this.#records;
    const deadline = clock.monotonic() + limits.verifyPatienceMs;
    while (records.offset < end || records.undecided > 0) {
      const before = records.offset;
      this.#ready = await records.next();
      this.#given = 0;
      onRead(records.offset - before);
      if (this.#ready.length > 0) return true;
      if (records.offset > before) continue;
      if (records.offset < end) throw noProgress(records.at, { offset: before, end });
      // The last one is about to be decided, or whoever wrote it is gone: then it will be aborted.
      if (clock.monotonic() > deadline) return false;
      await new Promise<void>((resolve) => clock.after(pollMs, resolve));
    }
    return false;
  }
}

const pollMs = 100;

function nothingOf(of: Stream & { readonly removed: number }): LaneProven {
  const { removed } = of;
  const none = { records: 0, newer: 0, cursors: 0, digestTo: undefined };
  return { ...of, first: removed, next: removed, ...none };
}

function nameOf({ outbox, lane }: { readonly outbox: string; readonly lane: string }): string {
  return `${outbox}:${lane}`;
}

function nothingThere({ agent, cursorTopic }: VerifyOptions): Fault {
  const who = agent === undefined ? "no agent has" : `${agent} has no`;
  const what = agent === undefined ? "a cursor" : "cursor";
  return new Fault(
    "INPUT_INVALID",
    `${who} ${what} in ${cursorTopic}: check the name and the topic; with delivery: upsert there are none, and nothing can be proven`,
    { facts: { topic: cursorTopic } },
  );
}
