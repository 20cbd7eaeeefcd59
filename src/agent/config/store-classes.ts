/**
 * `store.classes`: series that are kept by rules of their own. The first class that takes a series
 * counts, so one that comes behind another that takes all of its series is a mistake.
 */

import { globOf } from "../../core/glob.ts";
import { parseSelector } from "../query/selector.ts";
import type { WhereSpec } from "../../edge-ops/spec.ts";
import type { StoreClassConfig } from "./config.ts";
import type { Finding } from "./fault.ts";
import { keepFindings, keepMsOf } from "./store-keep.ts";
import type { StoreSection } from "./store-section.ts";

/** `section` has passed all checks. */
export function storeClasses({ tiers, keep, classes }: StoreSection): readonly StoreClassConfig[] {
  return classes.flatMap(({ name, match, keep: own = keep, priority }) => {
    const parsed = parseSelector(match);
    if (parsed.kind === "malformed") return [];
    const keepMs = keepMsOf({ tiers, keep: own });
    return [{ name, match, where: parsed.where, keepMs, priority }];
  });
}

export function classFindings({ tiers, classes }: StoreSection): Finding[] {
  const findings: Finding[] = [];
  const before: { readonly name: string; readonly where: WhereSpec }[] = [];
  const names = new Map<string, number>();
  for (const [index, { name, match, keep }] of classes.entries()) {
    const at = ["store", "classes", index];
    const namesake = names.get(name);
    if (namesake !== undefined) {
      const message = `${JSON.stringify(name)} is the name of store.classes[${namesake}] already`;
      findings.push({ path: [...at, "name"], message });
    }
    names.set(name, namesake ?? index);
    if (keep !== undefined) findings.push(...keepFindings({ tiers, keep }, [...at, "keep"]));
    const parsed = parseSelector(match);
    if (parsed.kind === "malformed") {
      findings.push({ path: [...at, "match"], message: parsed.message });
      continue;
    }
    const first = before.find(({ where }) => covers(where, parsed.where));
    if (first !== undefined) {
      const message = `nothing is left for it: ${first.name}, before it, takes all of its series; put it in front`;
      findings.push({ path: [...at, "match"], message });
    }
    before.push({ name, where: parsed.where });
  }
  return findings;
}

/** Whether whatever `narrow` takes is taken by `wide`; it may be so although this says no. */
function covers(wide: WhereSpec, narrow: WhereSpec): boolean {
  const [metric = "*"] = narrow.metrics;
  return (
    wide.metrics.every((glob) => coversGlob(glob, metric)) &&
    Object.entries(wide.tags).every(([name, glob]) => {
      const theirs = narrow.tags[name];
      return theirs !== undefined && coversGlob(glob, theirs);
    })
  );
}

/** A glob as a text: only a `*` takes its `*`. */
function coversGlob(wide: string, narrow: string): boolean {
  return globOf(wide)(narrow);
}
