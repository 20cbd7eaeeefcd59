/**
 * Asks endpoints that a document brings whether they are there, while nothing is to be sent to them: an
 * uplink over HTTP connects with its first record, and a trial without one would prove it unseen.
 *
 * Only those without links: a link may be closed, or cost money.
 */

import { isDeepStrictEqual } from "node:util";
import type { Clock, Net } from "../../core/doors.ts";
import { limits } from "../../core/limits.ts";
import type { Config } from "../config/config.ts";
import { httpName, reachEndpoint } from "../uplinks/endpoint.ts";
import type { Trouble } from "./health.ts";

export type Endpoint = {
  /** Of the uplink. */
  readonly name: string;
  /** Rejects with an Error whose message says why not. */
  readonly reach: () => Promise<void>;
};

/** Those of `now` that are not those of `before`. */
export function newEndpoints(before: Config, now: Config, net: Net): readonly Endpoint[] {
  return now.uplinks.flatMap((uplink) => {
    if (uplink.kind !== "http" || uplink.via !== undefined) return [];
    if (before.uplinks.some((other) => isDeepStrictEqual(other, uplink))) return [];
    return [{ name: httpName(uplink), reach: () => reachEndpoint(uplink, { net }) }];
  });
}

type Known = {
  readonly endpoint: Endpoint;
  /** Why it is not reached; undefined: it is. */
  why: string | undefined;
  /** Monotonic; undefined while it is asked. */
  askAt: number | undefined;
};

export class Probe {
  readonly #clock: Clock;
  readonly #everyMs: number;
  readonly #known: readonly Known[];

  /** Nothing is asked before `troubles` is. */
  constructor(
    endpoints: readonly Endpoint[],
    { clock, forMs }: { readonly clock: Clock; readonly forMs: number },
  ) {
    this.#clock = clock;
    this.#everyMs = forMs / limits.remoteAsks;
    this.#known = endpoints.map((endpoint) => ({
      endpoint,
      why: "it has not answered yet",
      askAt: clock.monotonic(),
    }));
  }

  /** Of those among `untried` that are not reached, as far as is known; asks them again when it is time. */
  troubles(untried: readonly string[]): readonly Trouble[] {
    return this.#known.flatMap((known) => {
      const { endpoint, why, askAt } = known;
      if (!untried.includes(endpoint.name)) return [];
      if (askAt !== undefined && askAt <= this.#clock.monotonic()) {
        known.askAt = undefined;
        void this.#ask(known);
      }
      if (why === undefined) return [];
      return [{ name: `uplink ${endpoint.name}`, message: why, isEarly: false }];
    });
  }

  async #ask(known: Known): Promise<void> {
    try {
      await known.endpoint.reach();
      known.why = undefined;
    } catch (error) {
      known.why = error instanceof Error ? error.message : String(error);
    }
    known.askAt = this.#clock.monotonic() + this.#everyMs;
  }
}
