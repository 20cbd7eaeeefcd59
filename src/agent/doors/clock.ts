/** The real clock: wall time, monotonic time, timers of the event loop. */

import type { Clock } from "../../core/doors.ts";
import { millis } from "../../core/units.ts";

export function systemClock(): Clock {
  return clock;
}

const clock: Clock = {
  now: () => millis(Date.now()),
  monotonic: () => performance.now(),
  after: (delayMs, run) => {
    // Node warns of a negative one on stderr; the clocks of tests refuse it.
    const timer = setTimeout(run, Math.max(0, delayMs));
    return () => clearTimeout(timer);
  },
  soon: (run) => {
    setImmediate(run);
  },
};
