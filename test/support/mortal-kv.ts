/** A state store that breaks at a commit that the test chooses. */

import type { Kv, KvWrite } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/faults.ts";
import type { KvMemory } from "../../src/store/state/kv-memory.ts";

/** At the commit of this number; `isDone`: it had an effect all the same. */
export type Death = { readonly at: number; readonly isDone: boolean };

/** The state store of one life: the commit of this number fails, and all after it. */
export class MortalKv implements Kv {
  readonly #memory: KvMemory;
  readonly #death: Death | undefined;
  commits = 0;
  isDead = false;

  constructor(memory: KvMemory, death: Death | undefined) {
    this.#memory = memory;
    this.#death = death;
  }

  get: Kv["get"] = (key) => this.#memory.get(key);
  range: Kv["range"] = (range) => this.#memory.range(range);
  close: Kv["close"] = () => this.#memory.close();

  async commit(writes: readonly KvWrite[]): Promise<void> {
    const index = this.commits++;
    const isLast = index === this.#death?.at;
    if (!this.isDead && (!isLast || this.#death?.isDone === true))
      await this.#memory.commit(writes);
    this.isDead ||= isLast;
    if (this.isDead) throw new Fault("STORE_FAILED", "the store broke");
  }
}
