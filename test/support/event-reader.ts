/** Reads server-sent events from text that comes in pieces, as the specification says. */

export type ServerEvent = { readonly id: string; readonly event: string; readonly data: string };

export class EventReader {
  readonly events: ServerEvent[] = [];
  /** What a client sends to go on here. */
  lastId: string | undefined;
  heartbeats = 0;
  #rest = "";
  #event = "";
  #data: string[] = [];

  take(piece: string): void {
    const lines = (this.#rest + piece).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  /** The connection is gone: what had not come whole never came. */
  cut(): void {
    this.#rest = "";
    this.#event = "";
    this.#data = [];
  }

  #id: string | undefined;

  #line(line: string): void {
    if (line === "") {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(":");
    const field = line.slice(0, colon);
    const value = line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.#id = value;
    else if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
  }

  #dispatch(): void {
    this.lastId = this.#id;
    if (this.#data.length === 0) this.heartbeats += 1;
    else {
      const { lastId: id = "" } = this;
      this.events.push({ id, event: this.#event, data: this.#data.join("\n") });
    }
    this.#event = "";
    this.#data = [];
  }
}
