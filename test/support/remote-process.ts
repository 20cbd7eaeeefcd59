/** A process with configurations from afar, and the agents it runs, on a disk and a clock of the test. */

import assert from "node:assert/strict";
import type { Disk } from "../../src/core/doors.ts";
import type { Config } from "../../src/agent/config/config.ts";
import type { RemoteKey } from "../../src/agent/config/remote-config.ts";
import { parseConfig, type ParsedConfig } from "../../src/agent/config/parse.ts";
import type { Overlay } from "../../src/agent/config/overlay.ts";
import type { Status } from "../../src/agent/status.ts";
import { newKey, privateKeyIn, signDocument } from "../../src/agent/remote/document.ts";
import type { Health } from "../../src/agent/remote/health.ts";
import { openRemote, type RemoteConfiguration } from "../../src/agent/remote/remote.ts";
import { FaultDisk } from "./fault-disk.ts";
import { seededRandom } from "./seeded-random.ts";
import { SimulatedClock } from "./simulated-clock.ts";

const { pem, publicKey: ours } = newKey();
/** As the local file has it. */
export const publicKey: string = ours;
export const watchMs = 60_000;
const local = `version: 1
agent: gw1
sources: [{ name: p, topics: [p] }]
brokers: [{ name: site, urls: ["mqtt://h"] }]
remote: { keys: [{ name: ops, key: "${publicKey}" }], mqtt: { broker: site, topic: t }, watch: 60s }
`;

function parse(overlay?: Overlay, more = ""): Promise<ParsedConfig> {
  return parseConfig(`${local}${more}`, {
    file: "/weir.yaml",
    cwd: "/",
    env: {},
    readFile: () => "",
    ...(overlay === undefined ? {} : { overlay }),
  });
}

export function localConfig(): Promise<Config> {
  return localConfigWith("");
}

/** The local file with further sections behind it. */
export async function localConfigWith(sections: string): Promise<Config> {
  const parsed = await parse(undefined, sections);
  assert.ok(parsed.kind === "config", JSON.stringify(parsed));
  return parsed.config;
}

/** Its version is the number of series that it allows. */
export function version(number: number): Uint8Array {
  return signed(number, `limits: { series: ${number} }\n`, { mayDelete: true });
}

/** What uplinks go over. */
export function links(number: number): Uint8Array {
  return signed(number, "links: [{ name: lte }]\n");
}

export function signed(
  number: number,
  body: string,
  { expires, mayDelete = false }: { readonly expires?: string; readonly mayDelete?: boolean } = {},
): Uint8Array {
  const key = privateKeyIn(Buffer.from(pem));
  assert.ok(key);
  const about = { agent: "gw1", issued: "2026-11-29T11:00:00Z", expires, mayDelete };
  return signDocument({ ...about, version: number, body }, key);
}

export const well: Health & Pick<Status, "clock"> = {
  degraded: [],
  uplinks: [],
  brokers: [],
  memory: { ceiling: undefined },
  clock: { now: 1_796_000_000_000, trusted: true },
};
export const ill: typeof well = {
  ...well,
  degraded: [{ name: "failed", message: "it has failed" }],
};

/** A process with configurations from afar, and the agents it runs. */
export class Process {
  readonly remote: RemoteConfiguration;
  readonly clock: SimulatedClock;
  readonly said: string[] = [];
  /** What looking at its files throws, and whether the endpoint of each document is away. */
  readonly world: { trouble?: Error; isGone?: boolean } = {};
  health: typeof well = well;

  constructor(remote: RemoteConfiguration, clock: SimulatedClock) {
    this.remote = remote;
    this.clock = clock;
  }

  /** `keys`: those that count instead of ours. */
  static async start(
    disk: Disk,
    { keys }: { readonly keys?: readonly RemoteKey[] } = {},
  ): Promise<Process> {
    const config = await localConfig();
    assert.ok(config.remote);
    const clock = new SimulatedClock(1_796_000_000_000);
    const said: string[] = [];
    const world: { trouble?: Error; isGone?: boolean } = {};
    const remote = await openRemote({
      disk,
      clock,
      directory: "/data/remote",
      local: { ...config, remote: { ...config.remote, ...(keys === undefined ? {} : { keys }) } },
      parse: (overlay) => parse(overlay),
      problemsOf: () =>
        world.trouble === undefined ? Promise.resolve([]) : Promise.reject(world.trouble),
      endpointsOf: () => [
        {
          name: "http:h:80/",
          reach: () =>
            world.isGone === true
              ? Promise.reject(new Error("nobody is there"))
              : Promise.resolve(),
        },
      ],
      say: (_, facts) => said.push(String(facts["kind"])),
    });
    return Object.assign(new Process(remote, clock), { said, world });
  }

  /** An agent until another configuration is to be used; its series. */
  async run(use: () => Promise<void>): Promise<number> {
    const { seriesMax } = await this.remote.begin();
    const status = (): Status => this.health as unknown as Status;
    const stop = this.remote.started({ status });
    await use();
    stop();
    return seriesMax;
  }

  offer(...documents: readonly Uint8Array[]): void {
    for (const bytes of documents) {
      this.remote.offer({ bytes, from: "mqtt", isHistory: false, isShared: false });
    }
  }

  async turns(): Promise<void> {
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  async pass(ms: number = watchMs): Promise<void> {
    await this.clock.pass(ms);
    await this.turns();
  }
}

export function diskOf(seed: number): FaultDisk {
  return new FaultDisk(seededRandom(seed));
}

export const localSeries = 10_000;
