/**
 * The normative statements of both specifications, by their numbers, so that none is forgotten:
 * each is shown by a case or listed in not-applicable.ts.
 *
 * Source: MQTT 3.1.1 (OASIS, 29 October 2014), appendix B; MQTT 5.0 (OASIS, 7 March 2019),
 * appendix B.
 */

import type { Version } from "./case.ts";

/** `3.1.2-1..24` are [MQTT-3.1.2-1] to [MQTT-3.1.2-24]. */
const ranges: Readonly<Record<Version, string>> = {
  "3.1.1": `
    1.5.3-1..3 2.2.2-1..2 2.3.1-1..7
    3.1.0-1..2 3.1.2-1..24 3.1.3-1..11 3.1.4-1..5 3.2.0-1 3.2.2-1..6
    3.3.1-1..12 3.3.2-1..3 3.3.4-1 3.3.5-1..2 3.6.1-1
    3.8.1-1 3.8.3-1..4 3.8.4-1..6 3.9.3-1..2 3.10.1-1 3.10.3-1..2 3.10.4-1..6
    3.12.4-1 3.14.1-1 3.14.4-1..3
    4.1.0-1..2 4.2.0-1 4.3.1-1 4.3.2-1..2 4.3.3-1..2 4.4.0-1 4.5.0-1..2 4.6.0-1..6
    4.7.1-1..3 4.7.2-1 4.7.3-1..4 4.8.0-1..2 6.0.0-1..4 7.0.0-1..2 7.1.1-1 7.1.2-1`,
  "5.0": `
    1.5.4-1..3 1.5.5-1 1.5.7-1 2.1.3-1 2.2.1-2..6 2.2.2-1
    3.1.0-1..2 3.1.2-1..30 3.1.3-1..12 3.1.4-1..6 3.2.0-1..2 3.2.2-1..22
    3.3.1-1..13 3.3.2-1..20 3.3.4-1..10 3.4.2-1..3 3.5.2-1..3 3.6.1-1 3.6.2-1..3 3.7.2-1..3
    3.8.1-1 3.8.3-1..5 3.8.4-1..8 3.9.2-1..2 3.9.3-1..2
    3.10.1-1 3.10.3-1..2 3.10.4-1..6 3.11.2-1..2 3.11.3-1..2
    3.12.4-1 3.14.0-1 3.14.1-1 3.14.2-1..4 3.14.4-1..3 3.15.1-1 3.15.2-1..3
    4.1.0-1..2 4.2.0-1 4.3.1-1 4.3.2-1..5 4.3.3-1..13 4.4.0-1..2 4.5.0-1..2 4.6.0-1..6
    4.7.0-1 4.7.1-1..2 4.7.2-1 4.7.3-1..4 4.8.2-1..6 4.9.0-1..3
    4.12.0-1..7 4.12.1-1..2 4.13.1-1 4.13.2-1 6.0.0-1..4`,
};

/** Their numbers in the order of the specification. */
export function statementsOf(version: Version): readonly string[] {
  return ranges[version].trim().split(/\s+/).flatMap(expand);
}

function expand(range: string): readonly string[] {
  const [section = "", numbers = ""] = range.split("-");
  const [first = 0, last = first] = numbers.split("..").map(Number);
  return Array.from({ length: last - first + 1 }, (_, i) => `${section}-${first + i}`);
}
