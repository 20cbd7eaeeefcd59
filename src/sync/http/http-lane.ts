/**
 * One lane to an HTTP endpoint: at least once, each record with an id that stays, one delivery a POST.
 *
 *   prepare   the range [first, next) is stored before it leaves
 *   deliver   POST it ──▶ 2xx ──▶ receipt
 *                     ──▶ not fit: half of it, and so on, until a record stands alone
 *
 * A POST whose answer was lost may have been taken. It is repeated as the same range: after the loss by
 * the lane, after a crash by what is stored; so an endpoint that remembers the key of a POST takes it once.
 * Only when a range is lost again and again is a smaller one tried: the way may not bear it.
 *
 * A record that is refused by itself is left out, with an incident. That must be the record's fault and
 * not that of the whole configuration, so the endpoint must have taken another of this lane in this
 * process; where it has not, those behind it are tried one by one:
 *
 *   refused r ──▶ proven? ──yes──▶ r is left out
 *                    └─ no ──▶ r+1, r+2, ... one of them is taken ──▶ those before it are left out
 *                                            none                ──▶ UPLINK_REFUSED, nothing is left out
 */

import { assert } from "../../core/assert.ts";
import type { KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import type { Lane } from "../../store/outbox/lane.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import {
  type AtLeastOnceState,
  decodeAtLeastOnceState,
  encodeAtLeastOnceState,
  withIncident,
  without,
} from "../at-least-once-state.ts";
import type { Delivery, Incidents, LaneFacts, Receipt, UplinkLane } from "../uplink.ts";
import type { PostMaker } from "./http-body.ts";
import type { ConnectHttp, HttpConnection } from "./http-connection.ts";
import { type Endpoint, type Verdict, verdictOf } from "./http-verdict.ts";

export type HttpLaneOptions = {
  readonly uplink: string;
  readonly lane: Lane;
  readonly endpoint: Endpoint;
  readonly connect: ConnectHttp;
  readonly posts: PostMaker;
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  /** A name for this history of the lane, where none is stored. */
  readonly freshOutbox: () => string;
  /** Reads from the state store. */
  readonly get: (key: string) => Uint8Array | undefined;
};

type Unfit = Verdict & { readonly kind: "unfit" };

export class HttpLane implements UplinkLane {
  readonly lingerMs: number;
  readonly batchBytesMax: number;
  readonly tendMs: number = Number.POSITIVE_INFINITY;
  readonly #options: HttpLaneOptions;
  readonly #key: string;
  #state: AtLeastOnceState | undefined;
  #incidents: Incidents = { count: 0, last: undefined };
  #connection: HttpConnection | undefined;
  #traffic = { sent: 0, received: 0 };
  #delivery: Delivery | undefined;
  /** End of the range that was posted, and may have been taken; undefined: nothing is open. */
  #open: number | undefined;
  /** As many bytes as the endpoint takes at once, as far as it has shown. */
  #fitBytes: number;
  #fitPosts = 0;
  /** A record below this is not what the endpoint takes. */
  #suspectBelow = 0;
  /** It has taken a record of late: what it refuses is the record's fault. */
  #isProven = false;
  #wasAnswered = false;
  #leftOutInARow = 0;
  #lossesInARow = 0;

  constructor(options: HttpLaneOptions) {
    this.#options = options;
    this.lingerMs = options.lingerMs;
    this.batchBytesMax = options.batchBytesMax;
    this.#fitBytes = options.batchBytesMax;
    this.#key = uplinkKey(options.uplink, options.lane);
  }

  get incidents(): Incidents {
    return this.#incidents;
  }

  /** Opening asks nothing. */
  get wasAnswered(): boolean {
    return this.#wasAnswered;
  }

  get facts(): LaneFacts {
    const { sent, received } = this.#connection?.traffic ?? { sent: 0, received: 0 };
    const outbox = this.#state?.outbox;
    return {
      sentBytes: this.#traffic.sent + sent,
      receivedBytes: this.#traffic.received + received,
      postBytes: this.#fitBytes,
      ...(outbox === undefined ? {} : { outbox }),
    };
  }

  get held(): number {
    const stored = this.#stored();
    return stored === undefined ? 0 : (stored.until ?? Number.MAX_SAFE_INTEGER);
  }

  /** Nothing is asked of the endpoint before there is something to send. */
  open(start: number): Promise<Receipt> {
    const { lane, freshOutbox, connect } = this.#options;
    this.#letGo();
    this.#connection = connect(lane);
    if (this.#state === undefined) {
      const stored = this.#stored();
      if (stored?.until !== undefined && stored.until > stored.next) this.#open = stored.until;
      this.#state = stored ?? { outbox: freshOutbox(), next: start, incidents: this.#incidents };
    }
    return Promise.resolve(this.#receipt());
  }

  prepare(delivery: Delivery): readonly KvWrite[] {
    assert(this.#state !== undefined, "a lane is opened first");
    const { first } = delivery;
    const count = this.#countOf(delivery);
    this.#delivery = { ...delivery, records: delivery.records.slice(0, count) };
    const next = first + count;
    if (next <= (this.#state.until ?? 0)) return [];
    this.#state = { ...this.#state, until: next };
    return [{ key: this.#key, value: encodeAtLeastOnceState(this.#state) }];
  }

  async deliver(): Promise<Receipt> {
    const delivery = this.#delivery;
    assert(delivery !== undefined, "a delivery is prepared first");
    assert(this.#state !== undefined, "a lane is opened first");
    this.#state = without(this.#state, this.#options.lane, delivery.lost);
    const { first, records } = delivery;
    let { length: count } = records;
    while (true) {
      const verdict = await this.#post(first, records.slice(0, count));
      if (verdict.kind === "taken") return this.#advance(first + count);
      if (count === 1) return await this.#alone(verdict, delivery);
      if (verdict.isSize) this.#shrink(bytesOf(records.slice(0, count)) / 2);
      else this.#suspectBelow = first + count;
      count = Math.ceil(count / 2);
    }
  }

  settled(): void {
    if (this.#state !== undefined) this.#incidents = this.#state.incidents;
  }

  tend(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  close(): Promise<void> {
    this.#letGo();
    return Promise.resolve();
  }

  // ---- how much at once ----

  #countOf({ first, records, bytesMax }: Delivery): number {
    const open = (this.#open ?? 0) - first;
    if (open > 0) return Math.min(records.length, open);
    const { bytesOf: bytesIn } = this.#options.posts;
    let fit = 0;
    let sent = 0;
    const end = records.findIndex((record, index) => {
      fit += record.length;
      sent += bytesIn(record);
      return index > 0 && (fit > this.#fitBytes || sent > bytesMax);
    });
    const count = end < 0 ? records.length : end;
    const suspects = this.#suspectBelow - first;
    return suspects > 0 ? Math.min(count, Math.ceil(suspects / 2)) : count;
  }

  #shrink(bytes: number): void {
    this.#fitBytes = Math.max(limits.postBatchBytesMin, Math.floor(bytes));
    this.#fitPosts = 0;
  }

  #grow(): void {
    if (this.#fitBytes >= this.batchBytesMax) return;
    this.#fitPosts += 1;
    if (this.#fitPosts < limits.postGrowsAfter) return;
    this.#fitPosts = 0;
    this.#fitBytes = Math.min(this.batchBytesMax, 2 * this.#fitBytes);
  }

  // ---- one POST ----

  async #post(
    first: number,
    records: readonly Uint8Array[],
  ): Promise<Exclude<Verdict, { readonly kind: "failed" }>> {
    const { lane, posts, endpoint } = this.#options;
    assert(this.#state !== undefined && this.#connection !== undefined, "a lane is opened first");
    const post = posts.make(records, { outbox: this.#state.outbox, lane, first });
    this.#open = first + records.length;
    const answer = await this.#connection.post(post).catch((error: unknown) => {
      this.#lost(error, records);
      throw error;
    });
    this.#lossesInARow = 0;
    this.#wasAnswered = true;
    const verdict = verdictOf(answer, endpoint);
    if (verdict.kind === "failed") throw verdict.fault;
    this.#open = undefined;
    if (verdict.kind === "taken") {
      this.#isProven = true;
      this.#leftOutInARow = 0;
      this.#grow();
    }
    return verdict;
  }

  #lost(error: unknown, records: readonly Uint8Array[]): void {
    // A connection that does not come about tells nothing of what it would bear.
    if (!(error instanceof Fault) || error.code !== "UPLINK_UNREACHABLE") return;
    this.#lossesInARow += 1;
    if (this.#lossesInARow < limits.postLossesMax || records.length === 1) return;
    this.#lossesInARow = 0;
    this.#open = undefined;
    this.#shrink(bytesOf(records) / 2);
  }

  // ---- what the endpoint does not take ----

  async #alone(verdict: Unfit, { first, records }: Delivery): Promise<Receipt> {
    this.#suspectBelow = 0;
    if (this.#isProven) {
      this.#leftOutInARow += 1;
      if (this.#leftOutInARow >= limits.postLeftOutMax) this.#isProven = false;
      return this.#leaveOut({ first, next: first + 1 }, verdict);
    }
    const probes = records.slice(1, limits.postProbesMax);
    for (const [index, record] of probes.entries()) {
      const number = first + 1 + index;
      if ((await this.#post(number, [record])).kind !== "taken") continue;
      this.#leaveOut({ first, next: number }, verdict);
      return this.#advance(number + 1);
    }
    const { endpoint, lane } = this.#options;
    const tried = probes.length + 1;
    const last = tried === 1 ? "" : ` to ${first + tried - 1}`;
    throw new Fault(
      "UPLINK_REFUSED",
      `${endpoint.url} takes none of ${lane} ${first}${last}, each by itself, and answers ${verdict.why}: check that url, format and compress are what it wants`,
    );
  }

  #leaveOut(
    { first, next }: { readonly first: number; readonly next: number },
    { why }: Unfit,
  ): Receipt {
    const { lane, endpoint } = this.#options;
    assert(this.#state !== undefined, "a lane is opened first");
    const which = next === first + 1 ? `${first} is` : `${first} to ${next - 1} are`;
    const what = `${lane} ${which} left out: by itself, ${endpoint.url} answers it with ${why}`;
    this.#state = withIncident(this.#state, { first, next, what });
    return this.#advance(next);
  }

  // ---- the state ----

  #advance(next: number): Receipt {
    assert(this.#state !== undefined, "a lane is opened first");
    this.#state = { ...this.#state, next, until: next };
    return this.#receipt();
  }

  #receipt(): Receipt {
    assert(this.#state !== undefined, "an open lane has a state");
    const value = encodeAtLeastOnceState(this.#state);
    return { next: this.#state.next, writes: [{ key: this.#key, value }] };
  }

  #stored(): AtLeastOnceState | undefined {
    const value = this.#options.get(this.#key);
    return value && decodeAtLeastOnceState(value, `the state store's ${this.#key}`);
  }

  #letGo(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.close();
    const { sent, received } = connection.traffic;
    this.#traffic = {
      sent: this.#traffic.sent + sent,
      received: this.#traffic.received + received,
    };
  }
}

function bytesOf(records: readonly Uint8Array[]): number {
  return records.reduce((sum, record) => sum + record.length, 0);
}
