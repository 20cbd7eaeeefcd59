/**
 * Puts a stream of an agent into a node: its records become messages. The place of the last one is kept in
 * a context store, so that a deploy misses nothing and repeats nothing; nor does a restart, where that store
 * is one in files.
 *
 *   record  ─▶ output 1, and the place moves on
 *   missed  ─▶ output 2: the agent does not keep so many records any more, or was restored
 *
 * The place is kept once a second while it moves, and when the node closes: a Node-RED that is killed gets
 * the records of that last second again.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import { EventStream, type StreamState } from "../agent/event-stream.ts";
import type { ServerEvent } from "../agent/event-parser.ts";
import { migrate, type Migration, type Settings } from "../migrations.ts";
import type { Message, NodeConfig, Red, RedNode } from "../red.ts";
import { choiceIn, textIn } from "../settings.ts";
import { clientOf } from "./agent-link.ts";
import { type KeptHere, KeptText } from "./kept-text.ts";
import { StatusLine } from "./status-line.ts";

export type StreamKind = {
  readonly type: string;
  readonly migrations: readonly Migration[];
  /** As /v1/stream calls what it gives. */
  readonly kinds: string;
  /** The message of a record. */
  readonly messageOf: (record: Readonly<Record<string, unknown>>) => Message;
};

export function registerStream(RED: Red, kind: StreamKind): void {
  const here: KeptHere = new Map();
  RED.nodes.registerType(kind.type, function (this: RedNode, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    void new StreamNode(RED, this, { ...kind, here }).start(config);
  });
}

class StreamNode {
  readonly #red: Red;
  readonly #node: RedNode;
  readonly #kind: StreamKind & { readonly here: KeptHere };
  readonly #status: StatusLine;
  #kept: KeptText | undefined;
  #stream: EventStream | undefined;
  /** Of which agent the places are. */
  #agent = "";
  #records = 0;
  #missed = 0;
  #state: StreamState = { kind: "connecting" };
  /** Why it is away, as that was warned of. */
  #warned: string | undefined;
  #keepTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(red: Red, node: RedNode, kind: StreamKind & { readonly here: KeptHere }) {
    this.#red = red;
    this.#node = node;
    this.#kind = kind;
    this.#status = new StatusLine(node);
    node.on("close", (removed, done) => void this.#close(removed).then(done, done));
  }

  async start(config: NodeConfig): Promise<void> {
    try {
      const settings = migrate(config, this.#kind.migrations);
      const client = clientOf(this.#red, settings);
      const query = this.#queryOf(settings);
      this.#agent = client.name;
      const store = settings["store"];
      const { here } = this.#kind;
      this.#kept = new KeptText({ node: this.#node, name: "weir", store, here });
      const lastId = this.#placeIn(await this.#kept.load());
      if (this.#isClosed) return;
      this.#stream = new EventStream({
        client,
        query,
        lastId,
        onEvent: (event) => this.#take(event),
        onState: (state) => this.#show(state),
      });
      this.#stream.start();
    } catch (error) {
      const fault = error instanceof Error ? error.message : String(error);
      this.#node.error(fault);
      this.#status.show({ fill: "red", shape: "ring", text: fault });
    }
  }

  #queryOf(settings: Settings): URLSearchParams {
    const query = new URLSearchParams({
      kinds: this.#kind.kinds,
      from: choiceIn(settings, "from", ["now", "kept"]),
    });
    for (const name of ["pipeline", "key"]) {
      if (settings[name] === undefined) continue;
      const patterns = textIn(settings, name, true).split(/\s+/).filter(Boolean);
      for (const pattern of patterns) query.append(name, pattern);
    }
    return query;
  }

  #take({ event, data }: ServerEvent): void {
    const record = JSON.parse(data) as Readonly<Record<string, unknown>>;
    if (event === "missed") {
      this.#missed += typeof record["missed"] === "number" ? record["missed"] : 0;
      this.#node.send([[], [{ topic: "missed", payload: record }]]);
    } else if (event !== "ready") {
      this.#records += 1;
      this.#node.send([[this.#kind.messageOf(record)], []]);
    }
    this.#keepTimer ??= setTimeout(() => {
      this.#keepTimer = undefined;
      void this.#keep();
    }, flowLimits.placeKeepMs);
    this.#show(this.#state);
  }

  #show(state: StreamState): void {
    this.#state = state;
    if (state.kind === "away") {
      if (state.why !== this.#warned) this.#node.warn(state.why);
      this.#warned = state.why;
      this.#status.show({ fill: "red", shape: "ring", text: this.#red._("status.away") });
      return;
    }
    if (state.kind === "connecting") {
      this.#status.show({ fill: "yellow", shape: "ring", text: this.#red._("status.connecting") });
      return;
    }
    this.#warned = undefined;
    const counts = [`${this.#records}`];
    if (this.#missed > 0) counts.push(`${this.#red._("status.missed")} ${this.#missed}`);
    const fill = this.#missed > 0 ? "yellow" : "green";
    this.#status.show({ fill, shape: "dot", text: counts.join(" · ") });
  }

  // ---- the place ----

  /** In another agent's it means nothing. */
  #placeIn(text: string | undefined): string | undefined {
    if (text === undefined) return undefined;
    const space = text.indexOf(" ");
    return text.slice(space + 1) === this.#agent ? text.slice(0, space) : undefined;
  }

  async #keep(): Promise<void> {
    const id = this.#stream?.lastId;
    if (id !== undefined) await this.#kept?.save(`${id} ${this.#agent}`);
  }

  async #close(removed: boolean): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#keepTimer);
    await this.#stream?.close();
    if (!removed) {
      await this.#keep();
      this.#kept?.close();
    }
    this.#status.close();
  }
}
