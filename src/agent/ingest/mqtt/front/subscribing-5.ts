/**
 * SUBSCRIBE and UNSUBSCRIBE of one MQTT 5 client. What the broker need not be asked is answered
 * here (filters that are none, shared subscriptions); the rest goes to it, one packet at a time, and
 * its answer is completed with a reason for each filter.
 *
 * Source: MQTT 5 (OASIS), 3.8 to 3.11.
 */

import { assert } from "../../../../core/assert.ts";
import {
  NO_SUBSCRIPTION_EXISTED,
  NOT_AUTHORIZED,
  QUOTA_EXCEEDED,
  SHARED_NOT_SUPPORTED,
  SUCCESS,
  TOPIC_FILTER_INVALID,
} from "../packet/reason-codes.ts";
import {
  isFilter,
  isShared,
  readSubscribe5,
  readUnsubscribe5,
  subscribeAnswer5,
  subscribeFor4,
  type SubscribedFilter,
  unsubscribeFor4,
} from "../packet/subscribe-5.ts";
import type { Peer } from "./protocol.ts";
import type { Session5, Subscription5 } from "./sessions-5.ts";

const SUBACK = 9;
const UNSUBACK = 11;

/** What the broker was asked: a reason for each filter of the client, or the filter it depends on. */
type Asked = {
  readonly packetId: number;
  readonly reasons: readonly (number | string)[];
  /** In the order in which the broker was asked; what the session had before. */
  readonly before: ReadonlyMap<string, Subscription5 | undefined>;
};

export class Subscribing5 {
  readonly #peer: Peer;
  readonly #session: Session5;
  #asked: Asked | undefined;
  /** Filters in the SUBSCRIBE the broker was asked, whose retained messages are not wanted. */
  readonly #quiet = new Set<string>();

  constructor(peer: Peer, session: Session5) {
    this.#peer = peer;
    this.#session = session;
  }

  wantsRetained(filter: string): boolean {
    return !this.#quiet.has(filter);
  }

  /** Takes a SUBSCRIBE. False: it waits, or was none. */
  subscribe(bytes: Uint8Array, body: number, end: number): boolean {
    if (this.#asked !== undefined || this.#peer.isBehind) return this.#peer.refuse("broker");
    const read = readSubscribe5(bytes, body, end);
    if (typeof read === "string") return this.#peer.fail(read);
    const { packetId, subscriptionId } = read;
    const wanted = new Map<string, SubscribedFilter>();
    const reasons = read.filters.map((each) => {
      if (isShared(each.filter)) return SHARED_NOT_SUPPORTED;
      if (!isFilter(each.filter)) return TOPIC_FILTER_INVALID;
      // The same filter again counts as the last of it says.
      wanted.delete(each.filter);
      wanted.set(each.filter, each);
      return each.filter;
    });
    const before = new Map<string, Subscription5 | undefined>();
    for (const [filter, each] of wanted) {
      const known = this.#session.subscriptions.get(filter);
      before.set(filter, known);
      const isQuiet =
        each.retainHandling === 2 || (each.retainHandling === 1 && known !== undefined);
      if (isQuiet) this.#quiet.add(filter);
      this.#session.subscribe({ ...each, subscriptionId });
    }
    this.#ask({ packetId, reasons, before }, SUBACK, () =>
      subscribeFor4(packetId, [...wanted.values()]),
    );
    return true;
  }

  /** Takes an UNSUBSCRIBE. False: it waits, or was none. */
  unsubscribe(bytes: Uint8Array, body: number, end: number): boolean {
    if (this.#asked !== undefined || this.#peer.isBehind) return this.#peer.refuse("broker");
    const read = readUnsubscribe5(bytes, body, end);
    if (typeof read === "string") return this.#peer.fail(read);
    const { packetId } = read;
    const wanted = new Map<string, undefined>();
    const reasons = read.filters.map((filter) => {
      if (isShared(filter)) return NO_SUBSCRIPTION_EXISTED;
      if (!isFilter(filter)) return TOPIC_FILTER_INVALID;
      wanted.set(filter, undefined);
      return this.#session.unsubscribe(filter) ? SUCCESS : NO_SUBSCRIPTION_EXISTED;
    });
    this.#ask({ packetId, reasons, before: wanted }, UNSUBACK, () =>
      unsubscribeFor4(packetId, [...wanted.keys()]),
    );
    return true;
  }

  #ask(asked: Asked, answerType: 9 | 11, packetFor4: () => Uint8Array): void {
    if (asked.before.size === 0) {
      const reasons = asked.reasons.map((reason) =>
        typeof reason === "number" ? reason : SUCCESS,
      );
      this.#peer.send(subscribeAnswer5(answerType, asked.packetId, reasons));
      return;
    }
    this.#asked = asked;
    this.#peer.host.counters.packetsBroker += 1;
    this.#peer.push(packetFor4());
  }

  /** The broker's SUBACK, by its body; gives the client's. */
  granted(body: Uint8Array): Uint8Array {
    const { packetId, reasons, before } = this.#answered();
    const codes = body.subarray(2);
    assert(codes.length === before.size, "the broker answers for each filter it was asked about");
    const reasonOf = new Map<string, number>();
    let i = 0;
    for (const [filter, known] of before) {
      const code = codes[i++]!;
      reasonOf.set(filter, code < 0x80 ? code : this.#refusalOf(filter));
      if (code < 0x80) continue;
      if (known === undefined) this.#session.unsubscribe(filter);
      else this.#session.subscribe(known);
    }
    this.#quiet.clear();
    const all = reasons.map((each) => (typeof each === "number" ? each : reasonOf.get(each)!));
    return subscribeAnswer5(SUBACK, packetId, all);
  }

  /** The broker says no more than that it is refused. */
  #refusalOf(filter: string): number {
    const isAllowed = this.#peer.credential?.rights?.maySubscribe(filter) !== false;
    return isAllowed ? QUOTA_EXCEEDED : NOT_AUTHORIZED;
  }

  /** The broker's UNSUBACK; gives the client's. */
  removed(): Uint8Array {
    const { packetId, reasons } = this.#answered();
    const codes = reasons.map((reason) => (typeof reason === "number" ? reason : SUCCESS));
    return subscribeAnswer5(UNSUBACK, packetId, codes);
  }

  #answered(): Asked {
    const asked = this.#asked;
    assert(asked !== undefined, "the broker answers what it was asked");
    this.#asked = undefined;
    this.#peer.goOn();
    return asked;
  }
}
