/**
 * Reads the settings of a node, which are texts, numbers or anything, as somebody wrote them. Each
 * fault is an Error that names the setting and what it may be.
 */

import type { Settings } from "./migrations.ts";

/** A finite number within [min, max]; the editor gives numbers as texts. */
export function numberIn(
  settings: Settings,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const given = settings[name];
  const value = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw new Error(`${name} is ${JSON.stringify(given)}: set a number from ${min} to ${max}`);
}

/** As `numberIn`, without a fraction. */
export function wholeIn(
  settings: Settings,
  name: string,
  range: { readonly min: number; readonly max: number },
): number {
  const value = numberIn(settings, name, range);
  if (Number.isInteger(value)) return value;
  throw new Error(`${name} is ${value}: set a whole number`);
}

export function choiceIn<Choice extends string>(
  settings: Settings,
  name: string,
  choices: readonly Choice[],
): Choice {
  const given = settings[name];
  const found = choices.find((choice) => choice === given);
  if (found !== undefined) return found;
  throw new Error(`${name} is ${JSON.stringify(given)}: set one of ${choices.join(", ")}`);
}

/** A text without spaces around it; empty where `canBeEmpty`. */
export function textIn(settings: Settings, name: string, canBeEmpty = false): string {
  const given = settings[name];
  if (typeof given === "string" && (canBeEmpty || given.trim() !== "")) return given.trim();
  throw new Error(`${name} is ${JSON.stringify(given)}: set a text`);
}

/** At least one of these, in their order here: a list, or a text with commas. */
export function someOf<Choice extends string>(
  settings: Settings,
  name: string,
  choices: readonly Choice[],
): readonly Choice[] {
  const given = settings[name];
  const words: readonly unknown[] =
    typeof given === "string" ? given.split(",").map((word) => word.trim()) : asList(given);
  const unknown = words.find((word) => !choices.some((choice) => choice === word));
  if (unknown !== undefined || words.length === 0) {
    throw new Error(`${name} has ${JSON.stringify(unknown)}: set some of ${choices.join(", ")}`);
  }
  return choices.filter((choice) => words.includes(choice));
}

function asList(given: unknown): readonly unknown[] {
  return Array.isArray(given) ? given : [];
}
