/**
 * The subscriptions of one connection: asks for them a few at a time, for some brokers take no more
 * in a packet, and notes which the broker refused, or gave a lower QoS. Refused ones are asked for
 * again now and then.
 *
 * What the broker says of dropped messages is asked for apart, and its answer is not waited for. A
 * broker that ends the connection instead of answering is not asked again.
 */

import { limits } from "../../../../core/limits.ts";
import type { BrokerConfig } from "./subscriber-config.ts";
import { droppedTopic } from "./dropped-hint.ts";
import { type Suback, subscribePacket, type Subscription } from "./packets.ts";
import type { SessionMemory } from "./session-memory.ts";

const IDS = 65_535;
/** From here on a code of SUBACK is a refusal. */
const REFUSED = 0x80;

type SubscribingHost = { readonly config: BrokerConfig; readonly memory: SessionMemory };

export class Subscribing {
  readonly #host: SubscribingHost;
  readonly #write: (bytes: Uint8Array) => void;
  /** SUBSCRIBEs without an answer, by packet id. */
  readonly #asked = new Map<number, readonly Subscription[]>();
  /** Packet id of the one for the hint. */
  #hintId: number | undefined;
  #lastId = 0;
  #progressAt = 0;

  constructor(host: SubscribingHost, write: (bytes: Uint8Array) => void) {
    this.#host = host;
    this.#write = write;
  }

  get isWaiting(): boolean {
    return this.#asked.size > 0;
  }

  /** An id for a packet of ours that is answered. */
  nextId(): number {
    do this.#lastId = (this.#lastId % IDS) + 1;
    while (this.#asked.has(this.#lastId) || this.#hintId === this.#lastId);
    return this.#lastId;
  }

  /** Asks for all subscriptions. */
  begin(now: number): void {
    const { memory } = this.#host;
    this.#ask(memory.subscriptions, now);
    if (!memory.dropped.isWanted) return;
    memory.dropped.asked();
    this.#hintId = this.nextId();
    const hint = { filter: droppedTopic, qos: 0, retained: true } as const;
    this.#write(subscribePacket(this.#host.config.level, this.#hintId, [hint]));
  }

  /** Asks again for what was refused, if it is time. */
  retry(now: number): void {
    const { refused, subscriptions } = this.#host.memory;
    if (refused.size === 0 || this.isWaiting) return;
    if (now - this.#progressAt < limits.brokerResubscribeMs) return;
    this.#ask(
      subscriptions.filter(({ filter }) => refused.has(filter)),
      now,
    );
  }

  #ask(subscriptions: readonly Subscription[], now: number): void {
    this.#progressAt = now;
    this.#asked.clear();
    for (let at = 0; at < subscriptions.length; at += limits.brokerFiltersPerPacket) {
      const some = subscriptions.slice(at, at + limits.brokerFiltersPerPacket);
      const id = this.nextId();
      this.#asked.set(id, some);
      this.#write(subscribePacket(this.#host.config.level, id, some));
    }
  }

  /** False where the broker answers what was not asked. */
  answered({ id, codes }: Suback, now: number): boolean {
    const { memory } = this.#host;
    if (id === this.#hintId) {
      this.#hintId = undefined;
      memory.dropped.answered(codes[0] !== undefined && codes[0] < REFUSED);
      return true;
    }
    const some = this.#asked.get(id);
    // A late answer to what was asked again meanwhile says nothing.
    if (some === undefined) return id <= this.#lastId;
    if (codes.length !== some.length) return false;
    this.#asked.delete(id);
    this.#progressAt = now;
    for (const [index, { filter, qos }] of some.entries()) {
      const code = codes[index]!;
      memory.refused.delete(filter);
      memory.lowered.delete(filter);
      if (code >= REFUSED) memory.refused.set(filter, code);
      else if (code < qos) memory.lowered.set(filter, code);
    }
    if (this.#asked.size === 0) memory.isSubscribed = true;
    return true;
  }

  /** The broker did not answer in time. */
  isOverdue(now: number): boolean {
    return this.isWaiting && now - this.#progressAt >= this.#host.config.answerMs;
  }

  /** So long nobody waited for an answer: we were not reading, or not running. */
  forgive(ms: number): void {
    this.#progressAt += ms;
  }
}
