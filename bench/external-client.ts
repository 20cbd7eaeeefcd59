/**
 * The clients of the external benchmark, each a process of its own that subscribes to a broker:
 *
 *   weir             the whole agent: parse, decode, deduplicate, log with fdatasync, one window
 *                    pipeline with all aggregates, state store, PUBACK after the sync
 *   mqttjs           MQTT.js with JSON.parse of every payload and no disk: acknowledges at once
 *   mqttjs-durable   the same, and each PUBACK waits for an append and fdatasync: it is handed one
 *                    packet after another, so no two share a sync
 *
 *   node external-client.js weir '{"port":1883,"directory":"/tmp/x","syncDelayMs":0}'
 *
 * `syncDelayMs` is added to every sync. Prints {"event":"subscribed"}; for the n-th SIGUSR2
 * {"event":"count-<n>","messages":m}, what it has processed and made as durable as it does; lives
 * until SIGTERM.
 */

import { setTimeout as sleep } from "node:timers/promises";

export type ClientKind = "weir" | "mqttjs" | "mqttjs-durable";

export type ClientOptions = {
  /** Of the broker, on loopback. */
  readonly port: number;
  readonly directory: string;
  readonly syncDelayMs: number;
};

/** Receive Maximum of all clients. */
const IN_FLIGHT = 1_000;
const TOPIC = "plant/+/+/state";

const [kind, json] = process.argv.slice(2);
const options = JSON.parse(json ?? "{}") as ClientOptions;

let countOf = (): number => 0;
let asked = 0;
process.on("SIGUSR2", () => {
  asked += 1;
  say({ event: `count-${asked}`, messages: countOf() });
});
if (kind === "weir") await runWeir();
else await runMqttJs({ isDurable: kind === "mqttjs-durable" });

async function runWeir(): Promise<void> {
  const { openAgentOnDoors } = await import("../src/agent/start.ts");
  const { parseConfig } = await import("../src/agent/config/parse.ts");
  const { systemDisk } = await import("../src/agent/doors/disk.ts");
  const { delayedSync } = await import("../test/support/delayed-sync.ts");
  const { directory, port, syncDelayMs } = options;
  const parsed = await parseConfig(configuration({ directory, port }), {
    file: "bench.yaml",
    cwd: directory,
    env: {},
    readFile: () => "",
  });
  if (parsed.kind === "faults") throw new Error(parsed.faults.map(({ text }) => text).join("\n"));
  const agent = await openAgentOnDoors(parsed.config, {
    disk: delayedSync(systemDisk, () => syncDelayMs),
    onFailed: (fault) => {
      console.error(fault.message);
      process.exit(1);
    },
  });
  // One reading a message: what is in the synced log.
  countOf = () => agent.status().log.rowsAppended;
  say({ event: "subscribed" });
  process.once("SIGTERM", () => void agent.close().then(() => process.exit(0)));
}

async function runMqttJs({ isDurable }: { readonly isDurable: boolean }): Promise<void> {
  const { default: mqtt } = await import("mqtt");
  const { open } = await import("node:fs/promises");
  const file = isDurable ? await open(`${options.directory}/readings`, "a") : undefined;
  const client = await mqtt.connectAsync({
    host: "127.0.0.1",
    port: options.port,
    protocolVersion: 5,
    clientId: "bench-mqttjs",
    properties: { receiveMaximum: IN_FLIGHT },
  });
  let messages = 0;
  let sum = 0;
  countOf = () => (sum > 0 ? messages : 0);
  client.handleMessage = (packet, done) => {
    const payload = packet.payload as Buffer;
    const reading = JSON.parse(payload.toString()) as { readonly temperature: number };
    sum += reading.temperature;
    if (file === undefined) {
      messages += 1;
      done();
      return;
    }
    void file
      .appendFile(payload)
      .then(() => (options.syncDelayMs > 0 ? sleep(options.syncDelayMs) : undefined))
      .then(() => file.datasync())
      .then(() => {
        messages += 1;
        done();
      });
  };
  await client.subscribeAsync(TOPIC, { qos: 1 });
  say({ event: "subscribed" });
  process.once("SIGTERM", () => process.exit(0));
}

function say(event: object): void {
  process.stdout.write(`${JSON.stringify(event)}\n`);
}

function configuration({
  directory,
  port,
}: {
  readonly directory: string;
  readonly port: number;
}): string {
  return `version: 1
agent: bench
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: 0, anonymous: true }
http: off
brokers:
  - { name: site, urls: ["mqtt://127.0.0.1:${port}"], qos: 1, inFlight: ${IN_FLIGHT} }
sources:
  - name: plant
    broker: site
    topics: ["plant/{line}/{device}/state"]
    ignore: [unit, status, rssi, fw, b]
pipelines:
  - name: ten-seconds
    key: [device, line, metric]
    window: { tumbling: 10s }
    aggregate: [count, sum, mean, min, max, variance]
uplinks:
  - file: { directory: ${directory}/out }
`;
}
