/**
 * Lets a client subscribe without being sent retained messages (Retain Handling of MQTT 5), which
 * the broker has no word for: it tells who subscribed to what, then asks its store for the retained
 * messages of those filters, in the same turn. Filters whose client does not want them are left out.
 */

import type { SessionStore } from "./sessions.ts";

export class RetainedHandling {
  #unwanted: ReadonlySet<string> = new Set();

  /** The next question for retained messages is for a client that does not want those of these filters. */
  subscribed(unwanted: readonly string[]): void {
    this.#unwanted = new Set(unwanted);
  }

  /** Replaces the store's question in place. */
  attach(store: SessionStore): void {
    const ask = store.createRetainedStreamCombi.bind(store);
    Object.assign(store, {
      createRetainedStreamCombi: (filters: readonly string[]) => {
        const unwanted = this.#unwanted;
        this.#unwanted = new Set();
        return ask(unwanted.size === 0 ? filters : filters.filter((each) => !unwanted.has(each)));
      },
    });
  }
}
