/**
 * The offsets of consumer groups in the model of a cluster (cluster-model.ts): those that are
 * committed, and for each producer those that wait for the end of its transaction.
 */

import type { CommittedOffset, Producer } from "../../../src/sync/kafka/cluster.ts";
import type { Outcome } from "./cluster-model-log.ts";
import { ModelRefusal } from "./cluster-model-refusal.ts";

type Committed = CommittedOffset & { readonly atMs: number };

type Pending = { readonly producer: Producer; readonly offsets: Map<string, CommittedOffset> };

type Group = { readonly committed: Map<string, Committed>; readonly pending: Map<bigint, Pending> };

const metadataLengthMax = 4096;

export class GroupOffsets {
  readonly #groups = new Map<string, Group>();

  /** Whether the producer, in this epoch, has offsets of the group that wait. */
  hasPending(group: string, producer: Producer): boolean {
    return this.#group(group).pending.get(producer.id)?.producer.epoch === producer.epoch;
  }

  /** Takes an offset into the producer's transaction. */
  stage(group: string, producer: Producer, { topic, partition, ...said }: CommittedOffset): void {
    if (said.metadata.length > metadataLengthMax) {
      throw new ModelRefusal("OFFSET_METADATA_TOO_LARGE");
    }
    const { pending } = this.#group(group);
    const offsets = pending.get(producer.id)?.offsets ?? new Map<string, CommittedOffset>();
    offsets.set(`${topic}/${partition}`, { topic, partition, ...said });
    pending.set(producer.id, { producer, offsets });
  }

  /** The producer's transaction is over: what waited is committed or dropped. */
  settle(group: string, producerId: bigint, outcome: Outcome, nowMs: number): void {
    const { committed, pending } = this.#group(group);
    const offsets = outcome === "commit" ? pending.get(producerId)?.offsets : undefined;
    for (const [place, offset] of offsets ?? []) committed.set(place, { ...offset, atMs: nowMs });
    pending.delete(producerId);
  }

  /**
   * What a group answers, for these places (`topic/partition`) or for all it has. An offset that a
   * transaction is about to set is unstable; but asked for all, a broker goes through the committed
   * ones only, and one that is set for the first time is not mentioned.
   */
  committed(group: string, places?: readonly string[]): readonly CommittedOffset[] {
    const { committed, pending } = this.#group(group);
    const unstable = new Set([...pending.values()].flatMap(({ offsets }) => [...offsets.keys()]));
    const asked = places ?? [...committed.keys()].toSorted();
    if (asked.some((place) => unstable.has(place))) {
      throw new ModelRefusal("UNSTABLE_OFFSET_COMMIT");
    }
    return asked.flatMap((place) => {
      const found = committed.get(place);
      if (found === undefined) return [];
      const { atMs: _, ...offset } = found;
      return [offset];
    });
  }

  /** A topic was deleted: its offsets go with it, pending ones too. */
  dropTopic(topic: string): void {
    for (const { committed, pending } of this.#groups.values()) {
      for (const offsets of [committed, ...[...pending.values()].map(({ offsets }) => offsets)]) {
        for (const [place, offset] of offsets) if (offset.topic === topic) offsets.delete(place);
      }
    }
  }

  /** Forgets offsets that were committed so long ago. */
  expire(committedBeforeMs: number): void {
    for (const { committed } of this.#groups.values()) {
      for (const [place, { atMs }] of committed) {
        if (atMs <= committedBeforeMs) committed.delete(place);
      }
    }
  }

  #group(name: string): Group {
    const group = this.#groups.get(name) ?? { committed: new Map(), pending: new Map() };
    this.#groups.set(name, group);
    return group;
  }
}
