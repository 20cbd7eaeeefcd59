/** Resends that are older than the ring of duplicates are found where they are stored (P9). */

import assert from "node:assert/strict";
import { test } from "node:test";
import { definitionsOf, frameOf, type Reading, specOf } from "../../test/support/dataflow.ts";
import { TableRig } from "../../test/support/table-rig.ts";
import { KIND_ARRIVAL_TIME, KIND_STORED } from "../core/batch.ts";
import { Catalog } from "../core/catalog.ts";
import type { Frame } from "../core/frame.ts";
import { limits } from "../core/limits.ts";
import type { Sink } from "../core/record.ts";
import { position } from "../core/units.ts";
import { createDataflow } from "../edge-ops/dataflow.ts";
import { Resends } from "./resends.ts";

const sink: Sink = {
  summary: () => undefined,
  alert: () => undefined,
  complete: () => undefined,
  deadLetter: () => undefined,
};

/** Readings of series 0 at n seconds. */
const first = 20_000 * limits.partitionMs;
const reading = (n: number, more: Partial<Reading> = {}): Reading => {
  return { series: 0, time: first + n * 1_000, value: n, ...more };
};
const run = (from: number, to: number): Reading[] =>
  Array.from({ length: to - from }, (_, n) => reading(from + n));

class Rig {
  readonly tables = new TableRig({ seed: 1, rowsMax: 100_000 });
  readonly dataflow = createDataflow(specOf([]), new Catalog());
  #at = 0;
  #resends: Resends | undefined;

  async open(): Promise<void> {
    await this.tables.open();
    this.#resends = new Resends({ dataflow: this.dataflow, tables: this.tables.store });
    this.#apply(frameOf(first, [], { definitions: definitionsOf(2, 2) }));
  }

  get counts(): Resends["counts"] {
    return this.#resends!.counts;
  }

  get duplicates(): number {
    return this.dataflow.ledger.view().sources[0]?.readings.duplicate ?? 0;
  }

  /** As the loop does; whether each row was found to be stored. */
  async take(readings: readonly Reading[]): Promise<readonly boolean[]> {
    const frame = frameOf(first, readings);
    await this.#resends!.mark(frame.batch);
    this.#apply(frame);
    return readings.map((_, row) => (frame.batch.kind[row]! & KIND_STORED) !== 0);
  }

  #apply(frame: Frame): void {
    const step = this.dataflow.apply(frame, position(this.#at), sink);
    this.tables.store.take(step);
    this.#at += frame.batch.rows + 1;
  }
}

for (const [where, isFlushed] of [
  ["memory", false],
  ["tables", true],
] as const) {
  test(`a backlog that is sent again is found in ${where}, and counted as duplicate`, async () => {
    const rig = new Rig();
    await rig.open();
    await rig.take(run(0, 500));
    if (isFlushed) await rig.tables.flush();
    await rig.take(run(500, 600));
    assert.equal(rig.counts.lookedUp, 0, "what comes in order is not looked up");
    const again = await rig.take(run(0, 600));
    assert.equal(again.filter((is) => !is).length, 8, "the ring has the last eight");
    assert.equal(rig.duplicates, 600);
    const { inMemory, inTables } = rig.tables.store.status;
    assert.equal(inMemory + inTables, 600, "each is stored once");
    assert.deepEqual(rig.counts, { lookedUp: 592, found: 592, skipped: 0 });
    await rig.tables.end("close");
  });
}

test("only the very reading is a duplicate: not another value, kind, sequence or series", async () => {
  const rig = new Rig();
  await rig.open();
  await rig.take([reading(1, { value: Number.NaN }), reading(2, { sequence: 7 }), ...run(3, 50)]);
  await rig.tables.flush();
  const told = await rig.take([
    reading(1, { value: Number.NaN }),
    reading(2, { sequence: 7 }),
    reading(2, { sequence: 8 }),
    reading(3, { value: -3 }),
    reading(3, { kind: 1 }),
    reading(3, { series: 1 }),
    reading(4, { kind: KIND_ARRIVAL_TIME }),
    reading(3.5),
    reading(4),
  ]);
  assert.deepEqual(told, [true, true, false, false, false, false, false, false, true]);
  assert.equal(rig.duplicates, 3);
  await rig.tables.end("close");
});

test("late readings in the ring do not hide a resend; a device that jitters is not looked up", async () => {
  const rig = new Rig();
  await rig.open();
  await rig.take(run(100, 200));
  await rig.take([reading(5), reading(6)]);
  assert.deepEqual(await rig.take([reading(120)]), [true]);
  const { lookedUp } = rig.counts;
  for (let n = 300; n < 400; n += 2) await rig.take([reading(n + 1), reading(n)]);
  assert.equal(rig.counts.lookedUp, lookedUp);
  await rig.tables.end("close");
});

test("beyond the bound of a frame readings are taken as late, and that is counted", async () => {
  const rig = new Rig();
  await rig.open();
  const count = limits.resendRowsMax + 100;
  await rig.take(run(0, count + 8));
  const again = await rig.take(run(0, count));
  assert.equal(again.filter(Boolean).length, limits.resendRowsMax);
  assert.equal(rig.counts.skipped, 100);
  await rig.tables.end("close");
});
