/**
 * `npm run kafka`: a real Kafka broker on loopback to try things against, until Ctrl-C. Its jars are
 * fetched by Maven the first time.
 */

import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer } from "node:net";
import { resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { lockDirectories } from "../src/agent/doors/directory-lock.ts";
import { startKafka } from "../test/support/kafka/broker.ts";
import {
  fetchJars,
  fullVersion,
  hasJars,
  javaLack,
  type KafkaVersion,
} from "../test/support/kafka/jars.ts";
import { findTool } from "../test/support/require-tool.ts";

const usage = `usage: npm run kafka [-- OPTIONS]

Starts a Kafka broker on 127.0.0.1, without a login, until Ctrl-C; without --data, what it was sent
goes with it.

  --version 3.9|4   which line of Kafka (default 4)
  --port NUMBER     port to listen on (default 9092)
  --data DIR        folder that keeps its data for the next time (default: a temporary one)
  --help            this text
`;

const portMax = 65_535;
/** Then the broker is killed: it cannot end in order when its controller does not answer. */
const stopMsMax = 20_000;

type Wanted = {
  readonly version: KafkaVersion;
  readonly port: number;
  readonly data: string | undefined;
};

try {
  const wanted = wantedOf(process.argv.slice(2));
  if (wanted === undefined) process.stdout.write(usage);
  else await run(wanted);
} catch (error) {
  if (!(error instanceof Error)) throw error;
  console.error(`kafka: ${error.message}`);
  process.exitCode = 1;
}

async function run({ version, port, data }: Wanted): Promise<void> {
  assertJava();
  provideJars(version);
  await assertFree(port);
  console.log(`kafka: starting Kafka ${fullVersion(version)} ...`);
  const stopped = stopSignal();
  const folder = data === undefined ? {} : { folder: resolve(data) };
  if (data !== undefined) await lock(resolve(data));
  await using broker = await startKafka({ version, port, ...folder });
  console.log(greeting(broker.bootstrap));
  const why = await Promise.race([stopped, broker.ended().then(() => "ended" as const)]);
  if (why === "ended") throw new Error(`the broker ended by itself:\n${broker.log()}`);
  console.log("kafka: stopping ...");
  await Promise.race([broker.stop(), wait(stopMsMax, undefined, { ref: false })]);
}

/** Two brokers over one folder would spoil it for both. Held until this process ends. */
async function lock(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const inUse = `another broker uses ${directory}; stop it, or name another folder with --data`;
  await lockDirectories([{ directory, inUse }]);
}

function greeting(address: string): string {
  const watch = [
    `kcat -b ${address} -q -G watch -X isolation.level=read_committed`,
    "-X auto.offset.reset=earliest -X topic.metadata.refresh.interval.ms=1000",
    "-f '%t %k %s\\n' '^[^_]'",
  ];
  return `
Kafka listens on ${address}.

  send there:  npm start -- --kafka ${address}
  watch:       ${watch.join(" \\\n                 ")}

Ctrl-C stops it.
`;
}

/** `undefined` where help is asked for. */
function wantedOf(args: readonly string[]): Wanted | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      version: { type: "string", default: "4" },
      port: { type: "string", default: "9092" },
      data: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const { version } = values;
  if (version !== "3.9" && version !== "4") {
    throw new Error(`--version is 3.9 or 4, not ${version}`);
  }
  return { version, port: portOf(values.port), data: values.data };
}

function portOf(text: string): number {
  const port = /^\d+$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > portMax) throw new Error(`--port is 1 to ${portMax}, not ${text}`);
  return port;
}

function assertJava(): void {
  const lack = javaLack();
  if (lack === undefined) return;
  throw new Error(`${lack}; install Java 17 or newer (Debian: openjdk-17-jre-headless)`);
}

function provideJars(version: KafkaVersion): void {
  if (hasJars(version)) return;
  if (findTool("mvn") === undefined) {
    throw new Error("mvn is missing, which fetches Kafka's jars; install Maven (Debian: maven)");
  }
  console.log(`kafka: fetching the jars of Kafka ${fullVersion(version)}, this once ...`);
  const trouble = fetchJars(version);
  if (trouble !== undefined) throw new Error(`mvn could not fetch Kafka's jars:\n${trouble}`);
}

async function assertFree(port: number): Promise<void> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch (error) {
    throw new Error(`port ${port} is taken; choose another with --port`, { cause: error });
  }
  server.close();
  await once(server, "close");
}

function stopSignal(): Promise<"stopped"> {
  return new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const)
      process.once(signal, () => done("stopped"));
  });
}
