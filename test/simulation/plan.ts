/**
 * A plan: everything that is decided before a simulated world begins, as data that can be printed,
 * shrunk and kept. `drawPlan` draws one from a seed; `simulate` lives through it. What remains open
 * (how long a sync takes, which sectors survive) is drawn from the plan's seed on the way.
 */

import type { Random } from "../../src/core/doors.ts";
import { below, seededRandom } from "../support/seeded-random.ts";
import {
  between,
  drawFaults,
  type PlannedFault,
  magnitude,
  stormRates,
  usualRates,
} from "./faults.ts";

export type DevicePlan = {
  readonly name: string;
  /** Where it publishes: to the gateway, or to the broker that the site has, and the gateway subscribes to. */
  readonly via: "gateway" | "site";
  /** Protocol level: 4 is MQTT 3.1.1. */
  readonly version: 4 | 5;
  /** From one reading to the next, ms of device time. */
  readonly everyMs: number;
  readonly qos: 0 | 1 | 2;
  /** Messages without an answer at most. */
  readonly inFlight: number;
  /** Messages kept while there is no connection; older ones are given up. */
  readonly bufferMax: number;
  /** A message is held back by up to so long, and others overtake it. */
  readonly disorderMs: number;
  /** Per cent of messages that are sent once more, later, as new ones. */
  readonly repeatPercent: number;
  /** Per cent of messages that are no JSON. */
  readonly brokenPercent: number;
  /** Per cent of messages that the broker keeps for later subscribers. */
  readonly retainPercent: number;
  /** Whether it counts its messages in the payload. */
  readonly hasSequence: boolean;
  /** Whether it says when it measured; otherwise the gateway says when it heard. */
  readonly hasTime: boolean;
  /** Keep alive, seconds; it pings when it has sent nothing for half of it. 0: none. */
  readonly keepAliveS: number;
  /** What its clock is ahead. */
  readonly aheadMs: number;
  readonly startMs: number;
  /** How often, about, it loses its memory: what was not acknowledged is gone. 0: never. */
  readonly rebootEveryMs: number;
};

export type SitePlan = {
  /** Protocol level: 4 is MQTT 3.1.1. */
  readonly version: 4 | 5;
  /** Messages it sends without an acknowledgement. */
  readonly inFlightMax: number;
  /** Of the gateway's subscriptions. */
  readonly qos: 1 | 2;
  /** What the gateway takes without an acknowledgement, with MQTT 5. */
  readonly receiveMax: number;
  readonly hasCanary: boolean;
};

/** Somebody wants the readings of a device, or of all, of some seconds of the world. */
export type AskPlan = {
  readonly id: string;
  readonly atMs: number;
  /** Of the readings' own time. */
  readonly fromMs: number;
  readonly toMs: number;
  /** By index; undefined: all. */
  readonly device?: number;
  readonly priority: "high" | "normal" | "low";
  /** It is given up so long after it was stored. */
  readonly cancelAfterMs?: number;
};

/** A network under the uplink to Kafka, and what it may cost. */
export type LinkPlan = {
  readonly name: string;
  /** By which the world knows what goes over it. */
  readonly address: string;
  readonly bandwidth?: number;
  /** Of a day. */
  readonly quotaBytes?: number;
  /** Minutes of the world in which it is closed for summaries, at its beginning. */
  readonly closedMinutes: number;
  readonly metered?: { readonly minBatchBytes: number; readonly maxDelayMs: number };
};

export type Plan = {
  readonly version: 1;
  readonly seed: number;
  /** Devices send and faults strike for so long; then all is well, and comes to rest. */
  readonly durationMs: number;
  readonly gateway: {
    readonly commitWaitMs: number;
    readonly commitIntervalMs: number;
    readonly checkpointMs: number;
    readonly segmentBytes: number;
    readonly logBytesMax: number;
    /** Readings in memory, at which they become tables. */
    readonly memoryRowsMax: number;
    /** How long the tables keep readings; 0: for ever. */
    readonly keepMs: number;
    /** Whether what was rolled up of them stays for ever. */
    readonly keepsResolutions: boolean;
  };
  readonly source: {
    readonly disorderMs: number;
    readonly idleMs: number;
    readonly futureMs: number;
  };
  /** The broker of the site. */
  readonly site: SitePlan;
  /** Allowed lateness of all windows. */
  readonly latenessMs: number;
  /** What waits for the uplinks, and what becomes of it where it is too much. */
  readonly outbox: {
    readonly bytesMax: number;
    /** Summaries are merged into coarser ones; else nothing is. */
    readonly merges: boolean;
    /** The oldest are dropped; else commits wait. */
    readonly drops: boolean;
  };
  readonly uplinks: {
    readonly files: boolean;
    readonly kafka: boolean;
    readonly lingerMs: number;
    /** Records of one transaction, in bytes. */
    readonly batchBytesMax: number;
    /** What Kafka is reached over, the first to prefer; empty: nothing is said of it. */
    readonly links: readonly LinkPlan[];
  };
  readonly devices: readonly DevicePlan[];
  readonly faults: readonly PlannedFault[];
  /** Raw readings that are asked for; older plans have none. */
  readonly asks?: readonly AskPlan[];
};

/** As large as small limits allow (instrument.ts), and nothing becomes of what is in it. */
export const patientOutbox: Plan["outbox"] = { bytesMax: 24_576, merges: false, drops: false };

/** The same seed gives the same plan. */
export function drawPlan(seed: number): Plan {
  const plan = drawUsual(seed);
  const random = seededRandom(seed ^ 0x0b0b_0b0b);
  const usual = plan.uplinks.kafka && below(random, 100) < 20 ? withOutage(plan, random) : plan;
  const ofLinks = seededRandom(seed ^ 0x0117_0117);
  const linked = plan.uplinks.kafka && below(ofLinks, 100) < 20 ? withLinks(usual, ofLinks) : usual;
  const ofAsks = seededRandom(seed ^ 0x0a5c_0a5c);
  return below(ofAsks, 100) < 25 ? withAsks(linked, ofAsks) : linked;
}

/** Up to three requests for raw readings, of what was, and some of what is only about to be. */
function withAsks(plan: Plan, random: Random): Plan {
  const percent = (of: number): boolean => below(random, 100) < of;
  const asks = Array.from({ length: 1 + below(random, 3) }, (_, index): AskPlan => {
    const atMs = between(random, [2_000, plan.durationMs - 1]);
    const fromMs = percent(40) ? 0 : below(random, atMs);
    return {
      id: `ask-${index}`,
      atMs,
      fromMs,
      toMs: fromMs + 1 + (percent(50) ? plan.durationMs : magnitude(random, [100, 30_000])),
      ...(percent(60) ? { device: below(random, plan.devices.length) } : {}),
      priority: (["high", "normal", "low"] as const)[below(random, 3)]!,
      ...(percent(15) ? { cancelAfterMs: magnitude(random, [10, 20_000]) } : {}),
    };
  });
  return { ...plan, asks };
}

/** A link that costs, and one behind it that is only slow: what the first does not take it does. */
function withLinks(plan: Plan, random: Random): Plan {
  const percent = (of: number): boolean => below(random, 100) < of;
  const first: LinkPlan = {
    name: "lte",
    address: "10.0.0.1",
    ...(percent(70) ? { bandwidth: magnitude(random, [1_500, 20_000]) } : {}),
    ...(percent(40) ? { quotaBytes: magnitude(random, [10_000, 200_000]) } : {}),
    closedMinutes: percent(30) ? 1 : 0,
    ...(percent(30)
      ? {
          metered: {
            minBatchBytes: magnitude(random, [500, 8_000]),
            maxDelayMs: magnitude(random, [1_000, 30_000]),
          },
        }
      : {}),
  };
  const second = {
    name: "sat",
    address: "10.0.0.2",
    bandwidth: magnitude(random, [1_500, 8_000]),
    closedMinutes: 0,
  };
  return { ...plan, uplinks: { ...plan.uplinks, links: [first, second] } };
}

/** Kafka is away for most of the time, and the outbox has room for little of it. */
function withOutage(plan: Plan, random: Random): Plan {
  const durationMs = Math.max(plan.durationMs, 90_000);
  const downAtMs = between(random, [1_000, 15_000]);
  const outage: Plan = {
    ...plan,
    durationMs,
    // The whole log is what the truth is told from.
    gateway: { ...plan.gateway, logBytesMax: 4_194_304 },
    latenessMs: magnitude(random, [500, 5_000]),
    outbox: {
      bytesMax: between(random, [8_192, 16_384]),
      merges: below(random, 100) < 75,
      drops: below(random, 100) < 60,
    },
  };
  const down = (atMs: number, forMs: number): PlannedFault => ({ kind: "link-down", atMs, forMs });
  // In half of them answers come and go in the middle: much is in doubt for the rest of the outage.
  const wakes = below(random, 100) < 50;
  const flakyAtMs = downAtMs + between(random, [10_000, 30_000]);
  const flakyMs = between(random, [4_000, 12_000]);
  const loss = { losePercent: between(random, [20, 60]), hangPercent: 10, delayMs: 300 };
  const outages: readonly PlannedFault[] = wakes
    ? [
        down(downAtMs, flakyAtMs - downAtMs),
        { kind: "link-flaky", atMs: flakyAtMs, forMs: flakyMs, ...loss },
        down(flakyAtMs + flakyMs, durationMs),
      ]
    : [down(downAtMs, durationMs)];
  return { ...outage, faults: [...plan.faults, ...outages].toSorted((a, b) => a.atMs - b.atMs) };
}

function drawUsual(seed: number): Plan {
  const random = seededRandom(seed);
  const segmentBytesOf = (devices: readonly DevicePlan[]): number =>
    // A frame fits a segment: what waits without acknowledgement is bounded with QoS 1 only.
    devices.some(({ qos }) => qos === 0) ? 131_072 : percent(70) ? 16_384 : 65_536;
  const percent = (of: number): boolean => below(random, 100) < of;
  const durationMs = between(random, [20_000, 120_000]);
  const rates = percent(10) ? stormRates : usualRates;
  const uplink = below(random, 10);
  const source = {
    disorderMs: percent(50) ? 500 : between(random, [0, 3_000]),
    idleMs: percent(50) ? 4_000 : between(random, [1_000, 20_000]),
    futureMs: 300_000,
  };
  const devices = Array.from({ length: 1 + below(random, 4) }, (_, index) =>
    drawDevice(index, { percent, number: (bounds) => between(random, bounds) }),
  );
  const segmentBytes = segmentBytesOf(devices);
  return {
    version: 1,
    seed,
    durationMs,
    gateway: {
      memoryRowsMax: magnitude(random, [20, 4_000]),
      keepMs: percent(70) ? 0 : between(random, [5_000, 60_000]),
      keepsResolutions: percent(50),
      commitWaitMs: percent(30) ? 0 : magnitude(random, [10, 1_000]),
      commitIntervalMs: magnitude(random, [100, 2_000]),
      checkpointMs: magnitude(random, [500, 30_000]),
      segmentBytes,
      // So few segments that a checkpoint that is late is felt.
      logBytesMax: percent(40) ? 3 * segmentBytes : 4_194_304,
    },
    source,
    site: {
      version: percent(50) ? 4 : 5,
      inFlightMax: percent(50) ? 20 : magnitude(random, [1, 40]),
      qos: percent(40) ? 1 : 2,
      receiveMax: magnitude(random, [1, 40]),
      hasCanary: percent(30),
    },
    outbox: patientOutbox,
    latenessMs: percent(60) ? 600_000 : magnitude(random, [500, 60_000]),
    uplinks: {
      files: uplink >= 7,
      kafka: uplink !== 9,
      lingerMs: percent(50) ? 0 : magnitude(random, [10, 2_000]),
      batchBytesMax: percent(50) ? 4_096 : 262_144,
      links: [],
    },
    devices,
    faults: drawFaults(random, {
      rates,
      durationMs,
      devices: devices.length,
      hasKafka: uplink !== 9,
      hasSite: devices.some(({ via }) => via === "site"),
    }),
  };
}

function drawDevice(
  index: number,
  draw: {
    readonly percent: (of: number) => boolean;
    readonly number: (bounds: readonly [number, number]) => number;
  },
): DevicePlan {
  const { percent, number } = draw;
  // Few are broken for good, and then so often that a frame has no room for all of it.
  const isBroken = percent(4);
  const hasTime = percent(88);
  return {
    name: `d${index}`,
    via: percent(70) ? "gateway" : "site",
    version: percent(60) ? 4 : 5,
    everyMs: isBroken ? 110 : percent(30) ? number([110, 200]) : number([200, 1_500]),
    qos: isBroken || percent(12) ? 0 : percent(70) ? 1 : 2,
    inFlight: number([1, 20]),
    bufferMax: percent(80) ? 10_000 : number([5, 50]),
    disorderMs: percent(50) ? 0 : number([0, 3_000]),
    repeatPercent: percent(50) ? 0 : number([1, 20]),
    brokenPercent: isBroken ? 100 : percent(70) ? 0 : number([1, 10]),
    retainPercent: percent(85) ? 0 : number([1, 100]),
    hasSequence: percent(50),
    hasTime,
    keepAliveS: percent(60) ? 0 : number([1, 20]),
    aheadMs: percent(80) ? number([-2_000, 2_000]) : percent(50) ? 3_600_000 : -60_000,
    startMs: percent(70) ? 0 : number([0, 20_000]),
    // With a sequence alone, a device that counts from 0 again cannot be told from a resend.
    rebootEveryMs: !hasTime || percent(80) ? 0 : number([10_000, 60_000]),
  };
}
