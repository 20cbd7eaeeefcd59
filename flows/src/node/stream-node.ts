/**
 * Puts a stream of an agent into a node: its records become messages. The place of the last one is kept in
 * a context store, so that a deploy misses nothing and repeats nothing; nor does a restart, where that store
 * is one in files.
 *
 *   record  ─▶ output 1, and the place moves on
 *   missed  ─▶ output 2: the agent does not keep so many records any more, or was restored
 *
 * The place is given to the store as soon as the agent has told the first one, once a second while it moves,
 * and when the node closes. A store in files writes it in its own time: Node-RED's every `flushInterval`. A
 * Node-RED that is killed gets the records of both times again; before the first writing there is no place.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import { EventStream, type StreamState } from "../agent/event-stream.ts";
import type { ServerEvent } from "../agent/event-parser.ts";
import { wordOf } from "../agent/trouble.ts";
import { migrate, type Migration, type Settings } from "../migrations.ts";
import type { Message, NodeConfig, Red, RedNode, Status } from "../red.ts";
import { choiceIn, textIn } from "../settings.ts";
import { clientOf } from "./agent-link.ts";
import { isMemory } from "./context-stores.ts";
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

/** What nodes of one type share while this process lives. */
type Shared = {
  readonly here: KeptHere;
  /** Ids of those that have said what there is to know of their place at the start. */
  readonly told: Set<string>;
};

export function registerStream(RED: Red, kind: StreamKind): void {
  const shared: Shared = { here: new Map(), told: new Set() };
  RED.nodes.registerType(kind.type, function (this: RedNode, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    void new StreamNode(RED, this, { kind, shared }).start(config);
  });
}

class StreamNode {
  readonly #red: Red;
  readonly #node: RedNode;
  readonly #kind: StreamKind;
  readonly #shared: Shared;
  readonly #status: StatusLine;
  #kept: KeptText | undefined;
  #stream: EventStream | undefined;
  /** Of which agent the places are. */
  #agent = "";
  #records = 0;
  #missed = 0;
  #state: StreamState = { kind: "connecting" };
  /** Whether the agent has no pipeline of a name that is asked for. */
  #isUnmatched = false;
  /** What was warned of last, of either. */
  #warnedTrouble: string | undefined;
  #warnedUnmatched: string | undefined;
  #keepTimer: NodeJS.Timeout | undefined;
  /** Whether the store has a place of this agent. */
  #isPlaced = false;
  #isClosed = false;

  constructor(
    red: Red,
    node: RedNode,
    { kind, shared }: { readonly kind: StreamKind; readonly shared: Shared },
  ) {
    this.#red = red;
    this.#node = node;
    this.#kind = kind;
    this.#shared = shared;
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
      const { here } = this.#shared;
      this.#kept = new KeptText({ node: this.#node, name: "weir", store, here });
      const lastId = this.#placeIn(await this.#kept.load());
      this.#isPlaced = lastId !== undefined;
      if (this.#isClosed) return;
      this.#tellPlace(isMemory(this.#red.settings.contextStorage, store), query);
      this.#stream = new EventStream({
        client,
        query,
        lastId,
        onEvent: (event) => this.#take(event),
        onState: (state) => this.#enter(state),
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

  /** Once in a process: over deploys the place stays. */
  #tellPlace(isForgotten: boolean, query: URLSearchParams): void {
    const { told } = this.#shared;
    if (told.has(this.#node.id)) return;
    told.add(this.#node.id);
    const isFromNow = query.get("from") === "now";
    if (isForgotten) {
      const then = isFromNow
        ? "gives what comes from then on, and nothing of what came meanwhile"
        : "gives all that the agent still keeps, also what it gave before";
      this.#node.log(
        `keeps its place in memory only: after a restart of Node-RED it ${then}; "Kept in" a context store of files it goes on where it was (contextStorage in settings.js)`,
      );
    } else if (!this.#isPlaced) {
      const first = isFromNow ? "what comes from now on" : "all that the agent still keeps";
      this.#node.log(
        `its context store has no place of the agent at ${this.#agent}: it begins with ${first}`,
      );
    }
  }

  #take({ event, data }: ServerEvent): void {
    const record = JSON.parse(data) as Readonly<Record<string, unknown>>;
    if (event === "missed") {
      this.#missed += typeof record["missed"] === "number" ? record["missed"] : 0;
      this.#node.send([[], [{ topic: "missed", payload: record }]]);
    } else if (event === "ready") {
      this.#look(record);
    } else {
      this.#records += 1;
      this.#node.send([[this.#kind.messageOf(record)], []]);
    }
    this.#keepTimer ??= setTimeout(
      () => {
        this.#keepTimer = undefined;
        void this.#keep();
      },
      this.#isPlaced ? flowLimits.placeKeepMs : 0,
    );
    this.#show();
  }

  /** Whether the agent has the pipelines that are asked for, now: it may get them, or lose them, later. */
  #look({ unmatched, pipelines }: Readonly<Record<string, unknown>>): void {
    this.#isUnmatched = Array.isArray(unmatched);
    const warned = this.#isUnmatched ? JSON.stringify([unmatched, pipelines]) : undefined;
    if (warned !== undefined && warned !== this.#warnedUnmatched) {
      const has = namesOf(pipelines);
      const otherwise = has === "" ? "nor any other" : `but ${has}`;
      this.#node.warn(
        `the agent at ${this.#agent} has no pipeline ${namesOf(unmatched)}, ${otherwise}; mend "Pipelines", or add it to its weir.yaml`,
      );
    }
    this.#warnedUnmatched = warned;
  }

  #enter(state: StreamState): void {
    this.#state = state;
    if (state.kind === "trouble" && state.error.message !== this.#warnedTrouble) {
      this.#warnedTrouble = state.error.message;
      this.#node.warn(state.error.message);
    }
    if (state.kind === "open") {
      if (this.#warnedTrouble !== undefined) {
        this.#node.log(`the agent at ${this.#agent} answers again`);
      }
      this.#warnedTrouble = undefined;
    }
    this.#show();
  }

  #show(): void {
    this.#status.show(this.#makeStatus);
  }

  readonly #makeStatus = (): Status => {
    const state = this.#state;
    if (state.kind === "trouble") {
      return { fill: "red", shape: "ring", text: this.#red._(`status.${wordOf(state.error)}`) };
    }
    if (state.kind === "connecting") {
      return { fill: "yellow", shape: "ring", text: this.#red._("status.connecting") };
    }
    const parts = [`${this.#red._("status.records")} ${this.#records}`];
    if (this.#missed > 0) parts.push(`${this.#red._("status.missed")} ${this.#missed}`);
    if (this.#isUnmatched) parts.push(this.#red._("status.noPipeline"));
    return { fill: parts.length > 1 ? "yellow" : "green", shape: "dot", text: parts.join(" · ") };
  };

  // ---- the place ----

  /** In another agent's it means nothing. */
  #placeIn(text: string | undefined): string | undefined {
    if (text === undefined) return undefined;
    const [id = "", agent] = text.split(" ", 2);
    return agent === this.#agent ? id : undefined;
  }

  async #keep(): Promise<void> {
    const id = this.#stream?.lastId;
    if (id === undefined) return;
    this.#isPlaced = true;
    await this.#kept?.save(`${id} ${this.#agent}`);
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

/** Some of them where they are many. */
function namesOf(names: unknown): string {
  const all: readonly unknown[] = Array.isArray(names) ? names : [];
  const some = all.slice(0, flowLimits.namesToldMax).map((name) => JSON.stringify(name));
  const rest = all.length - some.length;
  return `${some.join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`;
}
