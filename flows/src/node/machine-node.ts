/**
 * Puts a machine into a node: its messages, timers, status, and what it knows across deploys and
 * restarts, which is one text in a context store of the user's choice.
 *
 *   start    settings migrated and read -> kept text asked for -> machine -> messages that waited
 *   running  take / wake -> send, done; given to the store every flowLimits.keepMs while something changes
 *   close    kept; what comes from nodes that are closed, too, waits for the next start; then done
 *
 * A message that the machine refuses, or that comes to a node whose settings are wrong, is an error for
 * Catch nodes; the node goes on. Nothing of a message is kept before the next save, nor is that on disk before
 * the store writes (Node-RED's in files: every `flushInterval`): what a crash of Node-RED takes is what came
 * since, which is what the agent is for.
 */

import { setTimeout as wait } from "node:timers/promises";
import { counted } from "../../../src/core/counted.ts";
import { flowLimits } from "../../../src/core/flow-limits.ts";
import { linger } from "../linger.ts";
import { migrate, type Migration, type Settings } from "../migrations.ts";
import { type Machine, Refused, type Started } from "../operators/machine.ts";
import type { PropertyReader } from "../operators/reading.ts";
import type { Done, Message, NodeConfig, Outputs, Red, RedNode, Send, Status } from "../red.ts";
import { type KeptHere, KeptText } from "./kept-text.ts";
import { StatusLine } from "./status-line.ts";

export type MachineKind = {
  /** Type of the node. */
  readonly type: string;
  readonly migrations: readonly Migration[];
  /**
   * Makes a machine of settings, which are of the newest version, and of what an earlier one kept; that
   * may be any text. Throws an Error that names the setting which is wrong.
   */
  readonly start: (
    settings: Settings,
    kept: string | undefined,
    context: { readonly read: PropertyReader; readonly now: number },
  ) => Started;
};

export function registerMachine(RED: Red, kind: MachineKind): void {
  const shared: Shared = { here: new Map(), late: new Map() };
  RED.nodes.registerType(kind.type, function (this: RedNode, config: NodeConfig) {
    RED.nodes.createNode(this, config);
    void new MachineNode(RED, this, { ...kind, ...shared }).start(config);
  });
}

/** What nodes of one type have for those that start again in this process. */
type Shared = {
  readonly here: KeptHere;
  /** Messages that came while a node closed, by its id. */
  readonly late: Map<string, readonly Message[]>;
};

type Held = { readonly message: Message; readonly send: Send; readonly done: Done };

class MachineNode {
  readonly #red: Red;
  readonly #node: RedNode;
  readonly #kind: MachineKind & Shared;
  readonly #status: StatusLine;
  readonly #read: PropertyReader;
  #kept: KeptText | undefined;
  #machine: Machine | undefined;
  /** Why there is no machine: settings that are wrong. */
  #fault: string | undefined;
  /** Messages that came before what was kept, or while the node closes. */
  #held: Held[] = [];
  #wakeTimer: NodeJS.Timeout | undefined;
  /** What the timer is set for: most messages do not change it. */
  #wakeAt = Number.POSITIVE_INFINITY;
  #keepTimer: NodeJS.Timeout | undefined;
  #leftoverTimer: NodeJS.Timeout | undefined;
  #isClosing = false;
  #isGone = false;
  /** It was said that there is too much to keep. */
  #isTooMuch = false;

  constructor(red: Red, node: RedNode, kind: MachineKind & Shared) {
    this.#red = red;
    this.#node = node;
    this.#kind = kind;
    this.#status = new StatusLine(node);
    this.#read = (message, path) => {
      try {
        return red.util.getMessageProperty(message, path);
      } catch {
        // On the way there is nothing: neither is the property.
        return undefined;
      }
    };
    node.on("input", (message, send, done) => this.#input({ message, send, done }));
    node.on("close", (removed, done) => void this.#close(removed).then(done, done));
  }

  async start(config: NodeConfig): Promise<void> {
    try {
      const settings = migrate(config, this.#kind.migrations);
      const store = settings["store"];
      const { here } = this.#kind;
      this.#kept = new KeptText({ node: this.#node, name: "weir", store, here });
      const kept = await this.#kept.load();
      // What waits is for the next life then, which may be here already.
      if (this.#isClosing) return;
      // The nodes behind this one may not exist yet.
      if (this.#holdLate() > 0) await wait(flowLimits.leftoverMs);
      if (this.#isClosing) return;
      this.#begin(settings, kept);
    } catch (error) {
      this.#fail(messageOf(error));
    }
    const held = this.#held;
    this.#held = [];
    for (const one of held) this.#input(one);
  }

  #begin(settings: Settings, kept: string | undefined): void {
    const started = this.#startFrom(settings, kept);
    if (started.trouble !== undefined) this.#node.warn(started.trouble);
    this.#machine = started.machine;
    if (hasMessages(started.leftover)) this.#sendLater(started.leftover);
    else if (started.trouble !== undefined) void this.#kept?.save(undefined);
    this.#after();
  }

  /** The nodes behind this one may not exist yet. Once it is sent, what was kept must not bring it again. */
  #sendLater(leftover: Outputs): void {
    this.#leftoverTimer = setTimeout(() => {
      this.#leftoverTimer = undefined;
      this.#node.send(leftover);
      void this.#kept?.save(undefined);
    }, flowLimits.leftoverMs);
  }

  /** What was kept may be anything: a person can write to a store. Settings that are wrong stay wrong. */
  #startFrom(settings: Settings, kept: string | undefined): Started {
    const context = { read: this.#read, now: Date.now() };
    try {
      return this.#kind.start(settings, kept, context);
    } catch (error) {
      if (kept === undefined) throw error;
      const started = this.#kind.start(settings, undefined, context);
      const trouble = `what was kept cannot be used, it begins anew: ${messageOf(error)}`;
      return { ...started, trouble };
    }
  }

  #fail(fault: string): void {
    this.#fault = fault;
    this.#node.error(fault);
    this.#status.show({ fill: "red", shape: "ring", text: fault });
  }

  #input(input: Held): void {
    const { message, send, done } = input;
    if (this.#fault !== undefined) return done(new Error(this.#fault));
    if (this.#machine === undefined || this.#isClosing) return this.#hold(input);
    let outputs: Outputs;
    try {
      outputs = this.#machine.take(message, Date.now());
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
      if (!(error instanceof Refused)) return this.#stop(error);
      return this.#guarded(() => this.#after());
    }
    if (hasMessages(outputs)) send(outputs);
    done();
    this.#guarded(() => this.#after());
  }

  #hold(input: Held): void {
    if (this.#isGone) return input.done(new Error("the node is closed"));
    const waiting = this.#late.length + this.#held.length;
    if (waiting < flowLimits.heldMessagesMax) this.#held.push(input);
    else input.done(new Error("the context store has not answered yet: too many messages wait"));
  }

  /** What an earlier life of the node left, and this one has not taken yet. */
  get #late(): readonly Message[] {
    return this.#kind.late.get(this.#node.id) ?? [];
  }

  /** Before all others. Returns how many there are. */
  #holdLate(): number {
    const messages = this.#late;
    this.#kind.late.delete(this.#node.id);
    const send: Send = (outputs) => this.#node.send(outputs);
    this.#held = [
      ...messages.map((message) => ({
        message,
        send,
        done: (error?: Error) => error && this.#node.error(error.message, message),
      })),
      ...this.#held,
    ];
    return messages.length;
  }

  /** What is due after every step. */
  #after(): void {
    const machine = this.#machine!;
    this.#status.show(() => this.#statusOf(machine.counts()));
    this.#schedule(machine.wakeAt());
    this.#keepTimer ??= setTimeout(() => {
      this.#keepTimer = undefined;
      this.#keep().catch((error: unknown) => this.#stop(error));
    }, flowLimits.keepMs);
  }

  #schedule(at: number): void {
    if (at === this.#wakeAt) return;
    this.#wakeAt = at;
    clearTimeout(this.#wakeTimer);
    if (at === Number.POSITIVE_INFINITY || this.#isClosing) return;
    const wait = Math.min(Math.max(at - Date.now(), 0), flowLimits.timerMsMax);
    this.#wakeTimer = setTimeout(() => this.#wake(), wait);
  }

  #wake(): void {
    this.#wakeAt = Number.POSITIVE_INFINITY;
    this.#guarded(() => {
      const outputs = this.#machine!.wake(Date.now());
      if (hasMessages(outputs)) this.#node.send(outputs);
      this.#after();
    });
  }

  /** An error of ours must not end Node-RED with all its flows. */
  #guarded(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#stop(error);
    }
  }

  /** What it knows now may be wrong: what was kept last is not. */
  #stop(error: unknown): void {
    clearTimeout(this.#wakeTimer);
    clearTimeout(this.#keepTimer);
    this.#machine = undefined;
    this.#fail(`the node has stopped, deploy it again: ${messageOf(error)}`);
  }

  #statusOf(counts: Readonly<Record<string, number>>): Status {
    const parts = Object.entries(counts)
      .filter(([name, count]) => count > 0 || name === "keys")
      .map(([name, count]) => `${this.#red._(`status.${name}`)} ${count}`);
    return { fill: "green", shape: "dot", text: parts.join(" · ") };
  }

  async #close(removed: boolean): Promise<void> {
    this.#isClosing = true;
    clearTimeout(this.#wakeTimer);
    clearTimeout(this.#keepTimer);
    clearTimeout(this.#leftoverTimer);
    if (!removed) await this.#keepAtEnd();
    await linger();
    this.#isGone = true;
    this.#leave(removed);
    this.#status.close();
  }

  /** Whoever would hear of these is closed, too; the next start takes them, where there is one. */
  #leave(removed: boolean): void {
    const messages = [...this.#late, ...this.#held.map(({ message }) => message)];
    this.#held = [];
    if (messages.length === 0) return;
    if (!removed) return void this.#kind.late.set(this.#node.id, messages);
    this.#kind.late.delete(this.#node.id);
    this.#node.warn(
      `the node is gone, and what waited is lost: ${counted(messages.length, "message")}`,
    );
  }

  async #keepAtEnd(): Promise<void> {
    // What was left and not sent is still in what was kept.
    if (this.#leftoverTimer === undefined) await this.#keep();
    this.#kept?.close();
  }

  async #keep(): Promise<void> {
    const text = this.#machine?.keep();
    if (text === undefined) return;
    const isTooMuch = text.length > flowLimits.stateLengthMax;
    if (isTooMuch && !this.#isTooMuch) {
      this.#node.warn(
        `what the node knows is ${text.length} characters, over ${flowLimits.stateLengthMax}: it is not kept, a restart begins anew; use fewer keys or fewer windows at a time`,
      );
    }
    this.#isTooMuch = isTooMuch;
    // What was kept before is older than what was sent since: it must not come back.
    await this.#kept?.save(isTooMuch ? undefined : text);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function hasMessages(outputs: Outputs): boolean {
  return outputs.some((messages) => messages.length > 0);
}
