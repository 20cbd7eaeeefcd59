/**
 * Damage to the values of a store that has some of every kind: one flipped bit anywhere is mended or a
 * fault that names the value; where both copies are damaged, what can go on without it does, and the
 * loss is counted.
 */

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { TableRig } from "../../../test/support/table-rig.ts";
import { isEnvironmental } from "../../core/faults.ts";
import { limits } from "../../core/limits.ts";
import { millis, position, sourceId } from "../../core/units.ts";
import { OutboxWriter } from "../outbox/outbox.ts";
import { openCheckedKv } from "../state/checked-kv.ts";
import { readCheckpoint } from "../state/checkpoint-store.ts";
import { readDeadLetters } from "../state/dead-letters.ts";
import { blockPrefixes, formatKey, uplinkKey, wearKey } from "../state/kv-key.ts";
import { type KvImage, KvMemory } from "../state/kv-memory.ts";
import { openStateStore, type StateStore } from "../state/state-store.ts";
import { readListing } from "../tables/listing/quarantine.ts";
import { type Finding, verifyStore } from "./verify-store.ts";
import { encodeWear } from "./wear.ts";

const perTable = 300;

/** Three tables and one in quarantine, an erasure, and what the loop and the drain store. */
async function realistic(): Promise<TableRig> {
  const rig = new TableRig({ seed: 1, rowsMax: 100_000, policy: { mergeTablesMin: 100 } });
  await rig.open();
  for (let table = 0; table < 4; table++) {
    rig.put(
      Array.from({ length: perTable }, (_, n) => {
        const time = (20_000 + table) * limits.partitionMs + n * 1_000;
        return { series: n % 3, time, value: n };
      }),
    );
    await rig.flush();
  }
  rig.checkpoint();
  await rig.end("close");
  await rig.disk.mount().remove(`/tables/table-0000000003.tbl`);
  await rig.open();
  rig.erase([5], { from: 0, to: 10 });
  await rig.end("close");
  const kv = await openCheckedKv(rig.kv);
  const { store } = await openStateStore(kv);
  const outbox = new OutboxWriter();
  outbox.add("alerts", Uint8Array.of(1));
  outbox.add("summaries", Uint8Array.of(2));
  const letter = {
    source: sourceId(0),
    topic: "plant/1",
    arrived: millis(1),
    reason: "json_invalid",
    offset: 3,
    payload: new Uint8Array(40),
    payloadBytes: 40,
  } as const;
  await store.commit({
    through: position(1_300),
    ledger: new Uint8Array(520).fill(3),
    clock: millis(20_000),
    definitions: [{ kind: "source", id: sourceId(0), name: "plant" }],
    deadLetters: [letter, letter],
    outbox,
    checkpoint: {
      chunks: [{ table: "w/keys", chunk: 0, bytes: new Uint8Array(600).fill(9) }],
      tables: ["w/keys"],
      spec: JSON.stringify({ version: 1, text: "x".repeat(500) }),
      refused: Uint8Array.of(0),
    },
  });
  const wear = { device: "mmcblk0", bootId: "b", counterBytes: 1, from: 2, to: 3, totalBytes: 4 };
  await store.advance([
    { key: wearKey, value: encodeWear({ ...wear, days: [[20_420, 77]] }) },
    { key: uplinkKey("file", "alerts"), value: new TextEncoder().encode('{"next":1}') },
    { key: tombstone, value: new TextEncoder().encode('{"series":[1],"from":5,"to":6}') },
    { key: "outbox-start/alerts", value: new TextEncoder().encode('{"first":0,"bytes":0}') },
  ]);
  return rig;
}

const tombstone = "tombstone/0000000000000001";

let store: KvImage;
before(async () => {
  store = (await realistic()).kv.image();
});

function checkedKeys(): readonly string[] {
  return [...store.keys()].filter(
    (key) => key !== formatKey && !blockPrefixes.some((prefix) => key.startsWith(prefix)),
  );
}

function flipped(image: KvImage, key: string, bits: readonly number[]): KvMemory {
  const value = image.get(key)!.slice();
  for (const bit of bits) value[bit >>> 3]! ^= 1 << (bit & 7);
  return new KvMemory({ image: new Map(image).set(key, value) });
}

/** A bit in each half: both copies, where there are two. */
function inBoth(key: string): readonly number[] {
  const bits = 8 * store.get(key)!.length;
  return [bits / 8, bits / 2 + bits / 8].map(Math.floor);
}

async function findings(kv: KvMemory, rig: TableRig): Promise<readonly Finding[]> {
  const { findings } = await verifyStore({
    disk: rig.disk.mount(),
    kv,
    logDirectory: "/log",
    tablesDirectory: "/tables",
    isInUse: false,
    pause: () => Promise.resolve(),
    onProgress: () => undefined,
  });
  return findings.filter(({ part }) => part !== "log");
}

test("the store has values of every kind", () => {
  const kinds = new Set([...store.keys()].map((key) => key.split("/")[0]!));
  const all =
    "catalog checkpoint dlq dlq-span emitted format ledger outbox outbox-end outbox-start quarantine refused-rows state table tables tombstone uplink wear";
  assert.equal([...kinds].toSorted((a, b) => (a < b ? -1 : 1)).join(" "), all);
  assert.equal(checkedKeys().filter((key) => key.startsWith("table/")).length, 3);
});

test("every single bit of every value: it is mended, or reading it is a fault that names it", async () => {
  let mended = 0;
  let refused = 0;
  for (const key of checkedKeys()) {
    for (let bit = 0; bit < 8 * store.get(key)!.length; bit++) {
      const kv = flipped(store, key, [bit]);
      const checked = await openCheckedKv(kv);
      try {
        checked.get(key);
        assert.deepEqual(kv.image().get(key), store.get(key), `${key}, bit ${bit}`);
        mended += 1;
      } catch (error) {
        if (!isEnvironmental(error)) throw error;
        assert.match(error.message, new RegExp(`the state store's ${key} is damaged`));
        refused += 1;
      }
    }
  }
  assert.ok(mended > 10_000 && refused > 10_000, `${mended} mended, ${refused} refused`);
});

const contained = ["table/", "quarantine/", "dlq/", "wear", "uplink/"];

test("with both copies damaged, opening says what is, or goes on without it and counts", async () => {
  for (const key of checkedKeys()) {
    const rig = await realistic();
    const kv = flipped(rig.kv.image(), key, inBoth(key));
    const isContained = contained.some((prefix) => key.startsWith(prefix));
    const named = (await findings(kv, rig)).find(({ problem }) => problem.includes(key));
    assert.match(
      named?.remedy ?? "",
      isContained && key !== uplinkKey("file", "alerts") ? /agent starts/ : /backup/,
    );
    rig.kv = kv;
    const opening = (async () => {
      const checked = await openCheckedKv(rig.kv);
      await openStateStore(checked);
      for (const _ of readCheckpoint(checked)!.checkpoint.chunks()) continue;
      await rig.open();
    })();
    if (!isContained) {
      await assert.rejects(opening, { code: "STORE_FAILED", message: new RegExp(key) });
      continue;
    }
    await opening;
    const checked = await openCheckedKv(rig.kv);
    const listing = readListing(checked)!;
    const { counts, inTables } = rig.store.status;
    assert.equal(inTables + counts.lost, 4 * perTable);
    const isTable = key.startsWith("table/");
    assert.equal(inTables, (isTable ? 2 : 3) * perTable);
    assert.equal(listing.damagedTables.length + listing.damagedNotes.length, 0);
    assert.equal(readDeadLetters(checked, { limit: 9 }).length, key.startsWith("dlq/") ? 1 : 2);
    if (isTable) {
      const { table } = listing.quarantined.find(({ reason }) => reason.includes("entry"))!;
      assert.deepEqual([table.readings, table.resolutions], [perTable, [0]]);
      await rig.settle();
      const path = `/tables/quarantine/table-${String(table.id).padStart(10, "0")}.tbl`;
      assert.ok(rig.disk.paths().includes(path));
    }
    await rig.end("close");
  }
});

test("a damaged copy is told by verification, and gone when the store was opened", async () => {
  const rig = await realistic();
  assert.deepEqual(await findings(rig.kv, rig), []);
  const kv = flipped(rig.kv.image(), "tables", [3]);
  const [finding, ...more] = await findings(kv, rig);
  assert.match(finding!.problem, /state store's tables: one of its two copies/);
  assert.deepEqual(more, []);
  await openCheckedKv(kv);
  assert.deepEqual(await findings(kv, rig), []);
});

test("a store whose list of tables is gone does not take their files for leftovers", async () => {
  const rig = await realistic();
  const image = new Map(rig.kv.image());
  image.set("tablds", image.get("tables")!); // a flipped bit of the key
  image.delete("tables");
  rig.kv = new KvMemory({ image });
  const before = await rig.disk.mount().list("/tables");
  await assert.rejects(rig.open(), {
    code: "STORE_FAILED",
    message: /the state store's tables is damaged: it is missing, and \/tables has 3/,
  });
  assert.deepEqual(await rig.disk.mount().list("/tables"), before);
});

const writtenTogether = [
  "emitted",
  "ledger",
  "checkpoint",
  "outbox-end/alerts",
  "outbox-end/summaries",
];

test("a flipped bit in the key of what every commit writes is a fault that names what is missing", async () => {
  const rig = await realistic();
  for (const key of writtenTogether) {
    for (let bit = 0; bit < 8 * key.length; bit++) {
      const other = Buffer.from(key);
      other[bit >>> 3]! ^= 1 << (bit & 7);
      if (!/^[\x21-\x7e]+$/.test(other.toString("latin1"))) continue;
      const image = new Map(store).set(other.toString("latin1"), store.get(key)!);
      image.delete(key);
      const kv = new KvMemory({ image });
      const message = new RegExp(`the state store's ${key} is damaged: it is missing beside`);
      const opening = async (): Promise<unknown> => await openStateStore(await openCheckedKv(kv));
      await assert.rejects(opening, { code: "STORE_FAILED", message });
      const found = (await findings(kv, rig)).find(({ problem }) => message.test(problem));
      assert.match(found?.remedy ?? "", /backup/);
    }
  }
});

test("a lane whose start is gone is counted again from its blocks", async () => {
  const kv = new KvMemory();
  const { store: before } = await openStateStore(kv);
  before.serve(["file"]);
  const commit = async (count: number): Promise<void> => {
    const outbox = new OutboxWriter();
    for (let n = 0; n < count; n++) outbox.add("summaries", new Uint8Array(50).fill(n));
    await before.commit({
      through: position(1),
      ledger: Uint8Array.of(1),
      definitions: [],
      deadLetters: [],
      outbox,
    });
  };
  const withoutStart = async (): Promise<StateStore> => {
    const image = new Map(kv.image());
    image.delete("outbox-start/summaries");
    return (await openStateStore(new KvMemory({ image }))).store;
  };
  for (const count of [3, 4, 5]) await commit(count);
  assert.deepEqual((await withoutStart()).status, before.status);
  await before.advance([], { uplink: "file", lane: "summaries", next: 3 });
  assert.deepEqual((await withoutStart()).status, before.status);
  const run = await before.readRun("summaries", {
    from: 3,
    low: 3,
    high: 7,
    bytesMax: 1_000,
    breathe: () => Promise.resolve(),
  });
  assert.ok(await before.replace("summaries", run, { records: [Uint8Array.of(7)], writes: [] }));
  assert.equal(before.status.outbox.summaries.merged, 3);
  assert.deepEqual((await withoutStart()).status, before.status);
  await before.advance([], { uplink: "file", lane: "summaries", next: 12 });
  assert.deepEqual((await withoutStart()).status, before.status);
  assert.equal(before.status.outbox.summaries.first, 12);
});
