/**
 * What the schema of weir.yaml is made of: values with their bounds, sections and lists. The message
 * of a value's schema is the phrase after "expected"; the message of a key that is not known is the
 * list of known ones.
 */

import * as v from "valibot";
import {
  bytesOf,
  bytesPattern,
  bytesText,
  durationPattern,
  durationText,
  millisOf,
} from "./quantity.ts";

export const SECOND_MS: number = 1_000;
export const DAY_MS: number = 86_400_000;

/** A schema by what it makes of the plain value in the file. */
export type Value<Output> = v.GenericSchema<unknown, Output>;

// ---- values ----

export type Bounds = { readonly min: number; readonly max: number };

export const anyText = (about: string): Value<string> =>
  v.pipe(v.string("a string"), v.nonEmpty("a string that is not empty"), v.description(about));

/** Never shown, nor what stands in its place by mistake: secrets.ts. */
export const secretText = (about: string): Value<string> => secret(anyText(about));

/** The same of a value with a form of its own; the mark is JSON Schema's for what is not shown again. */
export const secret = <Output>(value: Value<Output>): Value<Output> =>
  v.pipe(value, v.metadata({ writeOnly: true }));

export const name = (about: string): Value<string> => {
  const expected = "a name of a-z, 0-9, _ and - (at most 64)";
  return v.pipe(v.string(expected), v.regex(/^[a-z0-9_-]{1,64}$/, expected), v.description(about));
};

export const flag = (about: string): Value<boolean> =>
  v.pipe(v.boolean("true or false"), v.description(about));

export const choice = <const Option extends string>(
  about: string,
  options: readonly Option[],
): Value<Option> =>
  v.pipe(v.picklist(options, `one of ${options.join(", ")}`), v.description(about));

export const integer = (about: string, { min, max }: Bounds): Value<number> => {
  const expected = `a whole number from ${min} to ${max}`;
  return v.pipe(
    v.number(expected),
    v.integer(expected),
    v.minValue(min, expected),
    v.maxValue(max, expected),
    v.description(about),
  );
};

export const numberFrom = (about: string, { min, max }: Bounds): Value<number> => {
  const expected = `a number from ${min} to ${max}`;
  return v.pipe(
    v.number(expected),
    v.minValue(min, expected),
    v.maxValue(max, expected),
    v.description(about),
  );
};

/** Above 0, at most 1. */
export const weight = (about: string): Value<number> => {
  const expected = "a number above 0, at most 1";
  return v.pipe(
    v.number(expected),
    v.gtValue(0, expected),
    v.maxValue(1, expected),
    v.description(about),
  );
};

export const duration = (about: string, { min, max }: Bounds): Value<number> => {
  const bounds = `from ${durationText(min)} to ${durationText(max)}`;
  const expected = `a duration such as 500ms, 10s, 5m, 1h or 7d, ${bounds}`;
  return v.pipe(
    v.string(expected),
    v.regex(durationPattern, expected),
    v.description(`${about} A duration ${bounds}.`),
    v.transform(millisOf),
    v.minValue(min, expected),
    v.maxValue(max, expected),
  );
};

export const byteSize = (about: string, { min, max }: Bounds): Value<number> => {
  const bounds = `from ${bytesText(min)} to ${bytesText(max)}`;
  const expected = `a size such as 512KiB, 64MiB or 1GiB, ${bounds}`;
  return v.pipe(
    v.string(expected),
    v.regex(bytesPattern, expected),
    v.description(`${about} A size ${bounds}.`),
    v.transform(bytesOf),
    v.minValue(min, expected),
    v.maxValue(max, expected),
  );
};

// ---- sections and lists ----

export const section = <Entries extends v.ObjectEntries>(
  about: string,
  entries: Entries,
): Value<v.InferOutput<v.ObjectSchema<Entries, undefined>>> =>
  v.pipe(
    noList(v.objectWithRest(entries, v.never(Object.keys(entries).join(" ")), sectionExpected)),
    v.description(about),
  );

/** A section whose keys are the user's own. */
export const sectionByName = <Of>(
  about: string,
  value: Value<Of>,
  key: v.GenericSchema<string, string> = v.string(),
): Value<Record<string, Of>> =>
  v.pipe(noList(v.record(key, value, sectionExpected)), v.description(about));

const sectionExpected = "a section of keys";

/** valibot takes a list for an object: its keys would be the indexes. */
function noList<Schema extends v.GenericSchema>(schema: Schema): Schema {
  return {
    ...schema,
    "~run": (dataset, config) =>
      schema["~run"](Array.isArray(dataset.value) ? { value: undefined } : dataset, config),
  };
}

export type ListBounds =
  | { readonly min: 0; readonly max: number }
  /** `such`: an item as one would write it, for whoever has none. */
  | { readonly min: 1; readonly max: number; readonly such: string };

export const list = <Item>(about: string, item: Value<Item>, bounds: ListBounds): Value<Item[]> => {
  const { min, max } = bounds;
  const such = min === 0 ? "" : `, with one item at least, such as - ${bounds.such}`;
  return v.pipe(
    v.array(item, `a list${such}`),
    v.minLength(min, `a list${such}`),
    v.maxLength(max, `a list of at most ${max}`),
    v.description(about),
  );
};

export const few: ListBounds = { min: 0, max: 64 };

export const port = (about: string): Value<number> => integer(about, { min: 0, max: 65_535 });

export const portOrOff = (about: string): Value<number | "off"> => {
  const expected = "off, or a whole number from 0 to 65535";
  return v.pipe(v.union([v.literal("off", expected), port(about)], expected), v.description(about));
};
