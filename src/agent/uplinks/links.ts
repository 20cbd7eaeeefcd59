/** The agent's links, from its configuration. Uplinks that name the same link share what it has. */

import { assert } from "../../core/assert.ts";
import type { Clock } from "../../core/doors.ts";
import type { StateStore } from "../../store/state/state-store.ts";
import { Link, type LinkStatus } from "../../sync/link/link.ts";
import type { LinkPolicy } from "../../sync/link/policy.ts";
import { Via } from "../../sync/link/via.ts";

export type LinksOptions = {
  readonly policies: readonly LinkPolicy[];
  readonly clock: Clock;
  readonly store: Pick<StateStore, "get" | "advance">;
  /** Milliseconds since 1970; undefined while the gateway's clock is not trusted. */
  readonly trustedNow: () => number | undefined;
};

export class Links {
  readonly #links: ReadonlyMap<string, Link>;
  readonly #clock: Clock;

  constructor({ policies, clock, store, trustedNow }: LinksOptions) {
    this.#clock = clock;
    const get = (key: string): Uint8Array | undefined => store.get(key);
    this.#links = new Map(
      policies.map((policy) => [
        policy.name,
        new Link({ policy, clock, trustedNow, get, store: (writes) => store.advance(writes) }),
      ]),
    );
  }

  via(
    names: readonly string[] | undefined,
    { isShared }: { readonly isShared: boolean },
  ): Via | undefined {
    if (names === undefined || names.length === 0) return undefined;
    const links = names.map((name) => {
      const link = this.#links.get(name);
      assert(link !== undefined, "a checked configuration names links that it has");
      return link;
    });
    return new Via({ links, clock: this.#clock, isShared });
  }

  get status(): readonly LinkStatus[] {
    return [...this.#links.values()].map(({ status }) => status);
  }

  /** Undefined: there is none of this name. */
  of(name: string): Link | undefined {
    return this.#links.get(name);
  }

  /** When nothing goes over them any more. */
  async close(): Promise<void> {
    for (const link of this.#links.values()) await link.close();
  }
}
