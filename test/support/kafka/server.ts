/**
 * The process of a broker: a JVM over a folder that holds its configuration, data and output.
 *
 * It must not outlive whoever started it, however that ends: on an ordinary exit it is killed here,
 * and where setpriv (util-linux) is present the system kills it when its parent is gone.
 */

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { findTool } from "../require-tool.ts";
import { isReady } from "./admin.ts";
import { classPathOf, type KafkaVersion } from "./jars.ts";

const startMsMax = 60_000;

const small = ["-Xms64m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

const logging: Readonly<Record<KafkaVersion, string>> = {
  "3.9": `-Dlog4j.configuration=file:${join(import.meta.dirname, "log4j.properties")}`,
  "4": `-Dlog4j2.configurationFile=${join(import.meta.dirname, "log4j2.properties")}`,
};

const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

export type ServerPlace = {
  readonly version: KafkaVersion;
  /** Holds server.properties and what the broker writes. */
  readonly folder: string;
  /** An address that answers without a login. */
  readonly bootstrap: string;
};

/** Makes the empty data directory; users are SCRAM users that can log in from the start. */
export async function formatStorage(
  { version, folder }: ServerPlace,
  options: { readonly clusterId: string; readonly users: Readonly<Record<string, string>> },
): Promise<void> {
  const users = Object.entries(options.users).flatMap(([name, password]) =>
    ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
      "--add-scram",
      `${mechanism}=[name=${name},password=${password}]`,
    ]),
  );
  const tool = ["kafka.tools.StorageTool", "format", "-t", options.clusterId];
  const args = [...tool, "-c", join(folder, "server.properties"), ...users];
  await promisify(execFile)("java", [...javaFlags(version), ...args]);
}

/** A broker that runs or ran; a new one is started over the same folder after it. */
export class Server {
  /** Resolves when the process is gone. */
  readonly ended: Promise<unknown>;
  readonly #place: ServerPlace;
  readonly #child: ChildProcess;

  constructor(place: ServerPlace, child: ChildProcess) {
    this.#place = place;
    this.#child = child;
    this.ended = once(child, "exit");
    running.add(child);
    child.once("exit", () => running.delete(child));
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** Resolves when it is gone. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    if (this.hasEnded) return;
    this.#child.kill(signal);
    await this.ended;
  }

  /** Resolves when the broker answers as the leader of its cluster; throws with its output else. */
  async ready(): Promise<void> {
    const deadline = performance.now() + startMsMax;
    while (!(await isReady(this.#place.bootstrap))) {
      if (this.hasEnded) throw new Error(`the broker ended:\n${outputOf(this.#place.folder)}`);
      if (performance.now() > deadline) {
        await this.end("SIGKILL");
        throw new Error(`no answer in ${startMsMax} ms:\n${outputOf(this.#place.folder)}`);
      }
      await wait(50);
    }
  }
}

/** Resolves when the broker answers. */
export async function startServer(place: ServerPlace): Promise<Server> {
  const out = openSync(join(place.folder, "output.log"), "a");
  const java = ["java", ...javaFlags(place.version), "kafka.Kafka"];
  const [command = "", ...args] = [...boundToParent(), ...java];
  const child = spawn(command, [...args, join(place.folder, "server.properties")], {
    stdio: ["ignore", out, out],
  });
  closeSync(out);
  const server = new Server(place, child);
  await server.ready();
  return server;
}

/** All that brokers over this folder printed and logged. */
export function outputOf(folder: string): string {
  try {
    return readFileSync(join(folder, "output.log"), "utf8");
  } catch {
    return "";
  }
}

function javaFlags(version: KafkaVersion): readonly string[] {
  return [...small, logging[version], "-Djava.awt.headless=true", "-cp", classPathOf(version)];
}

function boundToParent(): readonly string[] {
  return findTool("setpriv") === undefined ? [] : ["setpriv", "--pdeathsig", "KILL"];
}
