import assert from "node:assert/strict";
import { test } from "node:test";
import { requireKafka } from "../test/support/kafka/require-kafka.ts";
import { RawMeter } from "./wire-raw.ts";
import { runWire, tinyOptions } from "./wire.ts";

test("the wire benchmark runs on tiny inputs, the agent's own counters agree with the proxy, and a quota makes bytes fewer", {
  timeout: 120_000,
}, async (t) => {
  if (!requireKafka(t, ["3.9"])) return;
  const { cases } = await runWire(tinyOptions);
  const [plain, dear] = tinyOptions.cases.map((each) => {
    const figures = cases[each.name];
    assert.ok(figures !== undefined);
    assert.ok(figures.summaries >= tinyOptions.series * each.windows);
    // One linger a window: more would be smaller transactions than a device has in real time.
    assert.ok(figures.transactions <= 2 * each.windows, `${figures.transactions} transactions`);
    assert.equal(figures.agent_bytes, figures.sent_bytes + figures.received_bytes);
    assert.ok(figures.times_fewer.fields > figures.times_fewer.reading);
    return figures;
  });
  // Where bytes are dear, they are fewer by more than chance.
  assert.ok(dear!.sent_bytes < 0.98 * plain!.sent_bytes, JSON.stringify(cases));
});

test("raw JSON is counted as the packets of MQTT are: PUBLISH with its topic and id, and PUBACK", () => {
  const meter = new RawMeter();
  meter.take("d00001", 1_764_000_000_000, Float64Array.of(21.5));
  meter.endSecond(true);
  // `{"ts":1764000000000,"value":21.5}` is 33 bytes, "plant/d00001/m0" 15: 2 + (2 + 15 + 2 + 33) + 4.
  assert.equal(meter.bytes.reading, 58);
  // `{"ts":1764000000000,"m0":21.5}` is 30 bytes, "plant/d00001/state" 18.
  assert.equal(meter.bytes.device, 58);
  // One line each: a minute of one second is what the second is.
  assert.equal(meter.bytes.zstd_1min, meter.bytes.zstd_1s);
  assert.ok(meter.bytes.zstd_1s > 0);
});
