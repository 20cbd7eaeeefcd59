/** `weir demo`: an agent with an embedded broker, and a simulated plant that publishes to it. */

import { join, resolve } from "node:path";
import { Fault } from "../../core/faults.ts";
import { systemNet } from "../doors/net.ts";
import { type Agent, startAgent } from "../start.ts";
import { exitCodes, parseOptions, UsageError, wholeOption } from "./command.ts";
import { kafkaUplinkDefaults } from "../config/kafka-config.ts";
import { demoConfig } from "./demo-config.ts";
import { assertSimulator, startFleet } from "./fleet-process.ts";
import { labelTable } from "./label-table.ts";
import { ledgerText } from "./ledger-text.ts";
import { startLiveView } from "./live-view.ts";
import { scratchDirectory } from "./scratch-directory.ts";
import { secondsOption, type StopSignal, stopSignal } from "./stop-signal.ts";

const STARTS_TRIED = 5;
const PORTS_TRIED = 50;
const PORT_MAX = 65_535;
const DEVICES_MAX = 5_000;

type DemoOptions = {
  readonly seconds: number;
  readonly devices: number;
  readonly seed: number;
  readonly real: boolean;
  readonly dataDirectory: string;
  readonly fresh: boolean;
  readonly mqtt: PortWish;
  readonly http: PortWish;
  readonly plain: boolean;
  readonly kafka: string | undefined;
};

type PortWish = {
  readonly option: "--port" | "--http";
  readonly first: number;
  /** Somebody said it: no other will do. */
  readonly isFixed: boolean;
};

export async function run(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  const { dataDirectory, real, fresh } = options;
  assertSimulator();
  const continued = await scratchDirectory(dataDirectory, { madeBy: "weir demo", fresh });
  const signal = stopSignal({ seconds: options.seconds });
  const agent = await onFreePorts(options, (ports) =>
    startAgent(demoConfig({ dataDirectory, ...ports, real, kafka: options.kafka }), {
      onFailed: ({ message }) => signal.stop({ why: message, failed: true }),
    }),
  );
  announce(agent, { ...options, continued });
  let failed = true;
  try {
    failed = await stream(agent, options, signal);
  } finally {
    await agent.close();
  }
  await showResult(agent, options);
  const undelivered = agent
    .status()
    .uplinks.some(({ lanes }) => Object.values(lanes).some(({ trouble }) => trouble !== undefined));
  if (undelivered) {
    console.error(
      `weir: what waits in ${dataDirectory} did not go upstream: it does when the same command runs again and nothing is in its way`,
    );
  }
  return failed || undelivered || !agent.ledger().balanced ? exitCodes.failed : exitCodes.ok;
}

/** Runs the fleet against the agent until there is a reason to end; true where that is a failure. */
async function stream(agent: Agent, options: DemoOptions, signal: StopSignal): Promise<boolean> {
  const fleet = startFleet(simulatorArguments(agent.mqttPort, options), {
    stdio: "ignore-output",
  });
  void fleet.ended.then((code) =>
    code === 0
      ? signal.stop({ why: "the recorded data has ended", failed: false })
      : signal.stop({ why: "the simulator failed", failed: true }),
  );
  const stopView = startLiveView({ view: agent, out: process.stdout, plain: options.plain });
  const { why, failed } = await signal.stopped;
  stopView();
  console.log(`\nending (${why}): the fleet first, then the agent`);
  if (failed) await agent.close(); // it takes nothing more: the fleet would wait in vain
  await fleet.stop();
  return failed;
}

function readOptions(args: readonly string[]): DemoOptions {
  const { values } = parseOptions(args, {
    seconds: { type: "string" },
    devices: { type: "string" },
    seed: { type: "string" },
    real: { type: "boolean", default: false },
    data: { type: "string" },
    fresh: { type: "boolean", default: false },
    port: { type: "string" },
    http: { type: "string" },
    plain: { type: "boolean", default: false },
    kafka: { type: "string" },
  });
  const { real, fresh, plain, kafka } = values;
  if (kafka !== undefined && !/^[^\s:/]+:\d{1,5}$/.test(kafka)) {
    throw new UsageError(
      `--kafka wants the address of a broker such as localhost:9092, not ${kafka}`,
    );
  }
  const wish = (name: "--port" | "--http", text: string | undefined, usual: number): PortWish => ({
    option: name,
    first: wholeOption(text, { name, fallback: usual, min: 1, max: PORT_MAX }),
    isFixed: text !== undefined,
  });
  return {
    seconds: secondsOption(values.seconds),
    devices: wholeOption(values.devices, {
      name: "--devices",
      fallback: 300,
      min: 1,
      max: DEVICES_MAX,
    }),
    seed: wholeOption(values.seed, { name: "--seed", fallback: 1, min: 0 }),
    real,
    dataDirectory: resolve(values.data ?? (real ? "weir-demo-data-real" : "weir-demo-data")),
    fresh,
    mqtt: wish("--port", values.port, 1883),
    http: wish("--http", values.http, 8080),
    plain,
    kafka,
  };
}

function simulatorArguments(port: number, options: DemoOptions): readonly string[] {
  const { dataDirectory, devices, seed, real } = options;
  if (real) return ["real", `--port=${port}`, `--labels=${labelsOf(dataDirectory)}`, "--quiet"];
  return [
    `--port=${port}`,
    `--devices=${devices}`,
    `--seed=${seed}`,
    "--faults=some",
    `--truth=${join(dataDirectory, "truth.ndjson")}`,
    "--quiet",
  ];
}

function announce(agent: Agent, options: DemoOptions & { readonly continued: boolean }): void {
  const { real, continued, dataDirectory } = options;
  const topic = real ? "mote/indoor/my-sensor/state" : "plant/a/my-sensor/state";
  console.log(`weir demo: ${continued ? "continues in" : "starts in"} ${dataDirectory}`);
  console.log(
    `  MQTT    127.0.0.1:${agent.mqttPort}   try: mosquitto_pub -p ${agent.mqttPort} -q 1 -t ${topic} -m '{"temperature":21.5}'`,
  );
  if (options.kafka !== undefined) console.log(`  Kafka   ${options.kafka}`);
  if (agent.httpPort !== undefined) console.log(`  status  http://127.0.0.1:${agent.httpPort}/`);
  console.log("  Ctrl-C ends it.\n");
}

async function showResult(
  agent: Agent,
  { dataDirectory, real, kafka }: DemoOptions,
): Promise<void> {
  const upstream = join(dataDirectory, "upstream");
  console.log(`\n${ledgerText(agent.ledger())}\n`);
  if (kafka !== undefined) {
    console.log(kafkaText(agent, kafka));
  } else {
    if (real) {
      console.log(`${await labelTable({ labels: labelsOf(dataDirectory), upstream })}\n`);
    }
    console.log(`Summaries and alerts: ${upstream}`);
  }
  if (agent.ledger().balanced) return;
  console.error("weir: the ledger does not balance: a reading is unaccounted for. This is a bug.");
}

/** What is in the cluster, and what still waits for it. */
function kafkaText(agent: Agent, kafka: string): string {
  const lines = agent.status().uplinks.flatMap(({ lanes }) =>
    Object.values(lanes).map(({ delivered, behind, facts, trouble, incidents }) => {
      const waiting = behind === 0 ? "" : `, ${behind} wait for the next start`;
      const wrong = [trouble, incidents.last?.what].filter((text) => text !== undefined);
      const counts = `${String(facts["topic"])}: ${delivered} records, each once${waiting}`;
      return [counts, ...wrong].join("\n  ");
    }),
  );
  const { summaries } = kafkaUplinkDefaults.topics;
  const reader = `kcat -C -e -b ${kafka} -t ${summaries} -X isolation.level=read_committed`;
  return [...lines, `Read them: ${reader}`].join("\n");
}

function labelsOf(dataDirectory: string): string {
  return join(dataDirectory, "labels.ndjson");
}

type Ports = { readonly mqttPort: number; readonly httpPort: number };

/** A port that was free may be taken by another demo before the agent listens: then further ones are tried. */
async function onFreePorts(
  options: DemoOptions,
  start: (ports: Ports) => Promise<Agent>,
): Promise<Agent> {
  for (let tries = 1; ; tries++) {
    const mqttPort = await freePort(options.mqtt);
    const httpPort = await freePort(options.http);
    try {
      return await start({ mqttPort, httpPort });
    } catch (error) {
      const isTaken = error instanceof Fault && error.code === "PORT_IN_USE";
      if (!isTaken || tries === STARTS_TRIED) throw error;
    }
  }
}

/** The port; where nobody said which, the next free one after it. */
async function freePort({ option, first, isFixed }: PortWish): Promise<number> {
  const last = isFixed ? first : Math.min(first + PORTS_TRIED - 1, PORT_MAX);
  for (let port = first; port <= last; port++) {
    try {
      const listener = await systemNet().listen({ host: "127.0.0.1", port }, (socket) =>
        socket.destroy(),
      );
      await listener.close();
      return port;
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== "PORT_IN_USE") throw error;
    }
  }
  const taken = isFixed
    ? `another program listens on port ${first} (${option}); choose another`
    : `no free port from ${first} to ${last}; choose one with ${option}`;
  throw new Fault("PORT_IN_USE", taken);
}
