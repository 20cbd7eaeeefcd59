/**
 * How far a topic of commands was read, partition by partition, as it is stored:
 *
 *   uplink/<name>/commands   {"topic":..,"cluster":..,"next":[12,0]}
 */

import type { KvWrite } from "../../core/doors.ts";
import { uplinkKey } from "../../store/state/kv-key.ts";
import type { TopicSource } from "../../sync/kafka/cluster.ts";
import { damaged, decodeJson, encodeJson, listOf, textOf } from "../../store/state/stored-json.ts";

/** What is stored of this topic; nothing of another one. Faults: STORE_FAILED. */
export function openPositions(
  get: (key: string) => Uint8Array | undefined,
  { uplink, topic }: { readonly uplink: string; readonly topic: string },
): Positions {
  const key = uplinkKey(uplink, "commands");
  const value = get(key);
  if (value === undefined) return new Positions(key, { topic, cluster: "", next: [] });
  const stored = decodeJson(value, `the state store's ${key}`);
  if (textOf(stored, "topic") !== topic)
    return new Positions(key, { topic, cluster: "", next: [] });
  const next = listOf(stored, "next").map((each) => {
    if (typeof each === "number") return each;
    throw damaged(stored.place, "next has something that is no number");
  });
  return new Positions(key, { topic, cluster: textOf(stored, "cluster"), next });
}

/** An offset in each partition; all below it was dealt with. */
type Reached = {
  readonly topic: string;
  readonly cluster: string;
  readonly next: readonly number[];
};

export class Positions {
  readonly #key: string;
  #reached: Reached;
  #stored: string;

  /** Use openPositions. */
  constructor(key: string, reached: Reached) {
    this.#key = key;
    this.#reached = reached;
    this.#stored = JSON.stringify(reached);
  }

  /** Offsets of another cluster mean nothing in this one. */
  use(cluster: string): void {
    if (this.#reached.cluster !== cluster) this.#reached = { ...this.#reached, cluster, next: [] };
  }

  /**
   * Where to read a partition that keeps these offsets: from its beginning where nothing is known of it,
   * or where it ends before what is known (somebody made the topic anew). `gone`: offsets that expired
   * before they were read.
   */
  begin(
    partition: number,
    { first, end }: { readonly first: number; readonly end: number },
  ): { readonly from: number; readonly gone: number } {
    const known = this.#reached.next[partition];
    const isThere = known !== undefined && known <= end;
    const from = isThere ? Math.max(first, known) : first;
    this.passed(partition, from);
    return { from, gone: isThere ? from - known : 0 };
  }

  /** All below `next` was dealt with. */
  passed(partition: number, next: number): void {
    this.#reached = this.#with(partition, next);
  }

  /** What is to be stored with the last that was below `next`. */
  writeOf(partition: number, next: number): KvWrite {
    return this.#write(this.#with(partition, next));
  }

  /** It is stored. */
  wrote({ value }: KvWrite): void {
    if (value !== undefined) this.#stored = new TextDecoder().decode(value);
  }

  /** Undefined where all of it is stored. */
  unstored(): KvWrite | undefined {
    if (JSON.stringify(this.#reached) === this.#stored) return undefined;
    return this.#write(this.#reached);
  }

  #with(partition: number, next: number): Reached {
    const all = [...this.#reached.next];
    // Partitions are begun in order, so there is no hole before it.
    all[partition] = next;
    return { ...this.#reached, next: all };
  }

  #write(reached: Reached): KvWrite {
    return { key: this.#key, value: encodeJson(reached) };
  }
}

/**
 * Puts the place behind all commands that the topic has: for other hardware, which has none of the readings
 * that were asked for, and must not begin an answer that was begun. Undefined where no topic was ever read.
 * Rejects as `TopicSource` does; STORE_FAILED.
 */
export async function behindCommands(
  get: (key: string) => Uint8Array | undefined,
  {
    uplink,
    cluster,
  }: { readonly uplink: string; readonly cluster: TopicSource & { readonly id: string } },
): Promise<KvWrite | undefined> {
  const key = uplinkKey(uplink, "commands");
  const value = get(key);
  if (value === undefined) return undefined;
  const topic = textOf(decodeJson(value, `the state store's ${key}`), "topic");
  const count = (await cluster.partitionsOf([topic])).get(topic) ?? 0;
  const positions = openPositions(get, { uplink, topic });
  positions.use(cluster.id);
  for (let partition = 0; partition < count; partition++) {
    positions.passed(partition, (await cluster.offsets({ topic, partition })).end);
  }
  return positions.unstored();
}
