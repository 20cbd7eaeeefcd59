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
    for (const simpler of simplifications) {
      for (let tries = 0; tries < 8; tries++) {
        const smaller = simpler(smallest, tries);
        if (smaller === undefined) break;
        await attempt(smaller);
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

/** Each gives a smaller plan for its n-th try, or undefined. */
const simplifications: readonly ((plan: Plan, n: number) => Plan | undefined)[] = [
  (plan, n) =>
    n < plan.devices.length && plan.devices.length > 1
      ? { ...plan, devices: plan.devices.toSpliced(n, 1) }
      : undefined,
  (plan, n) => {
    const last = Math.max(0, ...plan.faults.map(({ atMs }) => atMs)) + 1;
    const durationMs = [last, Math.floor(plan.durationMs / 2), Math.floor(plan.durationMs * 0.8)][
      n
    ];
    if (durationMs === undefined || durationMs >= plan.durationMs) return undefined;
    return { ...plan, durationMs, faults: plan.faults.filter(({ atMs }) => atMs < durationMs) };
  },
  (plan, n) => {
    const plainer = plainDevices[n];
    if (plainer === undefined) return undefined;
    const devices = plan.devices.map((device) => ({ ...device, ...plainer }));
    return JSON.stringify(devices) === JSON.stringify(plan.devices)
      ? undefined
      : { ...plan, devices };
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
];
