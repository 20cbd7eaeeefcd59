/**
 * Readings whose device sends no time are timed by their arrival, and each window says so (P8).
 * Which window one is in nobody outside can tell, but how many there are: all that were acknowledged
 * (P1), and none twice where the message can be recognised by its sequence (P9). One that cannot is
 * at least once, as the status says.
 */

import type { Evidence, Violation } from "./evidence.ts";
import { newestWindows } from "./once.ts";

export function checkArrivals(evidence: Evidence): readonly Violation[] {
  const { readings, upstream, arrivals, ledger } = evidence;
  const timeless = readings.filter(({ time }) => time === undefined);
  const acknowledged = timeless.filter(({ isAcknowledged }) => isAcknowledged).length;
  const atMost = timeless.reduce(
    (sum, { isRecognisable, transmissions }) =>
      sum + (isRecognisable ? Math.min(1, transmissions.length) : transmissions.length),
    0,
  );
  const late = ledger?.pipelines.get(arrivals)?.["late"] ?? 0;
  return [...new Set(upstream.map(({ place }) => place))].flatMap((place) => {
    const windows = newestWindows(upstream, { place, pipeline: arrivals });
    const count = windows.reduce((sum, record) => sum + Number(record["count"]), 0) + late;
    const found: Violation[] = [];
    if (count < acknowledged) {
      found.push({ promise: "P1", what: `${count} arrivals of ${acknowledged} in ${place}` });
    }
    if (count > atMost) {
      found.push({ promise: "P9", what: `${count} arrivals of ${atMost} in ${place}` });
    }
    const untold = windows.filter((record) => record["arrivalTimed"] !== record["count"]);
    return [
      ...found,
      ...untold.map(({ id }) => ({ promise: "P8", what: `${String(id)} hides how it is timed` })),
    ];
  });
}
