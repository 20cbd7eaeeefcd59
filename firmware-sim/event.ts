/**
 * What a device's plan consists of: events in device time, in the order they happen.
 */
import type { Fault } from "./fault.ts";

/** One PUBLISH to be sent, and the truth about it. */
export type Message = {
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: 0 | 1;
  readonly dup: boolean;
  readonly truth: MessageTruth;
};

/** One reading as it was sent. */
export type ReadingTruth = {
  readonly metric: string;
  readonly value: number | boolean | string;
  /** As the device stamped it, Unix milliseconds; undefined where it has no clock. */
  readonly ts: number | undefined;
};

export type MessageTruth = {
  /** `copy`: these bytes were sent before. `backlog`: taken while the link was down. */
  readonly role: "original" | "copy" | "backlog";
  /** Readings in the payload: values without ts and seq. */
  readonly readings: number;
  /** These readings; a copy has the very objects of its original. */
  readonly values: readonly ReadingTruth[];
  /** The faults that shaped this message or its sending. */
  readonly faults: readonly Fault[];
};

/** `at` is milliseconds of device time since the start; it never goes back within a device. */
export type DeviceEvent =
  | { readonly kind: "message"; readonly at: number; readonly message: Message }
  /** A fault begins. It is in force until `fault.end`. */
  | { readonly kind: "fault"; readonly at: number; readonly fault: Fault }
  /** The TCP connection breaks, to come back at `until`. */
  | { readonly kind: "linkDown"; readonly at: number; readonly until: number }
  /** Samples the device gave up by plan: an outage longer than its backlog, or no clock. */
  | {
      readonly kind: "lost";
      readonly at: number;
      readonly messages: number;
      readonly readings: number;
    };

/** A device as the fleet runs it: its name, and its events, drawn one at a time. */
export type DeviceProgram = {
  readonly device: string;
  /** False when no message carries a device time: such resends cannot be recognised. */
  readonly timed: boolean;
  readonly events: Iterator<DeviceEvent, void, undefined>;
};
