import assert from "node:assert/strict";
import { test } from "node:test";
import { commitRecords } from "../../../../test/support/commit-records.ts";
import type { Summary } from "../../../core/record.ts";
import { millis, position } from "../../../core/units.ts";
import { Catalog } from "../../../core/catalog.ts";
import { Ledger } from "../../../edge-ops/ledger.ts";
import type { SetHead } from "../../../store/care/savepoint-set.ts";
import type { Lane } from "../../../store/outbox/lane.ts";
import { OutboxWriter } from "../../../store/outbox/outbox.ts";
import {
  decodeRecord,
  type DecodedRecord,
  encodeAlert,
  encodeComplete,
  encodeSummary,
} from "../../../store/outbox/record-codec.ts";
import { encodeSplit } from "../../../store/outbox/split.ts";
import { readHeldBack } from "../../../store/state/held-back.ts";
import { KvMemory } from "../../../store/state/kv-memory.ts";
import { splitKey, uplinkKey } from "../../../store/state/kv-key.ts";
import { openStateStore } from "../../../store/state/state-store.ts";
import type { Cursor } from "../cursor.ts";
import { decodeLaneState, encodeLaneState } from "../lane-state.ts";
import { goOn, pipelinesIn, waitingIn } from "./go-on.ts";
import { decodeSetState } from "./set-state.ts";
import { SentSince } from "./sent-since.ts";
import type { TakenLane } from "./take-name.ts";

const agent = "gw1";
const made = 1_764_000_000_000;

function window(device: string, second: number, more: Partial<Summary> = {}): Uint8Array {
  const start = made + second * 1_000;
  return encodeSummary(agent, {
    kind: "summary",
    pipeline: "temp",
    key: [["device", device]],
    start: millis(start),
    end: millis(start + 1_000),
    revision: 0,
    count: 10,
    fields: { sum: 1 },
    arrivalTimed: 0,
    ...more,
  });
}

function marker(device: string, second: number): Uint8Array {
  return encodeComplete(agent, {
    kind: "complete",
    pipeline: "temp",
    key: [["device", device]],
    through: millis(made + second * 1_000),
    readings: 10,
  });
}

function alert(second: number): Uint8Array {
  return encodeAlert(agent, {
    kind: "alert",
    pipeline: "shifts",
    key: [["device", "p1"]],
    time: millis(made + second * 1_000),
    reason: "ewma_high",
    value: 1,
    score: 2,
    expected: 0,
    limit: 1,
  });
}

function read(bytes: Uint8Array): DecodedRecord {
  return decodeRecord(bytes, "a test");
}

function sentOf(waiting: readonly Uint8Array[], upstream: readonly Uint8Array[]): SentSince {
  const sent = new SentSince(waiting.map(read));
  for (const record of upstream) sent.take(read(record));
  return sent;
}

test("of what waited only that is sent which is not upstream, nor later, nor merged into something that is", () => {
  const waiting = [
    window("p1", 1),
    window("p1", 2),
    window("p1", 2, { revision: 1 }),
    window("p1", 3, { revision: 1 }),
    window("p2", 1),
    window("p3", 4),
    window("p4", 4),
    marker("p1", 1),
    marker("p9", 1),
    alert(1),
    alert(2),
  ];
  const sent = sentOf(waiting, [
    window("p1", 1),
    window("p1", 2),
    window("p1", 3, { revision: 3 }),
    window("p3", 0, { end: millis(made + 10_000), merged: 10 }),
    marker("p4", 5),
    alert(2),
  ]);
  const again = waiting.filter((bytes) => !sent.has(read(bytes)));
  assert.deepEqual(again, [
    window("p1", 2, { revision: 1 }),
    window("p2", 1),
    marker("p9", 1),
    alert(1),
  ]);
  assert.equal(sent.newest, made + 10_000);
  assert.deepEqual([...sent.pipelines], ["temp"]);
  assert.equal(sent.heldBack.floorOf("gw1/temp/device=p1"), made + 4_000);
  assert.equal(sent.heldBack.floorOf("gw1/temp/device=p4"), made + 5_000);
  assert.equal(sent.heldBack.floorOf("gw1/temp/device=p2"), undefined);
});

const head: SetHead = {
  set: "0".repeat(32),
  number: 6,
  agent,
  life: 0,
  made,
  position: 7,
  weir: "0.1.0",
  chunks: 1,
  bytes: 1,
  digest: "",
  topics: { summaries: "summaries", alerts: "alerts", raw: "raw", cursor: "cursors" },
  since: {},
};

function taken(lane: Lane, seq: number): TakenLane {
  const cursor: Cursor = {
    agent,
    lane,
    mark: { outbox: String(seq).padEnd(32, "0"), seq, digest: "1".repeat(32) },
    boots: [{ id: "2".repeat(16), seq }],
    before: [],
    version: "0.1.0",
    life: 1,
  };
  return { lane, cursor, cluster: "c1" };
}

/** A savepoint's state: two summaries and an alert wait. */
async function state(spec = "{}"): Promise<KvMemory> {
  const kv = new KvMemory();
  const { store } = await openStateStore(kv);
  const outbox = new OutboxWriter();
  for (const record of [window("p1", 1), window("p1", 2)]) outbox.add("summaries", record);
  outbox.add("alerts", alert(1));
  await store.commit({
    through: position(7),
    ledger: new Ledger(new Catalog()).encode(),
    definitions: [],
    deadLetters: [],
    outbox,
    checkpoint: { chunks: [], tables: [], spec, refused: new Uint8Array(4) },
  });
  const split = encodeSplit({ ranges: [{ low: 0, high: 2 }], through: made });
  await store.advance([{ key: splitKey("kafka"), value: split }]);
  return kv;
}

test("lanes go on at the old one's cursors, and what it has not sent is behind them", async () => {
  const kv = await state();
  const waiting = waitingIn(kv, "kafka");
  const sent = new SentSince([...waiting.summaries, ...waiting.alerts]);
  sent.take(read(window("p1", 1)));
  sent.take(read(window("p1", 30, { pipeline: "temp@2" })));
  const lanes = [taken("alerts", 5), taken("summaries", 41), taken("backfill", 3)];
  const of = { uplink: "kafka", agent, head, pipelines: ["temp", "shifts"], takenAt: made + 9_000 };
  const gone = await goOn(kv, { ...of, taken: lanes, waiting, sent });
  assert.deepEqual(gone, { known: 1, again: 2, gaps: 3 });

  for (const { lane, cursor } of lanes) {
    const key = uplinkKey("kafka", lane);
    const { mark, number, there, boots, life, incidents } = decodeLaneState(kv.get(key)!, key);
    assert.deepEqual([mark, there, boots, life], [cursor.mark, cursor.mark, cursor.boots, 1]);
    assert.equal(number, lane === "alerts" ? 1 : 2);
    assert.match(incidents.last?.what ?? "", /took the name gw1 over.*2025-11-24T16:00:00/);
  }
  const { store } = await openStateStore(kv);
  const behind = store.read("summaries", { from: 2, bytesMax: 1e6 }).records.map(read);
  assert.deepEqual(
    behind.map(({ id }) => id),
    [
      `gw1/temp/device=p1/${made + 2_000}/1000/0`,
      // Of what sent nothing as well, until the last that was sent, or until the name was taken.
      `gw1/shifts/gap:3/${made}/31000/0`,
      `gw1/temp/gap:4/${made}/31000/0`,
      `gw1/temp@2/gap:5/${made}/31000/0`,
    ],
  );
  assert.equal(store.read("alerts", { from: 1, bytesMax: 1e6 }).records.length, 1);
  assert.equal(kv.get(splitKey("kafka")), undefined);
  assert.equal(readHeldBack(kv).floorOf("gw1/temp@2/device=p1"), made + 31_000);
});

test("who goes on knows the chunks that its slots have, and of no head", async () => {
  const kv = await state();
  const key = uplinkKey("kafka", "savepoints");
  const text = '{"number":3,"chunks":[0,4],"head":"{}"}';
  await kv.commit([{ key, value: new TextEncoder().encode(text) }]);
  const of = { uplink: "kafka", agent, head, pipelines: [], takenAt: made };
  const waiting = { alerts: [], summaries: [] };
  await goOn(kv, { ...of, taken: [], waiting, sent: new SentSince([]) });
  assert.deepEqual(decodeSetState(kv.get(key), "here"), {
    number: 7,
    chunks: { a: 1, b: 4 },
    head: undefined,
  });
});

test("where nothing was ever sent, all that waits is sent in the outbox that was begun", async () => {
  const kv = await state();
  const waiting = waitingIn(kv, "kafka");
  const sent = new SentSince([...waiting.summaries, ...waiting.alerts]);
  const lanes = (["alerts", "summaries", "raw", "backfill"] as const).map((lane) => taken(lane, 0));
  const named = { uplink: "kafka", agent, head, pipelines: ["temp"], takenAt: made + 5_000 };
  const of = { ...named, taken: lanes, waiting, sent };
  assert.deepEqual(await goOn(kv, of), { known: 0, again: 3, gaps: 1 });
  const { store } = await openStateStore(kv);
  const behind = store.read("summaries", { from: 2, bytesMax: 1e6 }).records.map(read);
  assert.deepEqual(
    behind.map(({ id }) => id),
    [
      `gw1/temp/device=p1/${made + 1_000}/1000/0`,
      `gw1/temp/device=p1/${made + 2_000}/1000/0`,
      `gw1/temp/gap:4/${made}/5000/0`,
    ],
  );
});

test("what Kafka had before the savepoint does not wait, though it is kept for another uplink", async () => {
  const kv = await state();
  const { store } = await openStateStore(kv);
  const outbox = new OutboxWriter();
  for (const second of [3, 4, 5, 6]) outbox.add("summaries", window("p1", second));
  await commitRecords(store, outbox);
  const { cursor } = taken("summaries", 4);
  const { mark, boots, before } = cursor;
  const lane = { agent, cluster: "c1", mark, there: mark, boots, before, forkedFrom: "" } as const;
  const rest = { intent: undefined, place: undefined, incidents: { count: 0, last: undefined } };
  const stood = (number: number) => encodeLaneState({ ...lane, ...rest, number });
  // Numbers 1 and 2 are backfill's, which has sent the first of them; summaries are at number 4.
  const split = encodeSplit({ ranges: [{ low: 1, high: 3 }], through: made });
  await store.advance([
    { key: uplinkKey("kafka", "summaries"), value: stood(4) },
    { key: uplinkKey("kafka", "backfill"), value: stood(2) },
    { key: splitKey("kafka"), value: split },
  ]);
  const waiting = waitingIn(kv, "kafka");
  const seconds = waiting.summaries.map(({ record }) =>
    record.kind === "summary" ? (record.start - made) / 1_000 : undefined,
  );
  assert.deepEqual(seconds, [3, 5, 6]);
  assert.equal(waiting.alerts.length, 1);
  assert.equal(waitingIn(kv, "file").summaries.length, 6);
});

test("a correction that waits is sent though a marker went before it", () => {
  const corrected = window("p1", 0, { revision: 1 });
  const sent = sentOf([corrected, window("p1", 1)], [marker("p1", 5)]);
  assert.equal(sent.has(read(corrected)), false);
  assert.equal(sent.has(read(window("p1", 1))), true);
});

test("of sliding windows only those are held back that end by the last one sent", () => {
  const slides = new Map([["temp", 10_000]]);
  const sent = new SentSince([], { slides });
  sent.take(read(window("p1", 0, { end: millis(made + 10_000) })));
  sent.take(read(marker("p2", 10)));
  // The next window, which nobody has sent, begins a second later.
  for (const device of ["p1", "p2"]) {
    assert.equal(sent.heldBack.floorOf(`gw1/temp/device=${device}`), made + 1);
  }
});

test("the pipelines of a savepoint are called as in what they emit", async () => {
  const kv = await state(
    JSON.stringify({
      version: 1,
      pipelines: [{ name: "temp" }, { name: "rooms" }],
      generations: { rooms: 3 },
    }),
  );
  assert.deepEqual([...pipelinesIn(kv).keys()], ["temp", "rooms@3"]);
});
