/**
 * Puts a node before an agent that asks it something for each message: the answer goes on in the message,
 * a refusal to Catch nodes. Few questions are under way at a time; further ones wait, bounded.
 */

import { flowLimits } from "../../../src/core/flow-limits.ts";
import type { AgentClient } from "../agent/agent-client.ts";
import { wordOf } from "../agent/trouble.ts";
import { migrate, type Migration, type Settings } from "../migrations.ts";
import type { Done, Message, NodeConfig, Red, RedNode, Send, Status } from "../red.ts";
import { clientOf } from "./agent-link.ts";
import { StatusLine } from "./status-line.ts";

export type AskingKind = {
  readonly type: string;
  readonly migrations: readonly Migration[];
  /** Called once; throws an Error where settings are wrong. What it gives asks for one message. */
  readonly start: (settings: Settings, asking: Asking) => Ask;
  /** What the status shows of an answer; absent: nothing. */
  readonly statusOf?: (answered: Message) => Status;
};

/** Gives the properties that the message gets. */
export type Ask = (message: Message, signal: AbortSignal) => Promise<Message>;

export type Asking = {
  readonly client: AgentClient;
  readonly node: RedNode;
  readonly status: StatusLine;
  /** Called when the node closes. */
  readonly onClose: (run: () => void) => void;
};

type Waiting = { readonly message: Message; readonly send: Send; readonly done: Done };

export function registerAsking(RED: Red, kind: AskingKind): void {
  RED.nodes.registerType(kind.type, function (this: RedNode, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    new AskingNode(RED, this, kind).start(config);
  });
}

class AskingNode {
  readonly #red: Red;
  readonly #node: RedNode;
  readonly #kind: AskingKind;
  readonly #status: StatusLine;
  readonly #closing = new AbortController();
  readonly #onClose: (() => void)[] = [];
  #ask: Ask | undefined;
  #fault: Error | undefined;
  #waiting: Waiting[] = [];
  #underWay = 0;

  constructor(red: Red, node: RedNode, kind: AskingKind) {
    this.#red = red;
    this.#node = node;
    this.#kind = kind;
    this.#status = new StatusLine(node);
    node.on("input", (message, send, done) => this.#input({ message, send, done }));
    node.on("close", (_removed, done) => {
      this.#close();
      done();
    });
  }

  start(config: NodeConfig): void {
    try {
      const settings = migrate(config, this.#kind.migrations);
      const client = clientOf(this.#red, settings);
      const onClose = (run: () => void): void => void this.#onClose.push(run);
      const asking = { client, node: this.#node, status: this.#status, onClose };
      this.#ask = this.#kind.start(settings, asking);
    } catch (error) {
      this.#fault = error instanceof Error ? error : new Error(String(error));
      this.#node.error(this.#fault.message);
      this.#status.show({ fill: "red", shape: "ring", text: this.#fault.message });
    }
  }

  #input(input: Waiting): void {
    if (this.#fault !== undefined) return input.done(this.#fault);
    if (this.#waiting.length >= flowLimits.questionsWaitingMax) {
      const most = flowLimits.questionsWaitingMax;
      return input.done(new Error(`${most} questions wait for the agent: ask less often`));
    }
    this.#waiting.push(input);
    this.#next();
  }

  #next(): void {
    if (this.#underWay >= flowLimits.questionsMax) return;
    const next = this.#waiting.shift();
    if (next === undefined || this.#ask === undefined) return;
    this.#underWay += 1;
    void this.#answer(next, this.#ask).then(() => {
      this.#underWay -= 1;
      this.#next();
    });
  }

  async #answer({ message, send, done }: Waiting, ask: Ask): Promise<void> {
    try {
      const answered = await ask(message, this.#closing.signal);
      if (this.#closing.signal.aborted) throw new Error("the node was closed meanwhile");
      // At once: what would make it later would hold the answer until the next one.
      this.#status.show(this.#kind.statusOf?.(answered) ?? {});
      send([[{ ...message, ...answered }]]);
      done();
    } catch (error) {
      const fault = error instanceof Error ? error : new Error(String(error));
      if (!this.#closing.signal.aborted) {
        this.#status.show({
          fill: "red",
          shape: "ring",
          text: this.#red._(`status.${wordOf(fault)}`),
        });
      }
      done(fault);
    }
  }

  #close(): void {
    for (const run of this.#onClose) run();
    const why = new Error("the node was closed before the agent was asked");
    for (const { done } of this.#waiting.splice(0)) done(why);
    this.#closing.abort();
    this.#status.close();
  }
}
