/**
 * The verdict on a simulated world: which promises did not hold, from the evidence alone.
 *
 *   P1 acknowledged is durable     windows.ts, stored.ts, and PUBACKs that nobody was owed
 *   P2 determinism                 same.ts
 *   P3 conservation                conservation.ts, markers.ts; stored.ts, at every second
 *   P4 exactly once upstream       once.ts
 *   P5 exact aggregates            windows.ts
 *      resolution before data      degraded.ts, in worlds whose outbox merges or drops
 *   P6 bounded everything          below; budgets.ts for what goes over links
 *   P7 it always starts            below: it starts, stays, and comes to rest when all is well
 *   P8 time is honest              windows.ts: a device from the future is not believed; arrivals.ts
 *   P9 resends are recognised      windows.ts, arrivals.ts, stored.ts
 *   P10 late data corrects         windows.ts
 *   fresh first (delivery.md)      fresh-first.ts
 *   raw readings (delivery.md)     raw.ts
 *
 * A medium that does not give back what was synced may cost readings, and the agent has to say so:
 * then what is missing, and what depends on it (counts, revisions), is not asked for.
 */

import { checkArrivals } from "./arrivals.ts";
import { checkBudgets } from "./budgets.ts";
import { checkConservation } from "./conservation.ts";
import type { Evidence, Violation } from "./evidence.ts";
import { checkMarkers } from "./markers.ts";
import { checkDegraded } from "./degraded.ts";
import { checkFreshFirst } from "./fresh-first.ts";
import { checkOnce, isDegraded } from "./once.ts";
import { checkRaw } from "./raw.ts";
import { checkSame } from "./same.ts";
import { checkStored, checkStoredCounts } from "./stored.ts";
import { checkWindows } from "./windows.ts";

/** Of each check the first few. */
const shownMax = 5;

export function judge(evidence: Evidence): readonly Violation[] {
  const { lost, named } = evidence.medium;
  const isWhole = lost === 0 || named === 0;
  const invented = lost === 0 && named > 0 ? ["damage is named on a sound medium"] : [];
  const checks = [
    invented.map((what) => ({ promise: "P7", what })),
    evidence.failures.map((what) => ({ promise: "P7", what })),
    evidence.protocolFaults.map((what) => ({ promise: "P1", what })),
    evidence.changedBuffers.map((what) => ({ promise: "P2", what })),
    checkBounds(evidence),
    checkBudgets(evidence),
    checkFreshFirst(evidence),
    isWhole ? checkStoredCounts(evidence) : [],
    // Of an agent that never came to rest, the rest would only be said again and again.
    ...(evidence.ledger === undefined
      ? []
      : [
          checkWindows(toldInFull(evidence), { isWhole }),
          isWhole ? checkArrivals(toldInFull(evidence)) : [],
          checkStored(evidence, { isWhole }),
          checkOnce(evidence, { isWhole }),
          checkRaw(evidence, { isWhole }),
          checkConservation(evidence, { isWhole }),
          isWhole ? checkMarkers(evidence) : [],
          isWhole && !isDegraded(evidence) ? checkSame(evidence) : [],
          isWhole && isDegraded(evidence) ? checkDegraded(evidence) : [],
        ]),
  ];
  return checks.flatMap((violations) => violations.slice(0, shownMax));
}

/** Where what is upstream may be coarser: what the same log says with all the room it needs. */
function toldInFull(evidence: Evidence): Evidence {
  if (!isDegraded(evidence)) return evidence;
  const { replayed } = evidence;
  return replayed === undefined
    ? { ...evidence, places: [] }
    : { ...evidence, places: ["replayed"], upstream: replayed };
}

/** P6: each in its bound, whenever one looked. */
function checkBounds({ samples }: Evidence): readonly Violation[] {
  return samples.flatMap(({ atMs, bounded }) =>
    Object.entries(bounded)
      .filter(([, [value, bound]]) => !(value <= bound))
      .map(([name, [value, bound]]) => ({
        promise: "P6",
        what: `${name} is ${value}, over its bound of ${bound}, at ${atMs} ms`,
      })),
  );
}
