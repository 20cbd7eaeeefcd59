/**
 * The fleet: sends a plan over real MQTT connections, at its own pace.
 *
 *   connect (ramp) -> start the clock -> agenda -> connections -> drain PUBACKs -> disconnect
 *
 * Device time runs at `speed` times real time. At that pace a device that cannot send buffers, and
 * drops its oldest when the buffer is full. At `speed` Infinity the plan runs as fast as PUBACKs
 * allow: the earliest event waits for its device's room in flight and everything behind it waits
 * too, so nothing is dropped and devices stay together in device time.
 */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Agenda, type Entry } from "./agenda.ts";
import { type Broker, Connection } from "./connection.ts";
import type { DeviceProgram, Message } from "./event.ts";
import type { FaultKind } from "./fault.ts";
import { limits } from "./limits.ts";
import { randomOf, uniform } from "./random.ts";
import { type Counts, Truth, type TruthLine } from "./truth.ts";

/** What the fleet plays once it is connected. */
export type FleetPlan = {
  readonly epochMs: number;
  readonly programs: readonly DeviceProgram[];
  /** Seed and options, for the first line of the truth. */
  readonly header: TruthLine;
};

export type FleetOptions = {
  readonly broker: Broker;
  readonly seed: number;
  /** Client identifiers are this, a hyphen and the device. */
  readonly clientPrefix: string;
  /** One connection each; the programs must be for these, in this order. */
  readonly devices: readonly string[];
  /** Called when the connections are up and the clock starts, with the time in Unix ms. */
  readonly start: (nowMs: number) => FleetPlan;
  /** A lost connection comes back after a quarter of this to all of it, fixed per device. */
  readonly reconnectMsMax: number;
  /** Device time per real time; Infinity for as fast as possible. */
  readonly speed: number;
  /** Told of each message as it is handed over and acknowledged, by its device. */
  readonly watch?: FleetWatch | undefined;
  /** How long to wait for outstanding PUBACKs at the end; limits.drainMs by default. */
  readonly drainMs?: number;
  readonly writeTruth: (line: TruthLine) => void;
  readonly progress: (progress: Progress) => void;
  /** Ends the run early and cleanly. */
  readonly stop: AbortSignal;
};

export type FleetWatch = {
  sent(device: string, message: Message): void;
  acked(device: string, message: Message): void;
};

export type Progress = {
  readonly connected: number;
  readonly devices: number;
  readonly inFlight: number;
  readonly reconnects: number;
  /** Messages per second of real time since the last progress. */
  readonly rate: number;
  readonly counts: Readonly<Counts>;
};

export type FleetOutcome =
  | {
      readonly kind: "done";
      readonly counts: Readonly<Counts>;
      readonly faults: Readonly<Record<FaultKind, number>>;
      readonly reconnects: number;
      readonly seconds: number;
    }
  /** No device got a connection in time. */
  | { readonly kind: "unreachable"; readonly reason: string };

/** Runs the fleet to the end of its plan, or until `stop`. */
export async function runFleet(options: FleetOptions): Promise<FleetOutcome> {
  const fleet = new Fleet(options);
  try {
    const reason = await fleet.connect();
    return reason === undefined ? await fleet.play() : { kind: "unreachable", reason };
  } finally {
    await fleet.disconnect();
  }
}

class Fleet {
  readonly #options: FleetOptions;
  readonly #connections: Connection[] = [];
  #truth: Truth | undefined;
  #wake: () => void = () => undefined;
  /** Whether acknowledgements and connections wake the loop, or only its clock and the stop. */
  #isAwaitingChange = true;
  #isChanged = false;
  #progressAt = 0;
  #progressMessages = 0;

  constructor(options: FleetOptions) {
    this.#options = options;
    options.stop.addEventListener("abort", () => this.#wakeUp(), { once: true });
  }

  /** Opens all connections at a bounded rate. Gives the reason when none came up in time. */
  async connect(): Promise<string | undefined> {
    const { devices, stop } = this.#options;
    const begin = performance.now();
    const deadline =
      begin + limits.connectMsMax + (devices.length / limits.connectsPerSecond) * 1e3;
    while (!stop.aborted && performance.now() < deadline) {
      const elapsed = performance.now() - begin;
      const allowed = 1 + Math.floor((elapsed * limits.connectsPerSecond) / 1_000);
      while (this.#connections.length < Math.min(allowed, devices.length)) this.#openNext();
      const connected = this.#count((connection) => connection.isUp);
      if (connected === devices.length) return undefined;
      if (connected === 0 && elapsed > limits.connectMsMax) break;
      await this.#pause(this.#connections.length < devices.length ? 10 : limits.sleepMsMax);
    }
    if (stop.aborted || this.#connections.some(({ isUp }) => isUp)) return undefined;
    const failed = this.#connections.find(({ error }) => error !== undefined);
    return failed?.error?.message ?? `no answer within ${limits.connectMsMax / 1_000} s`;
  }

  /** Plays the programs, drains, writes the truth. */
  async play(): Promise<FleetOutcome> {
    const { start, devices, writeTruth: write } = this.#options;
    const { epochMs, programs, header } = start(Date.now());
    assert(
      programs.length === devices.length &&
        programs.every(({ device }, index) => device === devices[index]),
      "the programs are for the devices that were connected",
    );
    this.#truth = new Truth({ epochMs, programs, header, write });
    const begin = performance.now();
    const endedAt = await this.#drive(new Agenda(programs), begin);
    await this.#drain();
    const reconnects = this.#sum((connection) => connection.reconnects);
    await this.disconnect();
    this.#truth.close(endedAt);
    const { totals: counts, faults } = this.#truth;
    const seconds = (performance.now() - begin) / 1_000;
    return { kind: "done", counts, faults, reconnects, seconds };
  }

  /** Closes every connection; what a device still buffered counts as dropped. */
  async disconnect(): Promise<void> {
    const open = this.#connections.splice(0);
    const closed = Promise.allSettled(open.map((connection) => connection.close()));
    const tooLong = sleep(limits.closeMsMax, undefined, { ref: false });
    await Promise.race([closed, tooLong]);
  }

  /** The loop: what is due goes out, then the sockets run. Gives the device time reached. */
  async #drive(agenda: Agenda, begin: number): Promise<number> {
    const { speed, stop } = this.#options;
    let reached = 0;
    this.#progressAt = begin;
    this.#isAwaitingChange = speed === Number.POSITIVE_INFINITY;
    while (!stop.aborted) {
      const first = agenda.first;
      if (first === undefined) return reached;
      const now = performance.now();
      const due = speed === Number.POSITIVE_INFINITY ? speed : (now - begin) * speed;
      const waitMs = this.#dispatch(agenda, due);
      reached = speed === Number.POSITIVE_INFINITY ? first.event.at : due;
      this.#report(now, reached);
      await this.#pause(waitMs);
    }
    return reached;
  }

  /** Dispatches events up to `due`, a bounded number. Gives the real milliseconds to wait. */
  #dispatch(agenda: Agenda, due: number): number {
    for (let count = 0; count < limits.dispatchEventsMax; count += 1) {
      const { first } = agenda;
      if (first === undefined) return 0;
      if (first.event.at > due) {
        return Math.max(limits.tickMs, (first.event.at - due) / this.#options.speed);
      }
      if (due === Number.POSITIVE_INFINITY && this.#mustWait(first)) return limits.sleepMsMax;
      this.#perform(agenda.take());
    }
    return 0;
  }

  #mustWait({ index, event }: Entry): boolean {
    return event.kind === "message" && !this.#connectionOf(index).hasRoom;
  }

  #perform({ index, event }: Entry): void {
    switch (event.kind) {
      case "message":
        this.#connectionOf(index).send(event.message);
        return;
      case "fault":
        this.#truth?.begin(event.fault);
        return;
      case "linkDown":
        this.#connectionOf(index).breakFor((event.until - event.at) / this.#options.speed);
        return;
      case "lost":
        this.#truth?.dropped(index, event.messages, event.readings);
        return;
    }
  }

  /** Waits, bounded, until nothing is in flight or buffered. */
  async #drain(): Promise<void> {
    this.#isAwaitingChange = true;
    const deadline = performance.now() + (this.#options.drainMs ?? limits.drainMs);
    while (performance.now() < deadline && !this.#connections.every(({ isIdle }) => isIdle)) {
      await this.#pause(limits.sleepMsMax);
    }
  }

  #report(now: number, reached: number): void {
    if (now - this.#progressAt < limits.progressMs || this.#truth === undefined) return;
    this.#truth.settle(reached);
    const counts = this.#truth.totals;
    this.#options.progress({
      connected: this.#count((connection) => connection.isUp),
      devices: this.#connections.length,
      inFlight: this.#sum((connection) => connection.inFlight),
      reconnects: this.#sum((connection) => connection.reconnects),
      rate: ((counts.messages - this.#progressMessages) * 1_000) / (now - this.#progressAt),
      counts,
    });
    this.#progressAt = now;
    this.#progressMessages = counts.messages;
  }

  #openNext(): void {
    const { broker, clientPrefix, devices, seed, reconnectMsMax, watch } = this.#options;
    const index = this.#connections.length;
    const device = devices[index];
    assert(device !== undefined, "there is a device without a connection");
    const random = randomOf(seed, `${device}/reconnect`);
    const reconnectMs = uniform(random, reconnectMsMax / 4, reconnectMsMax);
    const connection = Connection.open(
      { broker, clientId: `${clientPrefix}-${device}`, reconnectMs },
      {
        sent: (message) => {
          this.#truth?.sent(index, message);
          watch?.sent(device, message);
        },
        acked: (message) => {
          this.#truth?.acked(index);
          watch?.acked(device, message);
        },
        dropped: ({ truth }) => this.#dropped(index, truth),
        changed: () => this.#changed(),
      },
    );
    this.#connections.push(connection);
  }

  /** A copy that is not sent is no loss: its original counts. */
  #dropped(index: number, { role, readings }: { role: string; readings: number }): void {
    this.#truth?.dropped(index, 1, role === "copy" ? 0 : readings);
  }

  #connectionOf(index: number): Connection {
    const connection = this.#connections[index];
    assert(connection !== undefined, "a device that plays has a connection");
    return connection;
  }

  #count(is: (connection: Connection) => boolean): number {
    return this.#sum((connection) => (is(connection) ? 1 : 0));
  }

  #sum(of: (connection: Connection) => number): number {
    return this.#connections.reduce((sum, connection) => sum + of(connection), 0);
  }

  #changed(): void {
    if (this.#isAwaitingChange) this.#wakeUp();
  }

  #wakeUp(): void {
    this.#isChanged = true;
    this.#wake();
  }

  /** Lets the sockets run, then sleeps until something changed or `ms` have passed. */
  async #pause(ms: number): Promise<void> {
    this.#isChanged = this.#options.stop.aborted;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#isChanged || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, Math.min(ms, limits.sleepMsMax));
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
