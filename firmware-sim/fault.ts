/**
 * Faults: what goes wrong with a device, when, and how badly.
 *
 * Each kind has a rule (rate, length, magnitude) and each device a random stream per kind, so the
 * intervals of a kind never overlap and no kind moves another. The gap between two intervals is
 * uniform in [0, 2 x mean], the length and the magnitude uniform in their range.
 */
import assert from "node:assert/strict";
import { limits } from "./limits.ts";
import { chance, integer, type Random, randomOf, uniform } from "./random.ts";

export const faultKinds = [
  "spike",
  "stuck",
  "drift",
  "dropout",
  "clock",
  "future",
  "duplicate",
  "disorder",
  "disconnect",
] as const;

export type FaultKind = (typeof faultKinds)[number];

/** How often a kind happens to one device, for how long, and how strongly (see `Fault`). */
export type FaultRule = {
  readonly perHour: number;
  readonly msMin: number;
  readonly msMax: number;
  readonly magnitudeMin: number;
  readonly magnitudeMax: number;
};

export type FaultRules = Readonly<Record<FaultKind, FaultRule>>;

/**
 * One interval, [start, end) in milliseconds of device time. `magnitude` by kind:
 *
 * - spike: added to the metric, in its unit; drift: reached at `end`, growing from 0
 * - clock, future: milliseconds added to the device's `ts`
 * - duplicate: extra copies of each message; disorder: longest hold in milliseconds
 * - stuck, dropout, disconnect: 0
 */
export type Fault = {
  readonly device: string;
  readonly kind: FaultKind;
  /** The metric concerned; undefined when the fault is the device's or its link's. */
  readonly metric: string | undefined;
  readonly start: number;
  readonly end: number;
  readonly magnitude: number;
};

/** A metric that spike, stuck and drift may hit. */
export type FaultTarget = { readonly name: string; readonly scale: number };

export type FaultScope = {
  readonly device: string;
  readonly seed: number;
  readonly intervalMs: number;
  readonly durationMs: number;
  readonly targets: readonly FaultTarget[];
  /** Kinds this device cannot have (a device without a clock has no clock fault). */
  readonly without: readonly FaultKind[];
};

export type FaultCalendar = {
  /** Faults that begin at or before `at` and were not named by an earlier call, in time order. */
  begun(at: number): readonly Fault[];
  /** The fault of this kind that contains `at`, where `at` never goes back. */
  active(kind: FaultKind, at: number): Fault | undefined;
};

/** The faults of one device; a pure function of its arguments. */
export function openFaultCalendar(rules: FaultRules, scope: FaultScope): FaultCalendar {
  const lanes = new Map(
    faultKinds
      .filter((kind) => rules[kind].perHour > 0 && !scope.without.includes(kind))
      .map((kind) => [kind, openLane(kind, rules[kind], scope)]),
  );
  return {
    begun(at) {
      const begun = [...lanes.values()].flatMap((lane) => lane.begun(at));
      return begun.sort((left, right) => left.start - right.start);
    },
    active(kind, at) {
      return lanes.get(kind)?.active(at);
    },
  };
}

type Lane = {
  begun(at: number): readonly Fault[];
  active(at: number): Fault | undefined;
};

function openLane(kind: FaultKind, rule: FaultRule, scope: FaultScope): Lane {
  const random = randomOf(scope.seed, `${scope.device}/fault/${kind}`);
  let latest: Fault | undefined;
  let next = drawFault(kind, rule, scope, random, 0);
  return {
    begun(at) {
      const begun: Fault[] = [];
      while (next.start <= at && next.start < scope.durationMs) {
        begun.push(next);
        latest = next;
        next = drawFault(kind, rule, scope, random, next.end);
      }
      return begun;
    },
    active(at) {
      return latest !== undefined && latest.start <= at && at < latest.end ? latest : undefined;
    },
  };
}

function drawFault(
  kind: FaultKind,
  rule: FaultRule,
  scope: FaultScope,
  random: Random,
  after: number,
): Fault {
  const gap = Math.ceil(uniform(random, 0, (2 * 3_600_000) / rule.perHour));
  const length = Math.max(
    Math.round(uniform(random, rule.msMin, rule.msMax)),
    limits.faultIntervalsMin * scope.intervalMs,
  );
  const target = scope.targets[integer(random, 0, scope.targets.length - 1)];
  const size = uniform(random, rule.magnitudeMin, rule.magnitudeMax);
  const sign = chance(random, 0.5) ? 1 : -1;
  assert(target !== undefined, "a device has a metric that can fail");
  const start = after + gap;
  const end = Math.min(start + length, scope.durationMs);
  const metric = isSensorFault(kind) ? target.name : undefined;
  const magnitude = magnitudeOf(kind, size, sign, target.scale);
  return { device: scope.device, kind, metric, start, end, magnitude };
}

function isSensorFault(kind: FaultKind): boolean {
  return kind === "spike" || kind === "stuck" || kind === "drift";
}

function magnitudeOf(kind: FaultKind, size: number, sign: number, scale: number): number {
  switch (kind) {
    case "spike":
    case "drift":
      return Math.round(sign * size * scale * 1_000) / 1_000;
    case "clock":
      return sign * oddMillis(size);
    case "future":
      return oddMillis(size);
    case "duplicate":
    case "disorder":
      return Math.round(size);
    case "stuck":
    case "dropout":
    case "disconnect":
      return 0;
  }
}

/** Honest device times are even, so a wrong clock never repeats a time that was already used. */
function oddMillis(ms: number): number {
  return 2 * Math.floor(ms / 2) + 1;
}

const second = 1_000;
const minute = 60_000;
const day = 86_400_000;
const plain = { magnitudeMin: 0, magnitudeMax: 0 } as const;

/** A plant on an ordinary day: a fault somewhere in 300 devices every second or two. */
const some: FaultRules = {
  spike: { perHour: 4, msMin: 0, msMax: 3 * second, magnitudeMin: 2, magnitudeMax: 6 },
  stuck: { perHour: 0.5, msMin: minute, msMax: 5 * minute, ...plain },
  drift: { perHour: 0.5, msMin: 2 * minute, msMax: 10 * minute, magnitudeMin: 1, magnitudeMax: 3 },
  dropout: { perHour: 0.5, msMin: 30 * second, msMax: 2 * minute, ...plain },
  clock: {
    perHour: 0.2,
    msMin: minute,
    msMax: 5 * minute,
    magnitudeMin: minute,
    magnitudeMax: 10 * minute,
  },
  future: {
    perHour: 0.05,
    msMin: 10 * second,
    msMax: 30 * second,
    magnitudeMin: day,
    magnitudeMax: 365 * day,
  },
  duplicate: { perHour: 1, msMin: 10 * second, msMax: minute, magnitudeMin: 1, magnitudeMax: 1 },
  disorder: {
    perHour: 1,
    msMin: 10 * second,
    msMax: minute,
    magnitudeMin: second / 2,
    magnitudeMax: 4 * second,
  },
  disconnect: { perHour: 0.5, msMin: 5 * second, msMax: minute, ...plain },
};

/** A bad day: every device has something within a few minutes. */
const many: FaultRules = {
  spike: { ...some.spike, perHour: 30, magnitudeMax: 10 },
  stuck: { ...some.stuck, perHour: 5 },
  drift: { ...some.drift, perHour: 5 },
  dropout: { ...some.dropout, perHour: 5, msMin: 5 * second },
  clock: { ...some.clock, perHour: 3, msMin: 10 * second, magnitudeMax: 30 * minute },
  future: { ...some.future, perHour: 1 },
  duplicate: { ...some.duplicate, perHour: 20, magnitudeMax: limits.copiesMax },
  disorder: { ...some.disorder, perHour: 20, magnitudeMax: 30 * second },
  disconnect: { ...some.disconnect, perHour: 6, msMin: 2 * second },
};

/** Nothing ever fails. */
const none: FaultRules = mapRules(some, (rule) => ({ ...rule, perHour: 0 }));

/** A bad link, and nothing else: what devices measure and stamp is right. */
const link: FaultRules = {
  ...none,
  duplicate: many.duplicate,
  disorder: { ...many.disorder, magnitudeMax: 2 * second },
  disconnect: { ...many.disconnect, perHour: 20, msMax: 20 * second },
};

export type FaultPreset = "none" | "link" | "some" | "many";

export const faultPresets: Readonly<Record<FaultPreset, FaultRules>> = { none, link, some, many };

function mapRules(rules: FaultRules, change: (rule: FaultRule) => FaultRule): FaultRules {
  return {
    spike: change(rules.spike),
    stuck: change(rules.stuck),
    drift: change(rules.drift),
    dropout: change(rules.dropout),
    clock: change(rules.clock),
    future: change(rules.future),
    duplicate: change(rules.duplicate),
    disorder: change(rules.disorder),
    disconnect: change(rules.disconnect),
  };
}

/** Why these rules cannot be used, as a sentence; undefined when they can. */
export function faultRulesProblem(rules: FaultRules): string | undefined {
  for (const kind of faultKinds) {
    const rule = rules[kind];
    if (!(rule.perHour >= 0)) return `${kind}: perHour must be 0 or more`;
    if (!(rule.msMin >= 0 && rule.msMin <= rule.msMax && rule.msMax <= limits.faultMsMax)) {
      return `${kind}: 0 <= msMin <= msMax <= ${limits.faultMsMax} must hold`;
    }
    const max = magnitudeLimit(kind);
    if (
      !(rule.magnitudeMin >= 0 && rule.magnitudeMin <= rule.magnitudeMax) ||
      rule.magnitudeMax > max
    ) {
      return `${kind}: 0 <= magnitudeMin <= magnitudeMax <= ${max} must hold`;
    }
  }
  return undefined;
}

function magnitudeLimit(kind: FaultKind): number {
  switch (kind) {
    case "clock":
      return limits.clockOffsetMsMax;
    case "future":
      return limits.futureOffsetMsMax;
    case "duplicate":
      return limits.copiesMax;
    case "disorder":
      return limits.holdMsMax;
    case "spike":
    case "stuck":
    case "drift":
    case "dropout":
    case "disconnect":
      return Number.MAX_SAFE_INTEGER;
  }
}

for (const [name, rules] of Object.entries(faultPresets)) {
  assert.equal(faultRulesProblem(rules), undefined, `the preset ${name} keeps the limits`);
}
