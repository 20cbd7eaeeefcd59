/**
 * Which weirs may open a state store: the version of everything under its keys.
 *
 *   1   no tables
 *   2   accepted readings are in tables, and the log is released below them too
 *   3   blocks of the outbox may skip numbers
 *   4   values have checksums (checked-value.ts)
 *   8   the queue of the summaries may be split between lanes, and have holes (outbox/split.ts)
 *   10  there is a queue of raw readings, too; the summaries may be split or not
 *   13  windows may be held back (held-back.ts); there may be all of the above or not
 *
 * A store of version 4 becomes 8 when something is put behind for the first time, and 10 when raw readings
 * are; 13 is what weir restore --from-kafka makes. Before, an older weir goes on with it. 5, 6, 7 and 9 are
 * one flipped bit away from versions without checksums, 11 and 12 from others, and never given.
 *
 * The versions stand as these few texts and are compared whole: no flipped bit makes a store with
 * checksums one without.
 */

import type { Kv, KvWrite } from "../../core/doors.ts";
import { Fault } from "../../core/faults.ts";
import { formatKey } from "./kv-key.ts";
import { damaged, decodeJson, wholeOf } from "./stored-json.ts";

const version = 13;
const versionRaw = 10;
const versionSplit = 8;
const versionUnsplit = 4;
const unchecked = [1, 2, 3];
const checked = [versionUnsplit, versionSplit, versionRaw, version];

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
  if (checked.some((known) => text === textOf(known))) return "checked";
  if (unchecked.some((known) => text === textOf(known))) return "unchecked";
  const place = "the state store's format";
  const found = wholeOf(decodeJson(value, place), "version");
  if (found <= version) throw damaged(place, `it is ${text}`);
  throw new Fault(
    "FORMAT_TOO_NEW",
    `the state store has format ${found}, this weir knows up to ${version}; start the newer weir again`,
    { facts: { version: found, known: version } },
  );
}

/** Of a store in which nothing was put behind yet. */
export function formatWrite(): KvWrite {
  return writeOf(versionUnsplit);
}

/** From the first time on that something is. */
export function splitFormatWrites(kv: Kv): readonly KvWrite[] {
  return isAtLeast(kv, versionSplit) ? [] : [writeOf(versionSplit)];
}

/** From the first time on that there are raw readings. */
export function rawFormatWrites(kv: Kv): readonly KvWrite[] {
  return isAtLeast(kv, versionRaw) ? [] : [writeOf(versionRaw)];
}

/** From the first time on that windows are held back: an older weir would send them. */
export function heldBackFormatWrites(): readonly KvWrite[] {
  return [writeOf(version)];
}

/** Of a store with checksums. */
function isAtLeast(kv: Kv, number: number): boolean {
  const text = new TextDecoder().decode(kv.get(formatKey));
  return checked.some((known) => known >= number && text === textOf(known));
}

function writeOf(number: number): KvWrite {
  return { key: formatKey, value: new TextEncoder().encode(textOf(number)) };
}

function textOf(number: number): string {
  return `{"version":${number}}`;
}
