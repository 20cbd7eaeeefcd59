/**
 * `npm run outage -- --minutes 60`: the built agent before a real Kafka, on a disk of its own, through a
 * scenario that a seed makes (script.ts), verified as a person would: `weir sim --scenario --verify`, then
 * `weir upstream verify`. Exit code 0: nothing lost, nothing twice.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type KafkaBroker, startKafka } from "../support/kafka/broker.ts";
import { freePorts } from "../support/ports.ts";
import { makeSmallDisk } from "../support/small-disk.ts";
import { scriptOf } from "./script.ts";

const usage = `usage: npm run outage -- [OPTIONS]

  --minutes N      how long (5); by the hour 200 kills of the agent, cuts of a second to ten minutes, hangs,
                   30 % loss, 2 s delay, 32 kbit/s, brokers killed, disks filled
  --seed N         which script (1)
  --devices N      (30)
  --version 3.9|4  of Kafka (4)
  --disk MIB       size of the disk (512)
  --drain TIME     how long the rest may take afterwards (10m)
  --print          print the script and end
`;

const main = resolve(import.meta.dirname, "../../src/agent/cli/main.ts");
const pollMs = 50;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    devices: { type: "string", default: "30" },
    version: { type: "string", default: "4" },
    disk: { type: "string", default: "512" },
    drain: { type: "string", default: "10m" },
    print: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) process.stdout.write(usage);
else process.exitCode = await run();

async function run(): Promise<number> {
  const [port = 0] = await freePorts(1);
  const home = mkdtempSync(join(tmpdir(), "weir-outage-"));
  const isDown = join(home, "broker-is-down");
  const script = scriptOf({
    seed: Number(values.seed),
    minutes: Number(values.minutes),
    devices: Number(values.devices),
    bootstrap: `127.0.0.1:${port}`,
    broker: { kill: `touch ${isDown}`, start: `rm -f ${isDown}` },
  });
  if (values.print) {
    process.stdout.write(script);
    rmSync(home, { recursive: true });
    return 0;
  }
  const file = join(home, "scenario.yaml");
  writeFileSync(file, script);
  const { disk, remove } = makeSmallDisk({ kind: "ext4", mib: Number(values.disk) });
  try {
    const version = values.version === "3.9" ? "3.9" : "4";
    await using kafka = await startKafka({ version, port });
    const data = join(disk.path, "data");
    mkdirSync(data);
    const stop = new AbortController();
    const rig = keepBroker(kafka, { isDown: () => existsSync(isDown), stop: stop.signal });
    const sim = ["sim", "--scenario", file, "--verify", "--data", data, "--drain", values.drain];
    const played = await weir(sim);
    stop.abort();
    const kills = await rig;
    console.log(`the broker was killed ${kills} times`);
    const verified = await weir(["upstream", "verify", "--kafka", kafka.bootstrap]);
    console.log(
      `outage: seed ${values.seed}, ${values.minutes} minutes, Kafka ${version}: sim ${played}, upstream verify ${verified}`,
    );
    return played === 0 && verified === 0 ? 0 : 1;
  } finally {
    remove();
    rmSync(home, { recursive: true, force: true });
  }
}

/** Kills and starts the broker as commands of the scenario say; it runs in the end. Gives the kills. */
async function keepBroker(
  kafka: KafkaBroker,
  { isDown, stop }: { readonly isDown: () => boolean; readonly stop: AbortSignal },
): Promise<number> {
  let kills = 0;
  let runs = true;
  while (!stop.aborted || !runs) {
    if (runs && isDown() && !stop.aborted) {
      await kafka.kill();
      kills += 1;
      runs = false;
    }
    if (!runs && (!isDown() || stop.aborted)) {
      await kafka.restart();
      runs = true;
    }
    await wait(pollMs);
  }
  return kills;
}

async function weir(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [main, ...args], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  return typeof code === "number" ? code : 1;
}
