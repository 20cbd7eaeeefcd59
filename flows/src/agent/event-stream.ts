/**
 * A stream of an agent that goes on: it is opened again wherever it was cut, with the id of the last
 * event that came whole, so that nothing is missing and nothing comes twice (docs/streams.md).
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { AgentClient } from "./agent-client.ts";
import { EventParser, type ServerEvent } from "./event-parser.ts";
import { Retry, waitFor } from "./retry.ts";

export type StreamState =
  | { readonly kind: "connecting" }
  | { readonly kind: "open" }
  /** The agent is away, busy, or refuses; it is tried again later. */
  | { readonly kind: "trouble"; readonly error: Error };

export type EventStreamOptions = {
  readonly client: AgentClient;
  /** Parameters of /v1/stream. */
  readonly query: URLSearchParams;
  /** Where it goes on; undefined: it begins as `query` says. */
  readonly lastId: string | undefined;
  /** `ready` is told too: from then on the place is known. */
  readonly onEvent: (event: ServerEvent) => void;
  readonly onState: (state: StreamState) => void;
};

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #closing = new AbortController();
  readonly #retry = new Retry();
  #lastId: string | undefined;
  /** When it was opened last, by the monotonic clock. */
  #opened = Number.POSITIVE_INFINITY;
  #running: Promise<void> | undefined;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#lastId = options.lastId;
  }

  /** The place behind everything that was given to `onEvent`. */
  get lastId(): string | undefined {
    return this.#lastId;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Nothing is given any more when it resolves. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { onState } = this.#options;
    const { signal } = this.#closing;
    onState({ kind: "connecting" });
    while (!signal.aborted) {
      let trouble: Error | undefined;
      this.#opened = Number.POSITIVE_INFINITY;
      try {
        await this.#once();
      } catch (error) {
        trouble = error instanceof Error ? error : new Error(String(error));
      }
      if (signal.aborted) return;
      onState(trouble === undefined ? { kind: "connecting" } : { kind: "trouble", error: trouble });
      // One that lasted was well: what cut it is a first failure, or the agent's hourly end.
      if (performance.now() - this.#opened > flowLimits.retryMsMax) this.#retry.succeeded();
      await waitFor(this.#retry.next(), signal);
    }
  }

  async #once(): Promise<void> {
    const { client, query, onEvent, onState } = this.#options;
    const { signal } = this.#closing;
    const parser = new EventParser((event) => {
      if (signal.aborted) return;
      onEvent(event);
      this.#lastId = parser.lastId ?? this.#lastId;
    });
    const headers = this.#lastId === undefined ? {} : { "Last-Event-ID": this.#lastId };
    await client.stream(
      { path: "/v1/stream", query, headers: { Accept: "text/event-stream", ...headers } },
      {
        signal,
        onBegin: () => {
          this.#opened = performance.now();
          onState({ kind: "open" });
        },
        onText: (text) => {
          parser.take(text);
          if (!signal.aborted) this.#lastId = parser.lastId ?? this.#lastId;
        },
      },
    );
  }
}
