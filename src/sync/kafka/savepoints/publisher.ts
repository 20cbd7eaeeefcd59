/**
 * Sends savepoints of a running agent to a compacted topic, so that other hardware can begin from there
 * when this one is gone (`weir restore --from-kafka`).
 *
 *   a checkpoint was committed, and one is due
 *     -> the file is written at once, while no outputs are committed     upstream-file.ts
 *     -> it is sent behind everything else, and removed                  set-sender.ts
 *
 * Who may send as an agent is decided by its lanes (reconcile.ts), not here: nothing is made while the
 * fresh lane has not been opened or a lane has halted, so a clone or a gateway that was replaced stops here
 * as well. What waits to be sent must be little: a backlog goes first. A savepoint that cannot be sent is
 * dropped when it is old, and a fresh one is made.
 */

import type { Disk, Kv, KvWrite } from "../../../core/doors.ts";
import { Fault, isEnvironmental } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import { UpstreamFile } from "../../../store/care/upstream-file.ts";
import { uplinkKey } from "../../../store/state/kv-key.ts";
import { Closing } from "../closing.ts";
import { type Made, SetSender, type SetSenderOptions } from "./set-sender.ts";
import { decodeSetState, encodeSetState, type SetState } from "./set-state.ts";
import { TopicEnds } from "./topic-ends.ts";

export type PublisherOptions = SetSenderOptions & {
  /** Of the uplink: where its keys are. */
  readonly uplink: string;
  readonly everyMs: number;
  readonly transactionMs: number;
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
  /** The next one was due so long ago that whoever looks after the gateway should know. */
  readonly isLate: boolean;
  readonly published: number;
  readonly failures: number;
  /** Why the last try did not come to its end. */
  readonly trouble: string | undefined;
};

export class SavepointPublisher {
  readonly #options: PublisherOptions;
  readonly #closing: Closing;
  readonly #key: string;
  readonly #file: UpstreamFile;
  readonly #ends: TopicEnds;
  readonly #sender: SetSender;
  /** A set of which nothing is sent for so long is dropped. */
  readonly #patienceMs: number;
  #dueAt: number;
  /** Since when, by the monotonic clock, a checkpoint was there that no savepoint upstream has. */
  #wantedSince: number | undefined;
  #running: Promise<void> | undefined;
  #progress = { sentChunks: 0, chunks: 0 };
  /** Of the set that is sent, by the monotonic clock: when it was begun, and when a chunk of it last got there. */
  #begunAt = 0;
  #progressAt = 0;
  #last: PublisherStatus["last"];
  #published = 0;
  #failures = 0;
  #trouble: string | undefined;

  constructor(options: PublisherOptions) {
    const { clock, uplink, disk, directory } = options;
    this.#options = options;
    this.#closing = new Closing(clock);
    this.#key = uplinkKey(uplink, "savepoints");
    this.#file = new UpstreamFile(disk, directory);
    this.#ends = new TopicEnds(options);
    this.#patienceMs = Math.max(options.everyMs, limits.savepointPatienceMsMin);
    this.#dueAt = clock.monotonic();
    this.#sender = new SetSender(options, {
      closing: this.#closing,
      file: this.#file,
      ends: this.#ends,
      read: () => decodeSetState(options.kv.get(this.#key), `the state store's ${this.#key}`),
      store: (state) => this.#store(state),
      turn: (bytes) => this.#turn(bytes),
      onChunk: (sentChunks, chunks) => {
        if (sentChunks > this.#progress.sentChunks) this.#progressAt = clock.monotonic();
        this.#progress = { sentChunks, chunks };
      },
    });
  }

  get status(): PublisherStatus {
    const waitedMs = this.#options.clock.monotonic() - (this.#wantedSince ?? Infinity);
    return {
      topic: this.#options.topic,
      state: this.#running === undefined ? "waiting" : "sending",
      ...this.#progress,
      last: this.#last,
      isLate: waitedMs > this.#patienceMs,
      published: this.#published,
      failures: this.#failures,
      trouble: this.#trouble,
    };
  }

  /**
   * A checkpoint was committed just now. Where a savepoint is due, resolves when its file is written or
   * the publisher is closed: until then no outputs are committed. Undefined where none is. Neither throws nor
   * rejects for what disk and state store say.
   */
  atCheckpoint(): Promise<void> | undefined {
    const now = this.#options.clock.monotonic();
    if (this.#closing.isClosed || this.#running !== undefined || now < this.#dueAt)
      return undefined;
    this.#wantedSince ??= now;
    const making = this.#making();
    if (making === undefined) return undefined;
    // Also where it cannot be made: one that is too large would be made at every checkpoint.
    this.#dueAt = now + this.#options.everyMs;
    this.#begunAt = this.#progressAt = now;
    this.#running = this.#run(making);
    const isMade = making.then(
      () => undefined,
      () => undefined,
    );
    return this.#closing.before(isMade).catch(() => undefined);
  }

  /** Ends what is under way; the set that is not finished takes the place of none. */
  async close(): Promise<void> {
    this.stop();
    await this.#running;
  }

  /** Nobody waits for a file any more. */
  stop(): void {
    this.#closing.close();
  }

  #making(): Promise<Made> | undefined {
    const { outboxBytes, holds } = this.#options;
    try {
      const held = holds();
      if (held === undefined) return undefined;
      if (outboxBytes() <= limits.savepointOutboxBytesMax) return this.#make(held.life);
      this.#trouble = `more than ${limits.savepointOutboxBytesMax} bytes wait to be sent: a savepoint is made when they are`;
    } catch (error) {
      this.#failed(error);
    }
    return undefined;
  }

  /** Calls `writeSavepoint` before anything is awaited: see there. */
  async #make(life: number): Promise<Made> {
    const { kv, version, clock } = this.#options;
    const since = this.#ends.since();
    const about = { kv, weir: version, created: clock.now() };
    // Outputs are committed again once it is closed: what is written from then on is of no use.
    const file = await this.#file.make(about, () => this.#checkOpen());
    return { file, life, since };
  }

  async #run(making: Promise<Made>): Promise<void> {
    try {
      await this.#sendUntilDone(await making);
    } catch (error) {
      this.#failed(error);
    } finally {
      await this.#removeFile();
      this.#progress = { sentChunks: 0, chunks: 0 };
      this.#running = undefined;
    }
  }

  async #sendUntilDone(made: Made): Promise<void> {
    for (let tries = 0; tries < limits.savepointTriesMax; tries++) {
      this.#checkOpen();
      try {
        const number = await this.#sender.send(made);
        const { created, position, bytes } = made.file;
        this.#last = { made: created, number, position, bytes };
        this.#published += 1;
        this.#trouble = this.#wantedSince = undefined;
        return;
      } catch (error) {
        if (error instanceof Dropped) throw error.fault;
        this.#failed(error);
        const waitMs = Math.min(1_000 * 2 ** tries, limits.savepointRetryMs);
        await this.#closing.wait(waitMs);
      }
    }
  }

  /** Resolves when nothing is before it any more, and while the name is ours. */
  async #turn(bytes: number): Promise<void> {
    const { mustYield, holds } = this.#options;
    for (;;) {
      if (holds() === undefined) {
        throw new Fault("IDENTITY_IN_USE", "another agent has the name: no savepoint is sent");
      }
      this.#checkAge();
      if (!mustYield(bytes)) return;
      await this.#closing.wait(limits.savepointYieldMs);
    }
  }

  #checkAge(): void {
    const now = this.#options.clock.monotonic();
    const waitsMs = now - this.#progressAt;
    const ageMs = now - this.#begunAt;
    if (waitsMs <= this.#patienceMs && ageMs <= limits.savepointPatiencesMax * this.#patienceMs)
      return;
    const minutes = Math.round(ageMs / 60_000);
    const { sentChunks, chunks } = this.#progress;
    throw new Dropped(
      `one of ${minutes} minutes ago was dropped with ${sentChunks} of ${chunks} chunks sent, since other records go first or the link is too slow for it; a fresh one is made at the next checkpoint`,
    );
  }

  #checkOpen(): void {
    if (this.#closing.isClosed) throw new Fault("UPLINK_UNREACHABLE", "the agent is stopping");
  }

  async #store(state: SetState): Promise<void> {
    await this.#options.store([{ key: this.#key, value: encodeSetState(state) }]);
  }

  async #removeFile(): Promise<void> {
    try {
      await this.#file.remove();
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    if (!(error instanceof Fault) && !isEnvironmental(error)) throw error;
    if (this.#closing.isClosed) return;
    this.#failures += 1;
    this.#trouble = error.message;
  }
}

/** The set is not to be tried again. */
class Dropped extends Error {
  override readonly name = "Dropped";
  readonly fault: Fault;

  constructor(message: string) {
    super(message);
    this.fault = new Fault("UPLINK_UNREACHABLE", message);
  }
}
