/**
 * The senders of the bridge benchmark, each a process of its own:
 *
 *   weir      the upstream half of the agent: real state store with a full outbox, drain, bridge with
 *             its defaults, until every record is acknowledged and pruned
 *   one       MQTT.js, a message after the other, each awaited: what a sink without a window does
 *
 *   node bridge-drain.ts weir '{"port":1883,"directory":"/tmp/x","agent":"a","records":1000}'
 */

import { connectAsync } from "mqtt";
import { bridgeUplinkDefaults } from "../src/agent/config/bridge-config.ts";
import { systemClock } from "../src/agent/doors/clock.ts";
import { systemNet } from "../src/agent/doors/net.ts";
import { systemRandom } from "../src/agent/doors/random.ts";
import { openKvLmdb } from "../src/store/state/kv-lmdb.ts";
import { openStateStore } from "../src/store/state/state-store.ts";
import { openDrain } from "../src/sync/drain.ts";
import { connectMqtt } from "../src/sync/mqtt/client/mqtt-js.ts";
import { openMqttUplink } from "../src/sync/mqtt/mqtt-uplink.ts";
import { storeBytesMax, storePath } from "./uplink-outbox.ts";

export type BridgeDrainOptions = {
  readonly port: number;
  /** Has the state store. */
  readonly directory: string;
  readonly agent: string;
  /** Of one after the other. */
  readonly records: number;
};

export type BridgeDrainCost = {
  readonly records: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly rssPeakBytes: number;
  readonly sentBytes: number;
  readonly deliveries: number;
};

const [kind, json] = process.argv.slice(2);
const options = JSON.parse(json ?? "{}") as BridgeDrainOptions;
const cost = kind === "weir" ? await drainOutbox(options) : await sendOneByOne(options);
process.stdout.write(`${JSON.stringify({ event: "done", ...cost })}\n`, () => process.exit(0));

async function drainOutbox({
  port,
  directory,
  agent,
}: BridgeDrainOptions): Promise<BridgeDrainCost> {
  const kv = openKvLmdb({ path: storePath(directory), bytesMax: storeBytesMax });
  const { store } = await openStateStore(kv);
  const { next: records } = store.span("summaries");
  const clock = systemClock();
  const random = systemRandom();
  const url = `mqtt://127.0.0.1:${port}`;
  const client = {
    url,
    net: systemNet(),
    clock,
    address: { host: "127.0.0.1", port },
    level: 5,
    clientId: agent,
    user: undefined,
    password: undefined,
    keepAliveMs: 60_000,
    connectMs: 10_000,
  } as const;
  const meter = startMeter();
  const uplink = openMqttUplink({
    ...bridgeUplinkDefaults,
    name: "mqtt",
    url,
    agent,
    clock,
    random,
    status: undefined,
    // One lane sends all of it: what is measured is how fast.
    freshForMs: Infinity,
    connect: (how) => connectMqtt(client, how),
    get: (key) => store.get(key),
  });
  const drain = openDrain({ store, clock, random, uplinks: [uplink] });
  await drain.idle();
  const taken = meter();
  const status = drain.status[0]?.lanes;
  if (status?.summaries.delivered !== records || store.span("summaries").first !== records) {
    throw new Error(`not everything was delivered: ${JSON.stringify(status)}`);
  }
  const sentBytes = Number(status.alerts.facts["sentBytes"]);
  await drain.close();
  return { records, ...taken, sentBytes, deliveries: status.summaries.deliveries };
}

async function sendOneByOne(options: BridgeDrainOptions): Promise<BridgeDrainCost> {
  const { port, directory, agent, records } = options;
  const kv = openKvLmdb({ path: storePath(directory), bytesMax: storeBytesMax });
  const { store } = await openStateStore(kv);
  const payloads: Buffer[] = [];
  while (payloads.length < records) {
    const read = store.read("summaries", { from: payloads.length, bytesMax: 262_144 });
    if (read.records.length === 0) break;
    for (const record of read.records) payloads.push(Buffer.from(record));
  }
  await kv.close();
  const client = await connectAsync({
    host: "127.0.0.1",
    port,
    protocolVersion: 5,
    reconnectPeriod: 0,
  });
  const meter = startMeter();
  let sent = 0;
  for (const payload of payloads.slice(0, records)) {
    await client.publishAsync(`weir/${agent}/summary/ten-seconds`, payload, { qos: 1 });
    sent += 1;
  }
  const taken = meter();
  await client.endAsync(true);
  return { records: sent, ...taken, sentBytes: 0, deliveries: sent };
}

function startMeter(): () => Pick<BridgeDrainCost, "seconds" | "cpuSeconds" | "rssPeakBytes"> {
  const startedAt = performance.now();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return {
      seconds: (performance.now() - startedAt) / 1000,
      cpuSeconds: (user + system) / 1e6,
      rssPeakBytes: process.resourceUsage().maxRSS * 1024,
    };
  };
}
