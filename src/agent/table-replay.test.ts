/** The tables' part of a replay: what lies in the log before the operators' checkpoint. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../test/support/fault-disk.ts";
import { numberedFrame } from "../../test/support/frames.ts";
import { tablePolicy } from "../../test/support/table-rig.ts";
import { SimulatedClock } from "../../test/support/simulated-clock.ts";
import { seededRandom } from "../../test/support/seeded-random.ts";
import { Catalog } from "../core/catalog.ts";
import type { Named } from "../core/frame.ts";
import { deviceId, position, seriesId, sourceId } from "../core/units.ts";
import { createDataflow, emptySpec } from "../edge-ops/dataflow.ts";
import { openLog } from "../store/log/log.ts";
import { OutboxWriter } from "../store/outbox/outbox.ts";
import { KvMemory } from "../store/state/kv-memory.ts";
import { openStateStore } from "../store/state/state-store.ts";
import { swapWrites } from "../store/tables/listing/table-list.ts";
import { RefusedRows } from "../store/tables/memory/refused-rows.ts";
import { Outputs } from "./outputs.ts";
import { recover, type RecoveryOptions } from "./recovery.ts";

const random = seededRandom(1);
const frames = 12;
const rows = 100;
const positionsPerFrame = rows + 1;
const logOptions = { directory: "/log", segmentBytes: 64 * 1024, bytesMax: 1_000_000, random };

/** A log of which the operators know everything and the tables nothing; two rows were refused. */
async function left(memoryRowsMax: number): Promise<{
  readonly disk: FaultDisk;
  readonly kv: KvMemory;
  readonly options: Omit<RecoveryOptions, "kv" | "disk">;
}> {
  const disk = new FaultDisk(random);
  const kv = new KvMemory();
  const { log } = await openLog(disk.mount(), logOptions);
  for (let n = 0; n < frames; n++) await log.append(numberedFrame(n, rows));
  const through = log.end;
  await log.close();
  const source = { kind: "source", id: sourceId(0), name: "plant" } as const;
  const device = { kind: "device", id: deviceId(0), source: source.id, tags: [] } as const;
  const series = Array.from({ length: 50 }, (_, n): Named => {
    return { kind: "series", id: seriesId(n), device: device.id, metric: `m${n}` };
  });
  const refused = new RefusedRows();
  refused.note(
    position(5 * positionsPerFrame + 1),
    rows,
    Uint32Array.from({ length: 98 }, (_, n) => n + 1),
    98,
  );
  const { store } = await openStateStore(kv);
  await store.commit({
    through,
    ledger: createDataflow(emptySpec, new Catalog()).ledger.encode(),
    definitions: [source, device, ...series],
    deadLetters: [],
    outbox: new OutboxWriter(),
    checkpoint: {
      chunks: [],
      tables: [],
      spec: JSON.stringify(emptySpec),
      refused: refused.encode(),
    },
  });
  const counts = { flushed: 0, expired: 0, erased: 0, lost: 0 };
  await store.advance(
    swapWrites({ head: { next: 0, through: position(0), counts }, added: [], removed: [] }),
  );
  const { directory: logDirectory, bytesMax: logBytesMax, segmentBytes } = logOptions;
  return {
    disk,
    kv,
    options: {
      random,
      outputs: new Outputs("gateway"),
      logDirectory,
      tablesDirectory: "/tables",
      outboxBytesMax: 1_000_000,
      clock: new SimulatedClock(0),
      policy: tablePolicy,
      classes: [],
      clockNow: () => undefined,
      logBytesMax,
      segmentBytes,
      configInForce: JSON.stringify(emptySpec),
      memoryRowsMax,
    },
  };
}

const accepted = frames * rows - 2;

test("a long replay waits for flushes: memory holds no more than it may", async () => {
  const { disk, kv, options } = await left(rows);
  const { tables, log } = await recover({ ...options, kv, disk: disk.mount() });
  const { inMemory, inTables, flushes } = tables.status;
  assert.equal(inMemory + inTables, accepted);
  assert.ok(inMemory <= 2 * rows, `${inMemory} readings are in memory`);
  assert.ok(flushes >= frames - 2);
  await tables.close();
  await log.close();
});

test("a replay does not wait for a disk that takes no tables", async () => {
  const { disk, kv, options } = await left(rows);
  const { tables, log } = await recover({
    ...options,
    kv,
    disk: fullForTables(disk),
  });
  assert.equal(tables.status.trouble?.code, "DISK_FULL");
  assert.equal(tables.status.inMemory, accepted);
  await tables.close();
  await log.close();
});

function fullForTables(disk: FaultDisk): RecoveryOptions["disk"] {
  const mounted = disk.mount();
  return {
    ...mounted,
    open: async (path, how) => {
      if (!path.endsWith(".tbl")) return await mounted.open(path, how);
      throw Object.assign(new Error("there is no space"), { code: "ENOSPC" });
    },
  };
}

test("what the log lost before the checkpoint counts as lost for the tables, once", async () => {
  for (const damagedFrame of [0, 5, frames - 1]) {
    const lost = damagedFrame === 5 ? rows - 2 : rows;
    const { disk, kv, options } = await left(1_000_000);
    const [path] = disk.paths().filter((name) => name.startsWith("/log/"));
    disk.poke(path!, offsetIn(disk.peek(path!), damagedFrame), Uint8Array.of(0xa5));
    let image = kv.image();
    for (const life of ["first", "killed", "flushed", "again"]) {
      const store = new KvMemory({ image });
      const { tables, log, damage } = await recover({ ...options, kv: store, disk: disk.mount() });
      if (life === "first") assert.equal(damage.lostRows, rows);
      if (life === "flushed") tables.wantFlush();
      await tables.settle();
      const { counts, inMemory, inTables } = tables.status;
      assert.equal(counts.lost, lost, `frame ${damagedFrame}, ${life}`);
      assert.equal(inMemory + inTables, accepted - lost);
      assert.equal(counts.flushed, inTables + lost);
      await tables.close();
      await log.close();
      image = store.image();
    }
  }
});

/** In the body of a frame: all of them are about as long. */
function offsetIn(segment: Uint8Array, frame: number): number {
  const header = 4_096;
  const used = segment.findLastIndex((byte) => byte !== 0) + 1 - header;
  return header + Math.floor(((frame + 0.7) * used) / frames);
}
