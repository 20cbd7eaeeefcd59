/**
 * The gateway: one life of the agent after another, on one disk, one state store and one clock. It
 * does what a supervisor and a kernel do: starts the agent, starts it again when it gave up, and
 * takes everything from it when the power goes.
 *
 *   down --start--> starting --> up --restart--> ending --> down
 *                      |          |                |
 *                      +----------+-- the end, at any call of a door: down
 */

import { type Agent, openAgent } from "../../../src/agent/agent.ts";
import type { Config } from "../../../src/agent/config/config.ts";
import type { Random } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import type { KvImage } from "../../../src/store/kv-memory.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import { type DiskCall, FaultDisk, type Fate } from "../../support/fault-disk.ts";
import { below, seededRandom } from "../../support/seeded-random.ts";
import type { Start } from "../faults.ts";
import { clockOf, type CommitFate, kafkaOf, StoreOfLife } from "./doors.ts";
import { logDirectory } from "./gateway-config.ts";
import { type End, Life, never } from "./life.ts";
import type { Network } from "./network.ts";
import { surround } from "./tamed-globals.ts";
import type { Timeline } from "./timeline.ts";

/** A supervisor waits so long before it starts the agent again. */
const restartMs = 1_000;
/** An agent that takes longer to end is killed. */
const endWaitMs = 60_000;
const unsetClockMs = Date.UTC(2000, 0, 1);

/** Faults that no start by itself gets over: nobody injected what causes them. */
const hopeless = new Set(["STATE_MISMATCH", "FORMAT_TOO_NEW", "FORMAT_UNKNOWN", "CONFIG_INVALID"]);

export type GatewayOptions = {
  readonly config: Config;
  readonly segmentBytes: number;
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: Network;
  /** Milliseconds since 1970. */
  readonly trueTime: () => number;
  readonly dial: (life: Life) => Promise<Cluster>;
  /** What the disk does with a call that the process lives to see. */
  readonly diskFate: (call: DiskCall) => { readonly code?: string; readonly delayMs: number };
  readonly commitFate: () => { readonly fate: CommitFate; readonly commitMs: number };
  /** Whether something that may end an agent is, or just was, on. */
  readonly isTroubled: () => boolean;
  readonly tell: (what: string) => void;
  /** A promise did not hold: the agent cannot start, or gave up though nothing was wrong. */
  readonly onFailure: (what: string) => void;
  readonly onUp: (agent: Agent) => void;
};

export class Gateway {
  readonly disk: FaultDisk;
  readonly #options: GatewayOptions;
  #config: Config;
  #image: KvImage = new Map();
  #life: Life | undefined;
  #store: StoreOfLife | undefined;
  #agent: Agent | undefined;
  #lives = 0;
  /** What the gateway's clock is ahead of the truth. */
  #clockAheadMs = 0;
  #next: Start = { downMs: restartMs, clock: "right", clockSetMs: 0 };
  #lastEnd: End | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#config = options.config;
    this.disk = new FaultDisk(options.random);
    this.disk.fate = (call) => this.#diskFate(call);
  }

  get lives(): number {
    return this.#lives;
  }

  /** The agent, once it is up. */
  get agent(): Agent | undefined {
    return this.#agent;
  }

  get life(): Life | undefined {
    return this.#life;
  }

  /** Of all files. */
  get diskBytes(): number {
    return this.disk.paths().reduce((sum, path) => sum + this.disk.peek(path).length, 0);
  }

  wallClock(): number {
    return this.#options.trueTime() + this.#clockAheadMs;
  }

  // ---- what happens to it ----

  stepClock(byMs: number): void {
    this.#clockAheadMs += byMs;
  }

  setClock(): void {
    this.#clockAheadMs = 0;
  }

  /** The end comes at one of the next calls; then the next start. */
  arm(how: End, calls: number, next: Start): void {
    if (this.#life === undefined) return;
    this.#next = next;
    this.#life.arm(how, calls);
  }

  /** As SIGTERM and a supervisor do. */
  async restart(next: Start): Promise<void> {
    const life = this.#life;
    if (this.#agent === undefined || life === undefined) return;
    this.#options.tell("is told to end");
    this.#next = next;
    if (await this.end()) this.#startLater();
  }

  /** An orderly end. False: it ended in another way meanwhile, or was not up. */
  async end(): Promise<boolean> {
    const { tell, onFailure, isTroubled } = this.#options;
    const [agent, life] = [this.#agent, this.#life];
    if (agent === undefined || life === undefined) return false;
    this.#agent = undefined;
    const cancel = life.after(endWaitMs, () => {
      if (!isTroubled()) onFailure(`the agent did not end within ${endWaitMs} ms`);
      life.end("kill", "a supervisor that waited too long");
    });
    try {
      await agent.close();
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      tell(`ended with ${error.code}`);
    }
    cancel();
    if (life.isOver) return false;
    tell("ended");
    this.#over();
    this.disk.kill();
    return true;
  }

  /** The next life has the log and nothing else. Only between two lives. */
  forgetState(config: Config): void {
    this.#config = config;
    this.#image = new Map();
    this.#next = { downMs: 0, clock: "right", clockSetMs: 0 };
  }

  // ---- lives ----

  /** A start, now. */
  start(): void {
    const { timeline, random, tell, network, dial } = this.#options;
    const number = ++this.#lives;
    this.#begin();
    const life = new Life({
      number,
      timeline,
      random: seededRandom(random.uint32()),
      wallClock: () => this.wallClock(),
      onEnd: (how, where) => this.#ended(how, where),
    });
    this.#life = life;
    this.#agent = undefined;
    surround(life);
    tell(`life ${number} begins`);
    const store = new StoreOfLife({
      life,
      image: this.#image,
      random,
      ask: () => this.#options.commitFate(),
    });
    this.#store = store;
    const clock = clockOf(life, timeline);
    const opening = openAgent({
      config: this.#config,
      doors: {
        clock,
        random: life.random,
        disk: this.disk.mount(),
        net: network.door(life),
        kv: store,
        kafka: kafkaOf(life, clock, () => dial(life)),
      },
      logDirectory,
      segmentBytes: this.#options.segmentBytes,
      listen: true,
      onFailed: (fault) => this.#gaveUp(life, fault),
      onClosed: () => Promise.resolve(),
    });
    void opening.then(
      (agent) => {
        if (life.isOver) return;
        this.#agent = agent;
        tell(`is up, replayed ${agent.status().replayed.frames} frames`);
        this.#options.onUp(agent);
      },
      (error: unknown) => this.#notStarted(life, error),
    );
  }

  /** The disk and the clock as the last life left them. */
  #begin(): void {
    if (this.#lastEnd === "power-cut") this.disk.crash();
    else this.disk.kill();
    this.#lastEnd = undefined;
    const { clock, clockSetMs } = this.#next;
    if (clock === "right") return this.setClock();
    this.#clockAheadMs = unsetClockMs - this.#options.trueTime();
    this.#options.timeline.after(clockSetMs, () => this.setClock());
  }

  #startLater(): void {
    const { timeline } = this.#options;
    timeline.after(this.#next.downMs, () => {
      if (this.#life === undefined) this.start();
    });
  }

  /** The process is gone, within a call. */
  #ended(how: End, where: string): void {
    const { tell, network, timeline } = this.#options;
    tell(`${how === "kill" ? "is killed" : "loses its power"} at ${where}`);
    this.#lastEnd = how;
    this.#over();
    if (how === "power-cut") {
      network.gone("silence");
      // Whoever sends to a gateway that is back is told that it knows nothing.
      timeline.after(this.#next.downMs, () => network.gone("reset"));
    } else {
      network.gone("reset");
    }
    this.#startLater();
  }

  #over(): void {
    this.#image = this.#store?.remains() ?? this.#image;
    this.#life?.finish();
    this.#life = this.#store = this.#agent = undefined;
  }

  #gaveUp(life: Life, fault: Fault): void {
    const { tell, onFailure, isTroubled } = this.#options;
    if (life.isOver) return;
    tell(`gives up: ${fault.code}`);
    if (!isTroubled() || hopeless.has(fault.code)) {
      onFailure(`the agent gave up though nothing was wrong: ${fault.message}`);
    }
    void life
      .pause(0)
      .then(() => this.restart({ ...this.#next, downMs: restartMs, clock: "right" }));
  }

  #notStarted(life: Life, error: unknown): void {
    const { tell, onFailure, isTroubled } = this.#options;
    if (life.isOver) return;
    if (!(error instanceof Fault)) throw error;
    tell(`does not start: ${error.code}`);
    if (!isTroubled() || hopeless.has(error.code)) {
      onFailure(`the agent does not start: ${error.code}: ${error.message}`);
    }
    this.#over();
    this.disk.kill();
    this.#next = { downMs: restartMs, clock: "right", clockSetMs: 0 };
    this.#startLater();
  }

  // ---- its disk ----

  #diskFate(call: DiskCall): Fate {
    const life = this.#life;
    if (life === undefined) return never<void>();
    if (!life.call(`disk ${call.name} ${call.path}`)) {
      return this.#lastEnd === "power-cut" ? "crash" : never<void>();
    }
    const { code, delayMs } = this.#options.diskFate(call);
    if (delayMs === 0) return code;
    const { random } = this.#options;
    const waitMs = Math.ceil(delayMs * (0.5 + below(random, 100) / 100));
    return code === undefined ? life.pause(waitMs) : code;
  }
}
