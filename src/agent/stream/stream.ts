/**
 * One stream as server-sent events (WHATWG HTML, 9.2): lines of text, an empty one after each event.
 *
 *   event: ready      first of all: which agent, where the stream stands, and which pipelines it lacks
 *   event: summary    a record of the outbox, as uplinks get it; alert, complete, raw, manifest likewise
 *   event: missed     records that are not kept any more: how many, of which queue
 *   id alone          a heartbeat; the place moves on also where nothing was for this client
 */

import type { Clock } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { Queue } from "../../store/outbox/lane.ts";
import type { RecordTail } from "../../store/outbox/record-tail.ts";
import { type StreamPlace, textOfPlace } from "./stream-place.ts";
import type { StreamRequest } from "./stream-request.ts";

export type StreamBegin = {
  readonly place: StreamPlace;
  /** Where the client was is a place in another history. */
  readonly isOther: boolean;
  /** What is asked for and matches none of the agent's pipelines, and these. */
  readonly unmatched: readonly string[];
  readonly pipelines: readonly string[];
};

export type StreamParts = {
  readonly agent: string;
  readonly tail: Pick<RecordTail, "history" | "end" | "read">;
  readonly clock: Clock;
  readonly onEvents: (count: number) => void;
  readonly onMissed: (count: number) => void;
  readonly onEnded: () => void;
};

export class Stream implements Disposable {
  readonly #request: StreamRequest;
  readonly #parts: StreamParts;
  readonly #stopping = new AbortController();
  #begun: StreamBegin | undefined;
  #wake: (() => void) | undefined;

  /** Use Streams. */
  constructor(request: StreamRequest, parts: StreamParts) {
    this.#request = request;
    this.#parts = parts;
  }

  /** Aborted when it is stopped, for whoever waits for something else. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  begin(begun: StreamBegin): void {
    this.#begun = begun;
  }

  /** There may be more. */
  wake(): void {
    this.#wake?.();
  }

  /** It ends at its next breath. */
  stop(): void {
    this.#stopping.abort();
    this.#wake?.();
  }

  [Symbol.dispose](): void {
    this.stop();
    this.#parts.onEnded();
  }

  /** The text of the stream, piece by piece, at the pace of whoever takes them. */
  async *pieces(): AsyncGenerator<string> {
    if (this.#begun === undefined) return;
    const { agent, tail, clock } = this.#parts;
    const { place, isOther, unmatched, pipelines } = this.#begun;
    const { history } = place;
    const next: Record<Queue, number> = { ...place.next };
    const id = (): string => textOfPlace({ history, next });
    const endsAt = clock.monotonic() + limits.streamLifeMs;
    const ready = { v: 1, kind: "ready", agent, id: id() };
    const data = JSON.stringify(
      unmatched.length === 0 ? ready : { ...ready, unmatched, pipelines },
    );
    yield `retry: ${limits.streamRetryMs}\n${eventText({ id: id(), event: "ready", data })}`;
    if (isOther) {
      for (const queue of this.#request.queues) {
        yield this.#missedText(id(), { queue, reason: "other_history" });
      }
    }
    let said = id();
    let saidAt = clock.monotonic();
    while (!this.signal.aborted && clock.monotonic() < endsAt && tail.history === history) {
      // Commits come without anything for this client, too: they do not put the heartbeat off.
      const silentMs = clock.monotonic() - saidAt;
      if (silentMs >= limits.streamHeartbeatMs) {
        yield said === id() ? ":\n\n" : `id: ${id()}\n\n`;
        said = id();
        saidAt = clock.monotonic();
      }
      const queue = this.#request.queues.find((each) => next[each] < tail.end(each));
      if (queue === undefined) {
        await this.#wait(saidAt + limits.streamHeartbeatMs - clock.monotonic());
        continue;
      }
      const read = tail.read(queue, { from: next[queue], bytesMax: limits.streamReadBytes });
      next[queue] = read.first;
      let text = "";
      if (read.missed > 0) {
        text = this.#missedText(id(), { queue, reason: "not_kept", missed: read.missed });
      }
      let events = 0;
      for (const record of read.records) {
        next[queue] += 1;
        const event = this.#request.eventOf(record);
        if (event === undefined) continue;
        text += eventText({ id: id(), event, data: textOf(record) });
        events += 1;
      }
      if (text === "") {
        await new Promise<void>((resolve) => clock.soon(resolve));
        continue;
      }
      this.#parts.onEvents(events);
      said = id();
      yield text;
      saidAt = clock.monotonic();
    }
  }

  #missedText(
    id: string,
    gap: { readonly queue: Queue; readonly reason: string; readonly missed?: number },
  ): string {
    this.#parts.onMissed(gap.missed ?? 0);
    const data = JSON.stringify({ v: 1, kind: "missed", ...gap });
    return eventText({ id, event: "missed", data });
  }

  /** Until there may be more, at most so long. */
  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        this.#wake = undefined;
        cancel();
        resolve();
      };
      const cancel = this.#parts.clock.after(ms, settle);
      this.#wake = settle;
      if (this.signal.aborted) settle();
    });
  }
}

/** `data` is one line. */
function eventText({
  id,
  event,
  data,
}: {
  readonly id: string;
  readonly event: string;
  readonly data: string;
}): string {
  return `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`;
}

function textOf(record: Uint8Array): string {
  return Buffer.from(record.buffer, record.byteOffset, record.byteLength).toString("utf8");
}
