/**
 * How many bytes go over the uplink for a thousand series at 1 Hz, beside the same readings as raw
 * JSON? The whole agent with its defaults feeds a real Kafka through a proxy that counts both ways.
 *
 *   sensors ── fed as they are due ──▶ agent ── real sockets ──▶ counting proxy ──▶ Kafka
 *                   its clock jumps from one timer to the next and stands still while Kafka answers
 *
 * So a transaction holds what it would hold in real time: what one linger gathered, not what an hour at
 * full speed did. A broker that takes no time on the agent's clock makes, if anything, more and smaller
 * transactions than a slow one. What the client does by the real clock (nothing while requests go out
 * steadily) is not stretched. Counted from the end of a warm-up, so connecting is not in it.
 */

import { mkdirSync, mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { type Agent, openAgent } from "../src/agent/agent.ts";
import { configOf, sourceDefaults } from "../src/agent/config/config.ts";
import { type KafkaUplinkConfig, kafkaUplinkDefaults } from "../src/agent/config/kafka-config.ts";
import { systemClock } from "../src/agent/doors/clock.ts";
import { systemDisk } from "../src/agent/doors/disk.ts";
import { systemHashing } from "../src/agent/doors/hashing.ts";
import { systemKafka } from "../src/agent/doors/kafka.ts";
import { systemNet } from "../src/agent/doors/net.ts";
import { systemRandom } from "../src/agent/doors/random.ts";
import { dataPaths } from "../src/agent/start.ts";
import { linkOf } from "../src/agent/config/link-config.ts";
import { limits } from "../src/core/limits.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import type { LinkPolicy } from "../src/sync/link/policy.ts";
import { startKafka } from "../test/support/kafka/broker.ts";
import { warmUp } from "../test/support/kafka/failure-rig.ts";
import { fetchJars, hasJars } from "../test/support/kafka/jars.ts";
import { type KafkaProxy, openProxy } from "../test/support/kafka/proxy.ts";
import { freePorts } from "../test/support/ports.ts";
import { rounded } from "./process.ts";
import { JumpingClock, quietDisk, quietKafka, quietKv, UnderWay } from "./quiet-doors.ts";
import { Sensors, seriesPerDevice, startMs } from "./sensors.ts";
import { type RawBytes, rawForms, RawMeter } from "./wire-raw.ts";

type WireCase = {
  readonly name: string;
  readonly windowMs: number;
  /** So many windows are counted. */
  readonly windows: number;
  readonly uplink: Partial<KafkaUplinkConfig>;
  /** Summaries have a sketch each. */
  readonly isSketched?: boolean;
  /** Bytes over it cost, so the agent takes more time to make them fewer. */
  readonly link?: LinkPolicy | undefined;
};

export type WireOptions = { readonly series: number; readonly cases: readonly WireCase[] };

const lean: Partial<KafkaUplinkConfig> = {
  format: "avro-confluent",
  schemas: { summary: 1, alert: 2 },
  headers: "minimal",
};

const cellular = linkOf({
  name: "cellular",
  quota: { bytes: 5_000_000_000, per: "month", reserveBytes: 0 },
});

export const defaults: WireOptions = {
  series: 1_000,
  cases: [
    { name: "10 s", windowMs: 10_000, windows: 30, uplink: {} },
    { name: "1 min", windowMs: 60_000, windows: 10, uplink: {} },
    { name: "1 min, link with a quota", windowMs: 60_000, windows: 10, uplink: {}, link: cellular },
    { name: "1 min, Avro, minimal headers", windowMs: 60_000, windows: 10, uplink: lean },
    { name: "10 min", windowMs: 600_000, windows: 2, uplink: {} },
    ...[
      { name: "10 s, sketches", windowMs: 10_000, windows: 30, uplink: {} },
      { name: "1 min, sketches", windowMs: 60_000, windows: 10, uplink: {} },
      { name: "1 min, sketches, quota", windowMs: 60_000, windows: 10, uplink: {}, link: cellular },
      { name: "1 min, sketches, Avro", windowMs: 60_000, windows: 10, uplink: lean },
      { name: "10 min, sketches", windowMs: 600_000, windows: 2, uplink: {} },
    ].map((each) => ({ ...each, isSketched: true })),
  ],
};

export const tinyOptions: WireOptions = {
  series: 50,
  cases: [
    { name: "10 s", windowMs: 10_000, windows: 6, uplink: {} },
    { name: "10 s, link with a quota", windowMs: 10_000, windows: 6, uplink: {}, link: cellular },
    { name: "10 s, sketches", windowMs: 10_000, windows: 6, uplink: {}, isSketched: true },
  ],
};

export type WireFigures = {
  readonly window_s: number;
  readonly readings: number;
  readonly summaries: number;
  readonly transactions: number;
  /** Through the proxy. */
  readonly sent_bytes: number;
  readonly received_bytes: number;
  /** What the agent counted on its own sockets, both ways. */
  readonly agent_bytes: number;
  /** Both ways. */
  readonly bytes_per_summary: number;
  readonly bytes_per_reading: number;
  readonly mb_per_day: number;
  /** Raw bytes of the same readings, by what is compared, to one byte here. */
  readonly times_fewer: RawBytes;
};

export type WireResult = {
  readonly series: number;
  readonly raw_bytes_per_reading: RawBytes;
  readonly cases: Readonly<Record<string, WireFigures>>;
};

const aggregate = ["count", "mean", "min", "max"] as const;
const version = "3.9";
const agentName = "bench";
const dayMs = 86_400_000;
/** After the end of a window: devices' disorder, commit and linger are over. */
const settledMs = 13_000;

export async function runWire({ series, cases }: WireOptions): Promise<WireResult> {
  if (!hasJars(version)) {
    const trouble = fetchJars(version);
    if (trouble !== undefined) throw new Error(`Kafka's jars could not be fetched: ${trouble}`);
  }
  const figures: Record<string, WireFigures> = {};
  let perReading: RawBytes | undefined;
  for (const each of cases) {
    const { raw, ...counted } = await measure(each, series);
    const ofReading = ofForms((form) => raw[form] / counted.readings);
    perReading ??= ofReading;
    figures[each.name] = {
      ...counted,
      times_fewer: ofForms((form) => rounded(ofReading[form] / counted.bytes_per_reading)),
      bytes_per_reading: rounded(counted.bytes_per_reading),
    };
  }
  if (perReading === undefined) throw new Error("there is a case to measure");
  const shown = perReading;
  return {
    series,
    raw_bytes_per_reading: ofForms((form) => rounded(shown[form])),
    cases: figures,
  };
}

function ofForms(of: (form: (typeof rawForms)[number]) => number): RawBytes {
  const [fields, reading, device, second, minute] = rawForms;
  return {
    fields: of(fields),
    reading: of(reading),
    device: of(device),
    zstd_1s: of(second),
    zstd_1min: of(minute),
  };
}

async function measure(
  of: WireCase,
  series: number,
): Promise<Omit<WireFigures, "times_fewer"> & { readonly raw: RawBytes }> {
  const { windowMs, windows } = of;
  const [port = 0] = await freePorts(1);
  await using kafka = await startKafka({ version, proxied: port });
  await warmUp(kafka.bootstrap);
  await using proxy = await openProxy({ port, to: kafka.behindProxy });
  using directory = mkdtempDisposableSync(`${tmpdir()}/weir-bench-`);
  const feed = await openFeed({ ...of, directory: directory.path, proxy, series });
  const beginMs = Math.max(2 * windowMs, 60_000) + settledMs;
  await feed.passTo(beginMs, undefined);
  const before = look(feed.agent, proxy);
  const raw = new RawMeter();
  await feed.passTo(beginMs + windows * windowMs, raw);
  const after = look(feed.agent, proxy);
  await feed.close();
  const spanMs = windows * windowMs;
  const readings = (series * spanMs) / 1_000;
  const sent = after.sent - before.sent;
  const received = after.received - before.received;
  const summaries = after.delivered - before.delivered;
  if (after.behind > 0 || summaries < series * windows) {
    throw new Error(`${summaries} of ${series * windows} came, ${after.behind} wait`);
  }
  return {
    window_s: windowMs / 1_000,
    readings,
    summaries,
    transactions: after.transactions - before.transactions,
    sent_bytes: sent,
    received_bytes: received,
    agent_bytes: after.agentBytes - before.agentBytes,
    bytes_per_summary: rounded((sent + received) / summaries),
    bytes_per_reading: (sent + received) / readings,
    mb_per_day: rounded((((sent + received) / spanMs) * dayMs) / 1e6),
    raw: raw.bytes,
  };
}

function look(agent: Agent, proxy: KafkaProxy) {
  const lanes = agent.status().uplinks[0]!.lanes;
  const { summaries, alerts } = lanes;
  return {
    sent: proxy.bytes.toBroker,
    received: proxy.bytes.toClient,
    delivered: summaries.delivered,
    behind: summaries.behind,
    transactions: summaries.deliveries,
    agentBytes: [summaries, alerts].reduce(
      (sum, { facts }) => sum + Number(facts["sentBytes"]) + Number(facts["receivedBytes"]),
      0,
    ),
  };
}

// ---- the agent and its sensors ----

type Feed = {
  readonly agent: Agent;
  /** Feeds what is due until then, since the start. */
  readonly passTo: (elapsedMs: number, raw: RawMeter | undefined) => Promise<void>;
  readonly close: () => Promise<void>;
};

type FeedOptions = Pick<WireCase, "windowMs" | "uplink" | "link" | "isSketched"> & {
  readonly directory: string;
  readonly proxy: KafkaProxy;
  readonly series: number;
};

async function openFeed(options: FeedOptions): Promise<Feed> {
  const { directory, proxy, series, windowMs, uplink, link, isSketched = false } = options;
  const over = link === undefined ? {} : { via: [link.name] };
  const underWay = new UnderWay();
  const clock = new JumpingClock(startMs, underWay);
  const paths = dataPaths(directory);
  for (const path of [paths.log, paths.tables]) mkdirSync(path, { recursive: true });
  const kv = openKvLmdb({ path: paths.state, bytesMax: limits.kvBytesMax });
  const agent = await openAgent({
    config: configOf({
      agent: agentName,
      dataDirectory: directory,
      sources: [{ ...sourceDefaults, name: "plant", topics: ["plant/{device}/state"] }],
      pipelines: [
        {
          kind: "window",
          name: "windows",
          where: { sources: [], metrics: [], tags: {} },
          key: ["device", "metric"],
          window: { kind: "tumbling", sizeMs: windowMs },
          aggregate: isSketched ? [...aggregate, "quantiles"] : aggregate,
          allowedLatenessMs: 0,
        },
      ],
      links: link === undefined ? [] : [link],
      uplinks: [{ ...kafkaUplinkDefaults, brokers: [proxy.bootstrap], ...over, ...uplink }],
    }),
    doors: {
      clock,
      random: systemRandom(),
      hashing: systemHashing,
      disk: quietDisk(systemDisk, underWay, () => undefined),
      net: systemNet(),
      kv: quietKv(kv, underWay),
      kafka: quietKafka(systemKafka(systemClock()), underWay),
    },
    logDirectory: paths.log,
    tablesDirectory: paths.tables,
    listen: false,
    onFailed: (fault) => {
      throw fault;
    },
    onClosed: () => kv.close(),
  });
  const sensors = new Sensors(series);
  const values = new Float64Array(seriesPerDevice);
  let second = 0;
  return {
    agent,
    passTo: async (elapsedMs, raw) => {
      for (; second * 1_000 < elapsedMs; second++) {
        for (const { at, topic, payload } of messagesOf(sensors, { second, values, raw })) {
          await clock.passTo(at - startMs + 5);
          await agent.feeder.feed(topic, payload);
        }
        await clock.passTo((second + 1) * 1_000);
        raw?.endSecond((second + 1) % 60 === Math.floor(settledMs / 1_000) % 60);
      }
    },
    close: async () => {
      const closing = agent.close();
      await clock.passTo(clock.monotonic() + 60_000);
      await closing;
    },
  };
}

function messagesOf(
  sensors: Sensors,
  of: {
    readonly second: number;
    readonly values: Float64Array;
    readonly raw: RawMeter | undefined;
  },
) {
  const messages = Array.from({ length: sensors.seriesCount / seriesPerDevice }, (_, number) => {
    const at = sensors.read(number, of.second, of.values);
    const device = `d${String(number).padStart(5, "0")}`;
    of.raw?.take(device, at, of.values);
    const readings = Array.from(of.values, (value, i) => `"m${i}":${value}`).join(",");
    return {
      at,
      topic: `plant/${device}/state`,
      payload: Buffer.from(`{"ts":${at},${readings}}`),
    };
  });
  return messages.toSorted((a, b) => a.at - b.at);
}

/** For people. */
export function textOf({ raw_bytes_per_reading: raw, cases }: WireResult): string {
  const lines = rawForms.map((form) => `raw, ${form}: ${raw[form]} bytes a reading`);
  for (const [name, figures] of Object.entries(cases)) {
    const { bytes_per_reading, bytes_per_summary, mb_per_day, times_fewer } = figures;
    const fewer = rawForms.map((form) => `${form} ${times_fewer[form]}`).join(", ");
    lines.push(
      `${name}: ${bytes_per_summary} bytes a summary, ${bytes_per_reading} a reading, ${mb_per_day} MB a day; times fewer than ${fewer}`,
    );
  }
  return lines.join("\n");
}
