/**
 * A regression file: a plan that once broke a promise, shrunk, and what it was. Every later run lives
 * through it again. A plan that lacks something, or knows something that is not known any more, would
 * live through another world and still be green: it is refused.
 */

import { type PlannedFault, usualRates } from "./faults.ts";
import { type DevicePlan, drawPlan, type Plan } from "./plan.ts";

export type Regression = {
  /** The promise that was broken. */
  readonly promise: string;
  /** What was wrong, for the next one who breaks it. */
  readonly note: string;
  readonly plan: Plan;
};

/** Throws where the text is none, naming `path` and what is wrong with it. */
export function readRegression(text: string, path: string): Regression {
  const refuse = (what: string): never => {
    throw new Error(`${path} is no regression file: ${what}`);
  };
  let value: Partial<Regression>;
  try {
    value = JSON.parse(text) as Partial<Regression>;
  } catch {
    return refuse("it is no JSON");
  }
  const { promise, note, plan } = value;
  if (promise === undefined || note === undefined || plan === undefined) {
    return refuse("it needs promise, note and plan");
  }
  if (plan.version !== 1) return refuse(`its plan has version ${String(plan.version)}, not 1`);
  const wrong = planFault(plan);
  return wrong === undefined ? { promise, note, plan } : refuse(wrong);
}

/** What is missing in the plan, or too much. */
function planFault(plan: Plan): string | undefined {
  const like = drawPlan(1);
  // Worlds without requests for raw readings have none.
  const { asks: _, ...whole } = plan;
  return (
    keysFault("the plan", whole, like) ??
    keysFault("gateway", plan.gateway, like.gateway) ??
    keysFault("outbox", plan.outbox, like.outbox) ??
    keysFault("source", plan.source, like.source) ??
    keysFault("uplinks", plan.uplinks, like.uplinks) ??
    first(plan.devices, (device: DevicePlan) => keysFault(device.name, device, like.devices[0]!)) ??
    first(plan.faults, faultFault)
  );
}

function faultFault({ kind }: PlannedFault): string | undefined {
  const known = Object.values(usualRates).flatMap(({ perMinute }) => Object.keys(perMinute));
  return known.includes(kind) ? undefined : `there is no fault ${kind}`;
}

function keysFault(what: string, found: object | undefined, like: object): string | undefined {
  const [here, there] = [Object.keys(found ?? {}), Object.keys(like)];
  const lack = there.find((key) => !here.includes(key));
  if (lack !== undefined) return `${what} lacks ${lack}: what it was when the plan was made`;
  const more = here.find((key) => !there.includes(key));
  return more === undefined ? undefined : `${what} has ${more}, which nothing reads`;
}

function first<Item>(
  items: readonly Item[],
  check: (item: Item) => string | undefined,
): string | undefined {
  for (const item of items) {
    const fault = check(item);
    if (fault !== undefined) return fault;
  }
  return undefined;
}
