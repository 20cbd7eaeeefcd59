/**
 * The transaction coordinator in the model of a cluster (cluster-model.ts): for every transactional
 * id its producer and where its transaction is.
 *
 *            addPartitions           endTransaction            markers are written
 *   Empty ─────────────────▶ Ongoing ──────────────▶ Prepare… ─────────────────────▶ Complete…
 *                              │  ▲                                                    │
 *                              │  └──────────────── addPartitions ─────────────────────┘
 *                              └── initProducer, or the time is out: epoch + 1 and PrepareAbort
 *
 * From Prepare on the outcome is decided and nothing can change it; until Complete the answer to
 * everything but a repetition of the fencing is CONCURRENT_TRANSACTIONS. A new incarnation gets the
 * next epoch, and a new producer id when epochs are used up.
 */

import type { Producer, TransactionOf } from "../../../src/sync/kafka/cluster.ts";
import { requests } from "../../../src/sync/kafka/client/requests.ts";
import type { Outcome } from "./cluster-model-log.ts";
import { ModelRefusal } from "./cluster-model-refusal.ts";

export type TransactionState =
  | "Empty"
  | "Ongoing"
  | "PrepareCommit"
  | "PrepareAbort"
  | "CompleteCommit"
  | "CompleteAbort";

/** What a transaction has written to: a partition (`topic/partition`) or a group. */
export type Participants = {
  readonly partitions: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
};

type CoordinatorOptions = {
  readonly clock: () => number;
  /** Read when needed, so that they can be changed at any time. */
  readonly limits: {
    readonly epochMax: number;
    readonly transactionTimeoutMsMax: number;
    readonly transactionalIdExpiryMs: number;
  };
  /** A transaction is decided: calls `finish` once its markers are written. */
  readonly complete: (
    decided: Participants & { readonly producer: Producer; readonly outcome: Outcome },
    finish: () => void,
  ) => void;
};

type Entry = {
  producer: Producer;
  timeoutMs: number;
  state: TransactionState;
  partitions: Set<string>;
  groups: Set<string>;
  /** When the transaction was begun. */
  startedMs: number;
  /** When the state changed last. */
  touchedMs: number;
};

export class TransactionCoordinator {
  readonly #options: CoordinatorOptions;
  readonly #entries = new Map<string, Entry>();
  #nextProducerId: bigint;

  /** `firstProducerId` is not 0, which a fresh cluster would give and a wrong default would meet. */
  constructor(options: CoordinatorOptions, firstProducerId: bigint) {
    this.#options = options;
    this.#nextProducerId = firstProducerId;
  }

  stateOf(transactionalId: string): TransactionState | undefined {
    return this.#entries.get(transactionalId)?.state;
  }

  /** A new incarnation; refuses until the older one's transaction is over, and sees to that. */
  initProducer(transactionalId: string, timeoutMs: number): Producer {
    const { limits } = this.#options;
    if (timeoutMs <= 0 || timeoutMs > limits.transactionTimeoutMsMax) {
      throw new ModelRefusal("INVALID_TRANSACTION_TIMEOUT");
    }
    const entry = this.#entries.get(transactionalId);
    const isOpen = entry?.state === "Ongoing";
    if (isOpen) this.#fence(entry);
    if (entry !== undefined && (isOpen || isPrepared(entry))) {
      throw new ModelRefusal("CONCURRENT_TRANSACTIONS");
    }
    const producer =
      entry === undefined || entry.producer.epoch >= limits.epochMax
        ? { id: this.#nextProducerId++, epoch: 0 }
        : { id: entry.producer.id, epoch: entry.producer.epoch + 1 };
    this.#entries.set(transactionalId, { ...this.#idle(), producer, timeoutMs });
    return producer;
  }

  addPartitions(of: TransactionOf, partitions: readonly string[]): void {
    const entry = this.#begun(of, "AddPartitionsToTxn");
    for (const partition of partitions) entry.partitions.add(partition);
  }

  addGroup(of: TransactionOf, group: string): void {
    this.#begun(of, "AddOffsetsToTxn").groups.add(group);
  }

  /** Decides the transaction; the same again after it is complete is fine. */
  end(of: TransactionOf, outcome: Outcome): void {
    const entry = this.#owned(of, fencedAt("EndTxn"));
    const [prepare, complete] = statesOf(outcome);
    if (entry.state === complete) return;
    if (entry.state === prepare) throw new ModelRefusal("CONCURRENT_TRANSACTIONS");
    if (entry.state !== "Ongoing") throw new ModelRefusal("INVALID_TXN_STATE");
    this.#decide(entry, outcome);
  }

  /** Refuses a write that belongs to no open transaction with this participant (KIP-890). */
  verify(
    of: TransactionOf,
    { partition, group }: { readonly partition?: string; readonly group?: string },
  ): void {
    const entry = this.#owned(of, "INVALID_PRODUCER_EPOCH");
    if (isPrepared(entry)) {
      const whilePrepared = group === undefined ? "NOT_ENOUGH_REPLICAS" : "CONCURRENT_TRANSACTIONS";
      throw new ModelRefusal(whilePrepared);
    }
    const isAdded =
      (partition === undefined || entry.partitions.has(partition)) &&
      (group === undefined || entry.groups.has(group));
    if (entry.state !== "Ongoing" || !isAdded) throw new ModelRefusal("INVALID_TXN_STATE");
  }

  /** What the clock does: aborts transactions whose time is out, forgets ids long unused. */
  tick(): void {
    const { clock, limits } = this.#options;
    for (const [id, entry] of this.#entries) {
      const { state, startedMs, touchedMs, timeoutMs } = entry;
      if (state === "Ongoing" && clock() - startedMs > timeoutMs) this.#fence(entry);
      const isIdle = state !== "Ongoing" && !isPrepared(entry);
      if (isIdle && clock() - touchedMs > limits.transactionalIdExpiryMs) this.#entries.delete(id);
    }
  }

  #begun(of: TransactionOf, request: "AddPartitionsToTxn" | "AddOffsetsToTxn"): Entry {
    const entry = this.#owned(of, fencedAt(request));
    if (isPrepared(entry)) throw new ModelRefusal("CONCURRENT_TRANSACTIONS");
    if (entry.state !== "Ongoing") {
      Object.assign(entry, { ...this.#idle(), state: "Ongoing", startedMs: this.#options.clock() });
    }
    return entry;
  }

  #owned({ transactionalId, producer }: TransactionOf, fenced: string): Entry {
    const entry = this.#entries.get(transactionalId);
    if (entry === undefined || entry.producer.id !== producer.id) {
      throw new ModelRefusal("INVALID_PRODUCER_ID_MAPPING");
    }
    if (entry.producer.epoch !== producer.epoch) throw new ModelRefusal(fenced);
    return entry;
  }

  /** Shuts the producer out and aborts for it; the epoch in between is nobody's. */
  #fence(entry: Entry): void {
    entry.producer = { id: entry.producer.id, epoch: entry.producer.epoch + 1 };
    this.#decide(entry, "abort");
  }

  #decide(entry: Entry, outcome: Outcome): void {
    const [prepare, complete] = statesOf(outcome);
    const { producer, partitions, groups } = entry;
    Object.assign(entry, { state: prepare, touchedMs: this.#options.clock() });
    this.#options.complete({ producer, outcome, partitions, groups }, () => {
      Object.assign(entry, { ...this.#idle(), state: complete });
    });
  }

  #idle(): Omit<Entry, "producer" | "timeoutMs"> {
    const nowMs = this.#options.clock();
    const empty = { partitions: new Set<string>(), groups: new Set<string>() };
    return { ...empty, state: "Empty", startedMs: nowMs, touchedMs: nowMs };
  }
}

function isPrepared({ state }: Entry): boolean {
  return state === "PrepareCommit" || state === "PrepareAbort";
}

function statesOf(
  outcome: Outcome,
): readonly [prepare: TransactionState, complete: TransactionState] {
  return outcome === "commit"
    ? ["PrepareCommit", "CompleteCommit"]
    : ["PrepareAbort", "CompleteAbort"];
}

/** Newer versions of the transactional requests have a name of its own for being fenced. */
function fencedAt(request: "AddPartitionsToTxn" | "AddOffsetsToTxn" | "EndTxn"): string {
  return requests[request].version >= 2 ? "PRODUCER_FENCED" : "INVALID_PRODUCER_EPOCH";
}
