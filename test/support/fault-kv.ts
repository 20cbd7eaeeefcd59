/**
 * A Kv door over the in-memory store whose commits fail as disks do: without space for a while, or
 * for good until it is opened again. A commit that fails leaves nothing.
 */

import type { Kv, KvWrite } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/faults.ts";
import { type KvImage, KvMemory } from "../../src/store/kv-memory.ts";

export type KvFate = "full" | "broken" | undefined;

export class FaultKv implements Kv {
  readonly #kv: KvMemory;
  readonly #fate: () => KvFate;
  #broken = false;

  /** `fate` is asked at each commit. */
  constructor(image: KvImage, fate: () => KvFate) {
    this.#kv = new KvMemory({ image });
    this.#fate = fate;
  }

  image(): KvImage {
    return this.#kv.image();
  }

  get(key: string): Uint8Array | undefined {
    return this.#kv.get(key);
  }

  range(options: Parameters<Kv["range"]>[0]): ReturnType<Kv["range"]> {
    return this.#kv.range(options);
  }

  async commit(writes: readonly KvWrite[]): Promise<void> {
    const fate = this.#fate();
    if (fate === "broken") this.#broken = true;
    if (this.#broken) throw new Fault("STORE_FAILED", "the simulated store is broken");
    if (fate === "full") throw new Fault("DISK_FULL", "the simulated disk is full");
    await this.#kv.commit(writes);
  }

  async close(): Promise<void> {
    await this.#kv.close();
  }
}
