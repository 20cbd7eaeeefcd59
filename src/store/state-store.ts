/**
 * The state store: everything that one commit makes durable, in one transaction of the Kv.
 *
 *   commit    emittedThrough + ledger + new definitions + dead letters + outbox blocks [+ checkpoint]
 *   advance   an uplink's cursor + the outbox blocks that no uplink needs any more
 *
 * The loop commits, the drain advances; the store puts their transactions one after another. Both
 * keep to their own keys (a lane's end is the loop's, its start the drain's), so neither waits for
 * what the other found out.
 *
 * The outbox is bounded in bytes. A commit that would exceed the bound waits until the drain has made
 * room; meanwhile the loop takes no more readings and nobody is acknowledged. Nothing is dropped.
 */

import { assert } from "../core/assert.ts";
import type { Kv, KvWrite } from "../core/doors.ts";
import { Fault } from "../core/faults.ts";
import type { DeadLetter, Definition } from "../core/frame.ts";
import { limits } from "../core/limits.ts";
import { type Millis, millis, type Position, position } from "../core/units.ts";
import { definitionWrites, readDefinitions } from "./catalog-store.ts";
import {
  type Checkpoint,
  type CheckpointIndex,
  checkpointWrites,
  emptyIndex,
  readCheckpoint,
  type RecoveredCheckpoint,
} from "./checkpoint-store.ts";
import { type DeadLetterSpan, deadLetterWrites, readDeadLetterSpan } from "./dead-letters.ts";
import { emittedKey, formatKey, ledgerKey } from "./kv-key.ts";
import {
  appendWrites,
  byLane,
  type Lane,
  lanes,
  type LaneSpan,
  type OutboxRead,
  type OutboxWriter,
  pruneWrites,
  readOutbox,
  readSpan,
} from "./outbox.ts";
import { decodeJson, encodeJson, wholeOf } from "./stored-json.ts";

/** 2: accepted readings are in tables, and the log is released below them too. */
export const stateFormatVersion = 2;

/** What one commit makes durable. All buffers are given away: never touched again. */
export type Commit = {
  /** emittedThrough after it; the checkpoint's position, where it has one. */
  readonly through: Position;
  readonly ledger: Uint8Array;
  /** The newest clock observation that was believed; absent before the first. */
  readonly clock?: Millis | undefined;
  /** New since the last commit, in the order of the log. */
  readonly definitions: readonly Definition[];
  readonly deadLetters: readonly DeadLetter[];
  readonly outbox: OutboxWriter;
  readonly checkpoint?: Checkpoint;
};

export type Recovered = {
  readonly definitions: readonly Definition[];
  /** Of the last commit; undefined before the first. */
  readonly emitted?: {
    readonly through: Position;
    readonly ledger: Uint8Array;
    readonly clock?: Millis;
  };
  readonly checkpoint?: RecoveredCheckpoint;
};

/** How far an uplink surely has a lane: everything below `next`. */
export type Reached = { readonly uplink: string; readonly lane: Lane; readonly next: number };

export type LaneStatus = {
  /** Records kept and their bytes as stored; whole blocks, so a delivered record may be among them. */
  readonly records: number;
  readonly bytes: number;
  /** Number of the oldest record kept. */
  readonly first: number;
  readonly next: number;
};

export type StoreStatus = {
  readonly outbox: Readonly<Record<Lane, LaneStatus>>;
  /** A commit waits for room in the outbox. */
  readonly outboxFull: boolean;
  readonly deadLetters: { readonly kept: number; readonly total: number };
};

/**
 * Opens the store that `kv` holds, or begins one. Faults: FORMAT_TOO_NEW where a newer weir wrote it,
 * STORE_FAILED where it is damaged.
 */
export async function openStateStore(
  kv: Kv,
  options: { readonly outboxBytesMax?: number } = {},
): Promise<{ readonly store: StateStore; readonly recovered: Recovered }> {
  await checkFormat(kv);
  const definitions = readDefinitions(kv);
  const found = readCheckpoint(kv);
  const emitted = readEmitted(kv);
  const store = new StateStore(kv, {
    outboxBytesMax: options.outboxBytesMax ?? limits.outboxBytesMax,
    definitionCount: definitions.length,
    checkpoint: found?.index ?? emptyIndex,
  });
  return {
    store,
    recovered: {
      definitions,
      ...(emitted === undefined ? {} : { emitted }),
      ...(found === undefined ? {} : { checkpoint: found.checkpoint }),
    },
  };
}

export class StateStore {
  readonly #kv: Kv;
  readonly #outboxBytesMax: number;
  readonly #spans: Record<Lane, LaneSpan>;
  /** By lane and uplink: everything below is out there, and that is stored. */
  readonly #reached: Record<Lane, Map<string, number>> = byLane(() => new Map<string, number>());
  #deadLetters: DeadLetterSpan;
  #checkpoint: CheckpointIndex;
  #definitionCount: number;
  #committing = false;
  #stopped = false;
  /** The Kv broke: it stays so until it is opened again. */
  #broken: Fault | undefined;
  #waiting: (() => void) | undefined;
  #tail: Promise<void> = Promise.resolve();

  /** Use openStateStore. */
  constructor(
    kv: Kv,
    options: {
      readonly outboxBytesMax: number;
      readonly definitionCount: number;
      readonly checkpoint: CheckpointIndex;
    },
  ) {
    this.#kv = kv;
    this.#outboxBytesMax = options.outboxBytesMax;
    this.#definitionCount = options.definitionCount;
    this.#checkpoint = options.checkpoint;
    this.#spans = byLane((lane) => readSpan(kv, lane));
    this.#deadLetters = readDeadLetterSpan(kv);
  }

  get status(): StoreStatus {
    const { first, next } = this.#deadLetters;
    return {
      outbox: byLane((lane) => this.#laneStatus(lane)),
      outboxFull: this.#waiting !== undefined,
      deadLetters: { kept: next - first, total: next },
    };
  }

  /** Numbers of the first record a lane keeps and of the next it will get. */
  span(lane: Lane): { readonly first: number; readonly next: number } {
    return this.#spans[lane];
  }

  /**
   * All of it durable, or nothing. One at a time. While the outbox is full it waits. Faults:
   * OUTBOX_FULL after `stopWaiting` (nothing was written), STORE_FAILED and DISK_FULL from the Kv.
   */
  async commit(commit: Commit): Promise<void> {
    assert(!this.#committing, "one commit at a time");
    this.#committing = true;
    try {
      const appended = this.#appended(commit.outbox);
      await this.#waitForRoom(addedBytes(appended.flatMap(({ writes }) => writes)));
      await this.#inTurn(() => this.#commitNow(commit, appended));
    } finally {
      this.#committing = false;
    }
  }

  /** From now on a commit that finds the outbox full rejects instead of waiting: the agent ends. */
  stopWaiting(): void {
    this.#stopped = true;
    this.#waiting?.();
  }

  /** From now on a block leaves the outbox when all of these uplinks have it. */
  serve(uplinks: readonly string[]): void {
    for (const lane of lanes) {
      for (const uplink of uplinks) this.#reached[lane].set(uplink, 0);
    }
  }

  /**
   * Stores what an uplink says about itself and how far it is, and removes the blocks that every
   * uplink has by then, in one transaction (a long list of blocks is finished in further ones).
   */
  async advance(writes: readonly KvWrite[], reached?: Reached): Promise<void> {
    let rest: readonly KvWrite[] = writes;
    let more = true;
    while (more) {
      await this.#inTurn(async () => {
        more = await this.#advanceNow(rest, reached);
      });
      rest = [];
      this.#waiting?.();
    }
  }

  /** Records of the lane from `from` on; see readOutbox. */
  read(lane: Lane, options: { readonly from: number; readonly bytesMax: number }): OutboxRead {
    return readOutbox(this.#kv, lane, options);
  }

  /** A value that an uplink stored by `advance`. */
  get(key: string): Uint8Array | undefined {
    return this.#kv.get(key);
  }

  /** After the last commit and advance; the Kv stays the caller's to close. */
  async settle(): Promise<void> {
    await this.#tail;
  }

  // ---- one after another ----

  /** Runs `run` when every earlier transaction is over, whether it succeeded or not. */
  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(run);
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #write(writes: readonly KvWrite[]): Promise<void> {
    try {
      await this.#kv.commit(writes);
    } catch (error) {
      if (error instanceof Fault && error.code === "STORE_FAILED") {
        this.#broken = error;
        this.#waiting?.();
      }
      throw error;
    }
  }

  // ---- commit ----

  /** The outbox blocks of a commit. Only commits move a lane's end, so this may be done early. */
  #appended(outbox: OutboxWriter): readonly LaneAppended[] {
    return lanes.map((lane) => ({
      lane,
      ...appendWrites(lane, this.#spans[lane], outbox.records(lane)),
    }));
  }

  async #waitForRoom(bytes: number): Promise<void> {
    while (bytes > 0 && !this.#hasRoom(bytes)) {
      // No uplink can make room any more: whoever waits for it would wait for ever.
      if (this.#broken !== undefined) throw this.#broken;
      if (this.#stopped) {
        throw new Fault(
          "OUTBOX_FULL",
          `the outbox holds ${this.#outboxBytes} of ${this.#outboxBytesMax} bytes and no uplink takes them; what is not in it yet stays in the log and follows when there is room`,
          { facts: { bytes: this.#outboxBytes, bytesMax: this.#outboxBytesMax } },
        );
      }
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
      this.#waiting = undefined;
    }
  }

  /** An empty outbox takes any commit, or a small bound would stop everything for good. */
  #hasRoom(bytes: number): boolean {
    const held = this.#outboxBytes;
    return held === 0 || held + bytes <= this.#outboxBytesMax;
  }

  get #outboxBytes(): number {
    return lanes.reduce((sum, lane) => sum + heldBytes(this.#spans[lane]), 0);
  }

  async #commitNow(commit: Commit, appended: readonly LaneAppended[]): Promise<void> {
    const { through, ledger, definitions } = commit;
    const letters = deadLetterWrites(this.#deadLetters, commit.deadLetters);
    const checkpoint =
      commit.checkpoint && checkpointWrites(this.#checkpoint, through, commit.checkpoint);
    await this.#write([
      { key: emittedKey, value: encodeJson({ through, clock: commit.clock }) },
      { key: ledgerKey, value: ledger },
      ...definitionWrites(this.#definitionCount, definitions),
      ...letters.writes,
      ...appended.flatMap(({ writes }) => writes),
      ...(checkpoint?.writes ?? []),
    ]);
    this.#definitionCount += definitions.length;
    this.#deadLetters = letters.span;
    if (checkpoint !== undefined) this.#checkpoint = checkpoint.index;
    for (const { lane, span } of appended) {
      const { next, bytesAdded } = span;
      this.#spans[lane] = { ...this.#spans[lane], next, bytesAdded };
    }
  }

  // ---- advance ----

  /** Whether there is more to remove. */
  async #advanceNow(writes: readonly KvWrite[], reached: Reached | undefined): Promise<boolean> {
    if (reached === undefined) {
      await this.#write(writes);
      return false;
    }
    const { uplink, lane, next } = reached;
    const others = [...this.#reached[lane]].filter(([name]) => name !== uplink);
    const below = others.reduce((least, [, other]) => Math.min(least, other), next);
    const pruned = pruneWrites(this.#kv, lane, this.#spans[lane], below);
    await this.#write([...writes, ...pruned.writes]);
    const { first, bytesRemoved } = pruned.span;
    this.#spans[lane] = { ...this.#spans[lane], first, bytesRemoved };
    this.#reached[lane].set(uplink, next);
    return pruned.more;
  }

  #laneStatus(lane: Lane): LaneStatus {
    const span = this.#spans[lane];
    const { first, next } = span;
    return { records: next - first, bytes: heldBytes(span), first, next };
  }
}

type LaneAppended = ReturnType<typeof appendWrites> & { readonly lane: Lane };

function heldBytes({ bytesAdded, bytesRemoved }: LaneSpan): number {
  return bytesAdded - bytesRemoved;
}

function addedBytes(writes: readonly KvWrite[]): number {
  return writes.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
}

// ---- opening ----

async function checkFormat(kv: Kv): Promise<void> {
  const value = kv.get(formatKey);
  if (value === undefined) {
    if (kv.range({ from: "!", to: "~", limit: 1 }).length > 0) {
      throw new Fault(
        "STORE_FAILED",
        "the state store holds something, but not what weir writes: its format version is missing; restore it, or start with a fresh data directory",
      );
    }
    await kv.commit([{ key: formatKey, value: encodeJson({ version: stateFormatVersion }) }]);
    return;
  }
  const version = wholeOf(decodeJson(value, "the state store's format"), "version");
  if (version === stateFormatVersion) return;
  if (version < stateFormatVersion) {
    // An older weir must not take it for its own any more: it would know nothing of the tables.
    await kv.commit([{ key: formatKey, value: encodeJson({ version: stateFormatVersion }) }]);
    return;
  }
  throw new Fault(
    "FORMAT_TOO_NEW",
    `the state store has format ${version}, this weir knows up to ${stateFormatVersion}; start the newer weir again`,
    { facts: { version, known: stateFormatVersion } },
  );
}

function readEmitted(kv: Kv): Recovered["emitted"] {
  const value = kv.get(emittedKey);
  const ledger = kv.get(ledgerKey);
  if (value === undefined || ledger === undefined) return undefined;
  const stored = decodeJson(value, "the state store's emitted");
  const { clock } = stored.fields;
  return {
    through: position(wholeOf(stored, "through")),
    ledger,
    ...(typeof clock === "number" ? { clock: millis(clock) } : {}),
  };
}
