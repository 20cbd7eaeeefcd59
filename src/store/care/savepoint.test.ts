import assert from "node:assert/strict";
import { test } from "node:test";
import { FaultDisk } from "../../../test/support/fault-disk.ts";
import { seededRandom } from "../../../test/support/seeded-random.ts";
import { Catalog } from "../../core/catalog.ts";
import type { Disk } from "../../core/doors.ts";
import { position } from "../../core/units.ts";
import { Ledger } from "../../edge-ops/ledger.ts";
import { OutboxWriter } from "../outbox/outbox.ts";
import { emittedKey, pauseKey, wearKey } from "../state/kv-key.ts";
import { KvMemory } from "../state/kv-memory.ts";
import { openStateStore } from "../state/state-store.ts";
import { readSavepoint, restoreSavepoint, writeSavepoint } from "./savepoint.ts";
import { ifThere, readWhole, writeWhole } from "./whole-files.ts";

const path = "/savepoints/x.savepoint";
const about = { name: "x", weir: "0.1.0", created: 5 };

async function emptyDisk(): Promise<Disk> {
  const disk = new FaultDisk(seededRandom(1)).mount();
  await disk.makeDirectory("/savepoints");
  return disk;
}

/** A state store with a checkpoint at 7, more than one read of chunks, and an outbox. */
async function stateStore(): Promise<{
  readonly kv: KvMemory;
  readonly outputs: () => Promise<void>;
}> {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const outbox = new OutboxWriter();
  outbox.add("summaries", new TextEncoder().encode("a record"));
  const common = { ledger: new Ledger(new Catalog()).encode(), definitions: [], deadLetters: [] };
  const chunks = Array.from({ length: 200 }, (_, chunk) => {
    return { table: "sums", chunk, bytes: Uint8Array.of(chunk, 255 - chunk) };
  });
  const checkpoint = { chunks, tables: ["sums"], spec: "{}", refused: new Uint8Array(4) };
  await store.commit({ through: position(7), ...common, outbox, checkpoint });
  await store.advance([{ key: wearKey, value: Uint8Array.of(1) }]);
  return {
    kv,
    outputs: () => store.commit({ through: position(9), ...common, outbox: new OutboxWriter() }),
  };
}

test("what is restored is the state as it was, without what belongs to the old directory", async () => {
  const disk = await emptyDisk();
  const { kv } = await stateStore();
  const made = await writeSavepoint(disk, path, { kv, ...about });
  assert.equal(made.position, 7);
  const restored = new KvMemory();
  assert.deepEqual(await restoreSavepoint(disk, path, restored), made);
  const before = await openStateStore(kv);
  const after = await openStateStore(restored);
  const chunksOf = ({ recovered }: typeof before) => [...(recovered.checkpoint?.chunks() ?? [])];
  assert.equal(chunksOf(after).length, 200);
  assert.deepEqual(chunksOf(after), chunksOf(before));
  assert.deepEqual(after.recovered.emitted, before.recovered.emitted);
  const all = { from: 0, bytesMax: 1_000 };
  assert.deepEqual(after.store.read("summaries", all), before.store.read("summaries", all));
  assert.equal(restored.get(wearKey), undefined);
});

test("outputs that are ahead of the state are refused: they would be sent again", async () => {
  const disk = await emptyDisk();
  const { kv, outputs } = await stateStore();
  await outputs();
  await assert.rejects(writeSavepoint(disk, path, { kv, ...about }), {
    code: "INPUT_INVALID",
    message: /up to position 9, operator state only up to 7: .* send windows again/,
  });
  await assert.rejects(writeSavepoint(disk, path, { kv: new KvMemory(), ...about }), {
    message: /no operator state yet/,
  });
});

test("a savepoint that ends early, or of which any byte is another, is not restored as it is", async () => {
  const disk = await emptyDisk();
  const { kv } = await stateStore();
  await writeSavepoint(disk, path, { kv, ...about });
  const whole = await readWhole(disk, path);
  const read = async (bytes: Uint8Array): Promise<unknown> => {
    await ifThere(() => disk.remove(path));
    await writeWhole(disk, path, bytes);
    return await readSavepoint(disk, path, async () => {});
  };
  const wanted = await read(whole);
  for (const length of [0, 1, 40, whole.length - 30, whole.length - 2]) {
    await assert.rejects(read(whole.slice(0, length)), { code: "INPUT_INVALID" });
  }
  for (let at = 0; at < whole.length; at += 37) {
    const bytes = whole.slice();
    bytes[at]! ^= 1;
    // At the last line a checksum that is another is refused, too.
    await assert.rejects(read(bytes), /not a whole savepoint|FORMAT|format/, `byte ${at}`);
  }
  assert.deepEqual(await read(whole), wanted);
});

test("a savepoint of a newer format is refused with what to do", async () => {
  const disk = await emptyDisk();
  const line = '{"format":5,"name":"x","weir":"9.0.0","created":1,"position":1}\n';
  await writeWhole(disk, path, new TextEncoder().encode(line));
  await assert.rejects(
    readSavepoint(disk, path, async () => {}),
    { code: "FORMAT_TOO_NEW" },
  );
});

test("a pause stays with its gateway: what begins from a savepoint begins to send", async () => {
  const disk = await emptyDisk();
  const { kv } = await stateStore();
  const value = new TextEncoder().encode('{"v":1}');
  await kv.commit([{ key: pauseKey("kafka"), value }]);
  await writeSavepoint(disk, path, { kv, ...about });
  const restored = new KvMemory();
  await restoreSavepoint(disk, path, restored);
  assert.deepEqual(restored.range({ from: "pause/", to: "pause0" }), []);
});

test("beside an agent it is of one moment: what uplinks change meanwhile is not in it", async () => {
  const disk = await emptyDisk();
  const { kv } = await stateStore();
  const key = "uplink/files:out/summaries";
  await kv.commit([{ key, value: Uint8Array.of(1) }]);
  // The uplink is further at each call of the disk.
  const late: Disk = Object.assign(Object.create(disk) as Disk, {
    open: async (...args: Parameters<Disk["open"]>) => {
      await kv.commit([{ key, value: Uint8Array.of(2) }]);
      return await disk.open(...args);
    },
  });
  await writeSavepoint(late, path, { kv, isBeside: true, ...about });
  const restored = new KvMemory();
  await restoreSavepoint(disk, path, restored);
  assert.deepEqual(restored.get(key), Uint8Array.of(1));
  assert.deepEqual(restored.get(emittedKey), kv.get(emittedKey));
});
