/**
 * What a subscriber knows of its session at the broker, across connections: which answers wait for
 * the disk, which QoS 2 messages may come again, whether the broker has our subscriptions.
 */

import type { Canary } from "./canary.ts";
import type { DroppedHint } from "./dropped-hint.ts";
import type { Subscription } from "./packets.ts";
import type { PendingAcks } from "./pending-acks.ts";
import { ReceivedIds } from "./received-ids.ts";
import type { SendQuota } from "./send-quota.ts";

/** So much of a topic that nobody wanted is kept to be shown. */
const TOPIC_BYTES_SHOWN = 256;

export class SessionMemory {
  readonly subscriptions: readonly Subscription[];
  readonly acks: PendingAcks;
  readonly ids: ReceivedIds = new ReceivedIds();
  readonly quota: SendQuota;
  readonly canary: Canary | undefined;
  readonly dropped: DroppedHint;
  /** The broker answered for all subscriptions in this life of ours, and has the session since. */
  isSubscribed = false;
  /** Filters the broker refused, each with its code. */
  readonly refused: Map<string, number> = new Map();
  /** Filters that have a lower QoS than we asked, each with that. */
  readonly lowered: Map<string, number> = new Map();
  #hasSession: boolean;
  readonly #unwanted = new Uint8Array(TOPIC_BYTES_SHOWN);
  #unwantedBytes = 0;

  constructor(parts: {
    readonly subscriptions: readonly Subscription[];
    readonly acks: PendingAcks;
    readonly quota: SendQuota;
    readonly canary: Canary | undefined;
    readonly dropped: DroppedHint;
    /** An earlier life of ours had one. */
    readonly hadSession: boolean;
  }) {
    this.#hasSession = parts.hadSession;
    this.subscriptions = parts.subscriptions;
    this.acks = parts.acks;
    this.quota = parts.quota;
    this.canary = parts.canary;
    this.dropped = parts.dropped;
  }

  /** Messages the broker counts as not acknowledged on the present connection. */
  get inFlight(): number {
    return this.acks.count + this.ids.answeredCount;
  }

  /** The last topic that no source wanted. */
  get unwantedTopic(): string | undefined {
    if (this.#unwantedBytes === 0) return undefined;
    return new TextDecoder().decode(this.#unwanted.subarray(0, this.#unwantedBytes));
  }

  noteUnwanted(bytes: Uint8Array, start: number, end: number): void {
    this.#unwantedBytes = Math.min(end - start, TOPIC_BYTES_SHOWN);
    this.#unwanted.set(bytes.subarray(start, start + this.#unwantedBytes));
  }

  /**
   * Whether a QoS 2 message with this print of topic and payload was received under its id already.
   * If not, what had the id before has no claim to it any more, on the way to the disk or behind it.
   */
  isResent(id: number, print: number): boolean {
    const isWaiting = this.ids.stateOf(id) === "received";
    if (this.ids.isHeld(id, print)) return true;
    if (isWaiting) this.acks.disown(id);
    return false;
  }

  /** The broker welcomes us. True: it had a session of ours, and has lost it. */
  welcome(greeting: { readonly sessionPresent: boolean; readonly isPersistent: boolean }): boolean {
    const isLost = this.#hasSession && !greeting.sessionPresent;
    this.#hasSession = greeting.isPersistent;
    if (greeting.sessionPresent) {
      this.ids.reconnected();
      return false;
    }
    // Packet ids begin anew: what waits for the disk is durable soon, and will not be answered.
    this.ids.clear();
    this.acks.drop();
    this.isSubscribed = false;
    return isLost;
  }
}
