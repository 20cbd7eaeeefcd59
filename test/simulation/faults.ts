/**
 * The language of faults: what may go wrong in a simulated world, when, and for how long, as plain
 * data. A schedule of faults is drawn from a seed by rates and bounds, one record per door; a shrunk
 * schedule is what a regression file holds.
 *
 * A fault that lasts is on from `atMs` for `forMs`. One that strikes at a call is armed at `atMs` and
 * strikes at the `calls`-th door call after it, of whichever door that is, or of those that `at` names.
 */

import type { Random } from "../../src/core/doors.ts";
import { below } from "../support/seeded-random.ts";

type At = { readonly atMs: number };
type For = At & { readonly forMs: number };

/** How the next life begins: `unset` starts in the year 2000 until the time is set. */
export type Start = {
  readonly downMs: number;
  readonly clock: "right" | "unset";
  readonly clockSetMs: number;
};

/** Which calls count towards an end. */
export type EndAt = "any call" | "log write" | "log release" | "table call";

type AtCall = At & { readonly calls: number; readonly at: EndAt };

export type GatewayFault =
  /** What was not synced is lost, sector by sector. */
  | ({ readonly kind: "power-cut" } & AtCall & Start)
  /** kill -9: the kernel keeps what was written. */
  | ({ readonly kind: "kill" } & AtCall & Start)
  /** SIGTERM and a new start. */
  | ({ readonly kind: "restart" } & At & Start);

/** The gateway's clock is wrong by so much for a while. */
export type ClockFault = { readonly kind: "clock-step"; readonly byMs: number } & For;

export type DiskFault =
  | ({ readonly kind: "disk-slow"; readonly syncMs: number } & For)
  /** Files may grow by so many bytes more. */
  | ({ readonly kind: "disk-full"; readonly freeBytes: number } & For)
  | ({
      readonly kind: "disk-error";
      readonly call: "sync" | "write" | "rename" | "open" | "read";
      readonly place: "/data/log" | "/data/tables" | "/out";
      /** One call in so many fails. */
      readonly oneIn: number;
    } & For);

export type StoreFault =
  | ({ readonly kind: "store-slow"; readonly commitMs: number } & For)
  | ({ readonly kind: "store-full" } & For)
  /** The next commit fails, and every one after it in this life. */
  | ({ readonly kind: "store-broken" } & At);

export type MqttFault =
  /** The connection of one device (by index) is reset after so many more bytes. */
  | ({ readonly kind: "mqtt-cut"; readonly device: number; readonly bytes: number } & At)
  /** Nothing passes in either direction, and nobody is told. */
  | ({ readonly kind: "mqtt-silent"; readonly device: number } & For)
  | ({ readonly kind: "mqtt-slow"; readonly delayMs: number } & For);

export type SiteFault =
  /** The site's broker stops; with `forgets` it comes back without its sessions. */
  | ({ readonly kind: "site-down"; readonly forgets: boolean } & For)
  /** The gateway's connection to it is reset after so many more bytes. */
  | ({ readonly kind: "site-cut"; readonly bytes: number } & At)
  | ({ readonly kind: "site-silent" } & For);

export type KafkaFault =
  | ({ readonly kind: "link-down" } & For)
  /** Per cent of requests: lost on the way there, on the way back, or hanging, or overtaken. */
  | ({
      readonly kind: "link-flaky";
      readonly losePercent: number;
      readonly hangPercent: number;
      readonly delayMs: number;
    } & For)
  | ({
      readonly kind: "cluster-refuses";
      readonly error: string;
      readonly percent: number;
    } & For)
  /** So much time passes for the cluster alone: ids, offsets and producers expire. */
  | ({ readonly kind: "cluster-forgets"; readonly days: number } & At)
  | ({ readonly kind: "cluster-compacts" } & At)
  /** Another agent leaves a transaction open on our partitions. */
  | ({ readonly kind: "cluster-stuck" } & At);

export type PlannedFault =
  | GatewayFault
  | ClockFault
  | DiskFault
  | StoreFault
  | MqttFault
  | SiteFault
  | KafkaFault;

export type FaultKind = PlannedFault["kind"];

// ---- rates ----

/** From, to: both may be drawn. */
type Bounds = readonly [number, number];

/** Of each kind about so many per minute. */
type PerMinute<Kind extends string> = Readonly<Record<Kind, number>>;

export type FaultRates = {
  readonly gateway: {
    readonly perMinute: PerMinute<GatewayFault["kind"]>;
    readonly calls: Bounds;
    readonly downMs: Bounds;
    /** Per cent of starts at which the clock is not set. */
    readonly unsetPercent: number;
    readonly clockSetMs: Bounds;
  };
  readonly clock: {
    readonly perMinute: PerMinute<"clock-step">;
    readonly byMs: Bounds;
    readonly forMs: Bounds;
  };
  readonly disk: {
    readonly perMinute: PerMinute<DiskFault["kind"]>;
    readonly forMs: Bounds;
    readonly syncMs: Bounds;
    readonly freeBytes: Bounds;
    readonly oneIn: Bounds;
  };
  readonly store: {
    readonly perMinute: PerMinute<StoreFault["kind"]>;
    readonly forMs: Bounds;
    readonly commitMs: Bounds;
  };
  readonly mqtt: {
    readonly perMinute: PerMinute<MqttFault["kind"]>;
    readonly forMs: Bounds;
    readonly bytes: Bounds;
    readonly delayMs: Bounds;
  };
  readonly site: {
    readonly perMinute: PerMinute<SiteFault["kind"]>;
    readonly forMs: Bounds;
    readonly bytes: Bounds;
    readonly forgetsPercent: number;
  };
  readonly kafka: {
    readonly perMinute: PerMinute<KafkaFault["kind"]>;
    readonly forMs: Bounds;
    readonly percent: Bounds;
    readonly delayMs: Bounds;
    readonly days: Bounds;
  };
};

/** A bad month in a minute. */
export const usualRates: FaultRates = {
  gateway: {
    perMinute: { "power-cut": 1.5, kill: 0.8, restart: 0.8 },
    calls: [0, 300],
    downMs: [200, 40_000],
    unsetPercent: 20,
    clockSetMs: [100, 30_000],
  },
  clock: {
    perMinute: { "clock-step": 0.4 },
    byMs: [100, 7_200_000],
    forMs: [1_000, 60_000],
  },
  disk: {
    perMinute: { "disk-slow": 0.5, "disk-full": 0.3, "disk-error": 0.4 },
    forMs: [100, 15_000],
    syncMs: [20, 4_000],
    freeBytes: [0, 30_000],
    oneIn: [1, 6],
  },
  store: {
    perMinute: { "store-slow": 0.4, "store-full": 0.4, "store-broken": 0.2 },
    forMs: [100, 15_000],
    commitMs: [10, 3_000],
  },
  mqtt: {
    perMinute: { "mqtt-cut": 1.5, "mqtt-silent": 0.5, "mqtt-slow": 0.5 },
    forMs: [500, 30_000],
    bytes: [0, 400],
    delayMs: [20, 2_000],
  },
  site: {
    perMinute: { "site-down": 1, "site-cut": 2, "site-silent": 0.7 },
    forMs: [100, 30_000],
    bytes: [0, 2_000],
    forgetsPercent: 25,
  },
  kafka: {
    perMinute: {
      "link-down": 1,
      "link-flaky": 1,
      "cluster-refuses": 0.7,
      "cluster-forgets": 0.3,
      "cluster-compacts": 0.5,
      "cluster-stuck": 0.3,
    },
    forMs: [500, 90_000],
    percent: [5, 60],
    delayMs: [0, 20_000],
    days: [1, 10],
  },
};

/** The power goes again and again, often while the agent still starts. */
export const stormRates: FaultRates = {
  ...usualRates,
  gateway: {
    ...usualRates.gateway,
    perMinute: { "power-cut": 25, kill: 10, restart: 5 },
    downMs: [100, 3_000],
  },
};

/** What brokers answer on bad days. */
const refusals = [
  "NOT_LEADER_OR_FOLLOWER",
  "REQUEST_TIMED_OUT",
  "NOT_ENOUGH_REPLICAS",
  "COORDINATOR_NOT_AVAILABLE",
  "COORDINATOR_LOAD_IN_PROGRESS",
  "CONCURRENT_TRANSACTIONS",
  "UNSTABLE_OFFSET_COMMIT",
  "KAFKA_STORAGE_ERROR",
  "INVALID_PRODUCER_EPOCH",
  "INVALID_PRODUCER_ID_MAPPING",
  "INVALID_TXN_STATE",
  "OUT_OF_ORDER_SEQUENCE_NUMBER",
  "UNKNOWN_SERVER_ERROR",
] as const;

// ---- a schedule ----

/** A whole number of [from, to]. */
export function between(random: Random, [from, to]: Bounds): number {
  return from + below(random, to - from + 1);
}

/** The same, small ones as often as large ones by their order of magnitude. */
export function magnitude(random: Random, [from, to]: Bounds): number {
  const low = Math.max(1, from);
  const bits = Math.floor(Math.log2(to / low));
  const top = low * 2 ** below(random, bits + 1);
  return Math.min(to, from + below(random, Math.min(top * 2, to + 1) - from));
}

/** Draws a schedule for so long, in the order of time. */
export function drawFaults(
  random: Random,
  options: {
    readonly rates: FaultRates;
    readonly durationMs: number;
    readonly devices: number;
    readonly hasKafka: boolean;
    readonly hasSite: boolean;
  },
): readonly PlannedFault[] {
  const { rates, durationMs, devices, hasKafka, hasSite } = options;
  const faults: PlannedFault[] = [];
  const draw = <Kind extends string>(
    perMinute: PerMinute<Kind>,
    make: (kind: Kind, atMs: number) => PlannedFault,
  ): void => {
    for (const kind of Object.keys(perMinute) as Kind[]) {
      // Twice the rate with every second run: worlds differ in what they suffer from.
      const mean = below(random, 2) === 0 ? 0 : (2 * perMinute[kind] * durationMs) / 60_000;
      const count = Math.floor(mean) + (below(random, 1_000) < (mean % 1) * 1_000 ? 1 : 0);
      for (let n = 0; n < count; n++) faults.push(make(kind, below(random, durationMs)));
    }
  };
  const { gateway, clock, disk, store, mqtt, site, kafka } = rates;
  const start = (): Start => ({
    downMs: magnitude(random, gateway.downMs),
    clock: below(random, 100) < gateway.unsetPercent ? "unset" : "right",
    clockSetMs: magnitude(random, gateway.clockSetMs),
  });
  draw(gateway.perMinute, (kind, atMs) =>
    kind === "restart"
      ? { kind, atMs, ...start() }
      : { kind, atMs, ...drawCalls(random, gateway), ...start() },
  );
  draw(clock.perMinute, (kind, atMs) => ({
    kind,
    atMs,
    forMs: magnitude(random, clock.forMs),
    byMs: (below(random, 2) === 0 ? 1 : -1) * magnitude(random, clock.byMs),
  }));
  draw(disk.perMinute, (kind, atMs) => {
    const forMs = magnitude(random, disk.forMs);
    if (kind === "disk-slow") return { kind, atMs, forMs, syncMs: magnitude(random, disk.syncMs) };
    if (kind === "disk-full") {
      return { kind, atMs, forMs, freeBytes: between(random, disk.freeBytes) };
    }
    const call = (["sync", "write", "rename", "open", "read"] as const)[below(random, 5)]!;
    const place = (["/out", "/data/tables", "/data/log", "/data/log"] as const)[below(random, 4)]!;
    return { kind, atMs, forMs, call, place, oneIn: between(random, disk.oneIn) };
  });
  draw(store.perMinute, (kind, atMs) => {
    const forMs = magnitude(random, store.forMs);
    if (kind === "store-broken") return { kind, atMs };
    if (kind === "store-full") return { kind, atMs, forMs };
    return { kind, atMs, forMs, commitMs: magnitude(random, store.commitMs) };
  });
  draw(mqtt.perMinute, (kind, atMs) => {
    const forMs = magnitude(random, mqtt.forMs);
    if (kind === "mqtt-slow") {
      return { kind, atMs, forMs, delayMs: magnitude(random, mqtt.delayMs) };
    }
    const device = below(random, devices);
    if (kind === "mqtt-silent") return { kind, atMs, forMs, device };
    return { kind, atMs, device, bytes: between(random, mqtt.bytes) };
  });
  if (hasSite) {
    draw(site.perMinute, (kind, atMs) => {
      const forMs = magnitude(random, site.forMs);
      if (kind === "site-cut") return { kind, atMs, bytes: between(random, site.bytes) };
      if (kind === "site-silent") return { kind, atMs, forMs };
      return { kind, atMs, forMs, forgets: below(random, 100) < site.forgetsPercent };
    });
  }
  if (hasKafka) draw(kafka.perMinute, (kind, atMs) => drawKafka(random, kafka, { kind, atMs }));
  return faults.toSorted((a, b) => a.atMs - b.atMs);
}

/** Ends at chosen calls come within what they cut off: an append, a flush or merge, a release. */
function drawCalls(random: Random, { calls }: FaultRates["gateway"]): Omit<AtCall, "atMs"> {
  switch (below(random, 8)) {
    case 0:
    case 1:
      return { calls: below(random, 8), at: "log write" };
    case 2:
    case 3:
      return { calls: below(random, 25), at: "table call" };
    case 4:
      return { calls: 0, at: "log release" };
    default:
      return { calls: magnitude(random, calls), at: "any call" };
  }
}

function drawKafka(
  random: Random,
  kafka: FaultRates["kafka"],
  { kind, atMs }: { readonly kind: KafkaFault["kind"]; readonly atMs: number },
): KafkaFault {
  const forMs = magnitude(random, kafka.forMs);
  switch (kind) {
    case "link-down":
      return { kind, atMs, forMs };
    case "link-flaky":
      return {
        kind,
        atMs,
        forMs,
        losePercent: between(random, kafka.percent),
        hangPercent: between(random, kafka.percent) / 2,
        delayMs: magnitude(random, kafka.delayMs),
      };
    case "cluster-refuses": {
      const error = refusals[below(random, refusals.length)] ?? "UNKNOWN_SERVER_ERROR";
      const percent = below(random, 3) === 0 ? 100 : between(random, kafka.percent);
      return { kind, atMs, forMs, error, percent };
    }
    case "cluster-forgets":
      return { kind, atMs, days: between(random, kafka.days) };
    case "cluster-compacts":
    case "cluster-stuck":
      return { kind, atMs };
  }
}
