import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sampleLedger, sampleStatus } from "../../../test/support/agent-view.ts";
import { expositionOf, histogramSamples } from "./exposition.ts";
import { noRefusals } from "../remote/remote-status.ts";
import { metricsText } from "./metrics.ts";

type ParsedFamily = {
  readonly type: string;
  readonly help: string;
  /** By name and labels as written. */
  readonly samples: Map<string, number>;
};

/** A strict reader of the format: HELP, TYPE, samples, each family in one piece, nothing twice. */
function parseExposition(text: string): Map<string, ParsedFamily> {
  assert.ok(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, ParsedFamily>();
  let name = "";
  let help: string | undefined;
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) ([a-z_][a-z0-9_]*) (.+)$/.exec(line);
    if (comment?.[1] === "HELP") {
      [name, help] = [comment[2]!, comment[3]!];
      assert.ok(!families.has(name), `${name} comes once`);
      continue;
    }
    if (comment?.[1] === "TYPE") {
      assert.ok(comment[2] === name && help !== undefined, "TYPE follows HELP");
      assert.ok(["counter", "gauge", "histogram"].includes(comment[3]!));
      families.set(name, { type: comment[3]!, help, samples: new Map() });
      continue;
    }
    const sample = /^([a-z_][a-z0-9_]*)(\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)$/.exec(
      line,
    );
    assert.ok(sample !== null, `a line is a comment or a sample: ${line}`);
    const family = families.get(name);
    assert.ok(family !== undefined, "TYPE comes before samples");
    const suffixes = family.type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    assert.ok(
      suffixes.some((suffix) => sample[1] === name + suffix),
      `${sample[1]} belongs to ${name}`,
    );
    const key = sample[1]! + (sample[2] ?? "");
    assert.ok(!family.samples.has(key), `${key} comes once`);
    const value = Number(sample[3]);
    assert.ok(Number.isFinite(value), `${line} has a number`);
    family.samples.set(key, value);
  }
  return families;
}

test("the exposition is in the format, counters end in _total and every name begins with weir_", () => {
  const families = parseExposition(metricsText(sampleStatus, sampleLedger));
  assert.ok(families.size > 40);
  for (const [name, { type }] of families) {
    assert.match(name, /^weir_/);
    assert.equal(name.endsWith("_total"), type === "counter", name);
  }
});

test("a ceiling on memory is in it, its level as a number; without one nothing is", () => {
  const families = parseExposition(metricsText(sampleStatus, sampleLedger));
  assert.equal(families.get("weir_memory_level")?.samples.get("weir_memory_level"), 1);
  assert.equal(
    families.get("weir_memory_anonymous_bytes")?.samples.get("weir_memory_anonymous_bytes"),
    60_000_000,
  );
  const memory = { ...sampleStatus.memory, ceiling: undefined };
  assert.doesNotMatch(metricsText({ ...sampleStatus, memory }, sampleLedger), /weir_memory_/);
});

test("whether an uplink is paused is in it", () => {
  const of = (status: typeof sampleStatus): number | undefined =>
    parseExposition(metricsText(status, sampleLedger))
      .get("weir_uplink_paused")
      ?.samples.get('weir_uplink_paused{uplink="file"}');
  assert.equal(of(sampleStatus), 0);
  const paused = { since: 1, until: undefined, leftMs: undefined };
  const uplinks = sampleStatus.uplinks.map((uplink) => ({ ...uplink, paused }));
  assert.equal(of({ ...sampleStatus, uplinks }), 1);
});

test("the ledger's counts are in it", () => {
  const families = parseExposition(metricsText(sampleStatus, sampleLedger));
  const readings = families.get("weir_source_readings_total")?.samples;
  assert.equal(readings?.get('weir_source_readings_total{source="plant",outcome="accepted"}'), 97);
  assert.equal(readings?.get('weir_source_readings_total{source="plant",outcome="duplicate"}'), 2);
  const messages = families.get("weir_source_messages_total")?.samples;
  assert.equal(
    messages?.get('weir_source_messages_total{source="plant",outcome="dead_lettered"}'),
    1,
  );
  const classes = families.get("weir_tables_class_bytes")!.samples;
  assert.equal(classes.get('weir_tables_class_bytes{class="vibration"}'), 1_096);
  const fates = families.get("weir_pipeline_readings")?.samples;
  assert.equal(fates?.get('weir_pipeline_readings{pipeline="temperatures@2",fate="open"}'), 20);
  assert.equal(families.get("weir_ledger_balanced")?.samples.get("weir_ledger_balanced"), 1);
});

test("what is dropped or refused is counted from the start: an alert sees the first one", () => {
  const about = { audit: [], channels: [], trouble: undefined, inForce: undefined };
  const counters = { accepted: 0, proven: 0, rolledBack: 0, elsewhere: 0, unwritten: 0 };
  const refused = { expired: 2 };
  const remote = {
    ...about,
    trial: undefined,
    unused: undefined,
    highest: 0,
    counters: { ...counters, refused },
  };
  const families = parseExposition(metricsText({ ...sampleStatus, remote }, sampleLedger));
  const samples = (name: string): unknown => Object.fromEntries(families.get(name)!.samples);
  const dropped = "weir_outbox_dropped_readings_total";
  assert.deepEqual(samples(dropped), {
    [`${dropped}{pipeline="temperatures@2"}`]: 0,
    [`${dropped}{pipeline="temp"}`]: 50,
  });
  const codes = Object.entries(samples("weir_remote_refused_total") as Record<string, number>);
  assert.equal(codes.length, Object.keys(noRefusals).length);
  assert.deepEqual(
    codes.filter(([, count]) => count > 0),
    [['weir_remote_refused_total{code="expired"}', 2]],
  );
});

test("what can fall is a gauge, everything else that is counted by name is a counter", () => {
  const families = parseExposition(metricsText(sampleStatus, sampleLedger));
  const counts = [...families.keys()].filter((name) => /_(mqtt|intake)_/.test(name));
  assert.deepEqual(
    counts.filter((name) => families.get(name)?.type === "gauge"),
    [
      "weir_mqtt_connections",
      "weir_mqtt_held_bytes",
      "weir_mqtt_message_bytes",
      "weir_mqtt_split_bytes",
      "weir_mqtt_outbound_bytes",
      "weir_mqtt_sockets_paused",
      "weir_mqtt_users",
      "weir_mqtt_logins_waiting",
      "weir_mqtt_subscriptions",
      "weir_mqtt_sessions",
      "weir_mqtt_messages_held",
      "weir_intake_topics",
      "weir_intake_slots",
    ],
  );
  assert.equal(families.get("weir_mqtt_bytes_in_total")?.type, "counter");
  assert.equal(families.get("weir_mqtt_qos2_refused_total")?.type, "counter");
  const errors = families.get("weir_mqtt_protocol_error_total")?.samples;
  assert.equal(errors?.get('weir_mqtt_protocol_error_total{kind="length_malformed"}'), 1);
});

test("readings are told by where they are and what became of them", () => {
  const families = parseExposition(metricsText(sampleStatus, sampleLedger));
  const readings = families.get("weir_tables_readings")!.samples;
  assert.equal(readings.get('weir_tables_readings{where="memory"}'), 100);
  assert.equal(readings.get('weir_tables_readings{where="tables"}'), 2_000);
  const fates = families.get("weir_tables_fate_readings")!.samples;
  assert.equal(fates.get('weir_tables_fate_readings{fate="lost"}'), 100);
  const written = families.get("weir_tables_written_bytes_total")!.samples;
  assert.equal(written.get('weir_tables_written_bytes_total{by="compaction"}'), 3_000);
});

test("buckets are cumulative and the last one is the count", () => {
  const families = parseExposition(metricsText(sampleStatus, sampleLedger));
  const samples = families.get("weir_log_append_seconds")!.samples;
  const buckets = [...samples].filter(([name]) => name.includes("_bucket"));
  const values = buckets.map(([, value]) => value);
  assert.deepEqual(
    values,
    values.toSorted((a, b) => a - b),
  );
  assert.equal(samples.get('weir_log_append_seconds_bucket{le="0.001"}'), 15);
  assert.equal(samples.get('weir_log_append_seconds_bucket{le="+Inf"}'), 20);
  assert.equal(samples.get("weir_log_append_seconds_count"), 20);
  assert.equal(samples.get("weir_log_append_seconds_sum"), 0.0455);
});

test("exactly one state is 1", () => {
  const text = metricsText({ ...sampleStatus, state: "degraded" }, sampleLedger);
  const samples = parseExposition(text).get("weir_state")!.samples;
  assert.equal(
    [...samples.values()].reduce((sum, value) => sum + value, 0),
    1,
  );
  assert.equal(samples.get('weir_state{state="degraded"}'), 1);
});

test("any label value can be read back", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('"', "\\", "\n", "n", "{", "}", ",", " ") }),
      (value) => {
        const text = expositionOf([
          {
            name: "a",
            type: "gauge",
            help: 'lines\nand \\ and "',
            samples: [{ labels: { x: value }, value: 1 }],
          },
        ]);
        const [key] = [...parseExposition(text).get("a")!.samples.keys()];
        const escaped = key!.slice('a{x="'.length, -'"}'.length);
        const unescaped = escaped.replace(/\\(.)/g, (_, letter) =>
          letter === "n" ? "\n" : letter,
        );
        assert.equal(unescaped, value);
      },
    ),
  );
});

test("a family without samples leaves no trace", () => {
  assert.equal(expositionOf([{ name: "a", type: "gauge", help: "x", samples: [] }]), "");
  const empty = histogramSamples({ bounds: [1], counts: [0, 0], sum: 0 });
  assert.equal(empty.length, 4);
});
