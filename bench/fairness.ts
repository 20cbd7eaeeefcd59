/**
 * What does one hostile or chatty client cost the others? A hundred normal clients publish ten readings
 * per second each with QoS 1; beside them, for a while at a time, somebody floods, trickles bytes,
 * opens connections without end, or comes back a thousand at once. Phases without and with them
 * alternate on the same server, and each pair gives a ratio of latencies; the median of the pairs is
 * the figure.
 *
 * The server has a processor of its own; normal clients and attackers share the other, the attackers
 * with the lowest priority, so that what is measured is the server and not them.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempDisposableSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { nodeFlags } from "../src/agent/node-flags.ts";
import type { Attack, AttackOptions } from "./fairness-attack.ts";
import type { Phase } from "./fairness-load.ts";
import type { FairnessServerOptions } from "./fairness-server.ts";

export type FairnessOptions = {
  /** Pairs of phases per attack. */
  readonly rounds: number;
  readonly phaseMs: number;
  readonly clients: number;
  /** Messages per second of all of them. */
  readonly rate: number;
  readonly attacks: readonly Attack[];
};

export const defaults: FairnessOptions = {
  rounds: 5,
  phaseMs: 3_000,
  clients: 100,
  rate: 1_000,
  attacks: ["flood-qos1", "flood-qos0", "slow-loris", "connections", "reconnect", "first-logins"],
};

export const tinyOptions: FairnessOptions = {
  rounds: 1,
  phaseMs: 400,
  clients: 10,
  rate: 200,
  attacks: ["flood-qos0", "connections"],
};

/** Latencies in milliseconds from a message to its PUBACK, of the normal clients. */
export type Comparison = {
  /** Medians over the pairs, each with the attack over the phase without before it. */
  readonly p99_ratio: number;
  readonly p50_ratio: number;
  readonly rate_ratio: number;
  readonly alone: { readonly p50: number; readonly p99: number };
  readonly beside: { readonly p50: number; readonly p99: number };
  /** What the attackers did in the last round. */
  readonly attack: Readonly<Record<string, unknown>>;
};

export type FairnessResult = {
  readonly fairness_p99_ratio?: number;
  readonly fairness_rate_ratio?: number;
  readonly reconnect_p99_ratio?: number;
  /** The same while the passwords have to be hashed, after a start of the agent. */
  readonly first_logins_p99_ratio?: number;
  readonly slowloris_p99_ratio?: number;
  readonly connection_flood_p99_ratio?: number;
  /** With commits that wait 200 ms for each other, as they do unless `latency: low` is set. */
  readonly default_latency?: Readonly<Partial<Record<Attack, Comparison>>>;
  readonly details: Readonly<Partial<Record<Attack, Comparison>>>;
  /** From 1,000 logins at once, none of them known yet, until all are in. */
  readonly first_logins_ms?: number;
  readonly rounds: number;
};

export async function runFairness(options: FairnessOptions): Promise<FairnessResult> {
  const details: Partial<Record<Attack, Comparison>> = {};
  for (const attack of options.attacks) {
    details[attack] = await compare(attack, { waitMs: 0, options });
  }
  const isWhole = options.attacks.length === defaults.attacks.length;
  const slow: Partial<Record<Attack, Comparison>> = {};
  for (const attack of isWhole ? options.attacks : []) {
    slow[attack] = await compare(attack, { waitMs: 200, options: { ...options, rounds: 3 } });
  }
  const floods = [details["flood-qos1"], details["flood-qos0"]].filter((one) => one !== undefined);
  const worst = (values: readonly number[], of: (...values: number[]) => number) =>
    values.length === 0 ? undefined : of(...values);
  const firstMs = details.reconnect?.attack["firstMs"];
  return {
    ...named(
      "fairness_p99_ratio",
      worst(
        floods.map((one) => one.p99_ratio),
        Math.max,
      ),
    ),
    ...named(
      "fairness_rate_ratio",
      worst(
        floods.map((one) => one.rate_ratio),
        Math.min,
      ),
    ),
    ...named("reconnect_p99_ratio", details.reconnect?.p99_ratio),
    ...named("first_logins_p99_ratio", details["first-logins"]?.p99_ratio),
    ...named("slowloris_p99_ratio", details["slow-loris"]?.p99_ratio),
    ...named("connection_flood_p99_ratio", details.connections?.p99_ratio),
    ...(isWhole ? { default_latency: slow } : {}),
    details,
    ...named("first_logins_ms", typeof firstMs === "number" ? firstMs : undefined),
    rounds: options.rounds,
  };
}

/** A disk of this many milliseconds, whatever this machine's does meanwhile for others. */
const SYNC_MS = 2;

function named<Name extends string>(
  name: Name,
  value: number | undefined,
): Partial<Record<Name, number>> {
  return value === undefined ? {} : ({ [name]: value } as Record<Name, number>);
}

async function compare(
  attack: Attack,
  { waitMs, options }: { readonly waitMs: number; readonly options: FairnessOptions },
): Promise<Comparison> {
  using folder = mkdtempDisposableSync(`${tmpdir()}/weir-bench-`);
  const serverOptions: FairnessServerOptions = {
    directory: folder.path,
    waitMs,
    syncMs: SYNC_MS,
    users: 1_000,
  };
  await using server = new Child("./fairness-server.ts", serverOptions, {
    cpu: 0,
    flags: nodeFlags,
  });
  const { port } = (await server.event("listening")) as unknown as { port: number };
  const { clients, rate, phaseMs } = options;
  await using load = new Child("./fairness-load.ts", { port, clients, rate }, { cpu: 1 });
  await load.event("ready");
  const phase = async (): Promise<Phase> => {
    load.say("skipped");
    await load.event("skipped");
    await sleep(phaseMs);
    load.say("phase");
    return (await load.event("phase")) as unknown as Phase;
  };
  await sleep(phaseMs);
  const pairs: { readonly alone: Phase; readonly beside: Phase }[] = [];
  let seen: Readonly<Record<string, unknown>> = {};
  // Of logins only the first is new to the server: those who come back are measured in one life.
  let attacker =
    attack === "reconnect" ? await startAttack({ kind: attack, port, round: 0 }) : undefined;
  if (attacker !== undefined) await attacker.event("first");
  for (let round = 0; round < options.rounds; round++) {
    if (attacker !== undefined) {
      attacker.pause();
      // What it began before is still being done.
      await sleep(phaseMs);
    }
    const alone = await phase();
    if (attacker === undefined || attack !== "reconnect")
      attacker = await startAttack({ kind: attack, port, round });
    else attacker.go();
    await sleep(phaseMs / 4);
    pairs.push({ alone, beside: await phase() });
    if (attack !== "reconnect") {
      seen = await attacker.end();
      attacker = undefined;
      await sleep(phaseMs / 4);
    }
  }
  if (attacker !== undefined) seen = await attacker.end();
  const ratio = (of: (phase: Phase) => number): number =>
    median(pairs.map(({ alone, beside }) => of(beside) / of(alone)));
  const over = (side: "alone" | "beside") => ({
    p50: rounded(median(pairs.map((pair) => pair[side].p50))),
    p99: rounded(median(pairs.map((pair) => pair[side].p99))),
  });
  return {
    p99_ratio: rounded(ratio(({ p99 }) => p99)),
    p50_ratio: rounded(ratio(({ p50 }) => p50)),
    rate_ratio: rounded(ratio(({ messages, seconds }) => messages / seconds)),
    alone: over("alone"),
    beside: over("beside"),
    attack: seen,
  };
}

async function startAttack(options: AttackOptions): Promise<Child> {
  const { kind } = options;
  const child = new Child("./fairness-attack.ts", options, { cpu: 1, nice: true });
  if (kind !== "reconnect") await child.event("attacking");
  return child;
}

/** A process that prints lines of JSON, each with the name of an event. */
class Child {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<string, PromiseWithResolvers<Readonly<Record<string, unknown>>>>();

  constructor(
    file: string,
    options: object,
    {
      cpu,
      nice = false,
      flags = [],
    }: {
      readonly cpu: number;
      readonly nice?: boolean;
      readonly flags?: readonly string[];
    },
  ) {
    const path = fileURLToPath(new URL(file, import.meta.url));
    const words = [process.execPath, ...flags, path, JSON.stringify(options)];
    const prefix = [
      ...(canPin() ? ["taskset", "-c", String(cpu)] : []),
      ...(nice ? ["nice", "-n", "19"] : []),
    ];
    const [command, ...args] = [...prefix, ...words];
    this.#child = spawn(command!, args, { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const event = JSON.parse(line) as { event: string };
      this.#waitFor(event.event).resolve(event);
    });
    this.#child.once("exit", (code) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`${file} ended with ${code}`));
      }
    });
  }

  /** The next of the name, also one that came already. */
  async event(name: string): Promise<Readonly<Record<string, unknown>>> {
    const waiting = this.#waitFor(name);
    try {
      return await waiting.promise;
    } finally {
      this.#waiting.delete(name);
    }
  }

  say(line: string): void {
    this.#child.stdin?.write(`${line}\n`);
  }

  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  go(): void {
    this.#child.kill("SIGCONT");
  }

  /** What it says at its end. */
  async end(): Promise<Readonly<Record<string, unknown>>> {
    const exited = once(this.#child, "exit");
    const done = this.event("done");
    this.#child.kill("SIGCONT");
    this.#child.kill("SIGTERM");
    const { event: _, ...facts } = await done;
    await exited;
    return facts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await exited;
  }

  #waitFor(name: string): PromiseWithResolvers<Readonly<Record<string, unknown>>> {
    const known = this.#waiting.get(name) ?? Promise.withResolvers();
    this.#waiting.set(name, known);
    return known;
  }
}

let pins: boolean | undefined;

function canPin(): boolean {
  pins ??= spawnSync("taskset", ["-c", "1", "true"]).status === 0;
  return pins;
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
