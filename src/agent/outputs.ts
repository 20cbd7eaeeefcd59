/**
 * What `apply` emitted and no commit has made durable yet: encoded records by lane, dead letters,
 * new definitions. While the log is replayed up to emittedThrough it is muted, because those outputs
 * are durable already.
 */

import type { DeadLetter, Definition, Named, Posted } from "../core/frame.ts";
import { limits } from "../core/limits.ts";
import type { Alert, Complete, Sink, Summary } from "../core/record.ts";
import type { Position } from "../core/units.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { idOf } from "../store/outbox/record-id.ts";
import { HeldBack } from "../store/state/held-back.ts";
import type { AlertAsk, AskOf } from "./raw/alert-asks.ts";
import { encodeAlert, encodeComplete, encodeSummary } from "../store/outbox/record-codec.ts";

export type PendingOutputs = {
  readonly definitions: readonly Named[];
  readonly posted: readonly Posted[];
  readonly deadLetters: readonly DeadLetter[];
  readonly outbox: OutboxWriter;
  /** Raw readings that its alerts want, at most limits.rawAlertRequestsMax; how many more do. */
  readonly asks: { readonly first: readonly AlertAsk[]; readonly more: number };
};

export class Outputs implements Sink {
  readonly #agent: string;
  readonly #heldBack: HeldBack;
  #heldBackCount = 0;
  #definitions: Named[] = [];
  #posted: Posted[] = [];
  #deadLetters: DeadLetter[] = [];
  #outbox: OutboxWriter = new OutboxWriter();
  readonly #askOf: AskOf;
  #asks: AlertAsk[] = [];
  #unasked = 0;
  #urgent = false;
  readonly #recentAlerts: Alert[] = [];
  #summaries = 0;
  #alerts = 0;
  /** While true nothing is kept: the outputs of these positions are durable already. */
  muted = false;

  constructor(agent: string, heldBack: HeldBack = new HeldBack(), askOf: AskOf = () => undefined) {
    this.#agent = agent;
    this.#askOf = askOf;
    this.#heldBack = heldBack;
  }

  get empty(): boolean {
    return (
      this.#outbox.count === 0 &&
      this.#deadLetters.length === 0 &&
      this.#definitions.length === 0 &&
      this.#posted.length === 0
    );
  }
  /** An alert waits: it does not wait for summaries. */
  get urgent(): boolean {
    return this.#urgent;
  }
  get bytes(): number {
    return this.#outbox.bytes;
  }
  /** Emitted by this process; windows closed and alerts raised. */
  get counters(): {
    readonly summaries: number;
    readonly alerts: number;
    /** Windows that are upstream already, from the hardware that had the name before. */
    readonly heldBack: number;
  } {
    return { summaries: this.#summaries, alerts: this.#alerts, heldBack: this.#heldBackCount };
  }
  /** The newest alerts of this process, newest last, at most limits.alertsRemembered. */
  get recentAlerts(): readonly Alert[] {
    return this.#recentAlerts;
  }

  define(definitions: readonly Definition[]): void {
    if (this.muted) return;
    for (const definition of definitions) {
      if (definition.kind === "posted") this.#keepPosted(definition);
      else this.#definitions.push(definition);
    }
  }

  /** What was posted and waits for its commit, oldest first. */
  get posted(): readonly Posted[] {
    return this.#posted;
  }

  /** Only so many are ever kept, the newest: while no commit is possible, no more wait for one. */
  #keepPosted(posted: Posted): void {
    this.#posted.push(posted);
    if (this.#posted.length > limits.postKeysMax) this.#posted.shift();
  }

  summary(_at: Position, summary: Summary): void {
    if (this.muted) return;
    const record = encodeSummary(this.#agent, summary);
    if (summary.start < (this.#floorOf(record) ?? Number.NEGATIVE_INFINITY)) {
      this.#heldBackCount += 1;
      return;
    }
    this.#summaries += 1;
    this.#outbox.add("summaries", record, summary.end);
  }

  alert(_at: Position, alert: Alert): void {
    if (this.muted) return;
    this.#alerts += 1;
    this.#urgent = true;
    const record = encodeAlert(this.#agent, alert);
    this.#outbox.add("alerts", record);
    const ask = this.#askOf(alert, record);
    if (ask !== undefined) {
      if (this.#asks.length < limits.rawAlertRequestsMax) this.#asks.push(ask);
      else this.#unasked += 1;
    }
    this.#recentAlerts.push(alert);
    if (this.#recentAlerts.length > limits.alertsRemembered) this.#recentAlerts.shift();
  }

  complete(_at: Position, marker: Complete): void {
    if (this.muted) return;
    const record = encodeComplete(this.#agent, marker);
    // One that does not begin behind it counts what is held back, not what was sent instead.
    const floor = this.#floorOf(record);
    if (floor !== undefined && (marker.from ?? Number.NEGATIVE_INFINITY) < floor) return;
    this.#outbox.add("summaries", record);
  }

  #floorOf(record: Uint8Array): number | undefined {
    if (this.#heldBack.size === 0) return undefined;
    return this.#heldBack.floorOf(idOf(record)?.name ?? "");
  }

  deadLetter(_at: Position, letter: DeadLetter): void {
    if (this.muted) return;
    this.#deadLetters.push(letter);
    // Only so many are ever kept, the newest: while no commit is possible, no more wait for one.
    if (this.#deadLetters.length > limits.deadLettersKeptMax) this.#deadLetters.shift();
  }

  /** Hands over everything gathered; the receiver owns it. */
  take(): PendingOutputs {
    const pending = {
      definitions: this.#definitions,
      posted: this.#posted,
      deadLetters: this.#deadLetters,
      outbox: this.#outbox,
      asks: { first: this.#asks, more: this.#unasked },
    };
    this.#asks = [];
    this.#unasked = 0;
    this.#definitions = [];
    this.#posted = [];
    this.#deadLetters = [];
    this.#outbox = new OutboxWriter();
    this.#urgent = false;
    return pending;
  }
}
