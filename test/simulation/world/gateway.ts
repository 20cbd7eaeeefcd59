/**
 * The gateway: one life of the agent after another, on one disk, one state store and one clock. It
 * does what a supervisor and a kernel do: starts the agent, starts it again when it gave up, and
 * takes everything from it when the power goes.
 *
 *   down --start--> starting --> up --restart--> ending --> down
 *                      |          |                |
 *                      +----------+-- the end, at any call of a door: down
 */

import { systemHashing } from "../../../src/agent/doors/hashing.ts";
import { type Agent, openAgent } from "../../../src/agent/agent.ts";
import { budgetSharesOf } from "../../../src/agent/config/budget-shares.ts";
import type { Config } from "../../../src/agent/config/config.ts";
import type { Random } from "../../../src/core/doors.ts";
import { Fault } from "../../../src/core/faults.ts";
import type { KvImage } from "../../../src/store/state/kv-memory.ts";
import type { Cluster } from "../../../src/sync/kafka/cluster.ts";
import { type DiskCall, FaultDisk, type Fate } from "../../support/fault-disk.ts";
import { below, seededRandom } from "../../support/seeded-random.ts";
import type { EndAt, Start } from "../faults.ts";
import { clockOf, type CommitFate, kafkaOf, type Passing, StoreOfLife } from "./doors.ts";
import { logDirectory, tablesDirectory } from "./gateway-config.ts";
import { type End, Life, never } from "./life.ts";
import type { Network } from "./network.ts";
import { surround } from "./tamed-globals.ts";
import type { Timeline } from "./timeline.ts";

/** A supervisor waits so long before it starts the agent again. */
const restartMs = 1_000;
/** An agent that takes longer to end is killed. */
const endWaitMs = 60_000;
const unsetClockMs = Date.UTC(2000, 0, 1);

const supervised: Start = { downMs: restartMs, clock: "right", clockSetMs: 0 };

const doing = {
  start: "the agent does not start",
  life: "the agent gives up",
  end: "the agent does not end well",
};

export type Excuse = {
  /** Disk calls that failed so far. */
  readonly diskFailures: number;
  /** Those of them that were to read the log. */
  readonly unreadable: number;
  /** No space on the disk, or for the store. */
  readonly isFull: boolean;
  /** Syncs or commits take seconds. */
  readonly isSlow: boolean;
};

export type GatewayOptions = {
  readonly config: Config;
  readonly segmentBytes: number;
  readonly memoryRowsMax: number;
  readonly outboxTiers: readonly number[];
  readonly timeline: Timeline;
  readonly random: Random;
  readonly network: Network;
  /** Milliseconds since 1970. */
  readonly trueTime: () => number;
  readonly dial: (life: Life, lane: string) => Promise<Cluster>;
  readonly onPassing: (passing: Passing) => void;
  /** What the disk does with a call that the process lives to see. */
  readonly diskFate: (call: DiskCall) => { readonly code?: string; readonly delayMs: number };
  readonly commitFate: () => { readonly fate: CommitFate; readonly commitMs: number };
  /** Why a life may have ended by itself: what happened to its doors. */
  readonly excuse: () => Excuse;
  readonly tell: (what: string) => void;
  /** A promise did not hold: the agent cannot start, or gave up though nothing was wrong. */
  readonly onFailure: (what: string) => void;
  /** `unreadable`: how often the medium refused to give back the log meanwhile. */
  readonly onUp: (agent: Agent, unreadable: number) => void;
};

export class Gateway {
  readonly disk: FaultDisk;
  readonly #options: GatewayOptions;
  #config: Config;
  #outboxTiers: readonly number[];
  #image: KvImage = new Map();
  #life: Life | undefined;
  #store: StoreOfLife | undefined;
  #agent: Agent | undefined;
  #lives = 0;
  /** As it was when the life began. */
  #before: Excuse = { diskFailures: 0, unreadable: 0, isFull: false, isSlow: false };
  /** What follows an end that is armed. */
  #armed: { readonly how: End; readonly next: Start } | undefined;
  /** What the gateway's clock is ahead of the truth. */
  #clockAheadMs = 0;
  #next: Start = supervised;
  #lastEnd: End | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#outboxTiers = options.outboxTiers;
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

  /** The end comes at one of the next calls; then the next start. False: there is nothing to end. */
  arm(how: End, fault: Start & { readonly calls: number; readonly at: EndAt }): boolean {
    if (this.#life === undefined || this.#armed !== undefined) return false;
    this.#armed = { how, next: fault };
    this.#life.arm(how, fault);
    return true;
  }

  /** The end that is armed does not come. */
  disarm(): void {
    this.#life?.disarm();
    this.#armed = undefined;
  }

  /** As SIGTERM and a supervisor do. False: there is nothing to end. */
  restart(next: Start): boolean {
    if (this.#agent === undefined || this.#life === undefined) return false;
    this.#options.tell("is told to end");
    void this.end().then((hasEnded) => {
      if (hasEnded) this.#startLater(next);
    });
    return true;
  }

  /** An orderly end. False: it ended in another way meanwhile, or was not up. */
  async end(): Promise<boolean> {
    const { tell, onFailure, excuse } = this.#options;
    const [agent, life] = [this.#agent, this.#life];
    if (agent === undefined || life === undefined) return false;
    this.#agent = undefined;
    const cancel = life.after(endWaitMs, () => {
      if (!excuse().isSlow) onFailure(`the agent did not end within ${endWaitMs} ms`);
      life.end("kill", "a supervisor that waited too long");
    });
    try {
      await Promise.race([agent.close(), life.over]);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      tell(`ended with ${error.code}`);
      if (!life.isOver) this.#judge(error, "end");
    }
    cancel();
    if (life.isOver) return false;
    tell("ended");
    this.#over();
    this.disk.kill();
    return true;
  }

  /** The next life has the log and nothing else, and merges nothing. Only between two lives. */
  forgetState(config: Config): void {
    this.#config = config;
    this.#outboxTiers = [];
    this.#image = new Map();
    this.#next = supervised;
  }

  /** Of this life: the one that applies the log once more has more room than the plan gives. */
  get outboxBytesMax(): number {
    return budgetSharesOf(this.#config).outboxBytes;
  }

  // ---- lives ----

  /** A start, now. */
  start(): void {
    const { timeline, random, tell, network, dial, onPassing } = this.#options;
    const number = ++this.#lives;
    this.#begin();
    this.#before = this.#options.excuse();
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
        hashing: systemHashing,
        disk: this.disk.mount(),
        net: network.door(life),
        kv: store,
        kafka: kafkaOf(life, clock, { dial: (lane) => dial(life, lane), onPassing }),
      },
      logDirectory,
      tablesDirectory,
      segmentBytes: this.#options.segmentBytes,
      memoryRowsMax: this.#options.memoryRowsMax,
      outboxTiers: this.#outboxTiers,
      listen: true,
      onFailed: (fault) => this.#gaveUp(life, fault),
      onClosed: () => Promise.resolve(),
    });
    void opening.then(
      (agent) => {
        if (life.isOver) return;
        this.#agent = agent;
        tell(`is up, replayed ${agent.status().replayed.frames} frames`);
        this.#options.onUp(agent, this.#options.excuse().unreadable - this.#before.unreadable);
      },
      (error: unknown) => this.#notStarted(life, error),
    );
  }

  /** The disk and the clock as the last life left them. */
  #begin(): void {
    if (this.#lastEnd === "power-cut") this.disk.crash();
    else this.disk.kill();
    const lastEnd = this.#lastEnd;
    this.#lastEnd = undefined;
    const { clock, clockSetMs } = this.#next;
    // Without power a clock is set anew; a process that starts again finds it as it was.
    if (clock === "right") return lastEnd === "power-cut" ? this.setClock() : undefined;
    this.#clockAheadMs = unsetClockMs - this.#options.trueTime();
    this.#options.timeline.after(clockSetMs, () => this.setClock());
  }

  #startLater(next: Start): void {
    const { timeline } = this.#options;
    this.#next = next;
    timeline.after(next.downMs, () => {
      if (this.#life === undefined) this.start();
    });
  }

  /** The process is gone, within a call. */
  #ended(how: End, where: string): void {
    const { tell, network, timeline } = this.#options;
    tell(`${how === "kill" ? "is killed" : "loses its power"} at ${where}`);
    this.#lastEnd = how;
    const next = this.#armed?.how === how ? this.#armed.next : supervised;
    this.#over();
    if (how === "power-cut") {
      network.gone("silence");
      // Whoever sends to a gateway that is back is told that it knows nothing.
      timeline.after(next.downMs, () => network.gone("reset"));
    } else {
      network.gone("reset");
    }
    this.#startLater(next);
  }

  #over(): void {
    this.#image = this.#store?.remains() ?? this.#image;
    this.#life?.finish();
    this.#life = this.#store = this.#agent = this.#armed = undefined;
  }

  #gaveUp(life: Life, fault: Fault): void {
    const { tell } = this.#options;
    if (life.isOver) return;
    tell(`gives up: ${fault.code}`);
    // While it ends it is no longer ours to ask.
    this.#judge(fault, this.#agent === undefined ? "end" : "life");
    void life.pause(0).then(() => this.restart(supervised));
  }

  #notStarted(life: Life, error: unknown): void {
    const { tell } = this.#options;
    if (life.isOver) return;
    if (!(error instanceof Fault)) throw error;
    tell(`does not start: ${error.code}`);
    this.#judge(error, "start");
    this.#over();
    this.disk.kill();
    this.#startLater(supervised);
  }

  /** An agent gives up for a reason, and the reason was given to it in this life. */
  #judge(fault: Fault, when: "start" | "life" | "end"): void {
    const { excuse, onFailure } = this.#options;
    const { diskFailures, isFull } = excuse();
    const isExcused: Readonly<Record<string, boolean>> = {
      DISK_FAILED: diskFailures > this.#before.diskFailures,
      LOG_POISONED: diskFailures > this.#before.diskFailures,
      LOG_CORRUPT: diskFailures > this.#before.diskFailures,
      STORE_FAILED: this.#store?.isBroken ?? false,
      // A running agent waits for room.
      DISK_FULL: isFull && when !== "life",
      OUTBOX_FULL: when === "end",
    };
    if (isExcused[fault.code] === true) return;
    onFailure(`${doing[when]} though nothing was wrong: ${fault.code}: ${fault.message}`);
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
