/**
 * Which places of a configuration hold secrets: those that the schema marks, with all below them. A
 * place that the schema does not know (a password in the wrong section) goes by the names of its keys.
 * What is under a name of the user's own, such as a tag called `token`, is none. Not to be printed is also
 * what stands where a section or a list with such a place in it is wanted: `sasl: word` may be the password.
 */

import * as v from "valibot";
import type { Path } from "./fault.ts";
import { configSchema } from "./schema.ts";

const secretKeys: ReadonlySet<string | number> = new Set([
  "password",
  "passwordHash",
  "passphrase",
  "token",
  // A token that was put where its hash belongs.
  "tokenHash",
]);

/** Whether a secret belongs at the path, or is there by a mistake that its keys tell. */
export function isSecret(path: Path): boolean {
  return isAt(path, { schema: configSchema, asked: isMarked });
}

/** Whether a plain value (no section, no list) that stands at the path must never be printed. */
export function mayHoldSecret(path: Path, schema: v.GenericSchema = configSchema): boolean {
  return isAt(path, { schema, asked: holdsMarked });
}

/** `asked` of what the schema has at the path's end. */
function isAt(
  path: Path,
  { schema, asked }: { readonly schema: v.GenericSchema; readonly asked: (at: Part) => boolean },
): boolean {
  let places = shapesOf(schema);
  for (const [index, part] of path.entries()) {
    if (places.some(isMarked)) return true;
    places = places.flatMap((place) => partsOf(place, part)).flatMap(shapesOf);
    if (places.length === 0) return path.slice(index).some((key) => secretKeys.has(key));
  }
  return places.some(asked);
}

function isMarked(place: Part): boolean {
  return v.getMetadata(place)["writeOnly"] === true;
}

/** Itself, or something in it. */
function holdsMarked(place: Part): boolean {
  if (isMarked(place)) return true;
  const { entries = {}, item, value } = place;
  const parts = [...Object.values(entries), item, value].filter((part) => part !== undefined);
  return parts.flatMap(shapesOf).some(holdsMarked);
}

type Part = v.GenericSchema & {
  readonly wrapped?: v.GenericSchema;
  readonly options?: readonly unknown[];
  readonly entries?: Readonly<Record<string, v.GenericSchema>>;
  readonly item?: v.GenericSchema;
  readonly value?: v.GenericSchema;
};

/** What a value may be: a choice is each of its options. */
function shapesOf(schema: Part): readonly Part[] {
  if (schema.wrapped !== undefined) return shapesOf(schema.wrapped);
  const isChoice = schema.type === "union" || schema.type === "variant";
  return isChoice ? (schema.options as readonly Part[]).flatMap(shapesOf) : [schema];
}

/** What a part of it may be; nothing where it has no such part. */
function partsOf({ entries, item, value, type }: Part, part: string | number): readonly Part[] {
  if (type === "record") return value === undefined ? [] : [value];
  if (typeof part === "number") return item === undefined ? [] : [item];
  return entries !== undefined && Object.hasOwn(entries, part) ? [entries[part]!] : [];
}
