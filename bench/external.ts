/**
 * What does a message from an external broker cost, from its socket to a synced log, an updated
 * window and a PUBACK? And what does it cost MQTT.js on the same Mosquitto under the same load,
 * without any disk and with a PUBACK that waits for one?
 *
 *   load (processor 1) --QoS 1--> Mosquitto (processor 1) --> client (processor 0)
 *
 * All run in the same rounds, one after the other, each with fresh processes; medians are compared.
 * CPU time is the client's own (user + system, all threads), divided by the messages it processed
 * meanwhile. Mosquitto drops nothing (max_queued_messages 0): a client that falls behind leaves the
 * rest in its queue.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../src/agent/node-flags.ts";
import { startMosquitto } from "../test/support/mosquitto/server.ts";
import type { ClientKind, ClientOptions } from "./external-client.ts";
import type { LoadOptions } from "./load.ts";
import {
  bundleProcesses,
  type Bundles,
  cpuMicros,
  median,
  pin,
  rounded,
  rssMb,
  type Running,
  start,
} from "./process.ts";

export type ExternalOptions = {
  readonly rounds: number;
  readonly warmupMs: number;
  readonly measureMs: number;
  /** Messages a second. */
  readonly rate: number;
};

export const defaults: ExternalOptions = {
  rounds: 5,
  warmupMs: 6_000,
  measureMs: 4_000,
  rate: 8_000,
};

export const tinyOptions: ExternalOptions = {
  rounds: 1,
  warmupMs: 500,
  measureMs: 1_500, // some ticks of the clock that counts CPU time
  rate: 4_000,
};

export type ExternalResult = {
  readonly external_us_per_message: number;
  readonly mqttjs_us_per_message: number;
  readonly mqttjs_durable_us_per_message: number;
  /** mqttjs to external in CPU per message: medians of rounds. */
  readonly external_ratio: number;
  readonly external_durable_ratio: number;
  readonly external_rss_mb: number;
  readonly mqttjs_rss_mb: number;
  readonly external_mps: number;
  readonly mqttjs_mps: number;
  readonly mqttjs_durable_mps: number;
  /** With SLOW_MS more for every sync. */
  readonly external_slow_disk_us_per_message: number;
  readonly external_slow_disk_mps: number;
  readonly mqttjs_durable_slow_disk_mps: number;
  readonly broker_us_per_message: number;
  readonly offered_mps: number;
  readonly rounds: number;
};

const SLOW_MS = 10;
const LOOKS_MAX = 200;
/** The first segment of the log is filled in steps, each of them synced: not what is measured. */
const SEGMENT_STEPS = 25;
const LOAD: Pick<LoadOptions, "connections" | "window" | "seriesPerConnection"> = {
  connections: 100,
  window: 100,
  seriesPerConnection: 100,
};

type Sample = {
  readonly cpuMicros: number;
  readonly brokerMicros: number;
  readonly perSecond: number;
  readonly rssMb: number;
  readonly offered: number;
};

export async function runExternal(options: ExternalOptions): Promise<ExternalResult> {
  using bundles = await bundleProcesses(["external-client"]);
  const samples: Record<"weir" | "plain" | "durable" | "weirSlow" | "durableSlow", Sample[]> = {
    weir: [],
    plain: [],
    durable: [],
    weirSlow: [],
    durableSlow: [],
  };
  for (let n = 0; n < options.rounds; n++) {
    const round = (kind: ClientKind, syncDelayMs: number): Promise<Sample> =>
      measure(bundles, kind, { ...options, syncDelayMs });
    samples.weir.push(await round("weir", 0));
    samples.plain.push(await round("mqttjs", 0));
    samples.durable.push(await round("mqttjs-durable", 0));
    samples.weirSlow.push(await round("weir", SLOW_MS));
    samples.durableSlow.push(await round("mqttjs-durable", SLOW_MS));
  }
  const of = (name: keyof typeof samples, figure: keyof Sample): number =>
    rounded(median(samples[name].map((sample) => sample[figure])));
  const ratio = (name: keyof typeof samples): number =>
    rounded(
      median(samples[name].map((sample, n) => sample.cpuMicros / samples.weir[n]!.cpuMicros)),
    );
  return {
    external_us_per_message: of("weir", "cpuMicros"),
    mqttjs_us_per_message: of("plain", "cpuMicros"),
    mqttjs_durable_us_per_message: of("durable", "cpuMicros"),
    external_ratio: ratio("plain"),
    external_durable_ratio: ratio("durable"),
    external_rss_mb: of("weir", "rssMb"),
    mqttjs_rss_mb: of("plain", "rssMb"),
    external_mps: Math.round(of("weir", "perSecond")),
    mqttjs_mps: Math.round(of("plain", "perSecond")),
    mqttjs_durable_mps: Math.round(of("durable", "perSecond")),
    external_slow_disk_us_per_message: of("weirSlow", "cpuMicros"),
    external_slow_disk_mps: Math.round(of("weirSlow", "perSecond")),
    mqttjs_durable_slow_disk_mps: Math.round(of("durableSlow", "perSecond")),
    broker_us_per_message: of("weir", "brokerMicros"),
    offered_mps: Math.round(of("weir", "offered")),
    rounds: options.rounds,
  };
}

async function measure(
  bundles: Bundles<"external-client">,
  kind: ClientKind,
  options: ExternalOptions & { readonly syncDelayMs: number },
): Promise<Sample> {
  const directory = mkdtempSync(join(tmpdir(), "weir-bench-"));
  try {
    await using mosquitto = await startMosquitto({ isPersistent: false, inFlightMax: 1_000 });
    pin(mosquitto.pid, 1);
    const { port } = mosquitto;
    const { syncDelayMs } = options;
    const clientOptions: ClientOptions = { port, directory, syncDelayMs };
    // weir as it is started; the rival as Node starts it, which costs it memory and spares it CPU.
    const flags = kind === "weir" ? nodeFlags : [];
    await using client = start(flags, bundles.file("external-client"), [
      kind,
      JSON.stringify(clientOptions),
    ]);
    await client.event("subscribed");
    const { rate, measureMs } = options;
    const warmupMs = options.warmupMs + SEGMENT_STEPS * syncDelayMs;
    const loadOptions: LoadOptions = { ...LOAD, port, rate, warmupMs, measureMs };
    await using load = start(
      [],
      fileURLToPath(new URL("./load.ts", import.meta.url)),
      [JSON.stringify(loadOptions)],
      { processor: 1 },
    );
    await load.event("measuring");
    const before = await look(client, mosquitto.pid, 1);
    const { messages: sent, seconds } = (await load.event("done")) as {
      readonly messages: number;
      readonly seconds: number;
    };
    const after = await lookBehind(before, client, mosquitto.pid);
    const messages = after.messages - before.messages;
    return {
      cpuMicros: (after.cpuMicros - before.cpuMicros) / messages,
      brokerMicros: (after.brokerMicros - before.brokerMicros) / sent,
      perSecond: messages / ((after.atMs - before.atMs) / 1_000),
      rssMb: after.rssMb,
      offered: sent / seconds,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What the broker owes comes later: a client that got nowhere meanwhile is measured until it did. */
async function lookBehind(before: Look, client: Running, brokerPid: number): Promise<Look> {
  for (let n = 2; ; n++) {
    const after = await look(client, brokerPid, n);
    const figures = ["messages", "cpuMicros", "brokerMicros"] as const;
    if (figures.every((name) => after[name] > before[name]) || n === LOOKS_MAX) return after;
    await sleep(100);
  }
}

type Look = {
  readonly messages: number;
  readonly cpuMicros: number;
  readonly brokerMicros: number;
  readonly rssMb: number;
  readonly atMs: number;
};

/** How far the client is and what it has cost so far, for the n-th time. */
async function look(client: Running, brokerPid: number, n: number): Promise<Look> {
  const pid = client.child.pid ?? 0;
  client.child.kill("SIGUSR2");
  const { messages } = (await client.event(`count-${n}`)) as { readonly messages: number };
  return {
    messages,
    cpuMicros: cpuMicros(pid),
    brokerMicros: cpuMicros(brokerPid),
    rssMb: rssMb(pid),
    atMs: performance.now(),
  };
}

export function textOf(result: ExternalResult): string {
  const rows = [
    ["", "CPU per message", "messages/s", "RSS", `messages/s, +${SLOW_MS} ms a sync`],
    [
      "weir (durable)",
      `${result.external_us_per_message} us`,
      String(result.external_mps),
      `${result.external_rss_mb} MB`,
      String(result.external_slow_disk_mps),
    ],
    [
      "MQTT.js, no disk",
      `${result.mqttjs_us_per_message} us`,
      String(result.mqttjs_mps),
      `${result.mqttjs_rss_mb} MB`,
      "",
    ],
    [
      "MQTT.js, durable",
      `${result.mqttjs_durable_us_per_message} us`,
      String(result.mqttjs_durable_mps),
      "",
      String(result.mqttjs_durable_slow_disk_mps),
    ],
  ];
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const table = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
  return [
    ...table,
    "",
    `weir takes ${result.external_ratio} times less CPU than MQTT.js without a disk, ${result.external_durable_ratio} times less than with one`,
    `${result.offered_mps} messages/s offered with QoS 1; ${result.rounds} rounds, medians`,
  ].join("\n");
}
