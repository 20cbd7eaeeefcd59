/**
 * A whole agent on loopback: readings by MQTT in JSON and CBOR, windows, a file uplink, the status
 * page; then the same directory again, which must have every reading.
 */

import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BridgeLink, BridgeMessage } from "../../../sync/mqtt/bridge-link.ts";
import { connectMqtt } from "../../../sync/mqtt/client/mqtt-js.ts";
import { type Config, configOf, fileUplinkDefaults, sourceDefaults } from "../../config/config.ts";
import { systemClock } from "../../doors/clock.ts";
import { systemNet } from "../../doors/net.ts";
import { type Agent, startAgent } from "../../start.ts";
import { expect } from "./expect.ts";

const readings = 20;
const firstMs = Date.UTC(2026, 0, 1);
const waitMs = 30_000;

/** `{"value": 1.5}` behind the tag "this is CBOR", which only the general decoder takes. */
const cbor = Buffer.from("d9d9f7a16576616c7565f93e00", "hex");

export async function agentRestarted(directory: string): Promise<string> {
  const config = configIn(join(directory, "agent"));
  const first = await started(config);
  try {
    await publish(first, [...messages(), { topic: "plant/cbor/state", payload: cbor }]);
    await seePage(first);
    await until(() => delivered(first) > 0, "no summary reached the file uplink");
  } finally {
    await first.close();
  }
  const again = await started(config);
  await again.close();
  const { balanced, sources } = again.ledger();
  const counted = sources.reduce((sum, source) => sum + source.readings.accepted, 0);
  expect(balanced, "the ledger is not balanced after a restart");
  expect(counted === readings + 1, `after a restart the ledger has ${counted} readings`);
  return `${counted} readings by MQTT, kept over a restart; the status page; ${delivered(first)} summaries in files`;
}

function configIn(dataDirectory: string): Config {
  return configOf({
    agent: "selftest",
    dataDirectory,
    http: { host: "127.0.0.1", port: 0 },
    sources: [
      { ...sourceDefaults, name: "plant", topics: ["plant/{device}/state"], disorderMs: 0 },
    ],
    pipelines: [
      {
        kind: "window",
        name: "seconds",
        where: { sources: [], metrics: [], tags: {} },
        key: ["device"],
        window: { kind: "tumbling", sizeMs: 1_000 },
        aggregate: ["count", "mean"],
        allowedLatenessMs: 0,
      },
    ],
    uplinks: [{ ...fileUplinkDefaults, directory: join(dataDirectory, "upstream") }],
  });
}

async function started(config: Config): Promise<Agent> {
  return await startAgent(config, {
    onFailed: (fault) => {
      throw fault;
    },
  });
}

type Message = Pick<BridgeMessage, "topic" | "payload">;

function messages(): readonly Message[] {
  return Array.from({ length: readings }, (_, number) => ({
    topic: "plant/p1/state",
    payload: Buffer.from(JSON.stringify({ ts: firstMs + number * 1_000, value: number })),
  }));
}

async function publish({ mqttPort }: Agent, messages: readonly Message[]): Promise<void> {
  const link = await connectMqtt(
    {
      url: `mqtt://127.0.0.1:${mqttPort}`,
      net: systemNet(),
      clock: systemClock(),
      address: { host: "127.0.0.1", port: mqttPort },
      level: 5,
      clientId: "weir-selftest",
      user: undefined,
      password: undefined,
      keepAliveMs: waitMs,
      connectMs: waitMs,
    },
    { will: undefined, onEnded: () => undefined },
  );
  try {
    let taken = 0;
    for (const message of messages) publishTo(link, message, () => (taken += 1));
    await until(() => taken === messages.length, "not every message was acknowledged");
  } finally {
    await link.close();
  }
}

function publishTo(link: BridgeLink, message: Message, onTaken: () => void): void {
  link.publish({ ...message, retain: false, attributes: undefined }, ({ kind }) => {
    if (kind === "taken") onTaken();
  });
}

async function seePage({ httpPort }: Agent): Promise<void> {
  const reply = await fetch(`http://127.0.0.1:${httpPort}/`, {
    signal: AbortSignal.timeout(waitMs),
  });
  const page = await reply.text();
  expect(reply.ok && page.includes("<title>"), `the status page answers ${reply.status}`);
}

function delivered(agent: Agent): number {
  return agent.status().uplinks[0]?.lanes.summaries.delivered ?? 0;
}

async function until(holds: () => boolean, otherwise: string): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!holds()) {
    expect(performance.now() < deadline, `${otherwise} within ${waitMs / 1_000} s`);
    await sleep(20);
  }
}
