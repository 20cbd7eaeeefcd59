/**
 * The link between the gateway and a model of a Kafka cluster: requests take time, are lost on
 * either way, hang, overtake each other, or find nobody; and the cluster may refuse.
 */

import type { Random } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import { ClusterModel, type ModelCall, type ModelFate } from "../../support/kafka/cluster-model.ts";
import { leaveTransactionOpen } from "../../support/kafka/stuck-transaction.ts";
import { below } from "../../support/seeded-random.ts";
import type { PlannedFault } from "../faults.ts";
import type { Transaction } from "../oracle/evidence.ts";
import type { Life } from "./life.ts";
import type { Timeline } from "./timeline.ts";

const latencyMs = 5;
const connectWaitMs = 10_000;

type Lasting = Extract<
  PlannedFault,
  { readonly kind: "link-down" | "link-flaky" | "cluster-refuses" }
>;

export class Link {
  readonly cluster: ClusterModel;
  readonly #timeline: Timeline;
  readonly #random: Random;
  /** By session; undefined for those that the world opens itself. */
  readonly #lives: (Life | undefined)[] = [];
  readonly #lanes: (string | undefined)[] = [];
  /** All that lanes began; `endedAt` is Infinity while they are under way. */
  readonly transactions: Transaction[] = [];
  /** By session, which of them is under way. */
  readonly #underWay = new Map<number, number>();
  /** Faults that are on. */
  readonly on: Set<Lasting> = new Set();
  #aheadMs = 0;
  /** Told of every request and what became of it. */
  onRequest: (call: ModelCall, fate: ModelFate) => void = () => undefined;

  constructor(options: {
    readonly timeline: Timeline;
    readonly random: Random;
    /** Milliseconds since 1970. */
    readonly trueTime: () => number;
  }) {
    this.#timeline = options.timeline;
    this.#random = options.random;
    this.cluster = new ClusterModel({
      clock: () => Math.floor(options.trueTime() + this.#aheadMs),
      random: options.random,
    });
    this.cluster.onClosed = (session) => this.#end(session);
    this.cluster.fate = async (call) => {
      if (call.request === "AddPartitionsToTxn") this.#begin(call.session);
      const fate = await this.#fateOf(call);
      if (call.request === "EndTxn") this.#end(call.session);
      this.onRequest(call, fate);
      return fate;
    };
  }

  /** A session of a life, for one of its lanes. */
  async dial(life: Life, lane: string): Promise<Cluster> {
    const isDown = [...this.on].some(({ kind }) => kind === "link-down");
    await life.pause(isDown ? connectWaitMs : latencyMs);
    if (isDown) throw new Fault("UPLINK_UNREACHABLE", "the simulated link is down");
    this.#lanes[this.#lives.length] = lane;
    this.#lives.push(life);
    return this.cluster.connect();
  }

  /** So much time passes for the cluster alone. */
  age(days: number): void {
    this.#aheadMs += days * 86_400_000;
  }

  /** The cluster's cleaner comes by; false where it finds nothing. */
  compact(topic: string): boolean {
    if (!this.cluster.hasTopic(topic)) return false;
    this.cluster.compact(topic);
    return true;
  }

  /** Long enough for every transaction that somebody left open to be aborted. */
  settle(): void {
    this.#aheadMs += 600_000;
    this.cluster.settle();
  }

  #begin(session: number): void {
    const [life, lane] = [this.#lives[session], this.#lanes[session]];
    if (life === undefined || lane === undefined || this.#underWay.has(session)) return;
    const began = { life: life.number, lane, beganAt: this.#timeline.now, endedAt: Infinity };
    this.#underWay.set(session, this.transactions.push(began) - 1);
  }

  #end(session: number): void {
    const index = this.#underWay.get(session);
    if (index === undefined) return;
    this.#underWay.delete(session);
    this.transactions[index] = { ...this.transactions[index]!, endedAt: this.#timeline.now };
  }

  async #fateOf(call: ModelCall): Promise<ModelFate> {
    const life = this.#lives[call.session];
    if (life === undefined) return "answer";
    if (!life.call(`kafka ${call.request}`)) return "hang-request";
    let delayMs = latencyMs;
    let fate: ModelFate = "answer";
    for (const fault of this.on) {
      const drawn = this.#drawn(fault);
      if (drawn === undefined) continue;
      if (typeof drawn === "number") delayMs += drawn;
      else fate = drawn;
    }
    await this.#timeline.pause(Math.ceil(delayMs * (0.5 + below(this.#random, 100) / 100)));
    // The process died meanwhile: the request may still arrive, nobody hears the answer.
    if (life.isOver) return below(this.#random, 2) === 0 ? "hang-request" : "hang-answer";
    if (!life.call(`kafka ${call.request} arrives`)) return "hang-answer";
    return fate;
  }

  /** What the fault does to this request: its end, or how much later it comes. */
  #drawn(fault: Lasting): ModelFate | number | undefined {
    const percent = (of: number): boolean => below(this.#random, 100) < of;
    const way = below(this.#random, 2) === 0 ? "request" : "answer";
    switch (fault.kind) {
      case "link-down":
        return `hang-${way}`;
      case "link-flaky":
        if (percent(fault.losePercent)) return `lose-${way}`;
        if (percent(fault.hangPercent)) return `hang-${way}`;
        return below(this.#random, fault.delayMs + 1);
      case "cluster-refuses":
        return percent(fault.percent) ? `refuse ${fault.error}` : undefined;
    }
  }

  // ---- what others do ----

  /** Another agent leaves a transaction open on the first partitions of these topics. */
  async leaveOpen(topics: readonly string[]): Promise<void> {
    this.#lives.push(undefined);
    await leaveTransactionOpen(this.cluster.connect(), { topics, timeMs: 0 });
  }
}
