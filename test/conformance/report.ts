/**
 * docs/mqtt-conformance.md: what of the specifications holds, what does not and why. Made from the
 * cases, the deviations and what is left out; `node test/conformance/report.ts` writes it, a test
 * says that it is fresh.
 */

import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type Case, nameOf, type Version } from "./case.ts";
import { deviations } from "./deviations.ts";
import { casesOf, deviationOf } from "./judge.ts";
import { leftOut, notApplicable } from "./not-applicable.ts";
import { statementsOf } from "./statements.ts";

export const reportFile: string = resolve(import.meta.dirname, "../../docs/mqtt-conformance.md");

export const versions: readonly Version[] = ["3.1.1", "5.0"];

type Counts = { readonly passes: number; readonly deviates: number; readonly leftOut: number };

export function reportText(): string {
  return `${[
    ...introduction(),
    ...overview(),
    ...deviationTable(),
    ...bounds(),
    ...versions.flatMap(caseTable),
    ...leftOutTable(),
  ].join("\n")}\n`;
}

function introduction(): readonly string[] {
  return [
    "# MQTT conformance",
    "",
    "What the MQTT listener does of what the OASIS specifications demand of a server. Each line below is a",
    "test in [test/conformance](../test/conformance), written from the specification and named by its",
    "normative statement, or by a section where a statement has no number. Each is run twice: where a source",
    "takes the messages, and where they are for subscribers only. The cases of the Eclipse Paho",
    "interoperability suite are there by their names, on real sockets. A deviation is a test too: it fails",
    "when what deviated holds, and its line has to move.",
    "",
    "This page is made by `node test/conformance/report.ts`; a test says whether it is fresh.",
    "",
  ];
}

function overview(): readonly string[] {
  const rows = versions.map((version) => {
    const { passes, deviates, leftOut: left } = countStatements(version);
    const all = statementsOf(version).length;
    const cases = casesOf(version);
    const off = cases.filter((each) => deviationOf(each, version) !== undefined).length;
    return `| ${version} | ${all} | ${passes} | ${deviates} | ${left} | ${cases.length - off} | ${off} |`;
  });
  return [
    "| version | normative statements | hold | deviate | not applicable | cases that pass | that deviate |",
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ...rows,
    "",
  ];
}

/** A statement holds when all cases that show it do. */
function countStatements(version: Version): Counts {
  const left = leftOut(version);
  const off = new Set(
    casesOf(version)
      .filter((each) => deviationOf(each, version) !== undefined)
      .flatMap(({ clauses }) => clauses[version]),
  );
  const statements = statementsOf(version);
  const deviates = statements.filter((clause) => off.has(clause)).length;
  const out = statements.filter((clause) => left.has(clause)).length;
  return { passes: statements.length - deviates - out, deviates, leftOut: out };
}

function deviationTable(): readonly string[] {
  return [
    "## Deviations",
    "",
    "| version | clause | demanded | what the agent does | why |",
    "| --- | --- | --- | --- | --- |",
    ...deviations.map(({ versions: where, claim, instead, why }) => {
      const clauses = where.flatMap((version) =>
        casesOf(version)
          .filter((each) => each.claim === claim)
          .flatMap((each) => each.clauses[version].map(nameOf)),
      );
      const names = [...new Set(clauses)].join(", ");
      return `| ${where.join(", ")} | ${names} | ${cell(claim)} | ${cell(instead)} | ${cell(why)} |`;
    }),
    "",
  ];
}

/** What both specifications leave to a server, and what this one does. */
function bounds(): readonly string[] {
  return [
    "## Bounds that are this server's own",
    "",
    "Both specifications let a server be smaller than the protocol, and say nothing of where it keeps its",
    "state. Here a packet has at most 256 KiB and a CONNECT 16 KiB, a client that is away has at most 1000",
    "messages waiting for it, and sessions, retained messages and what waits are in memory: an agent that",
    "starts again begins without them. Readings are not part of that: an acknowledged one is on disk",
    "([delivery.md](delivery.md)). All bounds: [mqtt.md](mqtt.md#bounds).",
    "",
  ];
}

function caseTable(version: Version): readonly string[] {
  return [
    `## MQTT ${version}`,
    "",
    "| clause | demanded | |",
    "| --- | --- | --- |",
    ...casesOf(version).map((each) => caseRow(each, version)),
    "",
  ];
}

function caseRow(each: Case, version: Version): string {
  const result = deviationOf(each, version) === undefined ? "passes" : "**deviates**";
  return `| ${each.clauses[version].map(nameOf).join(", ")} | ${cell(each.claim)} | ${result} |`;
}

function leftOutTable(): readonly string[] {
  return [
    "## Not applicable",
    "",
    "| version | clauses | why |",
    "| --- | --- | --- |",
    ...notApplicable.flatMap(({ versions: where, why }) =>
      versions.flatMap((version) => {
        const clauses = where[version];
        if (clauses === undefined) return [];
        return [`| ${version} | ${clauses.split(" ").map(nameOf).join(", ")} | ${cell(why)} |`];
      }),
    ),
  ];
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}

if (import.meta.main) {
  writeFileSync(reportFile, reportText());
  console.log(reportFile);
}
