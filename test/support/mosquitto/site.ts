/**
 * A site that runs a Mosquitto of its own, and one or several agents that subscribe to it through a
 * proxy, with everything a test needs to break a part of it and to judge the rest.
 */

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Status } from "../../../src/agent/status.ts";
import { type AgentProcess, freePort, startAgentProcess } from "../agent-process.ts";
import { readUpstream, type UpstreamRecord } from "../upstream.ts";
import { Fleet } from "./fleet.ts";
import { type Excused, excuseLost, judge, type Verdict } from "./oracle.ts";
import { type LinkProxy, openProxy } from "./proxy.ts";
import { keyOfMessage } from "./readings.ts";
import { type Mosquitto, type MosquittoOptions, startMosquitto } from "./server.ts";
import { Witness } from "./witness.ts";

export type SiteOptions = {
  readonly mosquitto?: MosquittoOptions;
  /** Lines of the agent's `brokers:` item beside name and urls, as YAML of a flow mapping. */
  readonly broker: string;
  readonly protocolVersion: 4 | 5;
  readonly agents?: number;
};

/** One agent, the proxy it goes through, and what passed there. */
type Station = {
  readonly proxy: LinkProxy;
  readonly witness: Witness;
  readonly directory: string;
  readonly httpPort: number;
  readonly file: string;
  readonly clientId: string;
  agent: AgentProcess;
};

type BrokerKill = {
  readonly downMs?: number;
  readonly staleMs?: number;
  /** Its store is deleted: it knows no session any more. */
  readonly forget?: boolean;
};

const PROGRESS_MS_MAX = 30_000;

/** Mosquitto and the agents run; the agents are subscribed. */
export async function openSite(options: SiteOptions): Promise<Site> {
  await using opened = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "weir-site-"));
  opened.defer(() => rmSync(folder, { recursive: true, force: true }));
  const mosquitto = opened.use(await startMosquitto(options.mosquitto));
  const stations: Station[] = [];
  for (let n = 0; n < (options.agents ?? 1); n++) {
    const station = await openStation(join(folder, `agent-${n}`), { mosquitto, options, n });
    opened.use(station.proxy);
    opened.defer(async () => {
      await station.agent.kill("SIGKILL");
    });
    stations.push(station);
  }
  const site = new Site({ mosquitto, stations, rest: opened.move() });
  await Promise.all(
    stations.map(({ witness }) => until("it subscribes", () => witness.subscribed > 0)),
  );
  return site;
}

async function openStation(
  directory: string,
  {
    mosquitto,
    options,
    n,
  }: { readonly mosquitto: Mosquitto; readonly options: SiteOptions; readonly n: number },
): Promise<Station> {
  const witness = new Witness({
    protocolVersion: options.protocolVersion,
    keyOf: keyOfMessage,
  });
  const proxy = await openProxy({ to: mosquitto.port, watch: () => witness.link() });
  const httpPort = await freePort();
  const file = `${directory}.yaml`;
  writeFileSync(
    file,
    configuration({ directory, httpPort, agent: `agent-${n}`, port: proxy.port, options }),
  );
  const agent = await startAgentProcess(["run", "-c", file]);
  return { proxy, witness, directory, httpPort, file, clientId: `weir-agent-${n}-site`, agent };
}

type Parts = {
  readonly mosquitto: Mosquitto;
  readonly stations: readonly Station[];
  readonly rest: AsyncDisposableStack;
};

export class Site {
  readonly mosquitto: Mosquitto;
  readonly stations: readonly Station[];
  /** Readings that a killed broker had acknowledged and lost. */
  readonly excused: Excused = new Set();
  readonly #rest: AsyncDisposableStack;
  readonly #fleets: Fleet[] = [];

  /** Use `openSite`. */
  constructor({ mosquitto, stations, rest }: Parts) {
    this.mosquitto = mosquitto;
    this.stations = stations;
    this.#rest = rest;
  }

  /** The first agent's; most sites have one. */
  get station(): Station {
    const [station] = this.stations;
    if (station === undefined) throw new Error("a site has at least one agent");
    return station;
  }

  /** Devices that publish from now on. */
  startFleet(devices: number): Fleet {
    const firstDevice = this.#fleets.length * 1_000;
    const fleet = new Fleet({ port: this.mosquitto.port, devices, firstDevice });
    this.#fleets.push(fleet);
    return fleet;
  }

  async killAgent(station: Station = this.station): Promise<void> {
    await station.agent.kill("SIGKILL");
    station.agent = await startAgentProcess(["run", "-c", station.file]);
  }

  /**
   * Ends the broker, takes note of what it lost by that, and starts it again `downMs` later. Before a
   * SIGKILL it saves its store, and lives for `staleMs` more.
   */
  async killBroker(
    signal: "SIGTERM" | "SIGKILL",
    { downMs = 0, staleMs = 0, forget = false }: BrokerKill = {},
  ): Promise<void> {
    if (signal === "SIGKILL") {
      await this.mosquitto.save();
      await sleep(staleMs);
    }
    await this.mosquitto.end(signal);
    // Everybody has heard of it: nothing that it sent is still on its way.
    await until(
      "everybody notices",
      () =>
        this.#fleets.every((fleet) => fleet.isCutOff) &&
        this.stations.every(({ proxy }) => proxy.connections === 0 || proxy.isStalled),
    );
    await sleep(downMs);
    if (forget) this.mosquitto.forget();
    if (forget || signal === "SIGKILL") {
      excuseLost(this.excused, {
        fleets: this.#fleets,
        witnesses: this.stations.map(({ witness }) => witness),
        store: this.mosquitto.stored(),
        clientIds: this.stations.map(({ clientId }) => clientId),
      });
    }
    await this.mosquitto.start();
  }

  /** Resolves when the agent has acknowledged so many more readings. */
  async progress(more: number, { witness, agent }: Station = this.station): Promise<void> {
    const goal = witness.acknowledged.size + more;
    await until(
      () => `${more} more readings are acknowledged; the agent said:\n${agent.output()}`,
      () => witness.acknowledged.size >= goal,
    );
  }

  /** Resolves when every reading the fleets sent and nobody lost is acknowledged by some agent. */
  async allAcknowledged(): Promise<void> {
    await until(
      () => `every reading is acknowledged; missing ${this.#unacknowledged().slice(0, 10).join()}`,
      () => this.#unacknowledged().length === 0,
    );
  }

  async status({ httpPort }: Station = this.station): Promise<Status> {
    const answer = await fetch(`http://127.0.0.1:${httpPort}/v1/status`);
    return (await answer.json()) as Status;
  }

  /** Ends the agents in order and reads what each sent upstream. */
  async finish(): Promise<Verdict> {
    const agents: (readonly UpstreamRecord[])[] = [];
    for (const { agent, directory } of this.stations) {
      const code = await agent.kill("SIGTERM");
      if (code !== 0) throw new Error(`the agent ended with ${code}:\n${agent.output()}`);
      agents.push(await readUpstream(join(directory, "out"), "summaries"));
    }
    return judge(this.#fleets, agents, this.excused);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const fleet of this.#fleets) fleet.abandon();
    await this.#rest.disposeAsync();
  }

  #unacknowledged(): readonly string[] {
    return this.#fleets.flatMap((fleet) =>
      [...fleet.sent.keys()].filter(
        (key) =>
          !this.excused.has(key) &&
          !this.stations.some(({ witness }) => witness.acknowledged.has(key)),
      ),
    );
  }
}

/** Polls, because what is waited for happens in other processes. */
export async function until(
  what: string | (() => string),
  isSo: () => boolean | Promise<boolean>,
  waitMs: number = PROGRESS_MS_MAX,
): Promise<void> {
  const startedAt = performance.now();
  while (!(await isSo())) {
    if (performance.now() - startedAt > waitMs) {
      throw new Error(`not within ${waitMs} ms: ${typeof what === "string" ? what : what()}`);
    }
    await sleep(10);
  }
}

function configuration({
  directory,
  httpPort,
  agent,
  port,
  options,
}: {
  readonly directory: string;
  readonly httpPort: number;
  readonly agent: string;
  readonly port: number;
  readonly options: SiteOptions;
}): string {
  return `version: 1
agent: ${agent}
data: ${directory}/data
mqtt: { host: 127.0.0.1, port: 0, anonymous: true }
http: { port: ${httpPort} }
brokers:
  - name: site
    urls: ["mqtt://127.0.0.1:${port}"]
    version: ${options.protocolVersion === 5 ? "5" : "3.1.1"}
    ${options.broker.split("\n").join("\n    ")}
sources:
  - name: plant
    broker: site
    topics: ["plant/{line}/{device}/state"]
    disorder: 500ms
    idle: 2s
pipelines:
  - name: seconds
    where: { metrics: [v] }
    key: [line, device, metric]
    window: { tumbling: 1s }
    aggregate: [count, sum, min, max]
    allowedLateness: 120s
uplinks:
  - file: { directory: ${directory}/out, rotateBytes: 64KiB, rotateAge: 1h }
commit: { wait: 20ms, interval: 200ms, checkpoint: 2s }
# What the broker sends again is recognised within so many readings of a series: as many as it may
# have under way for one device, acknowledgements that it has not read yet among them.
limits: { duplicateRing: 1024 }
`;
}
