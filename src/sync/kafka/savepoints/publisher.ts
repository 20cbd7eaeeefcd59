/**
 * Sends savepoints of a running agent to a compacted topic, so that other hardware can begin from there
 * when this one is gone (`weir restore --from-kafka`).
 *
 *   a checkpoint was committed, and one is due
 *     -> the file is written at once, while no outputs are committed
 *     -> it is sent in chunks behind everything else, the head last, and removed
 *
 * Who may send as an agent is decided by its lanes (reconcile.ts), not here: nothing is made while the
 * fresh lane has not been opened or a lane has halted, so a clone or a gateway that was replaced stops here
 * as well. What waits to be sent must be little: a backlog goes first.
 */

import type { Clock, Disk, Kv } from "../../../core/doors.ts";
import { Fault, isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import {
  chunkKey,
  encodeChunk,
  encodeHead,
  FileDigest,
  headKey,
  pieceBytesMax,
  type SetHead,
  slotOf,
} from "../../../store/care/savepoint-set.ts";
import { writeSavepoint } from "../../../store/care/savepoint.ts";
import { ifThere, opened } from "../../../store/care/whole-files.ts";
import type { KvWrite } from "../../../core/doors.ts";
import { uplinkKey } from "../../../store/state/kv-key.ts";
import { decodeJson, encodeJson, wholeOf } from "../../../store/state/stored-json.ts";
import { Closing } from "../closing.ts";
import type { Cluster } from "../cluster.ts";
import { type Compression, encodeRecordBatch } from "../message/record-batch.ts";
import { partitionOf } from "../message/murmur2.ts";
import { openSavepointTopic, type TopicOptions } from "../topics.ts";

export type PublisherOptions = {
  /** Of the uplink: where its keys are. */
  readonly uplink: string;
  readonly agent: string;
  /** Version of weir. */
  readonly version: string;
  readonly topic: string;
  readonly topics: TopicOptions;
  /** Topics of records that a restore reads: where they end is said with each savepoint. */
  readonly dataTopics: readonly string[];
  readonly everyMs: number;
  readonly transactionMs: number;
  readonly chunkBytes: number;
  readonly clock: Clock;
  readonly disk: Disk;
  /** The folder of the file; made where it is missing. */
  readonly directory: string;
  readonly kv: Kv;
  /** StateStore.advance. */
  readonly store: (writes: readonly KvWrite[]) => Promise<void>;
  readonly outboxBytes: () => number;
  /** Whether the agent has its name, and how often that was given to other hardware. */
  readonly holds: () => { readonly life: number } | undefined;
  /** Whether what else is to be sent goes first, or the link is not to be used now. */
  readonly mustYield: (bytes: number) => boolean;
  readonly connect: () => Promise<Cluster>;
  readonly compression: () => Promise<Compression>;
  /** A random hex text of so many bytes. */
  readonly randomHex: (bytes: number) => string;
};

export type PublisherStatus = {
  readonly topic: string;
  readonly state: "waiting" | "sending";
  /** Of the set that is sent. */
  readonly sentChunks: number;
  readonly chunks: number;
  /** The last one that is whole there, since this process began. */
  readonly last:
    | {
        readonly made: number;
        readonly number: number;
        readonly position: number;
        readonly bytes: number;
      }
    | undefined;
  readonly published: number;
  readonly failures: number;
  /** Why the last try did not come to its end. */
  readonly trouble: string | undefined;
};

type Made = {
  readonly position: number;
  readonly made: number;
  readonly life: number;
  readonly bytes: number;
  readonly digest: string;
  readonly since: SetHead["since"];
};

/** Where topics ended at a time, by the monotonic clock. */
type Ends = { readonly at: number; readonly offsets: SetHead["since"] };

export class SavepointPublisher {
  readonly #options: PublisherOptions;
  readonly #closing: Closing;
  readonly #key: string;
  readonly #path: string;
  #dueAt: number;
  #running: Promise<void> | undefined;
  #ends: readonly Ends[] = [];
  #chunkBytes: number;
  #progress = { sentChunks: 0, chunks: 0 };
  #last: PublisherStatus["last"];
  #published = 0;
  #failures = 0;
  #trouble: string | undefined;

  constructor(options: PublisherOptions) {
    this.#options = options;
    this.#closing = new Closing(options.clock);
    this.#key = uplinkKey(options.uplink, "savepoints");
    this.#path = `${options.directory}/upstream.sending`;
    this.#dueAt = options.clock.monotonic();
    this.#chunkBytes = Math.min(options.chunkBytes, pieceBytesMax);
  }

  get status(): PublisherStatus {
    return {
      topic: this.#options.topic,
      state: this.#running === undefined ? "waiting" : "sending",
      ...this.#progress,
      last: this.#last,
      published: this.#published,
      failures: this.#failures,
      trouble: this.#trouble,
    };
  }

  /**
   * A checkpoint was committed just now. Where a savepoint is due, resolves when its file is written: until
   * then no outputs are committed. Undefined where none is. Never rejects for what a disk says.
   */
  atCheckpoint(): Promise<void> | undefined {
    const { clock, everyMs, outboxBytes, holds } = this.#options;
    const now = clock.monotonic();
    if (this.#closing.isClosed || this.#running !== undefined || now < this.#dueAt)
      return undefined;
    const held = holds();
    if (held === undefined) return undefined;
    if (outboxBytes() > limits.savepointOutboxBytesMax) {
      this.#trouble = `more than ${limits.savepointOutboxBytesMax} bytes wait to be sent: a savepoint is made when they are`;
      return undefined;
    }
    const making = this.#make(held.life);
    this.#running = this.#run(making, now + everyMs);
    return making.then(
      () => undefined,
      () => undefined,
    );
  }

  async #run(making: Promise<Made>, nextAt: number): Promise<void> {
    try {
      const made = await making;
      this.#dueAt = nextAt;
      await this.#sendUntilDone(made);
    } catch (error) {
      this.#failed(error);
    } finally {
      await this.#removeFile();
      this.#progress = { sentChunks: 0, chunks: 0 };
      this.#running = undefined;
    }
  }

  /** Ends what is under way; the set that is not finished takes the place of none. */
  async close(): Promise<void> {
    this.#closing.close();
    await this.#running;
  }

  // ---- the file ----

  /** Calls `writeSavepoint` before anything is awaited: see there. */
  async #make(life: number): Promise<Made> {
    const { kv, version, clock, disk, directory } = this.#options;
    const made = clock.now();
    const about = { kv, name: "upstream", weir: version, created: made, isBeside: true };
    const path = this.#path;
    const fresh: Pick<Disk, "open"> = {
      open: async (...args) => {
        await disk.makeDirectory(directory);
        await this.#removeFile();
        return await disk.open(...args);
      },
    };
    const { position, bytes } = await writeSavepoint(fresh, path, about);
    if (bytes > limits.savepointFileBytesMax) {
      throw new Fault(
        "INPUT_INVALID",
        `the savepoint has ${bytes} bytes, more than the ${limits.savepointFileBytesMax} that are sent: fewer keys, or a smaller duplicateRing`,
        { facts: { bytes } },
      );
    }
    const digest = await this.#digestOf(bytes);
    return { position, made, life, bytes, digest, since: this.#sinceNow() };
  }

  async #digestOf(bytes: number): Promise<string> {
    const digest = new FileDigest();
    for await (const { piece } of this.#pieces({ bytes, from: 0 })) digest.add(piece);
    return digest.end();
  }

  /** Pieces of the file from the one with the number `from` on; each is valid until the next. */
  async *#pieces({
    bytes,
    from,
  }: {
    readonly bytes: number;
    readonly from: number;
  }): AsyncGenerator<{ readonly piece: Uint8Array; readonly chunk: number }> {
    await using file = await opened(this.#options.disk, this.#path, false);
    const buffer = new Uint8Array(this.#chunkBytes);
    for (let chunk = from; chunk * this.#chunkBytes < bytes; chunk++) {
      const read = await file.read(buffer, chunk * this.#chunkBytes);
      yield { piece: buffer.subarray(0, read), chunk };
    }
  }

  async #removeFile(): Promise<void> {
    try {
      await ifThere(() => this.#options.disk.remove(this.#path));
    } catch (error) {
      this.#failed(error);
    }
  }

  // ---- sending ----

  async #sendUntilDone(made: Made): Promise<void> {
    const number = this.#nextNumber();
    const set = this.#options.randomHex(16);
    let from = 0;
    for (let tries = 0; tries < limits.savepointTriesMax && !this.#closing.isClosed; tries++) {
      try {
        await this.#send({ made, set, number, from }, (chunk) => (from = chunk));
        this.#trouble = undefined;
        this.#published += 1;
        const { made: at, position, bytes } = made;
        this.#last = { made: at, number, position, bytes };
        return;
      } catch (error) {
        this.#failed(error);
        if (error instanceof Fault && error.code === "UPLINK_UNREACHABLE" && this.#shrink())
          from = 0;
        const waitMs = Math.min(1_000 * 2 ** tries, limits.savepointRetryMs);
        await this.#closing.wait(waitMs).catch(() => undefined);
      }
    }
  }

  /** A chunk may be too much for the link. Whether chunks are smaller now, and begin anew. */
  #shrink(): boolean {
    if (this.#chunkBytes <= limits.savepointChunkBytesMin) return false;
    this.#chunkBytes = Math.max(limits.savepointChunkBytesMin, Math.floor(this.#chunkBytes / 2));
    return true;
  }

  async #send(
    what: {
      readonly made: Made;
      readonly set: string;
      readonly number: number;
      readonly from: number;
    },
    onSent: (next: number) => void,
  ): Promise<void> {
    const { agent, version, topic, topics } = this.#options;
    const { made, set, number, from } = what;
    const { life, position, bytes, digest, since } = made;
    await this.#yielding(0);
    await using cluster = await this.#connected();
    const wait = (ms: number): Promise<void> => this.#closing.wait(ms);
    const part = { options: topics, wait, waitMsMax: limits.kafkaTopicWaitMs };
    const partitions = await openSavepointTopic(cluster, topic, part);
    const partition = partitionOf(new TextEncoder().encode(agent), partitions);
    const produce = async (key: Uint8Array, value: Uint8Array): Promise<void> => {
      await this.#yielding(value.length);
      const batch = await this.#batchOf(key, value);
      await this.#closing.before(
        cluster.produce([{ topic, partition, bytes: batch }], { transactionalId: undefined }),
      );
    };
    const ends = await this.#endsOf(cluster);
    const slot = slotOf(number);
    const chunks = Math.ceil(bytes / this.#chunkBytes);
    this.#progress = { sentChunks: from, chunks };
    for await (const { piece, chunk } of this.#pieces({ bytes, from })) {
      await produce(chunkKey(agent, slot, chunk), encodeChunk(set, piece));
      this.#progress = { sentChunks: chunk + 1, chunks };
      onSent(chunk + 1);
    }
    const head = { set, number, agent, life, made: made.made, position, weir: version };
    await produce(headKey(agent, slot), encodeHead({ ...head, chunks, bytes, digest, since }));
    this.#ends = [...this.#ends, ends].slice(-limits.savepointEndsMax);
    await this.#options.store([{ key: this.#key, value: encodeJson({ number: number + 1 }) }]);
  }

  async #connected(): Promise<Cluster & AsyncDisposable> {
    const connecting = this.#options.connect().then(async (cluster) => {
      if (this.#closing.isClosed) await cluster.close();
      return cluster;
    });
    const cluster = await this.#closing.before(connecting);
    return Object.assign(cluster, { [Symbol.asyncDispose]: () => cluster.close() });
  }

  /** Resolves when nothing is before it any more, and while the name is ours. */
  async #yielding(bytes: number): Promise<void> {
    const { mustYield, holds } = this.#options;
    for (;;) {
      if (holds() === undefined) {
        throw new Fault("IDENTITY_IN_USE", "another agent has the name: no savepoint is sent");
      }
      if (!mustYield(bytes)) return;
      await this.#closing.wait(limits.savepointYieldMs);
    }
  }

  async #batchOf(key: Uint8Array, value: Uint8Array): Promise<Uint8Array> {
    const now = this.#options.clock.now();
    return encodeRecordBatch([{ key, value, headers: [] }], {
      producer: undefined,
      sequence: 0,
      isTransactional: false,
      timeMs: now < limits.clockFloorMs ? noTimestamp : now,
      compression: await this.#options.compression(),
    });
  }

  // ---- where topics end ----

  async #endsOf(cluster: Cluster): Promise<Ends> {
    const { dataTopics, clock } = this.#options;
    const at = clock.monotonic();
    const counts = await cluster.partitionsOf(dataTopics);
    const offsets: Record<string, number[]> = {};
    for (const [topic, count] of counts) {
      const ends: number[] = [];
      for (let partition = 0; partition < count; partition++) {
        ends.push((await cluster.offsets({ topic, partition })).end);
      }
      offsets[topic] = ends;
    }
    return { at, offsets };
  }

  /**
   * What was read so long ago that every transaction of then is decided, and known here to be so: what lies
   * before is known to the savepoint that is made now. Nothing, where nothing was.
   */
  #sinceNow(): SetHead["since"] {
    const { clock, transactionMs } = this.#options;
    const before = clock.monotonic() - 2 * transactionMs;
    return this.#ends.findLast(({ at }) => at <= before)?.offsets ?? {};
  }

  #nextNumber(): number {
    const stored = this.#options.kv.get(this.#key);
    return stored === undefined
      ? 0
      : wholeOf(decodeJson(stored, `the state store's ${this.#key}`), "number");
  }

  #failed(error: unknown): void {
    if (!(error instanceof Fault) && !isEnvironmental(error)) throw error;
    if (this.#closing.isClosed) return;
    this.#failures += 1;
    this.#trouble = error.message;
  }
}

/** Kafka's "no timestamp". */
const noTimestamp = -1;
