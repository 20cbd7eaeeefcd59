/**
 * The servers of the ingest benchmark, each a process of its own:
 *
 *   weir    the whole agent: parse, decode, deduplicate, log with fdatasync, one window pipeline
 *           with all aggregates, state store, PUBACK after the sync; `syncDelayMs` is added to
 *           every sync of the log
 *   aedes   the broker that weir embeds, with JSON.parse of every payload and no disk at all
 *
 *   node ingest-server.js weir '{"directory":"/tmp/x","syncDelayMs":0}'
 *
 * Prints {"event":"listening","port":n} and lives until SIGTERM.
 */

import { createServer } from "node:net";
import { join } from "node:path";
import { delayedSync } from "../test/support/delayed-sync.ts";

type WeirOptions = {
  readonly directory: string;
  readonly syncDelayMs: number;
  readonly series: number;
};

const [kind, json] = process.argv.slice(2);
if (kind === "weir") await serveWeir(JSON.parse(json ?? "{}") as WeirOptions);
else await serveAedes();

async function serveWeir(options: WeirOptions): Promise<void> {
  const { openAgentOnDoors } = await import("../src/agent/start.ts");
  const { configOf, fileUplinkDefaults, sourceDefaults } = await import(
    "../src/agent/config/config.ts"
  );
  const { systemDisk } = await import("../src/agent/doors/disk.ts");
  const { limits } = await import("../src/core/limits.ts");
  const agent = await openAgentOnDoors(
    configOf({
      agent: "bench",
      dataDirectory: options.directory,
      sources: [
        {
          ...sourceDefaults,
          name: "plant",
          topics: ["plant/{line}/{device}/state"],
          ignore: ["unit", "status", "rssi", "fw", "b"],
          futureMs: Number.MAX_SAFE_INTEGER,
        },
      ],
      pipelines: [
        {
          kind: "window",
          name: "ten-seconds",
          where: { sources: [], metrics: [], tags: {} },
          key: ["device", "line", "metric"],
          window: { kind: "tumbling", sizeMs: 10_000 },
          aggregate: ["count", "sum", "mean", "min", "max", "variance"],
          allowedLatenessMs: 0,
        },
      ],
      uplinks: [{ ...fileUplinkDefaults, directory: join(options.directory, "out") }],
      seriesMax: limits.seriesMax,
      devicesMax: limits.devicesMax,
      keysMax: limits.keysMax,
    }),
    {
      disk: delayedSync(systemDisk, () => options.syncDelayMs),
      onFailed: (fault) => {
        console.error(fault.message);
        process.exit(1);
      },
    },
  );
  listening(agent.mqttPort);
  process.once("SIGTERM", () => void agent.close().then(() => process.exit(0)));
}

async function serveAedes(): Promise<void> {
  const { Aedes } = await import("aedes");
  let parsed = 0;
  const broker = await Aedes.createBroker({
    authorizePublish: (_client, packet, callback) => {
      const reading = JSON.parse(packet.payload.toString()) as { temperature: number };
      if (reading.temperature > 0) parsed += 1;
      callback(null);
    },
  });
  const server = createServer(broker.handle);
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (address !== null && typeof address === "object") listening(address.port);
  });
  process.once("SIGTERM", () => process.exit(parsed > 0 ? 0 : 1));
}

function listening(port: number): void {
  process.stdout.write(`${JSON.stringify({ event: "listening", port })}\n`);
}
