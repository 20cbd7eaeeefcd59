/**
 * Runs the cases of one version. A case with an entry in deviations.ts must fail, with what the
 * entry says is seen instead; once it holds, its entry has to go.
 */

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Case, levelOf, titleOf, type Version } from "./case.ts";
import { cases } from "./cases.ts";
import { type Deviation, deviations } from "./deviations.ts";
import { openSite, type Way } from "./site.ts";

export function judge(version: Version): void {
  describe(`MQTT ${version}`, () => {
    for (const each of casesOf(version)) {
      const deviation = deviationOf(each, version);
      const title = titleOf(each, version);
      if (deviation === undefined) it(title, () => holds(each, version));
      else it(`${title}: deviates`, () => deviates(each, version, deviation));
    }
  });
}

export function casesOf(version: Version): readonly Case[] {
  return cases.filter(({ clauses }) => clauses[version].length > 0);
}

export function deviationOf(each: Case, version: Version): Deviation | undefined {
  return deviations.find(
    ({ claim, versions }) => claim === each.claim && versions.includes(version),
  );
}

async function holds(each: Case, version: Version): Promise<void> {
  for (const way of each.ways) {
    const failure = await failureOf(each, version, way);
    if (failure !== undefined) {
      failure.message = `where messages go to a ${way}: ${failure.message}`;
      throw failure;
    }
  }
}

async function deviates(each: Case, version: Version, { seen }: Deviation): Promise<void> {
  const failures: string[] = [];
  for (const way of each.ways) {
    const failure = await failureOf(each, version, way);
    if (failure !== undefined) failures.push(failure.message);
  }
  assert.notDeepEqual(failures, [], "this holds by now: take it out of deviations.ts");
  for (const message of failures) assert.match(message, seen);
}

/** What was not as it should be; errors that are no assertions are thrown. */
async function failureOf(
  each: Case,
  version: Version,
  way: Way,
): Promise<assert.AssertionError | undefined> {
  await using site = await openSite(levelOf[version], way, each.options);
  try {
    await each.run(site);
    return undefined;
  } catch (error) {
    if (error instanceof assert.AssertionError) return error;
    throw error;
  }
}
