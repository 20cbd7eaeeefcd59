/**
 * A real Mosquitto for a test: one process on loopback with a configuration and a folder of its own,
 * which a test can end in two ways and start again on the same store and port.
 *
 * ```ts
 * if (!requireTool(t, "mosquitto")) return;
 * await using mosquitto = await startMosquitto();
 * await mosquitto.end("SIGKILL");
 * await mosquitto.start();
 * ```
 *
 * Its store is written on an orderly end and when it is told to (`save`), not by itself: Mosquitto 2.0
 * can save after every change, but then takes one packet of each client between two saves, and falls
 * behind by thousands. So a SIGKILL loses what it acknowledged since the last save, and brings back
 * what it had delivered since: what it still owes is what its file holds (`stored`).
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePorts } from "../ports.ts";
import { findTool } from "../require-tool.ts";

export type MosquittoOptions = {
  /** Messages under way to one client; 0 is no bound of its own. Default 0; Mosquitto's is 20. */
  readonly inFlightMax?: number;
  /** Whether its store outlives it; default true. */
  readonly isPersistent?: boolean;
  readonly port?: number;
  /** Lines of its configuration behind all others, such as further listeners. */
  readonly more?: readonly string[];
};

export type Store = { readonly bytes: Buffer; readonly writtenAt: number };

const START_MS_MAX = 10_000;
const SAVE_MS_MAX = 10_000;

/** Resolves when it takes connections. */
export async function startMosquitto(options: MosquittoOptions = {}): Promise<Mosquitto> {
  const port = options.port ?? (await freePorts(1))[0] ?? 0;
  const folder = mkdtempSync(join(tmpdir(), "weir-mosquitto-"));
  const configuration = join(folder, "mosquitto.conf");
  writeFileSync(configuration, configurationOf({ folder, port, options }));
  const mosquitto = new Mosquitto({ port, folder, configuration });
  await mosquitto.start();
  return mosquitto;
}

type Place = { readonly port: number; readonly folder: string; readonly configuration: string };

export class Mosquitto {
  readonly #place: Place;
  #child: ChildProcess | undefined;
  #output = "";

  /** Use `startMosquitto`. */
  constructor(place: Place) {
    this.#place = place;
  }

  get port(): number {
    return this.#place.port;
  }

  /** What it printed so far, in all its lives. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    assert(this.#child?.pid !== undefined, "Mosquitto runs");
    return this.#child.pid;
  }

  /** On the store it left, if it left one. Resolves when it takes connections. */
  async start(): Promise<void> {
    assert(this.#child === undefined, "Mosquitto is started once at a time");
    const program = findTool("mosquitto");
    assert(program !== undefined, "mosquitto is installed: the test asked before");
    const child = spawn(program, ["-c", this.#place.configuration], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    const take = (text: string): void => {
      this.#output += text;
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    const startedAt = performance.now();
    while (!(await isListening(this.#place.port))) {
      if (child.exitCode !== null || performance.now() - startedAt > START_MS_MAX) {
        throw new Error(`mosquitto does not listen:\n${this.#output}`);
      }
      await sleep(10);
    }
  }

  /** Writes its store; resolves when the file is there, whole. */
  async save(): Promise<void> {
    const before = this.stored().writtenAt;
    process.kill(this.pid, "SIGUSR1");
    const startedAt = performance.now();
    while (this.stored().writtenAt === before) {
      assert(performance.now() - startedAt < SAVE_MS_MAX, "Mosquitto saves when it is told to");
      await sleep(5);
    }
  }

  /** SIGTERM: its store is written. SIGKILL: its store is as it last wrote it. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  }

  /** Its store as its file holds it now. */
  stored(): Store {
    if (!existsSync(this.#store)) return { bytes: Buffer.alloc(0), writtenAt: 0 };
    return { bytes: readFileSync(this.#store), writtenAt: statSync(this.#store).mtimeMs };
  }

  /** Sessions, subscriptions, messages: all gone. Between two lives. */
  forget(): void {
    assert(this.#child === undefined, "the store is deleted between two lives");
    rmSync(this.#store, { force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end("SIGKILL");
    rmSync(this.#place.folder, { recursive: true, force: true });
  }

  get #store(): string {
    return join(this.#place.folder, "mosquitto.db");
  }
}

function configurationOf({
  folder,
  port,
  options,
}: {
  readonly folder: string;
  readonly port: number;
  readonly options: MosquittoOptions;
}): string {
  const { inFlightMax = 0, isPersistent = true } = options;
  const lines = [
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
    `user ${userInfo().username}`, // started by root it would become another user
    "max_queued_messages 0", // or it drops what it acknowledged
    `max_inflight_messages ${inFlightMax}`,
    "set_tcp_nodelay true",
    "log_dest stderr",
    "log_type error",
    "log_type warning",
    "log_type notice",
    `persistence ${isPersistent}`,
  ];
  if (isPersistent) {
    lines.push(`persistence_location ${folder}/`);
    lines.push("autosave_interval 0");
  }
  lines.push(...(options.more ?? []));
  return `${lines.join("\n")}\n`;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect({ port, host: "127.0.0.1" });
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
