/**
 * The links that one uplink may go over, the one to prefer first.
 *
 * A lane goes over the first that is up (health.ts) and not barred for it: outside its hours or out of
 * quota it is passed over. Where none is, it waits for the first. An uplink with one connection for all
 * of its lanes (the MQTT bridge) goes over the first that is not barred for alerts.
 */

import type { Clock, Wire } from "../../core/doors.ts";
import { type Lane, lanes } from "../../store/outbox/lane.ts";
import { afterFailure, type Health, healthy, isUp } from "./health.ts";
import type { Admission, Asking, Link } from "./link.ts";

type Way = { readonly link: Link; health: Health };

export type ViaStatus = {
  readonly link: string;
  readonly isUp: boolean;
};

export class Via {
  readonly #ways: readonly Way[];
  readonly #clock: Clock;
  readonly #isShared: boolean;

  /** `links`: at least one, in order. */
  constructor(options: {
    readonly links: readonly Link[];
    readonly clock: Clock;
    /** The lanes share one connection. */
    readonly isShared: boolean;
  }) {
    this.#ways = options.links.map((link) => ({ link, health: healthy }));
    this.#clock = options.clock;
    this.#isShared = options.isShared;
  }

  get status(): readonly ViaStatus[] {
    const nowMs = this.#clock.monotonic();
    return this.#ways.map(({ link, health }) => ({ link: link.name, isUp: isUp(health, nowMs) }));
  }

  /** Fewer bytes are worth CPU time on one of them: there is a bandwidth or quota, or it is metered. */
  get areBytesDear(): boolean {
    return this.#ways.some(({ link: { policy } }) => {
      const { bandwidth, quota, metered } = policy;
      return bandwidth !== undefined || quota !== undefined || metered !== undefined;
    });
  }

  /** What a connection of the lane is to go over now. */
  linkOf(lane: Lane): Link {
    const of = this.#isShared ? lanes[0]! : lane;
    const nowMs = this.#clock.monotonic();
    const up = this.#ways.filter(({ health }) => isUp(health, nowMs));
    const open = up.find(({ link }) => link.barred(of) === undefined);
    return (open ?? up[0] ?? this.#ways[0]!).link;
  }

  /** The same as something to connect with. */
  wire(lane: Lane): Wire {
    return this.linkOf(lane).wire(lane);
  }

  admit(asking: Asking): Admission {
    return this.linkOf(asking.lane).admit(asking);
  }

  /** A delivery over the link was committed. */
  succeeded(link: Link): void {
    this.#change(link, () => healthy);
  }

  /** A try over the link failed for what may be the network's fault. */
  failed(link: Link): void {
    const { failMs, retryMs } = link.policy;
    const nowMs = this.#clock.monotonic();
    this.#change(link, (health) => afterFailure(health, { failMs, retryMs, nowMs }));
  }

  #change(link: Link, change: (health: Health) => Health): void {
    for (const way of this.#ways) if (way.link === link) way.health = change(way.health);
  }
}
