/**
 * Server-sent events from text that comes in pieces (WHATWG HTML, 9.2.6), as far as weir sends them:
 * lines end with \n. An id alone moves the place on without an event.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";

export type ServerEvent = { readonly event: string; readonly data: string };

export class EventParser {
  readonly #onEvent: (event: ServerEvent) => void;
  #rest = "";
  #id: string | undefined;
  #event = "";
  #data: string[] = [];
  /** Of what has come of the event. */
  #length = 0;
  #lastId: string | undefined;

  constructor(onEvent: (event: ServerEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Of the last event that came whole, and of an id alone. During `onEvent` it is that event's. */
  get lastId(): string | undefined {
    return this.#lastId;
  }

  /** Throws an Error where an event is longer than an agent's may be. */
  take(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    this.#bound(this.#rest.length);
  }

  #bound(more: number): void {
    if (this.#length + more <= flowLimits.eventLengthMax) return;
    throw new Error(`an event has more than ${flowLimits.eventLengthMax} characters`);
  }

  #line(line: string): void {
    if (line === "") return this.#dispatch();
    this.#length += line.length;
    this.#bound(0);
    const colon = line.indexOf(":");
    if (colon <= 0) return;
    const value = line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    switch (line.slice(0, colon)) {
      case "id":
        this.#id = value;
        break;
      case "event":
        this.#event = value;
        break;
      case "data":
        this.#data.push(value);
        break;
      default:
    }
  }

  #dispatch(): void {
    this.#lastId = this.#id;
    const event = { event: this.#event, data: this.#data.join("\n") };
    const isEvent = this.#data.length > 0;
    this.#event = "";
    this.#data = [];
    this.#length = 0;
    if (isEvent) this.#onEvent(event);
  }
}
