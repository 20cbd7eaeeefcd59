/**
 * Every bound of the simulator, with the relations that make them consistent.
 *
 * Times that end in `Ms` are device time (virtual) for the plan and real time for the fleet; the
 * group they stand in says which.
 */
import assert from "node:assert/strict";

export const limits = {
  // The plan: device time.
  devicesMax: 20_000,
  intervalMsMin: 10,
  intervalMsMax: 3_600_000,
  /** Share of the interval by which a report may be early or late, to each side of its slot. */
  jitterMax: 0.4,
  /** Physics is integrated in steps no longer than this, however rarely a device reports. */
  physicsStepSecondsMax: 10,
  /** Samples a device keeps while its link is down; then the oldest goes, counted. */
  backlogSamplesMax: 600,
  /** Objects in one array of backlog. */
  batchObjectsMax: 50,
  /** Longest time a message is held back by a disorder fault. */
  holdMsMax: 60_000,
  /** Extra copies of one message in a duplicate fault. */
  copiesMax: 3,
  /** Longest time between a message and its copy. */
  copyDelayMsMax: 3_000,
  /** Largest clock fault that is still "a wrong clock"; beyond it the device is from the future. */
  clockOffsetMsMax: 3_600_000,
  /** 400 days. */
  futureOffsetMsMax: 34_560_000_000,
  /** A fault lasts at least this many report intervals, so that a report falls into it. */
  faultIntervalsMin: 2,
  faultMsMax: 86_400_000,

  // The fleet: real time.
  connectsPerSecond: 200,
  /** Without a first connection after this long the broker counts as unreachable. */
  connectMsMax: 10_000,
  reconnectMsMax: 4_000,
  /** A planned disconnect at `--speed max`, where device time has no length. */
  outageMsMin: 50,
  keepaliveSeconds: 60,
  /** Messages of one device without their PUBACK. */
  inFlightPerDeviceMax: 16,
  /** Messages of one device waiting for room in flight or for the link; then the oldest goes. */
  bufferMessagesMax: 256,
  /** Events handled before the loop lets the sockets run. */
  dispatchEventsMax: 256,
  /** Shortest sleep of the loop when nothing is due: messages leave this late at most. */
  tickMs: 5,
  /** Longest sleep of the loop, so that a stop is noticed. */
  sleepMsMax: 250,
  progressMs: 5_000,
  /** Wait for outstanding PUBACKs at the end, unless told otherwise. */
  drainMs: 5_000,
  /** Wait for sockets to close after that. */
  closeMsMax: 2_000,
} as const;

assert(limits.intervalMsMin < limits.intervalMsMax, "the interval range is not empty");
assert(limits.jitterMax < 0.5, "jitter never swaps two reports of a device");
assert(
  limits.intervalMsMin * (1 - 2 * limits.jitterMax) >= 2 - 1e-9,
  "two reports of a device have different even times",
);
assert(limits.batchObjectsMax <= limits.backlogSamplesMax, "a backlog holds a whole batch");
assert(limits.inFlightPerDeviceMax <= limits.bufferMessagesMax, "the buffer outlasts the flight");
assert(limits.inFlightPerDeviceMax < 65_535, "packet identifiers have 16 bits");
assert(limits.clockOffsetMsMax < limits.futureOffsetMsMax, "the future lies beyond a wrong clock");
assert(limits.faultIntervalsMin * limits.intervalMsMax <= limits.faultMsMax, "a fault can be seen");
assert(limits.outageMsMin <= limits.reconnectMsMax / 4, "a planned outage can end first");
assert(limits.tickMs <= limits.sleepMsMax, "a tick is not longer than the longest sleep");
