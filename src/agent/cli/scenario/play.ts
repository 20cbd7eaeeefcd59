/**
 * Plays a scenario: a fleet (a process of its own) and the agent as a person starts it (another), with a
 * proxy in front of each side, and what goes wrong in its time.
 *
 *   fleet ──▶ proxy of the devices ──▶ agent ──▶ proxy of the link ──▶ cluster
 *     └─ truth: what was acknowledged
 *
 *   steps until the fleet is done ─▶ all is well again ─▶ outbox empty, within a time ─▶ SIGTERM
 */

import { mkdtemp, mkdir, rm, writeFile } from "node:fs/promises";
import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { counted } from "../../../core/counted.ts";
import { Fault } from "../../../core/faults.ts";
import type { LedgerView } from "../../../edge-ops/ledger.ts";
import type { Config } from "../../config/config.ts";
import type { KafkaUplinkConfig } from "../../config/kafka-config.ts";
import { systemClock } from "../../doors/clock.ts";
import type { Status } from "../../status.ts";
import { agentAt } from "../agent-client.ts";
import { readConfig } from "../configured.ts";
import { assertSimulator, startFleet } from "../fleet-process.ts";
import { AgentChild } from "./agent-child.ts";
import { agentConfigText, takenFrom } from "./agent-config.ts";
import { type Address, FaultProxy, type ProxyCounts } from "./fault-proxy.ts";
import { assertMayBeFilled, FullDisk } from "./full-disk.ts";
import type { Program } from "../own-program.ts";
import type { Scenario } from "./scenario-file.ts";
import { Stage, type StageCounts } from "./stage.ts";
import { timelineOf } from "./timeline.ts";
import { readTruth, type Truth } from "./truth.ts";
import { sessionOptions } from "./upstream.ts";
import { truthWindowMs } from "./verdict.ts";

export type PlayOptions = {
  /** Empty, or made so: what the agent keeps, and its files. */
  readonly directory: string;
  /** How long the outbox may take to empty in the end. */
  readonly drainMs: number;
  /** The weir to start. */
  readonly program: Program;
  readonly say: (text: string) => void;
  /** Told every second. */
  readonly onProgress: (progress: PlayProgress) => void;
  /** Ends it early: as at its end. */
  readonly stop: AbortSignal;
};

export type PlayProgress = {
  readonly ms: number;
  readonly agent: string;
  /** As the agent says, where it answers. */
  readonly messages: number | undefined;
  readonly waiting: number | undefined;
};

export type Played = {
  readonly agent: string;
  readonly config: Config;
  readonly filesDirectory: string;
  /** The uplink as it is reached past the proxy. */
  readonly kafka: KafkaUplinkConfig | undefined;
  readonly truth: Truth;
  readonly ledger: LedgerView | undefined;
  readonly counts: StageCounts;
  readonly link: ProxyCounts;
  readonly devices: ProxyCounts;
  readonly seconds: number;
  /** From the end of the fleet until all was upstream. */
  readonly drainSeconds: number;
  readonly troubles: readonly string[];
  /** What the agent said last. */
  readonly lines: readonly string[];
};

/** How long the fleet waits for acknowledgements in the end, and who waits for it. */
const fleetDrainSeconds = 120;
const pollMs = 500;
/** Longer than a step of the timeline waits: it is looked at again. */
const tickMsMax = 1_000;

export async function playScenario(scenario: Scenario, options: PlayOptions): Promise<Played> {
  assertSimulator();
  const scratch = await mkdtemp(join(tmpdir(), "weir-sim-"));
  try {
    return await new Player(scenario, { ...options, scratch }).play();
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

type Parts = PlayOptions & { readonly scratch: string };

class Player {
  readonly #scenario: Scenario;
  readonly #options: Parts;
  readonly #clock = systemClock();
  readonly #troubles: string[] = [];
  readonly #agentName: string;
  readonly #files: { readonly windows: string; readonly truth: string };
  readonly #filesDirectory: string;

  constructor(scenario: Scenario, options: Parts) {
    this.#scenario = scenario;
    this.#options = options;
    // Another one each time: a cluster that was used before has another agent's records.
    this.#agentName = `sim-${scenario.seed}-${Math.floor(this.#clock.now()).toString(36)}`;
    this.#files = {
      windows: join(options.scratch, "windows.ndjson"),
      truth: join(options.scratch, "truth.ndjson"),
    };
    this.#filesDirectory = join(options.directory, "upstream");
  }

  async play(): Promise<Played> {
    const { directory } = this.#options;
    if (this.#scenario.steps.some(({ action }) => action.kind === "disk")) {
      assertMayBeFilled(directory);
    }
    const { seed } = this.#scenario;
    const link = new FaultProxy({ seed });
    const devices = new FaultProxy({ seed: seed + 1 });
    const ports = { mqttPort: await freePort(), httpPort: await freePort() };
    try {
      const { config, kafka, file } = await this.#configure(link, ports);
      const agent = new AgentChild({
        program: this.#options.program,
        configFile: file,
        onEnded: (why) => this.#trouble(why),
      });
      const fleetPort = await devices.listen({ host: "127.0.0.1", port: ports.mqttPort });
      const stage = new Stage({
        agent,
        link,
        devices,
        disk: new FullDisk(directory),
        say: this.#options.say,
        onTrouble: (what) => this.#trouble(what),
      });
      try {
        const times = await this.#run({
          agent,
          stage,
          devices,
          fleetPort,
          config,
          httpPort: ports.httpPort,
        });
        return {
          agent: this.#agentName,
          config,
          filesDirectory: this.#filesDirectory,
          kafka,
          truth: await readTruth(this.#files),
          ledger: ledgerOf(agent.ledger),
          counts: stage.counts,
          link: link.counts,
          devices: devices.counts,
          ...times,
          troubles: this.#troubles,
          lines: agent.lines,
        };
      } finally {
        await agent.kill();
      }
    } finally {
      await Promise.all([link.close(), devices.close()]);
    }
  }

  #trouble(what: string): void {
    this.#options.say(what);
    this.#troubles.push(what);
  }

  // ---- what stands ready before ----

  /** Writes its configuration, once without the proxy: to ask the cluster who its brokers are. */
  async #configure(
    link: FaultProxy,
    ports: { readonly mqttPort: number; readonly httpPort: number },
  ): Promise<{
    readonly config: Config;
    readonly kafka: KafkaUplinkConfig | undefined;
    readonly file: string;
  }> {
    const { scratch, directory } = this.#options;
    const { agentFile, kafka } = this.#scenario;
    const own = agentFile === undefined ? undefined : await takenFrom(agentFile);
    const file = join(scratch, "weir.yaml");
    const write = async (addresses: Readonly<Record<string, string>>): Promise<Config> => {
      const text = agentConfigText(own, {
        agent: this.#agentName,
        dataDirectory: join(directory, "agent"),
        filesDirectory: this.#filesDirectory,
        ...ports,
        kafka,
        addresses,
      });
      await writeFile(file, text);
      return await readConfig(file);
    };
    await mkdir(directory, { recursive: true });
    const config = await write({});
    const uplink = config.uplinks.find((each) => each.kind === "kafka");
    if (uplink === undefined) return { config, kafka: undefined, file };
    const { brokersOf } = await import("../../../sync/kafka/client/client.ts");
    const known = await brokersOf(await sessionOptions(uplink, this.#clock));
    const addresses: Record<string, string> = {};
    for (const address of new Set([...uplink.brokers, ...known])) {
      const port = await link.listen(hostAndPort(uplink.addresses?.[address] ?? address));
      addresses[address] = `127.0.0.1:${port}`;
    }
    return { config: await write(addresses), kafka: uplink, file };
  }

  // ---- the play ----

  async #run(of: {
    readonly agent: AgentChild;
    readonly stage: Stage;
    readonly devices: FaultProxy;
    readonly fleetPort: number;
    readonly config: Config;
    readonly httpPort: number;
  }): Promise<{ readonly seconds: number; readonly drainSeconds: number }> {
    const { agent, stage, devices, fleetPort, config, httpPort } = of;
    const { forMs, seed, steps } = this.#scenario;
    const { stop, say } = this.#options;
    await agent.start();
    await this.#until(() => agent.state === "running", {
      withinMs: 60_000,
      what: "the agent starts",
    });
    const fleet = startFleet(this.#fleetArguments(fleetPort, config), { stdio: "ignore-output" });
    let isFleetDone = false;
    const fleetEnded = fleet.ended.then((code) => {
      isFleetDone = true;
      if (code !== 0) this.#trouble(`the fleet ended with ${code}`);
    });
    await this.#until(() => isFleetDone || devices.counts.bytesDown > 0, {
      withinMs: 60_000,
      what: "a device connects",
    });
    const begun = performance.now();
    const status = agentAt({
      url: `http://127.0.0.1:${httpPort}`,
      ca: undefined,
      certificate: undefined,
      tokenFile: undefined,
    });
    const stopProgress = this.#progress({ agent, status, begun });
    for (const moment of timelineOf(steps, { seed, endMs: forMs })) {
      await this.#waitUntil(begun + moment.atMs, () => isFleetDone || this.#troubles.length > 0);
      if (stop.aborted || this.#troubles.length > 0) break;
      stage.play(moment);
    }
    await this.#waitUntil(begun + forMs, () => isFleetDone || this.#troubles.length > 0);
    say("all is well again");
    await stage.heal();
    if (stop.aborted) await fleet.stop();
    await fleetEnded;
    const ended = performance.now();
    await this.#drained({ agent, status });
    const drainSeconds = (performance.now() - ended) / 1_000;
    stopProgress();
    await agent.stop();
    return { seconds: (ended - begun) / 1_000, drainSeconds };
  }

  #fleetArguments(port: number, config: Config): readonly string[] {
    const { forMs, seed, fleet } = this.#scenario;
    const { windows, truth } = this.#files;
    return [
      `--port=${port}`,
      `--seed=${seed}`,
      `--seconds=${forMs / 1_000}`,
      `--drain=${fleetDrainSeconds}`,
      `--devices=${fleet.devices}`,
      `--interval-ms=${fleet.interval}`,
      `--faults=${fleet.faults}`,
      `--qos1=${fleet.qos1}`,
      `--cbor=${fleet.cbor}`,
      `--clockless=${fleet.clockless}`,
      `--points=${fleet.points}`,
      `--windows=${windows}`,
      `--window-ms=${truthWindowMs(config)}`,
      `--truth=${truth}`,
      "--quiet",
    ];
  }

  /** Until all that the agent has is upstream and no window is open, or the time is up. */
  async #drained(of: {
    readonly agent: AgentChild;
    readonly status: (path: string) => Promise<unknown>;
  }): Promise<void> {
    const { drainMs } = this.#options;
    let waits = "it does not answer";
    const isDrained = async (): Promise<boolean> => {
      if (of.agent.state !== "running") return false;
      try {
        const status = Object(await of.status("/v1/status")) as Status;
        const ledger = Object(await of.status("/v1/ledger")) as LedgerView;
        waits = waitsFor(status, ledger) ?? "";
        return waits === "";
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        waits = error.message;
        return false;
      }
    };
    const deadline = performance.now() + drainMs;
    while (!(await isDrained())) {
      if (this.#troubles.length > 0) return;
      if (performance.now() > deadline) {
        this.#trouble(`after ${drainMs / 1_000} s of fair weather: ${waits}`);
        return;
      }
      await wait(pollMs);
    }
  }

  #progress(of: {
    readonly agent: AgentChild;
    readonly status: (path: string) => Promise<unknown>;
    readonly begun: number;
  }): () => void {
    let isOver = false;
    const look = async (): Promise<void> => {
      while (!isOver) {
        const status =
          of.agent.state === "running"
            ? ((await of.status("/v1/status").catch(() => undefined)) as Status | undefined)
            : undefined;
        if (isOver) return;
        this.#options.onProgress({
          ms: performance.now() - of.begun,
          agent: of.agent.state,
          messages: status?.log.rowsAppended,
          waiting:
            status && Object.values(status.outbox).reduce((sum, { records }) => sum + records, 0),
        });
        await wait(1_000);
      }
    };
    void look();
    return () => {
      isOver = true;
    };
  }

  async #waitUntil(at: number, isOver: () => boolean): Promise<void> {
    for (;;) {
      const left = at - performance.now();
      if (left <= 0 || isOver() || this.#options.stop.aborted) return;
      await wait(Math.min(left, tickMsMax));
    }
  }

  async #until(
    isSo: () => boolean,
    { withinMs, what }: { readonly withinMs: number; readonly what: string },
  ): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!isSo()) {
      const trouble = this.#troubles[0];
      if (trouble !== undefined) throw new Fault("AGENT_UNREACHABLE", trouble);
      if (performance.now() > deadline) {
        throw new Fault("AGENT_UNREACHABLE", `not within ${withinMs / 1_000} s: ${what}`);
      }
      await wait(50);
    }
  }
}

/** What is still on its way, as a sentence; undefined: nothing. */
function waitsFor(status: Status, ledger: LedgerView): string | undefined {
  const open = ledger.pipelines.find((pipeline) => pipeline.open > 0);
  if (open !== undefined)
    return `${counted(open.open, "reading")} in open windows of ${open.pipeline}`;
  if (status.outputs.pendingBytes > 0) return "outputs that are not committed yet";
  for (const { name, lanes } of status.uplinks) {
    for (const [lane, { behind, trouble, missing, incidents }] of Object.entries(lanes)) {
      if (behind > 0)
        return `${counted(behind, "record")} waiting in ${name} ${lane}: ${trouble ?? "no trouble"}`;
      if (missing > 0)
        return `${counted(missing, "record")} of ${name} ${lane} could not be read back`;
      if (incidents.last !== undefined) return `${name} ${lane}: ${incidents.last.what}`;
    }
  }
  return undefined;
}

function ledgerOf(said: unknown): LedgerView | undefined {
  return said === undefined ? undefined : (Object(said) as LedgerView);
}

async function wait(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

/** "host:port" or "[address]:port" */
function hostAndPort(address: string): Address {
  const colon = address.lastIndexOf(":");
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  return { host, port: Number(address.slice(colon + 1)) };
}

/** Below those that the system gives to clients: one that dials it again and again may not take it. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + randomInt(12_000);
    const server = createServer();
    server.listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}
