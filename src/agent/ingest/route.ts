/**
 * A Route: what is known about one topic. Its source and tags, and the fields its messages have had,
 * in the order in which they came, each with what becomes of its value. Devices send the same
 * fields in the same order nearly always, so a scanner compares the next key with the next slot and
 * is done:
 *
 *   payload  {"ts":1700000000,"temp":21.5,"wifi":{"rssi":-60}}
 *   slot      0 "ts"          1 "temp"    2 "wifi"
 *   target    time, rank 0    SeriesId 17 OBJECT  3 "rssi" (parent 2) SeriesId 18
 *
 * Slots are added on the slow path only and never removed; a slot's target may become more definite
 * (UNSEEN -> SeriesId). Keys with bytes that JSON writes escaped have no slot, so a key that equals
 * a slot's bytes between quotes is that key.
 */

import type { Tags } from "../../core/frame.ts";
import type { DeviceId, SourceId } from "../../core/units.ts";
import type { SourceRules } from "./source-config.ts";

/** Targets below 0; a target of 0 or more is a SeriesId. */
export const TARGET_IGNORED = -1;
/** Only null so far: no series was defined for it. */
export const TARGET_UNSEEN = -2;
/** No series: a cardinality limit was reached. Ids are not reused, so this stays. */
export const TARGET_REFUSED = -3;
/** An object: its members are slots whose parent this is. */
export const TARGET_OBJECT = -4;
const TARGET_TIME = -16;

/** Time of rank r and sequence of rank r take turns downwards from TARGET_TIME. */
export function timeTarget(rank: number): number {
  return TARGET_TIME - 2 * rank;
}
export function sequenceTarget(rank: number): number {
  return TARGET_TIME - 2 * rank - 1;
}
export function isTimeTarget(target: number): boolean {
  return target <= TARGET_TIME && ((TARGET_TIME - target) & 1) === 0;
}
export function isSequenceTarget(target: number): boolean {
  return target <= TARGET_TIME && ((TARGET_TIME - target) & 1) === 1;
}
export function rankOfTarget(target: number): number {
  return (TARGET_TIME - target) >> 1;
}

/** Slot of the top level, as a parent. */
export const NO_PARENT = -1;

export type Route = {
  readonly source: SourceId;
  readonly rules: SourceRules;
  readonly tags: Tags;
  /** From `{metric}` of the template. */
  readonly metric: string | undefined;
  /** Defined with its first series. */
  device: DeviceId | undefined;
  /** What becomes of a payload that is a value without a name: a SeriesId or UNSEEN or REFUSED. */
  valueTarget: number;
  /** Which slots there are. */
  layout: Layout;
  /** Of each slot: what becomes of its value. */
  targets: number[];
  /** False for a topic that there was no room to remember: it gets no slots. */
  isRemembered: boolean;
};

/** The slots of a route without their targets: the same for all devices of a kind, which share it. */
export type Layout = {
  /** Of each slot: the bytes of its key. */
  readonly keys: Uint8Array[];
  /** Of each slot: the slot of the object it is a member of, or NO_PARENT. */
  readonly parents: number[];
  /** Slots by parent and key, once there are too many to look at each. */
  index: Map<string, number> | undefined;
  /** More than one route may have it: it is copied before a slot is added. */
  readonly isShared: boolean;
};

/** The layout of a route that has had no message. */
const noLayout: Layout = { keys: [], parents: [], index: undefined, isShared: true };

export function createRoute(options: {
  readonly source: SourceId;
  readonly rules: SourceRules;
  readonly tags: Tags;
  readonly metric: string | undefined;
}): Route {
  return {
    ...options,
    device: undefined,
    valueTarget: TARGET_UNSEEN,
    layout: noLayout,
    targets: [],
    isRemembered: true,
  };
}

/**
 * The metric of a reading at `path` of the payload: the path itself, or below the topic's metric.
 * The value field of a topic that names its metric, and a payload that is just a value (path ""),
 * are that metric.
 */
export function metricOf(route: Route, path: string): string {
  const { metric, rules } = route;
  if (metric === undefined) return path === "" ? rules.value : path;
  return path === "" || path === rules.value ? metric : `${metric}.${path}`;
}
