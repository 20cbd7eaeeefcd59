/**
 * Sends one savepoint as a set: its chunks, the head last, then what removes the chunks that the slot had
 * beyond them.
 *
 *   room for the chunks is stored -> chunks -> the head is stored -> the head -> the next number is stored
 *     -> keys beyond are removed
 *
 * A try that failed goes on where it was. Where a chunk got no answer in time the link is too slow for it:
 * chunks are half as large then, in a set that begins anew; each whole set makes them twice as large again.
 */

import type { Clock } from "../../../core/doors.ts";
import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import {
  chunkKey,
  decodeHead,
  encodeChunk,
  encodeHead,
  FileDigest,
  headKey,
  pieceBytesMax,
  type SentTopics,
  type SetHead,
  slotOf,
} from "../../../store/care/savepoint-set.ts";
import type { UpstreamFile, UpstreamSavepoint } from "../../../store/care/upstream-file.ts";
import type { Closing } from "../closing.ts";
import type { Cluster } from "../cluster.ts";
import { partitionOf } from "../message/murmur2.ts";
import { type Compression, type KeyedRecord, encodeRecordBatch } from "../message/record-batch.ts";
import { openSavepointTopic, type TopicOptions } from "../topics.ts";
import type { SetState } from "./set-state.ts";
import type { TopicEnds } from "./topic-ends.ts";

export type SetSenderOptions = {
  readonly agent: string;
  /** Version of weir. */
  readonly version: string;
  readonly topic: string;
  /** Said with each set; of those of summaries and alerts the ends are read as well. */
  readonly topics: TopicOptions & SentTopics;
  readonly chunkBytes: number;
  readonly clock: Clock;
  readonly connect: () => Promise<Cluster>;
  readonly compression: () => Promise<Compression>;
  /** A random hex text of so many bytes. */
  readonly randomHex: (bytes: number) => string;
};

export type SetSenderParts = {
  readonly closing: Closing;
  readonly file: UpstreamFile;
  readonly ends: TopicEnds;
  readonly read: () => SetState;
  readonly store: (state: SetState) => Promise<void>;
  /** Resolves when so many bytes may be sent; rejects where nothing is to be sent any more. */
  readonly turn: (bytes: number) => Promise<void>;
  readonly onChunk: (sent: number, of: number) => void;
};

export type Made = {
  readonly file: UpstreamSavepoint;
  readonly life: number;
  readonly since: SetHead["since"];
};

/** A set on its way. */
type Upload = {
  readonly made: Made;
  readonly set: string;
  readonly pieceBytes: number;
  readonly digest: FileDigest;
  /** Chunks that are there. */
  sent: number;
  /** Digest of what was sent, once all was. */
  proof: string | undefined;
  /** Once its head is there. */
  number: number | undefined;
};

type Produce = (records: readonly KeyedRecord[]) => Promise<void>;

export class SetSender {
  readonly #options: SetSenderOptions;
  readonly #parts: SetSenderParts;
  readonly #pieceBytesMax: number;
  #pieceBytes: number;
  #upload: Upload | undefined;

  constructor(options: SetSenderOptions, parts: SetSenderParts) {
    this.#options = options;
    this.#parts = parts;
    this.#pieceBytesMax = Math.min(options.chunkBytes, pieceBytesMax);
    this.#pieceBytes = this.#pieceBytesMax;
  }

  /**
   * One try; the next with the same `made` goes on where it ended. Gives the number of the set, which is
   * there whole then. Rejects as `Cluster`, disk, state store and `turn` do.
   */
  async send(made: Made): Promise<number> {
    if (this.#upload?.made !== made) this.#upload = this.#begin(made);
    const upload = this.#upload;
    try {
      const number = await this.#try(upload);
      this.#pieceBytes = Math.min(this.#pieceBytesMax, 2 * this.#pieceBytes);
      return number;
    } catch (error) {
      if (isTooSlow(error) && upload.sent < this.#chunksOf(upload)) this.#shrink();
      throw error;
    }
  }

  #begin(made: Made): Upload {
    const set = this.#options.randomHex(16);
    const pieceBytes = this.#pieceBytes;
    const digest = new FileDigest();
    return { made, set, pieceBytes, digest, sent: 0, proof: undefined, number: undefined };
  }

  #shrink(): void {
    const least = Math.min(limits.savepointChunkBytesMin, this.#pieceBytesMax);
    const smaller = Math.max(least, Math.floor(this.#pieceBytes / 2));
    if (smaller === this.#pieceBytes) return;
    this.#pieceBytes = smaller;
    this.#upload = undefined;
  }

  #chunksOf({ made, pieceBytes }: Upload): number {
    return Math.ceil(made.file.bytes / pieceBytes);
  }

  async #try(upload: Upload): Promise<number> {
    const { turn, ends, read } = this.#parts;
    await turn(0);
    await using cluster = await this.#connected();
    const produce = await this.#producing(cluster);
    await this.#finishHead(upload, produce);
    if (upload.number === undefined) {
      const { summaries, alerts } = this.#options.topics;
      const endsNow = await ends.read(cluster, [summaries, alerts]);
      await this.#sendChunks(upload, produce);
      await this.#storeHead(upload);
      await this.#finishHead(upload, produce);
      ends.remember(endsNow);
    }
    const number = upload.number ?? read().number - 1;
    await this.#removeBeyond({ number, chunks: this.#chunksOf(upload) }, produce);
    return number;
  }

  async #sendChunks(upload: Upload, produce: Produce): Promise<void> {
    const { agent } = this.#options;
    const { file, read, store, onChunk } = this.#parts;
    const { set, pieceBytes, digest, sent: from, made } = upload;
    const state = read();
    const slot = slotOf(state.number);
    const chunks = this.#chunksOf(upload);
    if (state.chunks[slot] < chunks) {
      await store({ ...state, chunks: { ...state.chunks, [slot]: chunks } });
    }
    onChunk(from, chunks);
    const { bytes } = made.file;
    for await (const { piece, number } of file.pieces({ bytes, pieceBytes, from })) {
      await produce([record(chunkKey(agent, slot, number), encodeChunk(set, piece))]);
      digest.add(piece);
      upload.sent = number + 1;
      onChunk(upload.sent, chunks);
    }
  }

  /** What was sent is what was written. */
  async #storeHead(upload: Upload): Promise<void> {
    const { agent, version } = this.#options;
    const { read, store } = this.#parts;
    const { set, made } = upload;
    upload.proof ??= upload.digest.end();
    const { created, position, bytes, digest: wanted } = made.file;
    if (upload.proof !== wanted) {
      this.#upload = undefined;
      throw new Fault(
        "STORE_FAILED",
        "the file of the savepoint is not as it was written: the disk gives other bytes; look after it (weir verify)",
      );
    }
    const state = read();
    const about = { set, number: state.number, agent, life: made.life, made: created, position };
    const chunks = this.#chunksOf(upload);
    const { summaries, alerts, raw, cursor } = this.#options.topics;
    const said = { weir: version, topics: { summaries, alerts, raw, cursor }, since: made.since };
    const head = encodeHead({ ...about, ...said, chunks, bytes, digest: wanted });
    await store({ ...state, head });
  }

  /** Sends the head that may not be there yet: ours, or that of a process which ended then. */
  async #finishHead(upload: Upload, produce: Produce): Promise<void> {
    const { read, store } = this.#parts;
    const { head, ...state } = read();
    if (head === undefined) return;
    const { agent } = this.#options;
    const { set, number, agent: of } = decodeHead(head, "the head in the state store");
    // The agent may have another name since.
    if (of !== agent) return await store({ ...state, head: undefined });
    await produce([record(headKey(agent, slotOf(number)), head)]);
    await store({ ...state, number: number + 1, head: undefined });
    if (set === upload.set) upload.number = number;
  }

  /** Keys of chunks that an earlier set of the slot had beyond those of this one. */
  async #removeBeyond(
    { number, chunks }: { readonly number: number; readonly chunks: number },
    produce: Produce,
  ): Promise<void> {
    const { read, store } = this.#parts;
    const slot = slotOf(number);
    const { [slot]: there } = read().chunks;
    for (let from = chunks; from < there; from += limits.savepointKeysPerBatch) {
      const count = Math.min(limits.savepointKeysPerBatch, there - from);
      const keys = Array.from({ length: count }, (_, at) => from + at);
      await produce(
        keys.map((chunk) => record(chunkKey(this.#options.agent, slot, chunk), undefined)),
      );
    }
    if (chunks >= there) return;
    const state = read();
    await store({ ...state, chunks: { ...state.chunks, [slot]: chunks } });
  }

  // ---- the cluster ----

  async #connected(): Promise<Cluster & AsyncDisposable> {
    const { closing } = this.#parts;
    const connecting = this.#options.connect().then(async (cluster) => {
      if (closing.isClosed) await cluster.close();
      return cluster;
    });
    const cluster = await closing.before(connecting);
    return Object.assign(cluster, { [Symbol.asyncDispose]: () => cluster.close() });
  }

  /** The partition is that of the agent's name. */
  async #producing(cluster: Cluster): Promise<Produce> {
    const { agent, topic, topics: options } = this.#options;
    const { closing, turn } = this.#parts;
    const wait = (ms: number): Promise<void> => closing.wait(ms);
    const part = { options, wait, waitMsMax: limits.kafkaTopicWaitMs };
    const partitions = await openSavepointTopic(cluster, topic, part);
    const partition = partitionOf(new TextEncoder().encode(agent), partitions);
    return async (records) => {
      await turn(records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
      const bytes = await this.#batchOf(records);
      const producing = cluster.produce([{ topic, partition, bytes }], {
        transactionalId: undefined,
      });
      await closing.before(producing);
    };
  }

  async #batchOf(records: readonly KeyedRecord[]): Promise<Uint8Array> {
    const now = this.#options.clock.now();
    return encodeRecordBatch(records, {
      producer: undefined,
      sequence: 0,
      isTransactional: false,
      timeMs: now < limits.clockFloorMs ? noTimestamp : now,
      compression: await this.#options.compression(),
    });
  }
}

function record(key: Uint8Array, value: Uint8Array | undefined): KeyedRecord {
  return { key, value, headers: [] };
}

/** A record went out, and no answer came in time (client-faults.ts). */
function isTooSlow(error: unknown): boolean {
  if (!(error instanceof Fault) || error.code !== "UPLINK_UNREACHABLE") return false;
  return error.facts["request"] === "Produce" && error.facts["waitedMs"] !== undefined;
}

/** Kafka's "no timestamp". */
const noTimestamp = -1;
