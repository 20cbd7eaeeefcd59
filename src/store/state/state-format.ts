/**
 * Which weirs may open a state store: the version of everything under its keys.
 *
 *   1   no tables
 *   2   accepted readings are in tables, and the log is released below them too
 *   3   blocks of the outbox may skip numbers
 *   4   values have checksums (checked-value.ts)
 *
 * The versions stand as these few texts and are compared whole: no flipped bit makes a store with
 * checksums one without.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { formatKey } from "./kv-key.ts";
import { damaged, decodeJson, wholeOf } from "./stored-json.ts";

const version = 4;

/** What is in a store: nothing, values as they are, or with checksums. */
export type StateFormat = "empty" | "unchecked" | "checked";

/** Faults: FORMAT_TOO_NEW; STORE_FAILED where it is somebody else's, or the version is damaged. */
export function formatOf(kv: Kv): StateFormat {
  const value = kv.get(formatKey);
  if (value === undefined) {
    if (kv.range({ from: "!", to: "~", limit: 1 }).length === 0) return "empty";
    throw new Fault(
      "STORE_FAILED",
      "the state store holds something, but not what weir writes: its format version is missing; restore it, or start with a fresh data directory",
    );
  }
  const text = new TextDecoder().decode(value);
  if (text === textOf(version)) return "checked";
  for (let older = 1; older < version; older++) if (text === textOf(older)) return "unchecked";
  const place = "the state store's format";
  const found = wholeOf(decodeJson(value, place), "version");
  if (found <= version) throw damaged(place, `it is ${text}`);
  throw new Fault(
    "FORMAT_TOO_NEW",
    `the state store has format ${found}, this weir knows up to ${version}; start the newer weir again`,
    { facts: { version: found, known: version } },
  );
}

export function formatWrite(): KvWrite {
  return { key: formatKey, value: new TextEncoder().encode(textOf(version)) };
}

function textOf(number: number): string {
  return `{"version":${number}}`;
}
