/**
 * The connection of a bridge, shared by its lanes: whoever needs it first opens it, and what the
 * broker allows to be under way is shared out here.
 *
 *   alerts    ────┐
 *   summaries ────┼──▶ one connection, one order, ──▶ broker
 *   backfill  ────┤    of what it allows under way each lane leaves an eighth to those before it
 *   status    ────┘
 *
 * It also says who we are: a retained status when it opens and every so often, and a will that says
 * offline when we are gone without a word.
 */

import type { Clock } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { byLane, type Lane, lanes } from "../../store/outbox/lane.ts";
import type { Answer, BridgeLink, BridgeMessage, ConnectBridge, LinkEnd } from "./bridge-link.ts";

type BridgeSessionOptions = {
  /** Where it goes, for people: no login in it. */
  readonly url: string;
  readonly clock: Clock;
  readonly connect: ConnectBridge;
  /** A broker that owes an answer for so long is not there any more. */
  readonly answerMs: number;
  readonly status: BridgeStatus | undefined;
  /** What a connection is to go over now: one over something else is given up for it. */
  readonly over?: () => unknown;
};

export type BridgeStatus = {
  readonly topic: string;
  readonly everyMs: number;
  readonly payload: () => Uint8Array;
  /** Without the time, which nobody knows yet; also the last word of an orderly end. */
  readonly offline: () => Uint8Array;
};

/** What a lane wants to know between deliveries. */
export interface SlotUser {
  /** There may be room for a message. */
  roomMade(): void;
  linkEnded(fault: Fault): void;
}

export class BridgeSession {
  readonly #options: BridgeSessionOptions;
  readonly #users = new Map<Lane, SlotUser>();
  #link: BridgeLink | undefined;
  /** What it was opened over. */
  #over: unknown;
  #connecting: Promise<BridgeLink> | undefined;
  #inFlight = 0;
  #inFlightOf: Record<Lane, number> = byLane(() => 0);
  #cancelStatus: (() => void) | undefined;
  /** While the answer to a status is due. */
  #cancelOwed: (() => void) | undefined;
  #statusRefused = 0;
  #traffic = { sent: 0, received: 0 };
  #unheard = 0;
  #connections = 0;
  #opened = 0;
  /** Of the last link. */
  #lastEnd: LinkEnd = { why: "not connected yet", takenOver: false };
  #whyGivenUp: string | undefined;
  /** Each ends a wait for a connection. */
  readonly #aborts: Set<(fault: Fault) => void> = new Set();
  #isClosed = false;

  constructor(options: BridgeSessionOptions) {
    this.#options = options;
  }

  get facts(): Readonly<Record<string, number>> {
    const link = this.#link;
    return {
      sentBytes: this.#traffic.sent + (link?.traffic.sent ?? 0),
      receivedBytes: this.#traffic.received + (link?.traffic.received ?? 0),
      unheard: this.#unheard + (link?.unheard ?? 0),
      connections: this.#connections,
      inFlight: this.#inFlight,
      ...(this.#statusRefused === 0 ? {} : { statusRefused: this.#statusRefused }),
    };
  }

  /** Why there is no connection; undefined while there is one. */
  get trouble(): Fault | undefined {
    return this.#link === undefined ? this.#lost(this.#lastEnd) : undefined;
  }

  get packetBytesMax(): number {
    return this.#link?.packetBytesMax ?? Number.POSITIVE_INFINITY;
  }

  /** A lane registers before it sends. */
  serve(lane: Lane, user: SlotUser): void {
    this.#users.set(lane, user);
  }

  /** Connected when it resolves; callers share one try. */
  async open(): Promise<void> {
    const link = this.#link;
    if (link !== undefined && this.#over === this.#options.over?.()) return;
    if (link !== undefined) {
      this.#whyGivenUp = "it goes over another link from now on";
      this.#ended(link);
      link.destroy();
    }
    // Two with one client id would put each other out for ever: the one that was put out gives way.
    if (this.#lastEnd.takenOver) throw this.#lost(this.#lastEnd);
    this.#connecting ??= this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    await this.#beforeClose(this.#connecting);
  }

  /** Whether one more message of the lane may be under way. */
  hasRoom(lane: Lane): boolean {
    if (this.#link === undefined) return false;
    const all = Math.min(this.#link.receiveMax, limits.bridgeInFlightMax);
    if (this.#inFlight >= all) return false;
    const left = lanes.indexOf(lane) * Math.ceil(all / 8);
    return this.#inFlightOf[lane] < Math.max(1, all - left);
  }

  /** Only with room. `onAnswer` is not called once the link has ended. */
  publish(lane: Lane, message: BridgeMessage, onAnswer: (answer: Answer) => void): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#inFlightOf[lane] += 1;
    this.#send(link, message, (answer) => {
      this.#inFlightOf[lane] -= 1;
      onAnswer(answer);
    });
  }

  /** The link owes an answer for too long: it is given up, and its end is told. */
  giveUp(): void {
    if (this.#link === undefined) return;
    this.#whyGivenUp = `it acknowledged nothing within ${this.#options.answerMs} ms`;
    this.#link.destroy();
  }

  /** All lanes have let go: the last status, then the end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const abort of this.#aborts) abort(this.#agentEnds());
    this.#cancelStatus?.();
    this.#cancelOwed?.();
    const link = this.#link;
    if (link === undefined) return;
    const { clock, status } = this.#options;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(limits.bridgeCloseWaitMs, resolve);
    if (status !== undefined) {
      const message = { topic: status.topic, payload: status.offline(), retain: true };
      this.#send(link, { ...message, attributes: undefined }, () => resolve());
    } else {
      resolve();
    }
    await promise;
    cancel();
    await link.close();
  }

  // ---- the link ----

  async #connect(): Promise<BridgeLink> {
    const { connect, status } = this.#options;
    const will = status && { topic: status.topic, payload: status.offline() };
    let isOver = false;
    /** What `#opened` counts while this link is the one. */
    let opened = 0;
    const onEnded = (): void => {
      isOver = true;
      // A try that failed may end when the next one is up.
      if (this.#link !== undefined && this.#opened === opened) this.#ended(this.#link);
    };
    const over = this.#options.over?.();
    const link = await connect({ will, onEnded });
    if (isOver || this.#isClosed) {
      link.destroy();
      throw this.#lost(link.ended ?? { why: "the connection ended at once", takenOver: false });
    }
    this.#link = link;
    this.#over = over;
    opened = this.#opened += 1;
    this.#connections += 1;
    this.#inFlight = 0;
    this.#inFlightOf = byLane(() => 0);
    this.#renewStatus();
    return link;
  }

  #ended(link: BridgeLink): void {
    this.#link = undefined;
    this.#cancelStatus?.();
    this.#cancelOwed?.();
    this.#cancelOwed = undefined;
    this.#traffic.sent += link.traffic.sent;
    this.#traffic.received += link.traffic.received;
    this.#unheard += link.unheard;
    this.#inFlight = 0;
    this.#inFlightOf = byLane(() => 0);
    const { ended = { why: "the connection ended", takenOver: false } } = link;
    this.#lastEnd = { ...ended, why: this.#whyGivenUp ?? ended.why };
    this.#whyGivenUp = undefined;
    const fault = this.#lost(this.#lastEnd);
    for (const user of this.#users.values()) user.linkEnded(fault);
  }

  /** Each try of a long outage waits here; a race would remember them all until the end. */
  async #beforeClose(connecting: Promise<BridgeLink>): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#aborts.add(reject);
    connecting.then(() => resolve(), reject);
    if (this.#isClosed) reject(this.#agentEnds());
    try {
      await promise;
    } finally {
      this.#aborts.delete(reject);
    }
  }

  #agentEnds(): Fault {
    return this.#lost({ why: "the agent ends", takenOver: false });
  }

  #lost({ why, takenOver }: LinkEnd): Fault {
    const { url } = this.#options;
    return takenOver
      ? new Fault(
          "IDENTITY_IN_USE",
          `another client connected to ${url} with this agent's client id: give each its own (agent, or clientId of the bridge), then restart`,
        )
      : new Fault("UPLINK_UNREACHABLE", `the connection to ${url} is lost: ${why}`);
  }

  #send(link: BridgeLink, message: BridgeMessage, onAnswer: (answer: Answer) => void): void {
    this.#inFlight += 1;
    const opened = this.#opened;
    link.publish(message, (answer) => {
      if (this.#opened !== opened || this.#link === undefined) return;
      this.#inFlight -= 1;
      onAnswer(answer);
      // In the order of the lanes: alerts first.
      for (const lane of lanes) this.#users.get(lane)?.roomMade();
    });
  }

  // ---- who we are ----

  #renewStatus(): void {
    const { clock, status } = this.#options;
    const link = this.#link;
    if (status === undefined || link === undefined) return;
    if (this.#cancelOwed === undefined && this.hasRoom("alerts")) {
      const cancel = clock.after(this.#options.answerMs, () => this.giveUp());
      this.#cancelOwed = cancel;
      const message = { topic: status.topic, payload: status.payload(), retain: true };
      this.#send(link, { ...message, attributes: undefined }, ({ kind }) => {
        cancel();
        this.#cancelOwed = undefined;
        if (kind === "refused") this.#statusRefused += 1;
      });
    }
    this.#cancelStatus = clock.after(status.everyMs, () => this.#renewStatus());
  }
}
