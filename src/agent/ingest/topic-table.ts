/**
 * Topics to handles, by their bytes. A topic that a source wants is parsed once and remembered as a
 * Route. The same topic of two origins (the embedded broker, each external one) is two topics: each
 * origin has its own lookup, while routes, handles and bounds are those of all. When the table is
 * full, further topics are parsed each time into a ring of lent routes: a handle from the ring is
 * good until the ring has come round.
 *
 *   handle < topicsMax    remembered for good
 *   handle >= topicsMax   topicsMax + number of the loan; its route is at loan % topicsLentMax
 */

import { assert } from "../../core/assert.ts";
import { limits } from "../../core/limits.ts";
import { ByteTable, NOT_FOUND } from "./byte-table.ts";
import { textOf } from "./decode/text.ts";
import { NO_SOURCE } from "./receiver.ts";
import type { Route } from "./route.ts";

type TopicTableOptions = {
  /** Of all origins together. */
  readonly topicsMax: number;
  readonly topicBytesMax: number;
  /** Where topics come from; each is named by its number below this. */
  readonly origins: number;
  /** Whether no more are to be remembered at the moment. */
  readonly isShort?: () => boolean;
  /** The route of a topic, or undefined where no source of the origin wants it. */
  readonly routeOf: (topic: string, origin: number) => Route | undefined;
};

export class TopicTable {
  readonly #options: TopicTableOptions;
  /** By origin. */
  readonly #handles: readonly ByteTable[];
  readonly #bytesMax: number;
  #bytes = 0;
  readonly #routes: Route[] = [];
  readonly #topics: string[] = [];
  readonly #lent: { readonly loan: number; readonly route: Route; readonly topic: string }[] = [];
  #loans = 0;

  constructor(options: TopicTableOptions) {
    this.#options = options;
    const { topicsMax: entriesMax, topicBytesMax, origins } = options;
    const bytesMax = entriesMax * limits.topicBytesAverage + topicBytesMax;
    this.#bytesMax = bytesMax;
    this.#handles = Array.from({ length: origins }, () => new ByteTable({ entriesMax, bytesMax }));
  }

  /** Topics remembered. */
  get count(): number {
    return this.#routes.length;
  }
  /** Times a topic was parsed because there was no room to remember it. */
  get loans(): number {
    return this.#loans;
  }

  /** The handle of the topic `bytes[start, end)` of an origin, or NO_SOURCE. */
  handleOf(origin: number, bytes: Uint8Array, start: number, end: number): number {
    const handle = this.#handles[origin]!.find(bytes, start, end);
    return handle === NOT_FOUND ? this.#learn(origin, bytes, start, end) : handle;
  }

  routeOf(handle: number): Route {
    return handle < this.#options.topicsMax ? this.#routes[handle]! : this.#loan(handle).route;
  }

  topicOf(handle: number): string {
    return handle < this.#options.topicsMax ? this.#topics[handle]! : this.#loan(handle).topic;
  }

  #learn(origin: number, bytes: Uint8Array, start: number, end: number): number {
    if (end - start > this.#options.topicBytesMax) return NO_SOURCE;
    const topic = textOf(bytes, start, end);
    const route = topic === undefined ? undefined : this.#options.routeOf(topic, origin);
    if (topic === undefined || route === undefined) return NO_SOURCE;

    const handle = this.#routes.length;
    const { topicsMax, isShort } = this.#options;
    const isRoom = handle < topicsMax && this.#bytes + end - start <= this.#bytesMax;
    if (isRoom && isShort?.() !== true && this.#handles[origin]!.add(bytes, start, end, handle)) {
      this.#bytes += end - start;
      this.#routes.push(route);
      this.#topics.push(topic);
      return handle;
    }
    route.isRemembered = false;
    const loan = this.#loans++;
    this.#lent[loan % limits.topicsLentMax] = { loan, route, topic };
    return topicsMax + loan;
  }

  #loan(handle: number): { readonly route: Route; readonly topic: string } {
    const loan = handle - this.#options.topicsMax;
    const lent = this.#lent[loan % limits.topicsLentMax];
    assert(lent?.loan === loan, "a lent topic handle is used before the ring comes round");
    return lent;
  }
}
