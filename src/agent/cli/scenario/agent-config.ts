/**
 * The configuration of a scenario's agent: sources and pipelines of our own or of a person's weir.yaml,
 * on ports and in folders of the scenario, its cluster reached through the proxy. JSON, which is YAML.
 */

import { readFile } from "node:fs/promises";
import { Fault } from "../../../core/faults.ts";
import { readYaml } from "../../config/yaml.ts";
import { sectionOf } from "./scenario-file.ts";

type Section = Readonly<Record<string, unknown>>;

export type AgentConfigOptions = {
  readonly agent: string;
  readonly dataDirectory: string;
  readonly filesDirectory: string;
  readonly mqttPort: number;
  readonly httpPort: number;
  readonly kafka: Section | undefined;
  readonly addresses: Readonly<Record<string, string>>;
};

/** What of a weir.yaml is taken. */
const taken = ["sources", "pipelines", "commit", "store", "limits"];

export async function takenFrom(file: string): Promise<Section> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new Fault("CONFIG_INVALID", `cannot read ${file}, which the scenario names`, { cause });
  });
  const read = await readYaml(text);
  if (read.kind === "tree" && read.tree.kind === "section") {
    const all = Object.entries(sectionOf(read.tree));
    return Object.fromEntries(all.filter(([key]) => taken.includes(key)));
  }
  throw new Fault("CONFIG_INVALID", `${file} is no configuration; weir check -c ${file} says why`);
}

export function agentConfigText(own: Section | undefined, options: AgentConfigOptions): string {
  const { agent, dataDirectory, filesDirectory, mqttPort, httpPort, kafka, addresses } = options;
  const uplink =
    kafka === undefined
      ? { file: { directory: filesDirectory } }
      : { kafka: { ...kafka, ...(Object.keys(addresses).length === 0 ? {} : { addresses }) } };
  const config = {
    version: 1,
    agent,
    data: dataDirectory,
    mqtt: { host: "127.0.0.1", port: mqttPort, anonymous: true },
    http: { host: "127.0.0.1", port: httpPort },
    ...(own ?? plantConfig),
    uplinks: [uplink],
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** For the simulated fleet (firmware-sim/README.md). */
const plantConfig: Section = {
  sources: [
    source(
      "plant",
      ["state", "cbor", "batch"].map((last) => `plant/{line}/{device}/${last}`),
    ),
    source("meter", ["meter/{site}/{device}/{metric}"]),
    source("sensor", ["sensor/{site}/{device}/{metric}"]),
  ],
  pipelines: [
    {
      name: "seconds",
      key: ["device", "metric"],
      window: { tumbling: "10s" },
      aggregate: ["count", "sum", "min", "max"],
      allowedLateness: "5m",
    },
    { name: "outliers", ewma: { sigmas: 4, warmup: 10, rearm: 1 } },
  ],
  commit: { interval: "500ms", checkpoint: "5s" },
};

function source(name: string, topics: readonly string[]): Section {
  return { name, topics, disorder: "2s", idle: "10s" };
}
