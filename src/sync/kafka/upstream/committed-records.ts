/**
 * One partition as a `read_committed` consumer sees it. It is read uncommitted, and what a transaction
 * wrote is held until the control marker of its producer says how it ended:
 *
 *   log      [a a] [b] [a] C(b) [c] A(a) C(c)          C commit, A abort
 *   given                  b              c
 *
 * So the transaction of another agent that hangs holds nobody up, and records come in the order in
 * which they were decided, which for one transactional id is that of their offsets.
 */

import { Fault } from "../../../core/faults.ts";
import { limits } from "../../../core/limits.ts";
import type { FetchedRecord, TopicPartition, TopicSource } from "../cluster.ts";

export type CommittedOptions = {
  readonly at: TopicPartition;
  readonly from: number;
  /** Of one answer. */
  readonly bytesMax: number;
  /** Other records are not held, and not given. */
  readonly takes: (record: FetchedRecord) => boolean;
  /** See Cluster.fetch. */
  readonly waitMs?: number;
};

export class CommittedRecords {
  readonly at: TopicPartition;
  #cluster: TopicSource;
  readonly #options: CommittedOptions;
  readonly #open = new Map<bigint, FetchedRecord[]>();
  #openBytes = 0;
  #offset: number;

  constructor(cluster: TopicSource, options: CommittedOptions) {
    this.at = options.at;
    this.#cluster = cluster;
    this.#options = options;
    this.#offset = options.from;
  }

  /** Where it reads on. */
  get offset(): number {
    return this.#offset;
  }

  /** Where whoever begins anew must read on, so that nothing that is undecided now is missed. */
  get firstUndecided(): number {
    let first = this.#offset;
    for (const [record] of this.#open.values()) first = Math.min(first, record?.offset ?? first);
    return first;
  }

  /** Records that are not decided yet. */
  get undecided(): number {
    let count = 0;
    for (const records of this.#open.values()) count += records.length;
    return count;
  }

  /** Goes on in another session: nothing is read twice. */
  use(cluster: TopicSource): void {
    this.#cluster = cluster;
  }

  /**
   * Those decided in the next answer, often none. Rejects as `Cluster` does; UPLINK_REFUSED where more
   * is undecided than is held.
   */
  async next(): Promise<readonly FetchedRecord[]> {
    const { at } = this;
    const { takes, bytesMax, waitMs = 0 } = this.#options;
    const offset = this.#offset;
    const { batches, next } = await this.#cluster.fetch(at, { offset, bytesMax, waitMs });
    const decided: FetchedRecord[] = [];
    for (const { control, producerId, isTransactional, records } of batches) {
      if (control !== undefined) {
        const held = this.#open.get(producerId) ?? [];
        this.#open.delete(producerId);
        this.#openBytes -= bytesOf(held);
        if (control === "commit") for (const record of held) decided.push(record);
        continue;
      }
      const taken = records.filter(takes);
      if (taken.length === 0) continue;
      if (isTransactional) this.#hold(producerId, taken);
      else for (const record of taken) decided.push(record);
    }
    this.#offset = next;
    return decided;
  }

  #hold(producerId: bigint, records: readonly FetchedRecord[]): void {
    const held = this.#open.get(producerId);
    if (held === undefined) this.#open.set(producerId, [...records]);
    else for (const record of records) held.push(record);
    this.#openBytes += bytesOf(records);
    if (this.#openBytes <= limits.kafkaUndecidedBytesMax) return;
    const { topic, partition } = this.at;
    throw new Fault(
      "UPLINK_REFUSED",
      `more than ${limits.kafkaUndecidedBytesMax} bytes in ${topic}/${partition} belong to transactions that are not decided: look for a producer that hangs`,
      { facts: { topic, partition } },
    );
  }
}

function bytesOf(records: readonly FetchedRecord[]): number {
  let bytes = 0;
  for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0) + 64;
  return bytes;
}
