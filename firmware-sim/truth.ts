/**
 * The ground truth of a run: what was wrong when, and what was really sent.
 *
 * Lines (README.md, "Ground truth"): one `options` line, a `fault` line for each interval once no
 * message of it can still be held back, and at the end one `device` line each. Times in the lines
 * are Unix milliseconds on a correct clock. Memory: the open faults and one record per device.
 */
import assert from "node:assert/strict";
import type { DeviceProgram, Message } from "./event.ts";
import type { Fault, FaultKind } from "./fault.ts";
import { limits } from "./limits.ts";

export type Counts = {
  /** PUBLISH packets handed to the MQTT client, copies included; its own redeliveries are not. */
  messages: number;
  /** Readings in them, copies not included. */
  readings: number;
  /** Copies among the messages, and the readings in those. */
  duplicates: number;
  duplicateReadings: number;
  /** Messages with QoS 1, and how many of them got their PUBACK. */
  qos1: number;
  acked: number;
  /** Messages never sent: no clock in an outage, a backlog or a buffer that was full. */
  dropped: number;
  droppedReadings: number;
};

/** A value that JSON.stringify takes as it is. */
export type TruthLine = Readonly<Record<string, unknown>>;

export type TruthOptions = {
  readonly epochMs: number;
  readonly programs: readonly DeviceProgram[];
  /** The first line, after `line` and `version`: seed and options. */
  readonly header: TruthLine;
  readonly write: (line: TruthLine) => void;
};

export class Truth {
  readonly #options: TruthOptions;
  readonly #counts: readonly Counts[];
  readonly #faults: Map<Fault, { messages: number }> = new Map();
  readonly #faultsByKind: Record<FaultKind, number>;

  constructor(options: TruthOptions) {
    this.#options = options;
    this.#counts = options.programs.map(() => noCounts());
    this.#faultsByKind = noFaults();
    const { epochMs, header, programs } = options;
    options.write({ line: "options", version: 1, epochMs, devices: programs.length, ...header });
  }

  begin(fault: Fault): void {
    this.#faultsByKind[fault.kind] += 1;
    this.#faults.set(fault, { messages: 0 });
  }

  sent(index: number, message: Message): void {
    const counts = this.#of(index);
    const { role, readings, faults } = message.truth;
    counts.messages += 1;
    counts.qos1 += message.qos;
    counts.duplicates += role === "copy" ? 1 : 0;
    counts[role === "copy" ? "duplicateReadings" : "readings"] += readings;
    for (const fault of faults) {
      const seen = this.#faults.get(fault);
      if (seen !== undefined) seen.messages += 1;
    }
  }

  acked(index: number): void {
    this.#of(index).acked += 1;
  }

  dropped(index: number, messages: number, readings: number): void {
    const counts = this.#of(index);
    counts.dropped += messages;
    counts.droppedReadings += readings;
  }

  /** Writes the faults that are over at device time `at` and can have no more messages. */
  settle(at: number): void {
    const over = at - limits.holdMsMax - limits.copyDelayMsMax;
    for (const fault of this.#faults.keys()) if (fault.end <= over) this.#writeFault(fault, at);
  }

  /** The run ends at device time `at`: open faults end with it, then the devices are written. */
  close(at: number): void {
    for (const fault of this.#faults.keys()) this.#writeFault(fault, at);
    for (const [index, program] of this.#options.programs.entries()) {
      const { device, timed } = program;
      this.#options.write({ line: "device", device, timed, ...this.#of(index) });
    }
  }

  get totals(): Readonly<Counts> {
    const totals = noCounts();
    for (const counts of this.#counts) addCounts(totals, counts);
    return totals;
  }

  get faults(): Readonly<Record<FaultKind, number>> {
    return { ...this.#faultsByKind };
  }

  #of(index: number): Counts {
    const counts = this.#counts[index];
    assert(counts !== undefined, "a device of the fleet has counts");
    return counts;
  }

  #writeFault(fault: Fault, at: number): void {
    const { device, metric, kind, magnitude } = fault;
    const { epochMs } = this.#options;
    const messages = this.#faults.get(fault)?.messages ?? 0;
    const start = epochMs + fault.start;
    const end = epochMs + Math.max(fault.start, Math.min(fault.end, Math.round(at)));
    this.#faults.delete(fault);
    this.#options.write({ line: "fault", device, metric, kind, start, end, magnitude, messages });
  }
}

function noCounts(): Counts {
  return {
    messages: 0,
    readings: 0,
    duplicates: 0,
    duplicateReadings: 0,
    qos1: 0,
    acked: 0,
    dropped: 0,
    droppedReadings: 0,
  };
}

function addCounts(sum: Counts, counts: Counts): void {
  sum.messages += counts.messages;
  sum.readings += counts.readings;
  sum.duplicates += counts.duplicates;
  sum.duplicateReadings += counts.duplicateReadings;
  sum.qos1 += counts.qos1;
  sum.acked += counts.acked;
  sum.dropped += counts.dropped;
  sum.droppedReadings += counts.droppedReadings;
}

function noFaults(): Record<FaultKind, number> {
  return {
    spike: 0,
    stuck: 0,
    drift: 0,
    dropout: 0,
    clock: 0,
    future: 0,
    duplicate: 0,
    disorder: 0,
    disconnect: 0,
  };
}
