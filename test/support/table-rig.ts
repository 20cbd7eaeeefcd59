/**
 * A table store on a disk that can lose its power, beside a log that cannot: what was accepted is
 * known to the test, and replayed to the store when it is opened again.
 */

import { assert } from "../../src/core/assert.ts";
import { type Batch, createBatch } from "../../src/core/batch.ts";
import type { Kv } from "../../src/core/doors.ts";
import { Fault } from "../../src/core/faults.ts";
import { limits } from "../../src/core/limits.ts";
import { type Position, position, type SeriesId, seriesId } from "../../src/core/units.ts";
import type { Step } from "../../src/edge-ops/operator.ts";
import { openCheckedKv } from "../../src/store/state/checked-kv.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { openStateStore } from "../../src/store/state/state-store.ts";
import type { CompactionPolicy } from "../../src/store/tables/compaction/compaction-plan.ts";
import { decodeRefusedRows } from "../../src/store/tables/memory/refused-rows.ts";
import { openTableStore } from "../../src/store/tables/open-table-store.ts";
import type { TimeRange } from "../../src/store/tables/rows.ts";
import type { Tombstone } from "../../src/store/tables/listing/tombstones.ts";
import type { TableStore } from "../../src/store/tables/table-store.ts";
import { FaultDisk } from "./fault-disk.ts";
import { seededRandom } from "./seeded-random.ts";
import { SimulatedClock } from "./simulated-clock.ts";

export type Put = {
  readonly series: number;
  readonly time: number;
  readonly value: number;
  readonly kind?: number;
  readonly sequence?: number;
  /** Not accepted: it must be nowhere. */
  readonly refused?: boolean;
};

export const tablePolicy: CompactionPolicy = {
  tiers: [10_000, 60_000, 3_600_000],
  keepMs: new Map(),
  classes: new Map(),
  bytesMax: Number.POSITIVE_INFINITY,
  freeBytesMin: 0,
  mergeTablesMin: limits.mergeTablesMin,
};

/** Two series a device. */
const deviceOf = (series: SeriesId): number => series >> 1;

export class TableRig {
  readonly disk: FaultDisk;
  kv: KvMemory = new KvMemory();
  clock: SimulatedClock = new SimulatedClock(0);
  /** What the log holds: batches and which rows of them were accepted. */
  readonly #log: (
    | { readonly at: Position; readonly step: Step }
    | { readonly at: Position; readonly step?: undefined; readonly tombstone: Tombstone }
  )[] = [];
  #end: Position = position(0);
  #checkpoint: { readonly at: Position; readonly refused: Uint8Array } | undefined;
  policy: CompactionPolicy;
  classOf: (series: SeriesId) => string | undefined = () => undefined;
  clockNow: number | undefined;
  #store: TableStore | undefined;
  readonly #rowsMax: number;
  /** What becomes of the commit with this number; a broken one may be on the medium all the same. */
  commitFate: (index: number) => "well" | "full" | "broken" | "broken, but done" = () => "well";
  #commits = 0;
  #isBroken = false;

  constructor(options: {
    readonly seed: number;
    readonly rowsMax: number;
    readonly policy?: Partial<CompactionPolicy>;
  }) {
    this.disk = new FaultDisk(seededRandom(options.seed));
    this.#rowsMax = options.rowsMax;
    this.policy = { ...tablePolicy, ...options.policy };
  }

  get store(): TableStore {
    if (this.#store === undefined) throw new Error("the store is open");
    return this.#store;
  }

  /** Opens the store as it was left, and replays the log to it. */
  async open(): Promise<TableStore> {
    this.#isBroken = false;
    const kv = await openCheckedKv(this.#fatedKv(this.kv));
    const { store } = await openStateStore(kv);
    const from = this.#checkpoint?.at ?? position(0);
    const tables = await openTableStore({
      disk: this.disk.mount(),
      clock: this.clock,
      kv,
      store,
      directory: "/tables",
      deviceOf,
      classOf: this.classOf,
      from,
      refused: decodeRefusedRows(this.#checkpoint?.refused ?? Uint8Array.of(0)),
      policy: this.policy,
      clockNow: () => this.clockNow,
      rowsMax: this.#rowsMax,
    });
    tables.onFailed(() => {
      this.#isBroken = true;
    });
    for (const entry of this.#log) {
      if (entry.step === undefined) tables.erase(entry.tombstone);
      else if (entry.at < from) tables.replay(entry.step.at, entry.step.batch);
      else tables.take(entry.step);
    }
    tables.start();
    this.#store = tables;
    return tables;
  }

  /** The process cannot go on: its power is cut, or its state store broke. */
  get isOver(): boolean {
    return this.disk.isDown || this.#isBroken;
  }

  get commits(): number {
    return this.#commits;
  }

  /** Appends a batch to the log and gives it to the store. */
  put(puts: readonly Put[]): void {
    const step = stepOf(puts, position(this.#end + 1));
    this.#log.push({ at: this.#end, step });
    this.#end = position(this.#end + puts.length + 1);
    this.store.take(step);
  }

  /** Erases readings that were put before, by a record of the log. */
  erase(series: readonly number[], range: TimeRange): void {
    const tombstone = { at: this.#end, series: series.map((id) => seriesId(id)), range };
    this.#log.push({ at: this.#end, tombstone });
    this.#end = position(this.#end + 1);
    this.store.erase(tombstone);
  }

  /** What the operators' checkpoint keeps of the store. */
  checkpoint(): void {
    this.#checkpoint = { at: this.#end, refused: this.store.encodeRefused() };
  }

  /** Writes memory, and lets compaction do what is due. */
  async flush(): Promise<void> {
    this.store.wantFlush();
    await this.store.settle();
  }

  /** Lets time pass until nothing is left to do, or the process is over. */
  async settle(): Promise<void> {
    let isSettled = false;
    const settling = this.store.settle().then(() => {
      isSettled = true;
    });
    for (let waits = 0; !isSettled && !this.isOver; waits++) {
      assert(waits < 100, "the store comes to rest");
      await this.clock.pass(limits.diskRetryMs);
    }
    if (isSettled) await settling;
  }

  #fatedKv(kv: KvMemory): Kv {
    const broken = (): Fault => new Fault("STORE_FAILED", "the store is broken");
    let isBroken = false;
    return {
      get: (key) => kv.get(key),
      range: (options) => kv.range(options),
      close: () => kv.close(),
      commit: async (writes) => {
        if (isBroken) throw broken();
        const fate = this.commitFate(this.#commits++);
        if (fate === "full") throw new Fault("DISK_FULL", "there is no space");
        if (fate !== "broken") await kv.commit(writes);
        if (fate === "well") return;
        isBroken = true;
        throw broken();
      },
    };
  }

  /** Ends the process; without `crash`, what was written is on the disk. */
  async end(how: "close" | "crash"): Promise<void> {
    if (how === "close") await this.#store?.close();
    else this.disk.crash(); // what the process was about to do never comes to an end
    this.#store = undefined;
    this.kv = new KvMemory({ image: this.kv.image() });
    this.clock = this.clock.kill();
  }
}

function stepOf(puts: readonly Put[], at: Position): Step {
  const batch: Batch = createBatch(Math.max(puts.length, 1));
  batch.rows = puts.length;
  const accepted: number[] = [];
  for (const [row, put] of puts.entries()) {
    batch.series[row] = put.series;
    batch.time[row] = put.time;
    batch.value[row] = put.value;
    batch.kind[row] = put.kind ?? 0;
    batch.sequence[row] = put.sequence ?? 0;
    if (put.refused !== true) accepted.push(row);
  }
  return {
    batch,
    at,
    accepted: Uint32Array.from(accepted),
    acceptedCount: accepted.length,
    device: new Uint32Array(0),
    watermark: new Float64Array(0),
  };
}
