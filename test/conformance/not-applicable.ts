/** Normative statements that no test of this server can show, each with the reason. */

import type { Version } from "./case.ts";

type NotApplicable = {
  readonly versions: Readonly<Partial<Record<Version, string>>>;
  readonly why: string;
};

export const notApplicable: readonly NotApplicable[] = [
  {
    versions: {
      "3.1.1":
        "2.3.1-2 2.3.1-3 3.1.2-23 3.14.4-1 3.14.4-2 4.5.0-2 4.6.0-1 4.6.0-2 4.6.0-3 4.6.0-4 6.0.0-3 7.1.2-1",
      "5.0":
        "3.1.2-20 3.1.2-21 3.1.2-30 3.2.2-4 3.2.2-5 3.2.2-11 3.2.2-14 3.2.2-15 3.2.2-17 3.2.2-21 3.3.2-10 3.3.4-7 3.3.4-8 4.5.0-2 4.6.0-1 4.6.0-2 4.6.0-3 4.6.0-4 4.12.0-3 4.12.0-7 4.12.1-1 6.0.0-3",
    },
    why: "a rule for clients",
  },
  {
    versions: { "3.1.1": "7.0.0-1" },
    why: "for servers that connect to servers: what the agent says to brokers elsewhere is tested on a real Mosquitto (test/broker)",
  },
  {
    versions: { "5.0": "3.2.2-9 3.2.2-10 3.2.2-12 3.2.2-13" },
    why: "for servers without some QoS or without retained messages: there is all of it",
  },
  {
    versions: { "5.0": "4.8.2-1 4.8.2-2 4.8.2-3 4.8.2-4 4.8.2-5 4.8.2-6" },
    why: "shared subscriptions are not offered, and CONNACK says so",
  },
  {
    versions: { "5.0": "3.15.2-1 3.15.2-2 3.15.2-3 4.12.0-2 4.12.0-4 4.12.0-5 4.12.1-2" },
    why: "extended authentication is not offered: a CONNECT with a method is refused, so there is no AUTH",
  },
];

/** The statements that are left out for a version, with the reason. */
export function leftOut(version: Version): ReadonlyMap<string, string> {
  return new Map(
    notApplicable.flatMap(({ versions, why }) =>
      (versions[version] ?? "")
        .split(" ")
        .filter((clause) => clause !== "")
        .map((clause) => [clause, why] as const),
    ),
  );
}
