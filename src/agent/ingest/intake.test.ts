import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { give, NOW, openBench, source, take } from "../../../test/support/intake.ts";
import { KIND_ARRIVAL_TIME, KIND_SEQUENCE, KIND_SYMBOL } from "../../core/batch.ts";
import { Catalog } from "../../core/catalog.ts";
import { millis } from "../../core/units.ts";
import { NO_SOURCE } from "./receiver.ts";

test("a message becomes one row per reading, with the time and sequence of the message", () => {
  const bench = openBench();
  give(bench, "plant/p1", '{"temp":21.5,"ts":1700000000.5,"run":true,"mode":"eco","seq":9}');
  const { readings } = take(bench);
  const common = { time: 1_700_000_000_500, sequence: 9 };
  assert.deepEqual(readings, [
    { series: "temp{device=p1}", value: 21.5, kind: KIND_SEQUENCE, ...common },
    { series: "run{device=p1}", value: "true", kind: KIND_SEQUENCE | KIND_SYMBOL, ...common },
    { series: "mode{device=p1}", value: "eco", kind: KIND_SEQUENCE | KIND_SYMBOL, ...common },
  ]);
});

test("a message without device time has its arrival time and says so", () => {
  const bench = openBench();
  give(bench, "plant/p1", '{"temp":1}');
  assert.deepEqual(take(bench).readings, [
    { series: "temp{device=p1}", time: NOW, value: 1, kind: KIND_ARRIVAL_TIME, sequence: 0 },
  ]);
});

test("definitions stand before their first use, each once, in the order of their ids", () => {
  const bench = openBench();
  for (let i = 0; i < 3; i++) give(bench, "plant/p1", '{"temp":1,"mode":"eco"}');
  const first = take(bench);
  assert.deepEqual(
    first.definitions.map(({ kind }) => kind),
    ["source", "device", "series", "series", "symbol"],
  );
  give(bench, "plant/p2", '{"temp":1,"mode":"eco"}');
  assert.deepEqual(
    take(bench).definitions.map(({ kind }) => kind),
    ["device", "series", "series"],
  );
});

test("names of an earlier run keep their ids and are not defined again", () => {
  const catalog = new Catalog();
  const before = openBench([source({})], {}, catalog);
  give(before, "plant/p1", '{"temp":1,"mode":"eco"}');
  take(before);
  const after = openBench([source({})], {}, catalog);
  give(after, "plant/p1", '{"mode":"eco","temp":2}');
  const { definitions, readings } = take(after);
  assert.deepEqual(definitions, []);
  assert.deepEqual(
    readings.map(({ series, value }) => [series, value]),
    [
      ["mode{device=p1}", "eco"],
      ["temp{device=p1}", 2],
    ],
  );
});

test("a topic belongs to the first source that matches it, others to none", () => {
  const bench = openBench([
    source({ name: "one", topics: ["a/{device}"] }),
    source({ name: "two", topics: ["b/{device}", "+/{device}"] }),
  ]);
  assert.equal(give(bench, "a/x", "1"), true);
  assert.equal(give(bench, "c/x", "1"), true);
  assert.equal(give(bench, "c/x/y", "1"), undefined);
  assert.equal(bench.intake.topicOf(Uint8Array.of(0x61, 0x2f, 0xff), 0, 3), NO_SOURCE);
  assert.equal(bench.intake.counters.unwanted, 0, "a look is no message");
  assert.deepEqual(
    take(bench).counts.map((count) => [count.source, count.decoded]),
    [
      [0, 1],
      [1, 1],
    ],
  );
});

test("a topic that names the metric gives it to the value, and its name to the other fields", () => {
  const bench = openBench([source({ topics: ["home/{device}/{metric}"] })]);
  give(bench, "home/a/temp", "21.5");
  give(bench, "home/a/temp", '{"value":22,"battery":{"level":90}}');
  give(bench, "home/a/state", "on");
  assert.deepEqual(
    take(bench).readings.map(({ series, value }) => [series, value]),
    [
      ["temp{device=a}", 21.5],
      ["temp{device=a}", 22],
      ["temp.battery.level{device=a}", 90],
      ["state{device=a}", "on"],
    ],
  );
});

test("null is no reading, an empty object is a message without readings", () => {
  const bench = openBench();
  for (const payload of ['{"a":null}', "{}", "[]", "[{},{}]", "null"]) {
    assert.equal(give(bench, "plant/p1", payload), true);
  }
  const { batch, counts } = take(bench);
  assert.equal(batch.rows, 0);
  assert.equal(counts[0]?.decoded, 5);
});

test("an array of objects is several messages, each with its time, else with that around it", () => {
  const bench = openBench();
  give(bench, "plant/p1", '[{"ts":1700000001,"a":1},{"ts":1700000002,"a":2,"seq":5}]');
  give(bench, "plant/p1", '{"ts":1700000003,"seq":6,"log":[{"v":3},{"ts":1700000004,"v":4}]}');
  assert.deepEqual(
    take(bench).readings.map(({ series, time, value, sequence }) => [
      series,
      time,
      value,
      sequence,
    ]),
    [
      ["a{device=p1}", 1_700_000_001_000, 1, 0],
      ["a{device=p1}", 1_700_000_002_000, 2, 5],
      ["log.v{device=p1}", 1_700_000_003_000, 3, 6],
      ["log.v{device=p1}", 1_700_000_004_000, 4, 6],
    ],
  );
});

test("the first time field that is present decides", () => {
  const bench = openBench();
  give(bench, "plant/p1", '{"timestamp":"garbage","time":1700000002,"ts":null,"a":1}');
  assert.deepEqual(
    take(bench).readings.map(({ time }) => time),
    [1_700_000_002_000],
  );
});

test("what cannot be decoded is a dead letter with its reason, place and bytes, and is taken", () => {
  const cases = [
    ['{"a":}', "json_invalid", 5],
    [Buffer.from('{"a":"\xff"}', "latin1"), "json_invalid", 6],
    [Buffer.from("a16161", "hex"), "cbor_invalid", 3],
    [Buffer.from("a1616101ff", "hex"), "cbor_invalid", 4],
    [Buffer.from("a1616143010203", "hex"), "shape_unsupported", 3],
    [Buffer.from("a10102", "hex"), "shape_unsupported", 1],
    ["21.5 °C", "number_invalid", 0],
    ["", "number_invalid", 0],
    ["1e999", "number_invalid", 0],
    ['{"b":1,"a":1e999}', "number_invalid", 11],
    ['{"a":[{"b":1e999,"c":1},{"b":-1e400,"b":2},{"b":-1e400}]}', "number_invalid", 11],
    ['[{"a":1},{"a":{"b":1}},{"a":{"\\u0062":1,"b":1e999,"c":3}}]', "number_invalid", 44],
    [Buffer.from("a26162016161f97c00", "hex"), "number_invalid", 6],
    [Buffer.from("a16161fa7f800000", "hex"), "number_invalid", 3],
    [Buffer.from("81a16161fbfff0000000000000", "hex"), "number_invalid", 4],
    ['{"ts":"2017-02-16T10:13:52","a":1}', "time_invalid", 6],
    ['{"ts":true,"a":1}', "time_invalid", 6],
    ['{"ts":1e30,"a":1}', "time_invalid", 6],
    ['{"ts":1e999,"a":1}', "time_invalid", 6],
    ['[{"a":1},{"ts":"x","a":1}]', "time_invalid", 15],
    ['{"a":[1,2]}', "shape_unsupported", 6],
    ['{"b":[{"a":{"c":[true]}}]}', "shape_unsupported", 17],
    ["[1,2]", "shape_unsupported", 1],
    [`${'{"a":'.repeat(17)}1${"}".repeat(17)}`, "shape_unsupported", 80],
  ] as const;
  for (const [payload, reason, offset] of cases) {
    const bench = openBench();
    assert.equal(give(bench, "plant/p1", payload), true);
    const { deadLetters, counts, readings } = take(bench);
    assert.deepEqual(readings, []);
    assert.deepEqual(
      deadLetters.map((letter) => ({ ...letter, payload: Buffer.from(letter.payload) })),
      [
        {
          source: 0,
          topic: "plant/p1",
          arrived: NOW,
          reason,
          offset,
          payload: Buffer.from(payload),
          payloadBytes: Buffer.byteLength(payload),
        },
      ],
    );
    assert.deepEqual(counts, [{ source: 0, decoded: 0, deadLettered: 1, shed: 0, rejected: 0 }]);
  }
});

test("text is a reading, unless it begins like JSON or its source has JSON alone", () => {
  const sources = [source({}), source({ name: "j", topics: ["json/{device}"], format: "json" })];
  for (const [topic, payload, expected] of [
    ["plant/p1", "not json", "not json"],
    ["plant/p1", "nan", "nan"],
    ["plant/p1", '{"a"', "json_invalid"],
    ["plant/p1", " [1,", "json_invalid"],
    ["json/p1", "not json", "json_invalid"],
    ["json/p1", "nan", "json_invalid"],
  ] as const) {
    const bench = openBench(sources);
    give(bench, topic, payload);
    const { deadLetters, readings } = take(bench);
    assert.deepEqual(
      [...readings.map(({ value }) => value), ...deadLetters.map(({ reason }) => reason)],
      [expected],
    );
  }
});

test("no number but a finite one becomes a reading, on a topic that is known well, too", () => {
  const known = '{"ts":1700000000,"seq":1,"skip":1,"a":1}';
  for (const [finite, none] of [
    [known, known.replace('"a":1', '"a":1e999')],
    [known, known.replace('"a":1', '"a":-1e999')],
    [Buffer.from("a1616101", "hex"), Buffer.from("a16161f97c00", "hex")],
    [Buffer.from("a1616101", "hex"), Buffer.from("a16161faff800000", "hex")],
    [Buffer.from("a1616101", "hex"), Buffer.from("a16161fb7ff0000000000000", "hex")],
    ["1", "1e999"],
  ] as const) {
    const bench = openBench([source({ ignore: ["skip"] })]);
    for (const payload of [finite, none, finite]) give(bench, "plant/p1", payload);
    const { deadLetters, readings } = take(bench);
    assert.deepEqual(
      deadLetters.map(({ reason }) => reason),
      ["number_invalid"],
    );
    assert.deepEqual(
      readings.map(({ value }) => value),
      [1, 1],
    );
  }
  const bench = openBench([source({ ignore: ["skip"] })]);
  const unread = known.replace('"seq":1,"skip":1', '"seq":1e999,"skip":1e999');
  for (const payload of [known, unread]) give(bench, "plant/p1", payload);
  assert.deepEqual(
    take(bench).readings.map(({ value, sequence }) => [value, sequence]),
    [
      [1, 1],
      [1, 0],
    ],
  );
});

test("a required time that is missing makes a dead letter, also on a topic that is known well", () => {
  const bench = openBench([source({ timeRequired: true })]);
  give(bench, "plant/p1", '{"ts":1700000000,"a":1}');
  give(bench, "plant/p1", '{"a":1}');
  give(bench, "plant/p1", "{}");
  const { deadLetters, counts } = take(bench);
  assert.deepEqual(
    deadLetters.map(({ reason }) => reason),
    ["time_missing"],
  );
  assert.equal(counts[0]?.decoded, 2);
});

test("a message with too many readings is a dead letter and leaves no rows", () => {
  const bench = openBench([source({})], { readingsPerMessageMax: 3 });
  give(bench, "plant/p1", '{"a":1,"b":1,"c":1}');
  give(bench, "plant/p1", '{"a":1,"b":1,"c":1,"d":1}');
  give(bench, "plant/p1", '[{"a":1,"b":1},{"a":1,"b":1}]');
  const { deadLetters, readings } = take(bench);
  assert.equal(readings.length, 3);
  assert.deepEqual(
    deadLetters.map(({ reason }) => reason),
    ["too_many_readings", "too_many_readings"],
  );
});

test("bytes of dead letters are cut, and only so many are kept in a frame; all are counted", () => {
  const bench = openBench([source({})], { deadLetterBytesMax: 4, deadLettersPerFrameMax: 2 });
  for (let i = 0; i < 5; i++) give(bench, "plant/p1", `{"broken ${i}`);
  const { deadLetters, counts } = take(bench);
  assert.equal(counts[0]?.deadLettered, 5);
  assert.equal(bench.intake.counters.lettersWithoutBytes, 3);
  assert.deepEqual(
    deadLetters.map(({ payload, payloadBytes }) => [Buffer.from(payload).toString(), payloadBytes]),
    [
      ['{"br', 10],
      ['{"br', 10],
    ],
  );
});

test("a full batch takes nothing, and takes the message after it was sealed", () => {
  const bench = openBench([source({})], { batchRowsMax: 4, readingsPerMessageMax: 4 });
  const payload = '{"a":1,"b":2,"c":3}';
  assert.equal(give(bench, "plant/p1", payload), true);
  assert.equal(give(bench, "plant/p1", payload), false);
  assert.equal(give(bench, "plant/p2", payload), false);
  assert.equal(bench.intake.pendingRows, 3);
  assert.equal(give(bench, "plant/p1", '{"a":4}'), true, "a smaller one still fits");
  const { readings, counts } = take(bench);
  assert.deepEqual(
    readings.map(({ value }) => value),
    [1, 2, 3, 4],
  );
  assert.equal(counts[0]?.decoded, 2);
  assert.equal(give(bench, "plant/p2", payload), true);
});

test("a frame takes only so many definitions, and the rest after it was sealed", () => {
  const bench = openBench([source({})], {
    readingsPerMessageMax: 64,
    definitionsPerFrameMax: 400,
    metricBytesMax: 64,
    symbolBytesMax: 64,
  });
  let taken = 0;
  while (give(bench, `plant/${taken}`, '{"a":1}')) taken++;
  assert.ok(taken > 100, String(taken));
  assert.equal(give(bench, "plant/0", '{"a":1}'), true, "what needs no definition is taken");
  assert.ok(bench.intake.seal(millis(NOW), true).definitions.length <= 400);
  bench.intake.recycle();
  assert.equal(give(bench, `plant/${taken}`, '{"a":1}'), true);
});

test("devices of a kind are scanned after their first message, also when one gains a field", () => {
  const bench = openBench();
  const few = '{"a":1,"b":2,"c":{"d":3}}';
  const more = '{"a":1,"new":0,"b":2,"c":{"d":3}}';
  for (const device of ["p1", "p2", "p3"]) give(bench, `plant/${device}`, few);
  give(bench, "plant/p1", more);
  assert.equal(bench.intake.counters.scanned, 0);
  for (const [device, payload] of [
    ["p1", more],
    ["p2", few],
    ["p1", few],
    ["p3", few],
  ] as const) {
    give(bench, `plant/${device}`, payload);
  }
  assert.equal(bench.intake.counters.scanned, 4);
  for (let i = 0; i < 2; i++) give(bench, "plant/p2", more);
  assert.equal(bench.intake.counters.scanned, 5);
  const { readings } = take(bench);
  assert.equal(readings.length, 3 * 3 + 4 + 4 + 9 + 8);
  assert.equal(readings.filter(({ series }) => series === "c.d{device=p3}").length, 2);
});

test("the bytes of a dead letter are its own", () => {
  const bench = openBench();
  const topic = Buffer.from("plant/p1");
  const payload = Buffer.from("{broken");
  const handle = bench.intake.topicOf(topic, 0, topic.length);
  bench.intake.receive(handle, payload, 0, payload.length);
  payload.fill(0);
  assert.equal(String(Buffer.from(take(bench).deadLetters[0]!.payload)), "{broken");
});

test("a sealed frame stays as it is until it is recycled", () => {
  const bench = openBench();
  give(bench, "plant/p1", '{"a":1}');
  const frame = bench.intake.seal(millis(NOW), false);
  const copy = structuredClone(frame);
  for (let i = 0; i < 100; i++) give(bench, "plant/p2", `{"a":2,"b":"${i}"}`);
  give(bench, "plant/p2", "{");
  assert.deepEqual(frame, copy);
  assert.equal(frame.clockTrusted, false);
  assert.throws(() => bench.intake.seal(millis(NOW), true), /recycled/);
  bench.intake.recycle();
  assert.equal(take(bench).readings.length, 200);
  assert.equal(bench.intake.pendingWork, false);
});

test("past the limit of series readings are refused and counted, and the message is decoded", () => {
  const bench = openBench([source({})], { seriesMax: 2, devicesMax: 2 });
  give(bench, "plant/p1", '{"a":1,"b":2,"c":3}');
  give(bench, "plant/p1", '{"a":1,"b":2,"c":3}');
  give(bench, "plant/p2", '{"a":1}');
  const { counts, readings, definitions } = take(bench);
  assert.equal(readings.length, 4);
  assert.deepEqual(counts, [{ source: 0, decoded: 3, deadLettered: 0, shed: 0, rejected: 3 }]);
  assert.equal(
    definitions.filter(({ kind }) => kind === "device").length,
    1,
    "none without series",
  );
});

test("a device has only so many metrics, a metric and a symbol only so many bytes", () => {
  const bench = openBench([source({})], {
    metricsPerDeviceMax: 3,
    metricBytesMax: 8,
    symbolBytesMax: 4,
  });
  for (const payload of [
    '{"a":1,"muchtoolong":2,"s":"long text","b":1,"c":1,"d":1}',
    '{"s":"ok"}',
  ]) {
    give(bench, "plant/p1", payload);
    give(bench, "plant/p1", payload);
  }
  const { counts, readings } = take(bench);
  assert.equal(counts[0]?.rejected, 2 * 4);
  assert.deepEqual(
    [...new Set(readings.map(({ series }) => series))],
    ["a{device=p1}", "b{device=p1}", "s{device=p1}"],
  );
});

test("random names end in counted refusals, not in memory", () => {
  const limits = {
    seriesMax: 500,
    devicesMax: 400,
    symbolsMax: 300,
    topicsMax: 200,
    slotsMax: 600,
  };
  const bench = openBench([source({})], limits);
  let readings = 0;
  let messages = 0;
  for (let i = 0; i < 5_000; i++) {
    const payload = `{"m${i % 977}":${i},"n${i}":"s${i}"}`;
    if (!give(bench, `plant/p${i}`, payload)) readings += take(bench).readings.length;
    else messages++;
  }
  readings += take(bench).readings.length;
  const { rejected, decoded, topics, slots, topicLoans } = bench.intake.counters;
  assert.equal(decoded, messages);
  assert.equal(readings + rejected, 2 * messages);
  assert.equal(bench.catalog.seriesCount, 500);
  assert.ok(bench.catalog.deviceCount <= 400 && bench.catalog.symbolCount <= 300);
  assert.ok(topics <= 200 && slots <= 600 && topicLoans > 0);
});

test("a topic beyond the table of topics is parsed each time, with the same readings", () => {
  const bench = openBench([source({})], { topicsMax: 1 });
  for (let i = 0; i < 3; i++) give(bench, `plant/p${i}`, `{"a":${i}}`);
  give(bench, "plant/p2", '{"a":3}');
  assert.deepEqual(
    take(bench).readings.map(({ series, value }) => [series, value]),
    [
      ["a{device=p0}", 0],
      ["a{device=p1}", 1],
      ["a{device=p2}", 2],
      ["a{device=p2}", 3],
    ],
  );
});

test("every message counts once: received = decoded + dead letters + shed", () => {
  const payload = fc.oneof(
    fc.json().map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom('{"a":1}', "[{}]", "{", "5", "ON").map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(5), payload), { maxLength: 60 }), (messages) => {
      const bench = openBench([source({})], { batchRowsMax: 32, readingsPerMessageMax: 8 });
      const totals = { decoded: 0, deadLettered: 0, shed: 0 };
      for (const [device, bytes] of messages) {
        if (give(bench, `plant/${device}`, bytes)) continue;
        const topic = Buffer.from(`plant/${device}`);
        bench.intake.shed(bench.intake.topicOf(topic, 0, topic.length));
        addCounts(totals, take(bench).counts);
      }
      addCounts(totals, take(bench).counts);
      const { decoded, deadLettered, shed } = totals;
      assert.equal(decoded + deadLettered + shed, messages.length);
      assert.deepEqual(
        [decoded, deadLettered, shed],
        [
          bench.intake.counters.decoded,
          bench.intake.counters.deadLettered,
          bench.intake.counters.shed,
        ],
      );
    }),
    { numRuns: 200 },
  );
});

test("a template that is none is a fault of the configuration", () => {
  assert.throws(() => openBench([source({ topics: ["a/#/b"] })]), { code: "CONFIG_INVALID" });
});

function addCounts(
  totals: { decoded: number; deadLettered: number; shed: number },
  counts: readonly { decoded: number; deadLettered: number; shed: number }[],
): void {
  for (const count of counts) {
    totals.decoded += count.decoded;
    totals.deadLettered += count.deadLettered;
    totals.shed += count.shed;
  }
}
