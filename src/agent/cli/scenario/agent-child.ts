/**
 * The agent of a scenario as a process of its own, started as a person starts it (`weir run`), which
 * can be killed, stopped, held and started again. It never outlives us: killed when we exit.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Program } from "../own-program.ts";

/** Of what it said last, for a person. */
const linesMax = 40;

export type AgentState = "starting" | "running" | "held" | "gone";

export type AgentChildOptions = {
  readonly program: Program;
  readonly configFile: string;
  /** It ended although nobody asked it to. */
  readonly onEnded: (why: string) => void;
};

export class AgentChild {
  readonly #options: AgentChildOptions;
  readonly #lines: string[] = [];
  #child: ChildProcess | undefined;
  #gone: Promise<void> = Promise.resolve();
  #state: AgentState = "gone";
  #isWanted = false;
  #starts = 0;
  #ledger: unknown;

  constructor(options: AgentChildOptions) {
    this.#options = options;
    process.once("exit", () => this.#child?.kill("SIGKILL"));
  }

  get state(): AgentState {
    return this.#state;
  }

  get starts(): number {
    return this.#starts;
  }

  /** What it said last. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** What it said of its ledger when it ended in order. */
  get ledger(): unknown {
    return this.#ledger;
  }

  /** Starts it where it is not wanted already, once the one before is gone. */
  async start(): Promise<void> {
    if (this.#isWanted) return;
    this.#isWanted = true;
    await this.#gone;
    const { program, configFile } = this.#options;
    const { file, args } = program;
    const child = spawn(file, [...args, "run", "--json", "-c", configFile], {
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    this.#state = "starting";
    this.#starts += 1;
    for (const stream of [child.stdout, child.stderr]) {
      createInterface({ input: stream }).on("line", (line) => this.#hear(line));
    }
    this.#gone = once(child, "close").then(([code, signal]) => {
      this.#child = undefined;
      this.#state = "gone";
      if (!this.#isWanted) return;
      this.#isWanted = false;
      this.#options.onEnded(`the agent ended by itself (${String(code ?? signal)})`);
    });
  }

  /** SIGKILL: as a power cut, but for what the system has in its caches. False where there is none. */
  async kill(): Promise<boolean> {
    return await this.#end("SIGKILL");
  }

  /** SIGTERM: in order. */
  async stop(): Promise<boolean> {
    return await this.#end("SIGTERM");
  }

  hold(): boolean {
    if (this.#child === undefined || this.#state !== "running") return false;
    this.#child.kill("SIGSTOP");
    this.#state = "held";
    return true;
  }

  goOn(): void {
    if (this.#state !== "held") return;
    this.#child?.kill("SIGCONT");
    this.#state = "running";
  }

  async #end(signal: "SIGKILL" | "SIGTERM"): Promise<boolean> {
    this.#isWanted = false;
    if (this.#child === undefined) return false;
    this.#child.kill(signal);
    if (this.#state === "held" && signal === "SIGTERM") this.#child.kill("SIGCONT");
    await this.#gone;
    return true;
  }

  #hear(line: string): void {
    this.#lines.push(line);
    if (this.#lines.length > linesMax) this.#lines.shift();
    const said = saidIn(line);
    if (said?.["event"] === "started" && this.#state === "starting") this.#state = "running";
    if (said?.["event"] === "ended") this.#ledger = said["ledger"];
  }
}

function saidIn(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return Object(JSON.parse(line)) as Readonly<Record<string, unknown>>;
  } catch {
    return undefined;
  }
}
