/**
 * What a person, a flow or a script may know and change of the sync while it runs: pauses of uplinks, and
 * budgets of links (`/v1/link`, `weir link`). All of it is durable when it is answered, and none of it is in
 * the configuration.
 */

import { unreachable } from "../../core/assert.ts";
import type { Millis } from "../../core/units.ts";
import { byLane, type Lane, lanes } from "../../store/outbox/lane.ts";
import type { Drain, UplinkStatus } from "../../sync/drain.ts";
import type { LinkStatus } from "../../sync/link/link.ts";
import type { PumpStatus } from "../../sync/pump-status.ts";
import type { LinkRequest } from "../query/requests.ts";
import type { Links } from "./links.ts";

export type LinkView = {
  readonly uplinks: readonly UplinkView[];
  readonly links: readonly LinkStatus[];
};

export type UplinkView = Pick<UplinkStatus, "name" | "state" | "trouble" | "paused"> & {
  /** Records that are not out there yet, and the event time of the oldest, ms since 1970. */
  readonly waiting: number;
  readonly oldest: Millis | undefined;
  readonly lanes: Readonly<Record<Lane, LaneView>>;
};

export type LaneView = Pick<
  PumpStatus,
  "state" | "trouble" | "link" | "held" | "behind" | "oldest" | "delivered"
>;

export type LinkOutcome =
  | { readonly kind: "done" }
  | {
      readonly kind: "unknown";
      readonly what: "uplink" | "link";
      readonly name: string;
      readonly known: readonly string[];
    }
  /** The link has no quota that a budget could take the place of. */
  | { readonly kind: "noQuota"; readonly name: string };

export class LinkDesk {
  readonly #drain: Pick<Drain, "status" | "pause" | "resume" | "wake">;
  readonly #links: Pick<Links, "status" | "of">;

  constructor({
    drain,
    links,
  }: {
    readonly drain: Pick<Drain, "status" | "pause" | "resume" | "wake">;
    readonly links: Pick<Links, "status" | "of">;
  }) {
    this.#drain = drain;
    this.#links = links;
  }

  get view(): LinkView {
    return { uplinks: this.#drain.status.map(viewOf), links: this.#links.status };
  }

  /** Resolves when it is durable. Faults of the store: then nothing has changed. */
  async act(request: LinkRequest): Promise<LinkOutcome> {
    switch (request.action) {
      case "pause":
        return await this.#eachOf(request.uplink, async (names) => {
          await this.#drain.pause(names, request.forMs);
        });
      case "resume":
        return await this.#eachOf(request.uplink, async (names) => {
          await this.#drain.resume(names);
        });
      case "budget":
        return await this.#budget(request);
      default:
        return unreachable(request);
    }
  }

  async #eachOf(
    uplink: string | undefined,
    act: (names: readonly string[]) => Promise<void>,
  ): Promise<LinkOutcome> {
    const known = this.#drain.status.map(({ name }) => name);
    const names = known.filter((name) => uplink === undefined || name === uplink);
    if (names.length === 0) return { kind: "unknown", what: "uplink", name: uplink ?? "", known };
    await act(names);
    return { kind: "done" };
  }

  async #budget({
    link: name,
    bytes,
  }: Extract<LinkRequest, { action: "budget" }>): Promise<LinkOutcome> {
    const link = this.#links.of(name);
    if (link === undefined) {
      const known = this.#links.status.map((each) => each.name);
      return { kind: "unknown", what: "link", name, known };
    }
    if (!link.hasQuota) return { kind: "noQuota", name };
    await link.budget(bytes);
    this.#drain.wake();
    return { kind: "done" };
  }
}

function viewOf({ name, state, trouble, paused, lanes: pumps }: UplinkStatus): UplinkView {
  const times = lanes.flatMap((lane) => pumps[lane].oldest ?? []);
  return {
    name,
    state,
    trouble,
    paused,
    waiting: lanes.reduce((sum, lane) => sum + pumps[lane].behind, 0),
    oldest: times.toSorted((a, b) => a - b)[0],
    lanes: byLane((lane) => laneOf(pumps[lane])),
  };
}

function laneOf(pump: PumpStatus): LaneView {
  const { state, trouble, link, held, behind, oldest, delivered } = pump;
  return { state, trouble, link, held, behind, oldest, delivered };
}
