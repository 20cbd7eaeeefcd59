/**
 * Which places of a configuration hold secrets: those that the schema marks, with all below them. A place
 * that the schema does not know (a password in the wrong section) goes by the names of its keys; so does
 * every place of another file. What is under a name of the user's own, such as a tag called `token`, is none.
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

/** Whether what stands at the path must never be printed. */
export function isSecret(path: Path): boolean {
  let schemas: readonly Part[] = shapesOf(configSchema);
  for (const [index, part] of path.entries()) {
    schemas = schemas.flatMap((schema) => partsOf(schema, part)).flatMap(shapesOf);
    if (schemas.some((schema) => v.getMetadata(schema)["writeOnly"] === true)) return true;
    if (schemas.length === 0) return path.slice(index).some((key) => secretKeys.has(key));
  }
  return false;
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
  if (typeof part === "number") return item === undefined ? [] : [item];
  if (type === "record") return value === undefined ? [] : [value];
  return entries !== undefined && Object.hasOwn(entries, part) ? [entries[part]!] : [];
}
