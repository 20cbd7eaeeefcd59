/** What a scenario plays on, in the words of its steps: networks, the agent, its disk, commands. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import type { AgentChild } from "./agent-child.ts";
import type { FaultProxy } from "./fault-proxy.ts";
import type { FullDisk } from "./full-disk.ts";
import type { Moment } from "./timeline.ts";
import { type Weather, weatherOf } from "./weather.ts";

export type StageCounts = {
  steps: number;
  kills: number;
  stops: number;
  hangs: number;
  cuts: number;
  fills: number;
  commands: number;
  /** Met an agent that was not there to be killed, stopped or held. */
  idle: number;
};

export type StageParts = {
  readonly agent: AgentChild;
  readonly link: FaultProxy;
  readonly devices: FaultProxy;
  readonly disk: FullDisk;
  readonly say: (text: string) => void;
  /** A command of the scenario failed. */
  readonly onTrouble: (what: string) => void;
};

export class Stage {
  readonly counts: StageCounts = {
    steps: 0,
    kills: 0,
    stops: 0,
    hangs: 0,
    cuts: 0,
    fills: 0,
    commands: 0,
    idle: 0,
  };
  readonly #parts: StageParts;
  readonly #weathers = {
    link: new Map<number, Weather>(),
    devices: new Map<number, Weather>(),
  };
  /** Occurrences that keep the agent away, or held, until they end. */
  readonly #away = new Set<number>();
  readonly #held = new Set<number>();
  readonly #full = new Set<number>();
  /** What is under way: with the agent and its disk in turn, commands beside. */
  #running: Promise<unknown> = Promise.resolve();
  #commands: Promise<unknown> = Promise.resolve();

  constructor(parts: StageParts) {
    this.#parts = parts;
  }

  /** Returns at once; what takes its time goes on beside. */
  play(moment: Moment): void {
    const { phase, step } = moment;
    if (phase === "begin") {
      this.counts.steps += 1;
      this.#parts.say(step.text);
    }
    const { action } = step;
    switch (action.kind) {
      case "link":
      case "devices":
        this.#network(action.kind, action.weather, moment);
        return;
      case "agent":
        this.#agent(action.how, moment);
        return;
      case "disk":
        this.#disk(moment);
        return;
      case "run":
        this.#run(phase === "begin" ? action.command : action.after);
        return;
    }
  }

  /** All is well again; resolves when that is so. */
  async heal(): Promise<void> {
    const { agent, link, devices, disk } = this.#parts;
    for (const weathers of Object.values(this.#weathers)) weathers.clear();
    for (const proxy of [link, devices]) proxy.weather = weatherOf([]);
    for (const all of [this.#away, this.#held, this.#full]) all.clear();
    await disk.free();
    agent.goOn();
    await Promise.all([this.#running, this.#commands]);
    await agent.start();
  }

  #network(of: "link" | "devices", weather: Weather, { phase, occurrence }: Moment): void {
    const weathers = this.#weathers[of];
    if (phase === "begin") {
      weathers.set(occurrence, weather);
      this.counts.cuts += weather.passage === "cut" ? 1 : 0;
    } else weathers.delete(occurrence);
    this.#parts[of].weather = weatherOf(weathers.values());
  }

  #agent(how: "kill" | "stop" | "hang", { phase, occurrence }: Moment): void {
    const { agent } = this.#parts;
    if (how === "hang") {
      if (phase === "begin") {
        if (this.#held.size === 0 && !agent.hold()) this.counts.idle += 1;
        else this.counts.hangs += 1;
        this.#held.add(occurrence);
      } else if (this.#held.delete(occurrence) && this.#held.size === 0) agent.goOn();
      return;
    }
    if (phase === "end") {
      if (this.#away.delete(occurrence) && this.#away.size === 0) this.#after(() => agent.start());
      return;
    }
    this.#away.add(occurrence);
    this.#after(async () => {
      const met = how === "kill" ? await agent.kill() : await agent.stop();
      if (met) this.counts[how === "kill" ? "kills" : "stops"] += 1;
      else this.counts.idle += 1;
    });
  }

  #disk({ phase, occurrence }: Moment): void {
    const { disk } = this.#parts;
    if (phase === "begin") {
      if (this.#full.size === 0) disk.fill();
      this.#full.add(occurrence);
      this.counts.fills += 1;
    } else if (this.#full.delete(occurrence) && this.#full.size === 0) {
      this.#after(() => disk.free());
    }
  }

  #run(command: string | undefined): void {
    if (command === undefined) return;
    this.counts.commands += 1;
    const child = spawn("sh", ["-c", command], { stdio: ["ignore", "ignore", "inherit"] });
    const ended = once(child, "exit").then(([code]) => {
      if (code !== 0) this.#parts.onTrouble(`the command ended with ${String(code)}: ${command}`);
    });
    this.#commands = Promise.all([this.#commands, ended]);
  }

  /** One after another: a kill and the start behind it. */
  #after(work: () => Promise<unknown>): void {
    this.#running = this.#running.then(work);
  }
}
