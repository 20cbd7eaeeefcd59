/**
 * Makes a plan that fails smaller, as long as the same promise stays broken: fewer faults, fewer
 * devices, a shorter life, plainer devices. Delta debugging (Zeller and Hildebrandt, TSE 2002) over
 * the schedule, then one simplification after another until none helps.
 */

import type { DevicePlan, Plan } from "./plan.ts";

/** `fails`: whether the promise is still broken with this plan. */
export async function shrink(
  plan: Plan,
  fails: (plan: Plan) => Promise<boolean>,
  onStep: (plan: Plan) => void = () => undefined,
): Promise<Plan> {
  let smallest = plan;
  const attempt = async (smaller: Plan): Promise<boolean> => {
    if (!(await fails(smaller))) return false;
    smallest = smaller;
    onStep(smaller);
    return true;
  };
  for (let before: Plan | undefined; before !== smallest; ) {
    before = smallest;
    await fewerFaults(() => smallest, attempt);
    for (const { tries, simpler } of simplifications) {
      for (let n = tries - 1; n >= 0; n--) {
        const smaller = simpler(smallest, n);
        if (smaller !== undefined) await attempt(smaller);
      }
    }
  }
  return smallest;
}

async function fewerFaults(
  now: () => Plan,
  attempt: (plan: Plan) => Promise<boolean>,
): Promise<void> {
  for (let size = Math.ceil(now().faults.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < now().faults.length; ) {
      const faults = now().faults.toSpliced(at, size);
      if (!(await attempt({ ...now(), faults }))) at += size;
    }
  }
}

type Simplification = {
  readonly tries: number;
  /** The n-th smaller plan; undefined where it would not be smaller. */
  readonly simpler: (plan: Plan, n: number) => Plan | undefined;
};

const devicesMax = 8;

const simplifications: readonly Simplification[] = [
  {
    tries: devicesMax,
    simpler: (plan, n) =>
      n < plan.devices.length && plan.devices.length > 1
        ? { ...plan, devices: plan.devices.toSpliced(n, 1) }
        : undefined,
  },
  {
    tries: 3,
    simpler: (plan, n) => {
      const last = Math.max(0, ...plan.faults.map(({ atMs }) => atMs)) + 1;
      const { durationMs: now } = plan;
      const durationMs = [Math.floor(now * 0.8), Math.floor(now / 2), last][n] ?? now;
      if (durationMs >= now) return undefined;
      return { ...plan, durationMs, faults: plan.faults.filter(({ atMs }) => atMs < durationMs) };
    },
  },
  {
    tries: 9,
    simpler: (plan, n) => {
      const devices = plan.devices.map((device) => ({ ...device, ...plainDevices[n] }));
      const isSame = JSON.stringify(devices) === JSON.stringify(plan.devices);
      return isSame ? undefined : { ...plan, devices };
    },
  },
];

const plainDevices: readonly Partial<DevicePlan>[] = [
  { repeatPercent: 0 },
  { brokenPercent: 0 },
  { disorderMs: 0 },
  { rebootEveryMs: 0 },
  { hasSequence: false },
  { aheadMs: 0 },
  { startMs: 0 },
  { retainPercent: 0 },
  { keepAliveS: 0 },
];
