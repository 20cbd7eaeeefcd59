/**
 * The way from a device to its link: disconnects with a backlog, messages held back, copies.
 *
 * Times are device time. Nothing is invented or lost: every sample offered becomes messages, or is
 * counted in a `lost` event (an outage longer than the backlog, or a device without a clock, whose
 * old values would be taken for new ones). The end of the plan lets out what is still held.
 */
import assert from "node:assert/strict";
import type { DeviceEvent, Message } from "./event.ts";
import type { Fault } from "./fault.ts";
import { limits } from "./limits.ts";
import { chance, integer, type Random } from "./random.ts";

/** Share of the messages that a disorder fault holds back. */
const heldShare = 0.5;

export type RadioOptions<Sample> = {
  readonly random: Random;
  readonly durationMs: number;
  readonly keepsBacklog: boolean;
  readonly encode: (sample: Sample) => readonly Message[];
  /** At most `limits.batchObjectsMax` samples, oldest first. */
  readonly encodeBacklog: (samples: readonly Sample[]) => readonly Message[];
};

/** The link faults in force when a sample is transmitted. */
export type LinkFaults = {
  readonly disconnect: Fault | undefined;
  readonly disorder: Fault | undefined;
  readonly duplicate: Fault | undefined;
};

export type Radio<Sample> = {
  /** Time reaches `at`; `begun` are the faults since the last call. Before transmit(at). */
  advance(at: number, begun: readonly Fault[]): void;
  transmit(at: number, sample: Sample, faults: LinkFaults): void;
  /** Takes the events up to `at`, in order. */
  due(at: number): readonly DeviceEvent[];
};

export function openRadio<Sample>(options: RadioOptions<Sample>): Radio<Sample> {
  const { random, durationMs } = options;
  const pending: DeviceEvent[] = [];
  let outage: Fault | undefined;
  let backlog: Sample[] = [];
  let lost = { messages: 0, readings: 0 };

  function push(event: DeviceEvent): void {
    let index = pending.length;
    while (index > 0 && isLater(pending[index - 1], event.at)) index -= 1;
    pending.splice(index, 0, event);
  }

  function send(at: number, message: Message, faults: LinkFaults): void {
    const { disorder, duplicate } = faults;
    const isHeld = disorder !== undefined && chance(random, heldShare);
    const hold = isHeld ? integer(random, 1, Math.max(1, disorder.magnitude)) : 0;
    const sendAt = Math.min(at + hold, durationMs);
    const original = isHeld ? withFault(message, disorder) : message;
    push({ kind: "message", at: sendAt, message: original });
    if (duplicate === undefined) return;
    for (let copy = 0; copy < duplicate.magnitude; copy += 1) {
      const copyAt = Math.min(sendAt + integer(random, 0, limits.copyDelayMsMax), durationMs);
      push({ kind: "message", at: copyAt, message: copyOf(original, duplicate, random) });
    }
  }

  function keep(sample: Sample): void {
    if (options.keepsBacklog) backlog.push(sample);
    else giveUp(sample);
    if (backlog.length <= limits.backlogSamplesMax) return;
    const oldest = backlog.shift();
    assert(oldest !== undefined, "a backlog past its limit is not empty");
    giveUp(oldest);
  }

  function giveUp(sample: Sample): void {
    for (const { truth } of options.encode(sample)) {
      lost = { messages: lost.messages + 1, readings: lost.readings + truth.readings };
    }
  }

  /** The link is back: what could not be kept is named, then the backlog goes out. */
  function reconnect(ended: Fault): void {
    const at = ended.end;
    if (lost.messages > 0) push({ kind: "lost", at, ...lost });
    for (let first = 0; first < backlog.length; first += limits.batchObjectsMax) {
      const samples = backlog.slice(first, first + limits.batchObjectsMax);
      for (const message of options.encodeBacklog(samples)) {
        push({ kind: "message", at, message: backlogOf(message, ended) });
      }
    }
    lost = { messages: 0, readings: 0 };
    backlog = [];
    outage = undefined;
  }

  return {
    advance(at, begun) {
      for (const fault of begun) {
        if (outage !== undefined && outage.end <= fault.start) reconnect(outage);
        push({ kind: "fault", at: fault.start, fault });
        if (fault.kind !== "disconnect") continue;
        assert(outage === undefined, "a link breaks only when it is up");
        outage = fault;
        push({ kind: "linkDown", at: fault.start, until: fault.end });
      }
      if (outage !== undefined && outage.end <= at) reconnect(outage);
    },
    transmit(at, sample, faults) {
      if (faults.disconnect !== undefined) keep(sample);
      else for (const message of options.encode(sample)) send(at, message, faults);
    },
    due(at) {
      const index = pending.findIndex((event) => event.at > at);
      return pending.splice(0, index === -1 ? pending.length : index);
    },
  };
}

function isLater(event: DeviceEvent | undefined, at: number): boolean {
  return event !== undefined && event.at > at;
}

function withFault(message: Message, fault: Fault): Message {
  return { ...message, truth: { ...message.truth, faults: [...message.truth.faults, fault] } };
}

/** The same bytes again. DUP is set on some; it is not allowed with QoS 0 (MQTT-3.3.1-2). */
function copyOf(message: Message, fault: Fault, random: Random): Message {
  const dup = chance(random, 0.5) && message.qos === 1;
  const copy = withFault(message, fault);
  return { ...copy, dup, truth: { ...copy.truth, role: "copy" } };
}

function backlogOf(message: Message, fault: Fault): Message {
  const marked = withFault(message, fault);
  return { ...marked, truth: { ...marked.truth, role: "backlog" } };
}
