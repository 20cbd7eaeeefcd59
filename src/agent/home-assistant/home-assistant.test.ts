import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { HomeAssistantView } from "../../../test/support/home-assistant.ts";
import { SimulatedClock } from "../../../test/support/simulated-clock.ts";
import { Fault } from "../../core/faults.ts";
import type { Tags } from "../../core/frame.ts";
import { limits } from "../../core/limits.ts";
import type { SummaryFields } from "../../core/record.ts";
import { millis } from "../../core/units.ts";
import type { PipelineSpec, WindowPipelineSpec } from "../../edge-ops/spec.ts";
import { OutboxWriter } from "../../store/outbox/outbox.ts";
import { encodeAlert, encodeSummary } from "../../store/outbox/record-codec.ts";
import { openCheckedKv } from "../../store/state/checked-kv.ts";
import { KvMemory } from "../../store/state/kv-memory.ts";
import { openStateStore } from "../../store/state/state-store.ts";
import { homeAssistantDefaults } from "../config/config.ts";
import type { LocalBroker } from "../own-topics/local-broker.ts";
import { HomeAssistant, type HomeAssistantOptions } from "./home-assistant.ts";
import { erasedTold, readTold, writeOfTold } from "./told.ts";

/** A broker with a Home Assistant on it that is always there. */
class WatchedBroker implements LocalBroker {
  readonly view = new HomeAssistantView();
  readonly retained = new Map<string, string>();
  readonly topics: string[] = [];
  readonly subscriptionCount = 1;
  readonly backlogBytes = 0;
  backlogged = false;
  unreadBytes = 0;
  #heard: readonly ((payload: Uint8Array) => void)[] = [];

  isSubscribed(): boolean {
    return true;
  }

  subscribe(topic: string, onMessage: (payload: Uint8Array) => void): void {
    assert.equal(topic, "homeassistant/status");
    this.#heard = [...this.#heard, onMessage];
  }

  publish(topic: string, payload: Uint8Array, { retain }: { readonly retain: boolean }): void {
    assert.ok(retain);
    const text = Buffer.from(payload).toString();
    this.topics.push(topic);
    if (text === "") this.retained.delete(topic);
    else this.retained.set(topic, text);
    if (topic.startsWith("homeassistant/")) this.view.read(topic, text);
  }

  says(text: string): void {
    for (const heard of this.#heard) heard(Buffer.from(text));
  }

  state(topic: string): Readonly<Record<string, unknown>> {
    return JSON.parse(this.retained.get(topic) ?? "{}") as Record<string, unknown>;
  }
}

const everything = { sources: [], metrics: [], tags: {} };

const temp: WindowPipelineSpec = {
  kind: "window",
  name: "temp",
  where: everything,
  key: ["device", "metric"],
  window: { kind: "tumbling", sizeMs: 10_000 },
  aggregate: ["count", "mean", "sum", "quantiles"],
  allowedLatenessMs: 0,
};

const chart: PipelineSpec = {
  kind: "ewma",
  name: "chart",
  where: everything,
  key: [],
  lambda: 0.2,
  sigmas: 3,
  warmup: 10,
  baseline: 0.01,
  sigmaMin: 0,
  rearm: 1,
};

const p1: Tags = [
  ["device", "p1"],
  ["metric", "temp_celsius"],
];
const p1Topic = "weir/gw1/state/temp/device=p1,metric=temp_celsius";
const p1Chart = "weir/gw1/state/chart/device=p1,line=a,metric=temp_celsius";
const p1Series: Tags = [
  ["device", "p1"],
  ["line", "a"],
  ["metric", "temp_celsius"],
];

function summary(
  key: Tags,
  fields: SummaryFields,
  { pipeline = "temp", start = 0, revision = 0, count = 2 } = {},
): Uint8Array {
  return encodeSummary("gw1", {
    kind: "summary",
    pipeline,
    key,
    start: millis(start),
    end: millis(start + 10_000),
    revision,
    count,
    fields,
    arrivalTimed: 0,
  });
}

function alert(key: Tags, value: number): Uint8Array {
  const common = { kind: "alert", pipeline: "chart", reason: "ewma_high" } as const;
  return encodeAlert("gw1", {
    ...common,
    key,
    time: millis(5),
    value,
    score: 4,
    expected: 1,
    limit: 3,
  });
}

class Rig {
  readonly clock = new SimulatedClock(1_764_000_000_000);
  readonly kv = new KvMemory();
  broker = new WatchedBroker();
  told!: HomeAssistant;
  failing = false;
  stores = 0;

  /** A new life of the agent: its broker is empty, what it stored is there. */
  async start(changes: Partial<HomeAssistantOptions> = {}): Promise<void> {
    const kv = await openCheckedKv(this.kv);
    const { store } = await openStateStore(kv);
    this.broker = new WatchedBroker();
    this.told = new HomeAssistant({
      agent: "gw1",
      version: "1.2",
      config: homeAssistantDefaults,
      pipelines: [temp, chart],
      clock: this.clock,
      kv,
      store: {
        advance: async (writes) => {
          if (this.failing) throw new Fault("STORE_FAILED", "the disk is full");
          this.stores += 1;
          await store.advance(writes);
        },
      },
      ...changes,
    });
    this.told.open(this.broker);
    await this.clock.pass(limits.ownLookMs);
  }

  async commit(records: readonly Uint8Array[]): Promise<void> {
    const outbox = new OutboxWriter();
    for (const record of records) {
      const isAlert = Buffer.from(record).includes('"kind":"alert"');
      outbox.add(isAlert ? "alerts" : "summaries", record);
    }
    this.told.committed(outbox);
    await this.clock.pass(limits.ownLookMs);
  }

  async online(): Promise<void> {
    this.broker.says("online");
    await this.clock.pass(limits.homeAssistantAgainMs + limits.ownLookMs);
  }
}

async function started(changes: Partial<HomeAssistantOptions> = {}): Promise<Rig> {
  const rig = new Rig();
  await rig.start(changes);
  return rig;
}

const own = ["gw1: State", "gw1: Problem", "gw1: Waiting records"];

describe("Home Assistant", () => {
  test("is told of the gateway at once, of a key with its first summary, and of its state", async () => {
    const { broker, ...rig } = await begun();
    assert.deepEqual(broker.view.names, own);
    await rig.commit([summary(p1, { mean: 20.5, sum: 41, sumError: 0.25 })]);
    const mean = broker.view.entity("temp_celsius mean (temp)");
    assert.equal(mean.device["name"], "p1");
    assert.equal(mean.device["via_device"], "weir_gw1");
    assert.equal(mean.config["state_topic"], p1Topic);
    assert.deepEqual(broker.view.names.slice(3), [
      "p1: temp_celsius count (temp)",
      "p1: temp_celsius mean (temp)",
      "p1: temp_celsius sum (temp)",
    ]);
    assert.deepEqual(broker.state(p1Topic), {
      start: 0,
      end: 10_000,
      revision: 0,
      count: 2,
      mean: 20.5,
      sum: 41.25,
    });
    const device = broker.topics.findIndex((topic) => topic.startsWith("homeassistant/device"));
    assert.ok(device >= 0 && broker.topics.at(-1) === p1Topic, "its state comes after it");
  });

  test("gets a unit where the metric's name or the configuration has one, and no guess", async () => {
    const units = { pressure: "bar", flow: "m³/h", toString: "V" };
    const rig = await started({ config: { ...homeAssistantDefaults, units } });
    const metrics = ["pressure", "flow", "temperature", "used_kwh", "celsius", "constructor"];
    await rig.commit(
      metrics.map((metric) =>
        summary(
          [
            ["device", "p1"],
            ["metric", metric],
          ],
          { mean: 1 },
        ),
      ),
    );
    const measures = (name: string): unknown => {
      const { config } = rig.broker.view.entity(name);
      return [config["unit_of_measurement"], config["device_class"], config["state_class"]];
    };
    const measured = "measurement";
    assert.deepEqual(measures("pressure mean (temp)"), ["bar", "pressure", measured]);
    assert.deepEqual(measures("pressure sum (temp)"), ["bar", undefined, measured]);
    assert.deepEqual(measures("pressure count (temp)"), [undefined, undefined, measured]);
    assert.deepEqual(measures("flow mean (temp)"), ["m³/h", undefined, measured]);
    assert.deepEqual(measures("temperature mean (temp)"), [undefined, undefined, measured]);
    assert.deepEqual(measures("used_kwh mean (temp)"), ["kWh", "energy", undefined]);
    assert.deepEqual(measures("celsius mean (temp)"), [undefined, undefined, measured]);
    assert.deepEqual(measures("constructor mean (temp)"), [undefined, undefined, measured]);
  });

  test("keeps the newest window: an older one that is corrected does not come back", async () => {
    const rig = await started();
    await rig.commit([summary(p1, { mean: 1 }), summary(p1, { mean: 2 }, { start: 10_000 })]);
    await rig.commit([summary(p1, { mean: 9 }, { revision: 1 })]);
    assert.equal(rig.broker.state(p1Topic)["mean"], 2);
    await rig.commit([summary(p1, { mean: 3 }, { start: 10_000, revision: 1 })]);
    assert.equal(rig.broker.state(p1Topic)["mean"], 3);
    await rig.commit([summary(p1, { mean: Number.NaN }, { start: 20_000 })]);
    assert.equal(rig.broker.state(p1Topic)["mean"], null, "unknown, where JSON has no number");
    await rig.commit([summary(p1, {}, { start: 20_000, revision: 1, count: 0 })]);
    const { count, mean, sum } = rig.broker.state(p1Topic);
    assert.deepEqual([count, mean, sum], [0, null, null], "withdrawn");
  });

  test("sees a problem from an alert on, for a while after the last one", async () => {
    const rig = await started();
    await rig.commit([alert(p1Series, 7)]);
    const { config, device, platform } = rig.broker.view.entity(
      "temp_celsius alert (chart, line=a)",
    );
    assert.deepEqual([platform, device["name"]], ["binary_sensor", "p1"]);
    assert.equal(config["state_topic"], p1Chart);
    const facts = { time: 5, reason: "ewma_high", value: 7, score: 4, expected: 1, limit: 3 };
    assert.deepEqual(rig.broker.state(p1Chart), { state: "ON", ...facts });
    await rig.clock.pass(limits.homeAssistantAlertMs / 2);
    await rig.commit([alert(p1Series, 8)]);
    await rig.clock.pass(limits.homeAssistantAlertMs - limits.ownLookMs * 2);
    assert.deepEqual(rig.broker.state(p1Chart), { state: "ON", ...facts, value: 8 });
    await rig.clock.pass(limits.ownLookMs * 3);
    assert.deepEqual(rig.broker.state(p1Chart), { state: "OFF", ...facts, value: 8 });
  });

  test("is told everything again when it says that it is online, and not more often than so", async () => {
    const rig = await started();
    await rig.commit([summary(p1, { mean: 1 })]);
    const { topics } = rig.broker;
    topics.length = 0;
    rig.broker.says("offline");
    rig.broker.says("onlines");
    await rig.clock.pass(limits.homeAssistantAgainMs * 3);
    assert.deepEqual(topics, []);
    const steps = 10;
    for (let step = 0; step < steps; step++) {
      for (let i = 0; i < 100; i++) rig.broker.says("online");
      await rig.clock.pass(limits.homeAssistantAgainMs / (steps + 1));
    }
    const [gateway, device] = topics;
    assert.equal(gateway, "homeassistant/device/weir_gw1/gateway/config");
    assert.match(device ?? "", /^homeassistant\/device\/weir_gw1\/[0-9a-f]{16}\/config$/);
    assert.deepEqual(topics, [gateway, device]);
    await rig.clock.pass(limits.homeAssistantAgainMs * 3);
    assert.deepEqual(topics, [gateway, device, gateway, device]);
  });

  test("finds the same ids after a restart, at once, and after a pipeline was defined anew", async () => {
    const rig = await started();
    await rig.commit([summary(p1, { mean: 1 }), alert(p1Series, 7)]);
    const ids = [...rig.broker.view.entities.keys()];
    await rig.told.close();
    await rig.start();
    assert.deepEqual([...rig.broker.view.entities.keys()].sort(), [...ids].sort());
    assert.deepEqual(rig.broker.state(p1Chart), { state: "OFF" });
    const stores = rig.stores;
    await rig.commit([summary(p1, { mean: 2 }, { pipeline: "temp@2", start: 10_000 })]);
    assert.equal(rig.broker.state(p1Topic)["mean"], 2);
    assert.deepEqual([...rig.broker.view.entities.keys()].sort(), [...ids].sort());
    assert.equal(rig.stores, stores, "nothing new is to be stored");
    assert.equal(rig.told.counters.entities, 4);
  });

  test("takes away what a pipeline does not give any more, and forgets it once it was told", async () => {
    const rig = await started();
    const p2: Tags = [
      ["device", "p2"],
      ["metric", "temp_celsius"],
    ];
    await rig.commit([summary(p1, { mean: 1 }), summary(p2, { mean: 1 }), alert(p1Series, 7)]);
    const { view } = rig.broker;
    await rig.told.close();
    const kept: WindowPipelineSpec = {
      ...temp,
      aggregate: ["mean"],
      where: { ...everything, tags: { device: "p1" } },
    };
    await rig.start({ pipelines: [kept] });
    const after = rig.broker;
    // Home Assistant comes back to the new broker with what it knew.
    for (const topic of after.topics.filter((each) => each.startsWith("homeassistant/"))) {
      view.read(topic, after.retained.get(topic) ?? "");
    }
    assert.deepEqual(view.names, [...own, "p1: temp_celsius mean (temp)"]);
    assert.equal([...after.retained.keys()].filter((topic) => topic.includes("p2")).length, 0);
    assert.equal(readTold(await openCheckedKv(rig.kv)).length, 3, "until it is online");
    await rig.online();
    const [left, ...more] = readTold(await openCheckedKv(rig.kv));
    assert.deepEqual([left?.fields, left?.gone, more], [["mean"], [], []]);
    await rig.told.close();
    await rig.start({ pipelines: [kept] });
    assert.deepEqual(rig.broker.view.names, [...own, "p1: temp_celsius mean (temp)"]);
    assert.ok(![...rig.broker.retained.values()].some((text) => text.includes("_sum")));
  });

  test("takes away what was erased, of which no name is stored", async () => {
    const rig = await started();
    await rig.commit([summary(p1, { mean: 1 })]);
    const { view } = rig.broker;
    await rig.told.close();
    const kv = await openCheckedKv(rig.kv);
    await kv.commit(readTold(kv).map((told) => writeOfTold(erasedTold(told))));
    await rig.start();
    assert.ok(![...rig.kv.image().values()].some((value) => Buffer.from(value).includes("p1")));
    for (const topic of rig.broker.topics.filter((each) => each.startsWith("homeassistant/"))) {
      view.read(topic, rig.broker.retained.get(topic) ?? "");
    }
    assert.deepEqual(view.names, own);
    await rig.online();
    assert.deepEqual(readTold(await openCheckedKv(rig.kv)), []);
    // It is measured again: it is there again.
    await rig.commit([summary(p1, { mean: 1 })]);
    assert.equal(rig.broker.view.names.length, 6);
  });

  test("is told of so many entities and no more; further records are counted", async () => {
    const rig = await started();
    const keys = Math.floor(limits.homeAssistantEntitiesMax / 3);
    const records = Array.from({ length: keys + 5 }, (_, n) =>
      summary(
        [
          ["device", `d${n}`],
          ["metric", "m"],
        ],
        { mean: 1 },
      ),
    );
    await rig.commit(records);
    await rig.clock.pass(1_000);
    assert.equal(rig.told.counters.entities, keys * 3);
    assert.equal(rig.told.counters.refused, 5);
    assert.equal(rig.broker.view.entities.size, own.length + keys * 3);
    await rig.told.close();
    await rig.start();
    assert.equal(rig.told.counters.entities, keys * 3);
  });

  test("is told of the pipelines that are named, and nothing else is looked at", async () => {
    const rig = await started({ config: { ...homeAssistantDefaults, pipelines: ["chart"] } });
    await rig.commit([summary(p1, { mean: 1 }), alert(p1Series, 7)]);
    assert.deepEqual(rig.broker.view.names, [...own, "p1: temp_celsius alert (chart, line=a)"]);
    assert.equal(rig.told.counters.refused, 0);
  });

  test("reads names of sensors as names, whatever is in them", async () => {
    const rig = await started();
    const wild = 'a/+/#"\n{{ 1 / 0 }}\u0000ü';
    await rig.commit([
      summary(
        [
          ["device", wild],
          ["metric", wild],
        ],
        { mean: 1 },
      ),
    ]);
    const { device, config } = rig.broker.view.entity(`${wild} mean (temp)`);
    assert.equal(device["name"], wild);
    assert.equal(config["value_template"], "{{ value_json.mean }}");
    const topic = String(config["state_topic"]);
    assert.equal(topic.split("/").length, 5);
    assert.equal(rig.broker.state(topic)["mean"], 1);
    const long = "x".repeat(2_000);
    await rig.commit([
      summary(
        [
          ["device", long],
          ["metric", "m"],
        ],
        { mean: 1 },
      ),
    ]);
    const named = String(rig.broker.view.entity("m mean (temp)").config["state_topic"]);
    assert.match(named, /^weir\/gw1\/state\/temp\/[0-9a-f]{16}$/);
    assert.equal(rig.broker.state(named)["mean"], 1);
  });

  test("shows what has no device tag by its tags, and what has none at the gateway", async () => {
    const lines: WindowPipelineSpec = { ...temp, name: "lines", key: ["line"] };
    const all: WindowPipelineSpec = {
      ...temp,
      name: "all",
      key: [],
      where: { ...everything, metrics: ["power_watts"] },
    };
    const rig = await started({ pipelines: [lines, all] });
    await rig.commit([
      summary([["line", "a"]], { mean: 1 }, { pipeline: "lines" }),
      summary([], { mean: 5 }, { pipeline: "all" }),
    ]);
    assert.equal(rig.broker.view.entity("mean (lines)").device["name"], "line=a");
    const { device, config } = rig.broker.view.entity("power_watts mean (all)");
    assert.deepEqual([device["name"], config["unit_of_measurement"]], ["gw1", "W"]);
    assert.equal(config["state_topic"], "weir/gw1/state/all/all");
    assert.equal(rig.broker.state("weir/gw1/state/all/all")["mean"], 5);
  });

  test("gets the newest state alone while the broker is busy", async () => {
    const rig = await started();
    rig.broker.backlogged = true;
    for (let n = 0; n < 50; n++) {
      await rig.commit([summary(p1, { mean: n }, { start: n * 10_000 })]);
    }
    assert.equal(rig.broker.retained.get(p1Topic), undefined);
    rig.broker.backlogged = false;
    await rig.clock.pass(limits.ownLookMs);
    assert.equal(rig.broker.state(p1Topic)["mean"], 49);
    assert.equal(rig.broker.topics.filter((topic) => topic === p1Topic).length, 1);
  });

  test("is told although nothing can be stored, which is tried again with the next commit", async () => {
    const rig = await started();
    rig.failing = true;
    await rig.commit([summary(p1, { mean: 1 })]);
    assert.equal(rig.broker.view.names.length, 6);
    rig.failing = false;
    await rig.commit([]);
    assert.equal(readTold(await openCheckedKv(rig.kv)).length, 1);
  });

  test("is told anew what is stored and damaged", async () => {
    const rig = await started();
    await rig.commit([summary(p1, { mean: 1 })]);
    await rig.told.close();
    const kv = await openCheckedKv(rig.kv);
    const [told] = readTold(kv);
    await kv.commit([{ key: `home-assistant/${told?.id}`, value: Buffer.from('{"v":1}') }]);
    await rig.start();
    assert.deepEqual(rig.broker.view.names, own);
    await rig.commit([summary(p1, { mean: 1 })]);
    assert.equal(rig.broker.view.names.length, 6);
    assert.deepEqual(readTold(await openCheckedKv(rig.kv)), [told]);
  });
});

test("the documentation shows what is published", async () => {
  const rig = await started({ pipelines: [{ ...temp, aggregate: ["mean"] }] });
  await rig.commit([summary(p1, { mean: 1 })]);
  const page = readFileSync(join(import.meta.dirname, "../../../docs/home-assistant.md"), "utf8");
  const [, json = ""] = /^```json\n(.*?)^```/ms.exec(page) ?? [];
  const published = [...rig.broker.retained].find(
    ([topic]) => topic.startsWith("homeassistant/") && !topic.includes("gateway"),
  );
  assert.deepEqual(JSON.parse(json), JSON.parse(published?.[1] ?? ""));
});

/** The first test needs the broker of the first start. */
async function begun(): Promise<{ broker: WatchedBroker; commit: Rig["commit"] }> {
  const rig = await started();
  return { broker: rig.broker, commit: (records) => rig.commit(records) };
}
