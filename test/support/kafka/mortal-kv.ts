/** A store in memory that can die: from then on no commit takes effect, and none ever resolves. */

import type { Kv, KvWrite } from "../../../src/core/doors.ts";
import type { KvMemory } from "../../../src/store/state/kv-memory.ts";

export class MortalKv implements Kv {
  readonly #kv: KvMemory;
  #isDead = false;
  /** Called before and after each commit takes effect; may let the store die. */
  onCommit: (writes: readonly KvWrite[], at: "before" | "after") => void = () => undefined;

  constructor(kv: KvMemory) {
    this.#kv = kv;
  }

  get(key: string): Uint8Array | undefined {
    return this.#kv.get(key);
  }

  range(options: Parameters<Kv["range"]>[0]): ReturnType<Kv["range"]> {
    return this.#kv.range(options);
  }

  async commit(writes: readonly KvWrite[]): Promise<void> {
    this.onCommit(writes, "before");
    if (!this.#isDead) {
      await this.#kv.commit(writes);
      this.onCommit(writes, "after");
    }
    if (this.#isDead) await new Promise<never>(() => undefined);
  }

  close(): Promise<void> {
    return this.#kv.close();
  }

  die(): void {
    this.#isDead = true;
  }
}
