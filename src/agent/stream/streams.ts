/**
 * Streams: what the agent found, as it becomes durable, to whoever asks (GET /v1/stream). Each event carries
 * the place behind it; a client that was cut, or an agent that was, goes on there.
 *
 *   commit durable ─▶ committed() ─▶ each stream: read the tail from its place ─▶ events ─▶ the client
 *                                       ▲                                            │ took them
 *                                       └────────────────────────────────────────────┘
 *
 * Nothing is buffered for a client: what it does not take stays in the tail (store/outbox/record-tail.ts),
 * and what the tail lets go before is told as missed, with its number. The tail is kept from the first
 * stream on, also through the times between two; what nobody streams for `streamForgetMs` is let go.
 */

import type { Clock, Random } from "../../core/doors.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { byQueue, queues } from "../../store/outbox/lane.ts";
import type { StateStore } from "../../store/state/state-store.ts";
import { Stream, type StreamBegin } from "./stream.ts";
import { type StreamRequest, unmatchedBy } from "./stream-request.ts";

export type StreamCounters = {
  readonly open: number;
  /** Since the process began. */
  readonly opened: number;
  readonly refused: number;
  readonly events: number;
  /** Records that were not kept any more when a stream came for them. */
  readonly missed: number;
  /** Kept for streams now. */
  readonly tailBytes: number;
};

export type StreamsOptions = {
  readonly agent: string;
  /** Names in the configuration of all pipelines that run. */
  readonly pipelines: readonly string[];
  readonly store: Pick<StateStore, "tail">;
  readonly clock: Clock;
  readonly random: Random;
  /** Milliseconds since 1970; undefined while the gateway's clock is not trusted. */
  readonly trustedNow: () => number | undefined;
};

export class Streams {
  readonly #options: StreamsOptions;
  readonly #open = new Set<Stream>();
  readonly #counts = { opened: 0, refused: 0, events: 0, missed: 0 };
  #cancelLook: () => void = () => undefined;
  #turn: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    this.#lookLater(0);
  }

  get counters(): StreamCounters {
    const tailBytes = this.#options.store.tail.bytes;
    return { open: this.#open.size, ...this.#counts, tailBytes };
  }

  /** Why one would be refused, for who asked. */
  get busy(): string {
    return `${limits.streamsMax} streams are open: close one`;
  }

  /** A stream that is to be disposed of; undefined where too many are open. Faults: those of the Kv. */
  async open(request: StreamRequest): Promise<Stream | undefined> {
    if (this.#isClosed || this.#open.size >= limits.streamsMax) {
      this.#counts.refused += 1;
      return undefined;
    }
    const { agent, store, clock } = this.#options;
    const stream: Stream = new Stream(request, {
      agent,
      tail: store.tail,
      clock,
      onEvents: (count) => void (this.#counts.events += count),
      onMissed: (count) => void (this.#counts.missed += count),
      onEnded: () => void this.#open.delete(stream),
    });
    // Its place among the few is taken before the tail is there to read from.
    this.#open.add(stream);
    try {
      stream.begin(await this.#begin(request));
    } catch (error) {
      stream[Symbol.dispose]();
      throw error;
    }
    this.#counts.opened += 1;
    return stream;
  }

  /** There is more in the tail. */
  committed(): void {
    for (const stream of this.#open) stream.wake();
  }

  /** Ends every stream; resolves when nothing is stored any more. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelLook();
    for (const stream of this.#open) stream.stop();
    await this.#turn;
  }

  async #begin(request: StreamRequest): Promise<StreamBegin> {
    const { pipelines } = this.#options;
    const unmatched = unmatchedBy(pipelines, request);
    return { ...(await this.#placeOf(request)), unmatched, pipelines };
  }

  async #placeOf({ after, from }: StreamRequest): Promise<Pick<StreamBegin, "place" | "isOther">> {
    const { tail } = this.#options.store;
    // In turn: nobody lets it go meanwhile.
    await this.#inTurn(async () => {
      if (tail.history === undefined) await this.#want();
    });
    const { history = "" } = tail;
    const kept = { history, next: byQueue((queue) => tail.first(queue)) };
    if (after === undefined) {
      const now = { history, next: byQueue((queue) => tail.end(queue)) };
      return { place: from === "now" ? now : kept, isOther: false };
    }
    const isOther =
      after.history !== history || queues.some((queue) => after.next[queue] > tail.end(queue));
    return { place: isOther ? kept : after, isOther };
  }

  // ---- who wants the tail ----

  /** Now and then: stores that somebody does, or lets it go. */
  #lookLater(delayMs: number): void {
    this.#cancelLook = this.#options.clock.after(delayMs, () => {
      this.#lookLater(limits.streamLookMs);
      // What fails now is tried at the next look; where the store broke, the loop says so.
      this.#inTurn(() => this.#look()).catch(rethrowBug);
    });
  }

  async #look(): Promise<void> {
    const { store, trustedNow } = this.#options;
    if (this.#isClosed) return;
    if (store.tail.history === undefined) {
      // The power went while it was forgotten.
      if (store.tail.bytes > 0) await store.tail.forget();
      return;
    }
    if (this.#open.size > 0) return await this.#want();
    const { wanted } = store.tail;
    const now = trustedNow();
    if (now === undefined) return;
    // Nobody knew the time when it was wanted: the week begins now.
    if (wanted === 0) await this.#want();
    else if (now - wanted > limits.streamForgetMs) await store.tail.forget();
  }

  async #want(): Promise<void> {
    const { store, random, trustedNow } = this.#options;
    const history = store.tail.history ?? hex(random.uint32()) + hex(random.uint32());
    // A time that may be wrong is none: the tail is kept until there is a right one.
    await store.tail.want({ history, now: trustedNow() ?? 0 });
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}

function rethrowBug(error: unknown): void {
  if (!isEnvironmental(error)) throw error;
}
