/** `weir demo`: an agent with an embedded broker, and a simulated plant that publishes to it. */

import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Fault } from "../../core/faults.ts";
import { systemNet } from "../doors/net.ts";
import { startAgent, type Agent } from "../start.ts";
import { exitCodes, numberOption, parseOptions } from "./command.ts";
import { demoConfig } from "./demo-config.ts";
import { startFleet } from "./fleet-process.ts";
import { labelTable } from "./label-table.ts";
import { ledgerText } from "./ledger-text.ts";
import { startLiveView } from "./live-view.ts";
import { stopSignal } from "./stop-signal.ts";

const MARKER = "weir-demo.json";
const PORTS_TRIED = 50;

export async function run(args: readonly string[]): Promise<number> {
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
  });
  const seconds = numberOption(values.seconds, { name: "seconds", fallback: Infinity });
  const devices = numberOption(values.devices, { name: "devices", fallback: 300 });
  const seed = numberOption(values.seed, { name: "seed", fallback: 1 });
  const dataDirectory = resolve(
    values.data ?? (values.real ? "weir-demo-data-real" : "weir-demo-data"),
  );
  const continued = await openDataDirectory(dataDirectory, { fresh: values.fresh });

  const signal = stopSignal({ seconds });
  const agent = await startAgent(
    demoConfig({
      dataDirectory,
      mqttPort: await freePort(numberOption(values.port, { name: "port", fallback: 1883 })),
      httpPort: await freePort(numberOption(values.http, { name: "http", fallback: 8080 })),
      real: values.real,
    }),
    { onFailed: (fault) => signal.stop(fault.message) },
  );
  announce({ agent, dataDirectory, continued });
  const labels = join(dataDirectory, "labels.ndjson");
  const fleet = startFleet(
    values.real
      ? ["real", "--port", String(agent.mqttPort), "--labels", labels, "--quiet"]
      : [
          "--port",
          String(agent.mqttPort),
          "--devices",
          String(devices),
          "--seed",
          String(seed),
          "--faults",
          "some",
          "--truth",
          join(dataDirectory, "truth.ndjson"),
          "--quiet",
        ],
    { stdio: "ignore-output" },
  );
  void fleet.ended.then((code) => {
    if (code !== 0) signal.stop("the simulator ended");
  });
  const stopView = startLiveView({ view: agent, out: process.stdout, plain: values.plain });
  const why = await signal.stopped;
  stopView();
  console.log(`\nending (${why}): the fleet first, then the agent`);
  await fleet.stop();
  await agent.close();
  const ledger = agent.ledger();
  console.log(`\n${ledgerText(ledger)}\n`);
  if (values.real)
    console.log(`${await labelTable({ labels, upstream: join(dataDirectory, "upstream") })}\n`);
  console.log(`Summaries and alerts: ${join(dataDirectory, "upstream")}`);
  if (ledger.balanced) return exitCodes.ok;
  console.error("weir: the ledger does not balance: a reading is unaccounted for. This is a bug.");
  return exitCodes.failed;
}

function announce({
  agent,
  dataDirectory,
  continued,
}: {
  readonly agent: Agent;
  readonly dataDirectory: string;
  readonly continued: boolean;
}): void {
  console.log(`weir demo: ${continued ? "continues in" : "starts in"} ${dataDirectory}`);
  console.log(
    `  MQTT    127.0.0.1:${agent.mqttPort}   try: mosquitto_pub -p ${agent.mqttPort} -q 1 -t plant/a/my-sensor/state -m '{"temperature":21.5}'`,
  );
  if (agent.httpPort !== undefined) console.log(`  status  http://127.0.0.1:${agent.httpPort}/`);
  console.log("  Ctrl-C ends it.\n");
}

/** True where an earlier demo is continued. Only a folder that a demo made is ever emptied. */
async function openDataDirectory(
  directory: string,
  { fresh }: { readonly fresh: boolean },
): Promise<boolean> {
  const marker = join(directory, MARKER);
  const exists = await access(directory).then(
    () => true,
    () => false,
  );
  const ours = await readFile(marker, "utf8").then(
    () => true,
    () => false,
  );
  if (
    exists &&
    !ours &&
    (await import("node:fs/promises").then((fs) => fs.readdir(directory))).length > 0
  ) {
    throw new Fault(
      "DIRECTORY_NOT_WRITABLE",
      `${directory} exists and was not made by weir demo; choose another with --data`,
    );
  }
  if (fresh && ours) await rm(directory, { recursive: true });
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(marker, `${JSON.stringify({ madeBy: "weir demo" })}\n`);
  } catch (cause) {
    throw new Fault(
      "DIRECTORY_NOT_WRITABLE",
      `cannot write to ${directory}; choose another folder with --data`,
      { cause },
    );
  }
  return ours && !fresh;
}

/** The port, or the next free one after it. */
async function freePort(first: number): Promise<number> {
  for (let port = first; port < first + PORTS_TRIED; port++) {
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
  throw new Fault(
    "PORT_IN_USE",
    `no free port from ${first} to ${first + PORTS_TRIED - 1}; choose one with --port or --http`,
  );
}
