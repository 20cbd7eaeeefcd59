/**
 * What a gateway goes on from that took another's place, as version 1 of each wrote it: a savepoint of
 * format 4, which has windows that are held back, and what the publisher knows of its sets. The files never
 * change.
 *
 *   savepoint-v4.savepoint   position 7, one chunk of state, one record that waits, two floors
 *   held-back-v1.json        these floors as they stand in the state store
 *   savepoint-head-v1.json   the head of a set in the topic
 *   savepoint-sets-v1.json   the next set is 8, slots have 3 and 4 chunks
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  chunkKey,
  decodeChunk,
  decodeHead,
  encodeChunk,
  encodeHead,
  headKey,
  slotOf,
} from "../../src/store/care/savepoint-set.ts";
import { restoreSavepoint, writeSavepoint } from "../../src/store/care/savepoint.ts";
import { readWhole, writeWhole } from "../../src/store/care/whole-files.ts";
import { readOutbox } from "../../src/store/outbox/outbox.ts";
import { readCheckpoint } from "../../src/store/state/checkpoint-store.ts";
import { openCheckedKv } from "../../src/store/state/checked-kv.ts";
import { readHeldBack } from "../../src/store/state/held-back.ts";
import { heldBackKey } from "../../src/store/state/kv-key.ts";
import { KvMemory } from "../../src/store/state/kv-memory.ts";
import { formatOf } from "../../src/store/state/state-format.ts";
import { openStateStore } from "../../src/store/state/state-store.ts";
import { decodeSetState, encodeSetState } from "../../src/sync/kafka/savepoints/set-state.ts";
import { FaultDisk } from "../support/fault-disk.ts";
import { seededRandom } from "../support/seeded-random.ts";

const golden = (name: string): Buffer => readFileSync(new URL(name, import.meta.url));
const path = "/golden.savepoint";

test("a savepoint of format 4 is the state with the windows that are held back, and is written as it was", async () => {
  const disk = new FaultDisk(seededRandom(1)).mount();
  await writeWhole(disk, path, golden("savepoint-v4.savepoint"));
  const memory = new KvMemory();
  const kv = await openCheckedKv(memory);
  const found = await restoreSavepoint(disk, path, kv);
  assert.deepEqual([found.name, found.position], ["golden", 7]);
  assert.equal(formatOf(memory), "checked");
  const { store } = await openStateStore(kv);
  assert.equal(store.status.outbox.summaries?.next, 1);
  const [chunk, ...rest] = readCheckpoint(kv)!.checkpoint.chunks();
  assert.deepEqual([chunk?.bytes, rest], [Uint8Array.of(7, 8, 9), []]);
  const [record] = readOutbox(kv, "summaries", { from: 0, bytesMax: 100 }).records;
  assert.equal(new TextDecoder().decode(record), "a record");
  const heldBack = readHeldBack(kv);
  assert.deepEqual(
    ["gw1/temp/device=d1", "gw1/temp/device=d2", "gw1/vibration/device=d9"].map((name) =>
      heldBack.floorOf(name),
    ),
    [1_764_000_060_000, undefined, 1_764_000_001_500],
  );
  const again = "/again.savepoint";
  const { name, weir, created } = found;
  await writeSavepoint(disk, again, { kv, name, weir, created });
  assert.deepEqual(
    Buffer.from(await readWhole(disk, again)).toString(),
    golden("savepoint-v4.savepoint").toString(),
  );
});

test("floors are the bytes that they were", async () => {
  const kv = new KvMemory();
  const stored = golden("held-back-v1.json");
  await kv.commit([{ key: heldBackKey, value: Uint8Array.from(stored) }]);
  assert.equal(`${textOf(readHeldBack(kv).write().value!)}\n`, stored.toString());
});

test("what is known of sets is read as it was written, and as the first weir wrote it", () => {
  const stored = golden("savepoint-sets-v1.json");
  const state = decodeSetState(stored, "golden");
  assert.deepEqual([state.number, state.chunks], [8, { a: 3, b: 4 }]);
  assert.deepEqual(JSON.parse(textOf(state.head!)), { v: 1, set: "00" });
  assert.equal(`${textOf(encodeSetState(state))}\n`, stored.toString());
  const first = decodeSetState(new TextEncoder().encode('{"number":3}'), "golden");
  assert.deepEqual(first, { number: 3, chunks: { a: 0, b: 0 }, head: undefined });
});

test("a head is the bytes that other hardware looks for", () => {
  const stored = golden("savepoint-head-v1.json");
  const head = {
    set: "0b5e000000000000000000000000000a",
    number: 7,
    agent: "gw1",
    life: 1,
    made: 1764e9,
    position: 508,
    weir: "0.1.0",
    chunks: 3,
    bytes: 1200345,
    digest: "9a41c0de6b52f7730d8e1f2a3b4c5d6e00112233445566778899aabbccddeeff",
    topics: {
      summaries: "weir.summaries",
      alerts: "s.alerts",
      raw: "r",
      cursor: "weir.cursor",
    },
    since: { "weir.summaries": [1042, 0, 977] },
  };
  assert.deepEqual(decodeHead(stored, "golden"), head);
  assert.equal(`${textOf(encodeHead(head))}\n`, stored.toString());
  assert.equal(textOf(headKey("gw/1", slotOf(7))), "gw%2F1/b");
  assert.equal(textOf(chunkKey("gw/1", slotOf(8), 12)), "gw%2F1/a/12");
});

test("a chunk is the id of its set, and a piece", () => {
  const bytes = Buffer.from("0b5e000000000000000000000000000a", "hex");
  const piece = Uint8Array.of(1, 2, 3);
  assert.deepEqual(
    Buffer.from(encodeChunk(bytes.toString("hex"), piece)),
    Buffer.concat([bytes, piece]),
  );
  const found = decodeChunk(Buffer.concat([bytes, piece]));
  assert.deepEqual(found && [found.set, Uint8Array.from(found.piece)], [
    bytes.toString("hex"),
    piece,
  ]);
  assert.equal(decodeChunk(bytes.subarray(1)), undefined);
});

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
