/**
 * A conformance case: what a specification demands of a server, as a claim and as code that shows
 * it. A case may speak for both versions, with each one's numbers.
 */

import type { Level } from "./client.ts";
import type { Site, SiteOptions, Way } from "./site.ts";

export type Version = "3.1.1" | "5.0";

export const levelOf: Readonly<Record<Version, Level>> = { "3.1.1": 4, "5.0": 5 };

/**
 * Where it is said, separated by blanks: `3.1.2-24` is the normative statement [MQTT-3.1.2-24],
 * `§3.1.2.10` a section without a number of its own for what is claimed, `paho:keepalive` a case of
 * the Eclipse Paho interoperability suite.
 */
type Clauses = { readonly v3?: string; readonly v5?: string };

export type Case = {
  readonly clauses: Readonly<Record<Version, readonly string[]>>;
  readonly claim: string;
  readonly run: (site: Site) => Promise<void>;
  readonly options: SiteOptions;
  readonly ways: readonly Way[];
};

type CaseOptions = SiteOptions & { readonly ways?: readonly Way[] };

export function claim(
  clauses: Clauses,
  what: string,
  run: (site: Site) => Promise<void>,
  { ways = ["source", "broker"], ...options }: CaseOptions = {},
): Case {
  return {
    clauses: { "3.1.1": split(clauses.v3), "5.0": split(clauses.v5) },
    claim: what,
    run,
    options,
    ways,
  };
}

function split(clauses: string | undefined): readonly string[] {
  return clauses === undefined ? [] : clauses.split(" ");
}

/** `[MQTT-3.1.2-24, 3.1.2.10] a client ...`, as the test is named. */
export function titleOf({ clauses, claim: what }: Case, version: Version): string {
  return `[${clauses[version].map(nameOf).join(", ")}] ${what}`;
}

/** A clause as it is written: `MQTT-3.1.2-24`, `section 3.1.2.10` or `Paho: keepalive`. */
export function nameOf(clause: string): string {
  if (clause.startsWith("paho:")) return `Paho: ${clause.slice(5).replaceAll("_", " ")}`;
  return clause.startsWith("§") ? `section ${clause.slice(1)}` : `MQTT-${clause}`;
}
