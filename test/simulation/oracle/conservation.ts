/**
 * P3: what came in is what is accounted for. The ledger's rows add up, they are the counts of what is
 * upstream, and between what devices saw acknowledged and what they sent.
 */

import type { Counts, Evidence, Violation } from "./evidence.ts";
import { isGap, newestWindows } from "./once.ts";

/** `isWhole`: the medium gave back everything, so every acknowledged message is counted. */
export function checkConservation(
  evidence: Evidence,
  { isWhole }: { readonly isWhole: boolean },
): readonly Violation[] {
  const { ledger } = evidence;
  if (ledger === undefined) return [];
  const found: string[] = [];
  const equal = (what: string, left: number, right: number): void => {
    if (left !== right) found.push(`${what}: ${left} is not ${right}`);
  };
  for (const source of ledger.sources) {
    equal("messages", of(source, "received"), of(source, "decoded", "deadLettered", "shed"));
    const where = of(source, "accepted", "duplicate", "quarantined", "rejected");
    equal("readings", of(source, "readings"), where);
  }
  for (const [name, counts] of ledger.pipelines) {
    const where = of(counts, "filtered", "refused", "late", "open", "closed");
    equal(`readings of ${name}`, of(counts, "accepted"), where);
    equal(`readings of ${name} against those of its sources`, of(counts, "accepted"), accepted());
    equal(`open readings of ${name} at the end`, of(counts, "open"), 0);
  }
  const counted = [
    ...evidence.windows.filter(isTumbling).map(({ name }) => name),
    evidence.sessions,
    evidence.arrivals,
  ];
  for (const place of evidence.places) {
    for (const name of isWhole ? counted : []) {
      const counts = ledger.pipelines.get(name) ?? {};
      equal(
        `readings of ${name} in ${place}`,
        readingsIn(evidence, name, place),
        of(counts, "closed"),
      );
    }
  }
  const deadLettered = ledger.sources.reduce((sum, source) => sum + of(source, "deadLettered"), 0);
  const { sent, acknowledged } = evidence.broken;
  if ((isWhole && deadLettered < acknowledged) || deadLettered > sent) {
    found.push(`${deadLettered} dead letters of ${sent} sent and ${acknowledged} acknowledged`);
  }
  const decoded = ledger.sources.reduce((sum, source) => sum + of(source, "decoded"), 0);
  const made = evidence.readings;
  const owed = made.filter(({ acknowledgedAt }) => acknowledgedAt !== undefined).length;
  const arrived = made.reduce((sum, { transmissions }) => sum + transmissions.length, 0);
  if ((isWhole && decoded < owed) || decoded > arrived) {
    found.push(`${decoded} messages decoded of ${arrived} sent and ${owed} acknowledged`);
  }
  const values = ledger.sources.reduce((sum, source) => sum + of(source, "readings"), 0);
  // Each message has two values, beside its time and sequence.
  equal("values of decoded messages", values, 2 * decoded);
  return found.map((what) => ({ promise: "P3", what }));

  function accepted(): number {
    return ledger!.sources.reduce((sum, source) => sum + of(source, "accepted"), 0);
  }
}

function of(counts: Counts, ...names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (counts[name] ?? Number.NaN), 0);
}

function isTumbling({ sizeMs, slideMs }: Evidence["windows"][number]): boolean {
  return sizeMs === slideMs;
}

/** By the newest revision of each window, and by gaps. */
function readingsIn({ upstream }: Evidence, pipeline: string, place: string): number {
  const windows = newestWindows(upstream, { place, pipeline });
  const gaps = upstream.filter(
    (read) => isGap(read) && read.place === place && read.record["pipeline"] === pipeline,
  );
  return (
    windows.reduce((sum, { count }) => sum + Number(count), 0) +
    gaps.reduce((sum, { record }) => sum + Number(record["readings"]), 0)
  );
}
